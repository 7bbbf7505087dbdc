"""`claudescale scenario` on doubles: what stops it, what it puts back, and the report that it leaves in each case."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun
from claudescale_cli.common import Options
from claudescale_cli.live.conditions import Ground
from claudescale_cli.live.connection import Answer
from claudescale_cli.live.observer import Observer
from claudescale_cli.live.screen import Screen
from claudescale_cli.scenarios import capacity, catalogue, command, conditions, crash, outage, transcripts
from claudescale_cli.scenarios import stage as stages
from claudescale_cli.scenarios.facts import Facts, Returned
from claudescale_cli.scenarios.session import Session
from claudescale_cli.scenarios.stage import Stage
from claudescale_cli.scenarios.transcripts import Ask
from claudescale_cli.scenarios.undo import Undo, lease_is_over
from claudescale_cli.signals import Signalled, signals_raise

from tests.doors.cluster_double import DEMO, HPA, deployment, hpa
from tests.doors.command import ended
from tests.doors.lease_double import LEASES, Server, lease_double
from tests.doors.mcp_double import McpCluster
from tests.engine.http_double import Asked, HttpDouble, Reply, http_double
from tests.support import running

JOBS = "/apis/batch/v1/namespaces/claudescale/jobs"
DEPLOYMENTS = "/apis/apps/v1/namespaces/claudescale/deployments"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PROMETHEUS = outage.Way(name="prometheus", namespace="claudescale", words="Prometheus")
FILE = "7-daily-review"


# A session with the real server


@pytest.fixture
def session(cluster: McpCluster, tmp_path: Path) -> Session:
    kubeconfig = cluster.place(tmp_path).kubeconfig
    return Session(Options(context="claudescale", namespace="claudescale", kubeconfig=kubeconfig))


def servers(folder: Path) -> list[str]:
    return [line for line in running() if f"--kubeconfig {folder}" in line]


def test_one_server_over_stdio_answers_all_calls(session: Session, tmp_path: Path) -> None:
    with session:
        assert len(servers(tmp_path)) == 1
        state = session.call("get_current_state", {"workload": "demo-app"})
        assert state.facts["workloads"][0]["workload"] == "Deployment/demo-app"
        assert not state.is_error and state.seconds > 0 and state.images == ()
        assert session.prompt("announced_launch", {"start": "20:00", "language": "Spanish"}).endswith(
            "- Change nothing that was not asked for."
        )
        refused = session.call("get_metrics", {"workload": "demo-app", "window_seconds": 3})
        assert refused.is_error and refused.text.startswith("window_seconds is 3: ")
        drawn = session.call("generate_report", {"workload": "demo-app", "plot": True})
        assert drawn.images[0].startswith(b"\x89PNG")
        with pytest.raises(ClaudeScaleError, match="the MCP server gave no answer to prompt nothing: "):
            session.prompt("nothing", {})
        assert len(servers(tmp_path)) == 1
    assert servers(tmp_path) == []


def test_a_server_that_does_not_start_is_a_sentence(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ["-c", "raise SystemExit('no such module')"]
    monkeypatch.setattr("claudescale_cli.live.connection.server_arguments", lambda _: broken)
    with pytest.raises(ClaudeScaleError, match=r"the MCP server does not start: .*no such module"), session:
        pytest.fail("it started")


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Signalled)])
def test_a_signal_ends_a_call_and_the_server(
    session: Session, cluster: McpCluster, tmp_path: Path, number: int, raised: type[BaseException]
) -> None:
    def slow(asked: Asked) -> None:
        if asked.path.endswith("/capacityleases"):
            os.kill(os.getpid(), number)
            time.sleep(1)

    with pytest.raises(raised), signals_raise(), session:
        session.call("cluster_status", {})
        cluster.instead = slow
        session.call("lease_capacity", {"name": "a", "workload": "demo-app", "replicas": 4, "reason": "launch"})
        time.sleep(3)
    assert servers(tmp_path) == []


# Putting back


def test_the_last_is_put_back_first_and_what_fails_keeps_none_waiting() -> None:
    undo, said = Undo(), list[Returned]()

    def refused() -> str:
        raise ClaudeScaleError("the API server says no\x1b[2J")

    undo.note("the first", lambda: "the first is back", "x")
    undo.note("the second", refused, "do it by hand")
    undo.note("the third", lambda: "the third is back", "x")
    assert not undo.is_empty
    undo.put_back(said.append)
    assert [(one.words, one.done) for one in said] == [
        ("the third is back", True),
        ("the second could not be put back (the API server says no): do it by hand", False),
        ("the first is back", True),
    ]
    assert undo.is_empty


def test_what_was_interrupted_is_put_back_again_and_nothing_twice() -> None:
    undo, done = Undo(), list[str]()

    def interrupted() -> str:
        done.append("second")
        if done.count("second") == 1:
            raise KeyboardInterrupt
        return "second"

    undo.note("first", lambda: done.append("first") or "first", "x")
    undo.note("second", interrupted, "x")
    undo.note("third", lambda: done.append("third") or "third", "x")
    with pytest.raises(KeyboardInterrupt):
        undo.put_back(lambda _: None)
    undo.put_back(lambda _: None)
    assert done == ["third", "second", "second", "first"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """demo-app at rest, with nothing that a scenario would have left."""
    monkeypatch.setattr("claudescale_cli.scenarios.undo.LATE_SECONDS", 0.1)
    with lease_double() as found:
        writes = found.on_write

        def write(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
            if path == ACCESS:
                return 201, {"status": {"allowed": True}}
            return writes(method, path, query, body)

        found.api.on_write = write
        found.hpa["status"], found.hpa["metadata"]["annotations"] = hpa()["status"], {}
        found.hpa["spec"]["metrics"] = hpa()["spec"]["metrics"]
        demo = {**deployment("demo-app", 2), "status": {"readyReplicas": 2}}
        demo["metadata"]["uid"] = "w"
        found.api.objects |= {
            f"{HPA}/demo-app-hpa": found.hpa,
            DEMO: demo,
            JOBS: {"items": []},
            DEPLOYMENTS: {"items": []},
        }
        yield found


def client_of(server: Server, folder: Path) -> Any:
    kubeconfig = str(server.api.kubeconfig(folder))
    return Options(context="claudescale", namespace="claudescale", kubeconfig=kubeconfig).cluster()


def test_a_lease_is_over_however_it_stands(server: Server, tmp_path: Path) -> None:
    client = client_of(server, tmp_path)
    server.put("open")
    server.put("refused", replicas=500)
    assert lease_is_over(client, "open") == "lease open is ended, before its time"
    assert lease_is_over(client, "open") == "lease open is over (Ended)"
    assert lease_is_over(client, "refused") == "lease refused is over (Refused)"
    assert lease_is_over(client, "never") == "lease never was never made"
    ended = [path for _, path, body in server.api.writes if body == {"spec": {"ended": True}}]
    assert ended == [f"{LEASES}/open"]


def test_a_lease_that_nobody_ends_is_told(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claudescale_cli.scenarios.undo.OVER_SECONDS", 0.2)
    monkeypatch.setattr("ansible_collections.claudescale.core.plugins.module_utils.asking.door.ANSWER_SECONDS", 0.1)
    server.away = True
    server.put("open")
    with pytest.raises(ClaudeScaleError, match="it is told to end, and the controller has not done it yet"):
        lease_is_over(client_of(server, tmp_path), "open")


# The outage


class Services:
    """An API server with Services, which it patches as Kubernetes does."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {
            PROMETHEUS.path: service({"app.kubernetes.io/name": "prometheus"}),
            "/api/v1/namespaces/kube-system/services/metrics-server": service({"k8s-app": "metrics-server"}),
            outage.METRICS_API: {"spec": {"service": {"name": "metrics-server", "namespace": "kube-system"}}},
        }

    def script(self, asked: Asked) -> Reply:
        found = self.objects.get(asked.path)
        if found is None:
            return Reply(status=404, body={"message": f"{asked.path} not found"})
        if asked.method == "PATCH" and isinstance(asked.body, list):
            test, remove = asked.body
            entries, place = found["metadata"]["managedFields"], int(remove["path"].rpartition("/")[2])
            assert entries[place]["manager"] == test["value"]
            del entries[place]
        elif asked.method == "PATCH":
            found["spec"]["selector"] |= asked.body["spec"]["selector"]
            entry = {"manager": asked.query["fieldManager"]}
            if entry not in found["metadata"]["managedFields"]:
                found["metadata"]["managedFields"].append(entry)
        return Reply(body=found)


def service(selector: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"managedFields": [{"manager": "claudescale-ansible"}]}, "spec": {"selector": selector}}


@pytest.fixture
def services() -> Iterator[tuple[Services, HttpDouble]]:
    found = Services()
    with http_double(found.script) as double:
        yield found, double


def test_a_way_is_cut_and_put_back_exactly(services: tuple[Services, HttpDouble]) -> None:
    found, double = services
    client = double.client()
    before = json.dumps(found.objects)
    outage.cut(client, PROMETHEUS)
    assert outage.selector_of(client, PROMETHEUS) == {"app.kubernetes.io/name": "prometheus.cut-by-a-scenario"}
    outage.cut(client, PROMETHEUS)
    assert outage.selector_of(client, PROMETHEUS) == {"app.kubernetes.io/name": "prometheus.cut-by-a-scenario"}
    assert outage.mend(client, PROMETHEUS)
    assert json.dumps(found.objects) == before
    writes = len([asked for asked in double.asked if asked.method == "PATCH"])
    assert not outage.mend(client, PROMETHEUS)
    assert len([asked for asked in double.asked if asked.method == "PATCH"]) == writes


def test_the_ways_are_found_where_the_cluster_says_they_are(services: tuple[Services, HttpDouble]) -> None:
    found, double = services
    client = double.client()
    client.namespace = "claudescale"
    assert [(way.name, way.namespace) for way in outage.ways(client)] == [
        ("metrics-server", "kube-system"),
        ("prometheus", "claudescale"),
    ]
    del found.objects[PROMETHEUS.path]
    with pytest.raises(ClaudeScaleError, match=r"^there is no Service prometheus in namespace claudescale: make up$"):
        outage.ways(client)
    del found.objects[outage.METRICS_API]
    with pytest.raises(ClaudeScaleError, match=r"^the cluster has no metrics-server, so its metrics cannot be cut off"):
        outage.ways(client)


def test_what_a_killed_run_left_is_mended_by_the_next(
    services: tuple[Services, HttpDouble], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, double = services
    client = double.client()
    client.namespace = "claudescale"
    before = json.dumps(found.objects)
    for way in outage.ways(client):
        outage.cut(client, way)
    monkeypatch.setattr(crash, "left", lambda _: ["scenario-5-crash-abc123"])
    removed: list[str] = []
    monkeypatch.setattr(crash, "remove", lambda _, name: removed.append(name))
    assert conditions.mend_what_was_left(client) == [
        "the way to metrics-server was left cut by an earlier run: it is back",
        "the way to Prometheus was left cut by an earlier run: it is back",
        "Deployment scenario-5-crash-abc123 was left by an earlier run: it is deleted",
    ]
    assert removed == ["scenario-5-crash-abc123"]
    assert json.dumps(found.objects) == before


# A crash


def test_the_crashing_deployment_is_confined_and_ends_with_an_error() -> None:
    made = crash.manifest("scenario-5-crash-abc123", "claudescale/load:1")
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["imagePullPolicy"] == "Never"
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert made["spec"]["selector"]["matchLabels"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    done = subprocess.run([sys.executable, *container["command"][1:]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "the configuration names no database\n")


# Conditions


def loaded(server: Server) -> None:
    server.api.objects[JOBS]["items"].append({"metadata": {"name": "load-steady-1"}, "status": {"active": 1}})


def climbing(server: Server) -> None:
    server.hpa["status"]["desiredReplicas"] = 3


def without_cpu(server: Server) -> None:
    server.hpa["status"]["currentMetrics"] = None


STOPS = [
    pytest.param(lambda server: server.api.objects.pop(DEMO),
                 "there is no demo-app in namespace claudescale: make up", id="no-demo-app"),
    pytest.param(loaded, "a load runs already: end it where it was started, or by kubectl --context claudescale"
                 " --namespace claudescale delete job load-steady-1", id="load"),
    pytest.param(lambda server: server.api.objects.pop(f"{DEPLOYMENTS}/claudescale-controller"),
                 "the controller is not ready (Absent): claudescale status, or make up", id="no-controller"),
    pytest.param(lambda server: server.put("theirs"),
                 "demo-app has a lease that is not over (theirs): wait for it, or claudescale end NAME", id="lease"),
    pytest.param(climbing, "demo-app-hpa is not at its base of 2 (replicas 2 and 3): wait until it is back there",
                 id="not-at-rest"),
    pytest.param(without_cpu, "demo-app-hpa does not know the CPU yet, so it would take nothing back: wait a minute",
                 id="no-cpu"),
]  # fmt: skip


def run(server: Server, monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> int:
    """The command on the double; its exit code."""
    return ended(monkeypatch, "--kubeconfig", str(server.api.kubeconfig(folder)), "scenario", *more)


def told(folder: Path, file: str = FILE) -> dict[str, Any]:
    """The report's JSON, which the page must hold, too."""
    found: dict[str, Any] = json.loads((folder / f"{file}.json").read_text(encoding="utf-8"))
    root = ET.fromstring((folder / f"{file}.html").read_text(encoding="utf-8"))
    (block,) = [one for one in root.iter("pre") if one.get("id") == "facts"]
    assert block.text is not None and json.loads(block.text) == found
    return found


@pytest.mark.parametrize(("change", "sentence"), STOPS)
def test_a_condition_that_does_not_hold_is_one_sentence_and_an_incomplete_report(
    server: Server, change: Callable[[Server], Any], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(conditions, "REST_SECONDS", 0.1)
    monkeypatch.setattr(conditions, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(command, "Session", lambda *_: pytest.fail("the assistant was started"))
    change(server)
    before = json.dumps(server.api.objects)
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r")) == 1
    said = capsys.readouterr()
    assert said.err == f"{sentence}\n"
    assert "nothing was touched" in said.out
    assert json.dumps(server.api.objects) == before
    assert [path for _, path, _ in server.api.writes if path != ACCESS] == []
    found = told(tmp_path / "r")
    assert (found["complete"], found["passed"], found["incomplete_because"]) == (False, False, sentence)


def test_it_waits_for_what_goes_by_itself(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(conditions, "LOOK_SECONDS", 0.05)
    climbing(server)
    monkeypatch.setattr(conditions.time, "sleep", lambda _: server.hpa["status"].update(desiredReplicas=2))
    ground, lines = conditions.at_rest(client_of(server, tmp_path), Screen())
    assert (ground.autoscaler, ground.base) == ("demo-app-hpa", 2)
    assert ("leases", "none of demo-app is open") in lines


def test_a_scenario_that_only_looks_wants_no_controller(server: Server, tmp_path: Path) -> None:
    server.api.objects.pop(f"{DEPLOYMENTS}/claudescale-controller")
    loaded(server)
    ground, _ = conditions.found(client_of(server, tmp_path))
    assert (ground.person, ground.autoscaler) == ("person", "demo-app-hpa")
    server.api.objects[HPA]["items"].clear()
    with pytest.raises(ClaudeScaleError, match=r"^demo-app in namespace claudescale has no autoscaler: make up$"):
        conditions.found(client_of(server, tmp_path))


def test_what_is_left_over_is_named(server: Server, tmp_path: Path) -> None:
    client = client_of(server, tmp_path)
    ground, _ = conditions.found(client)
    assert conditions.left_over(client, ground) == []
    server.api.objects[DEMO]["spec"]["replicas"] = 4
    server.put("mine")
    server.put("theirs", replicas=500)  # refused
    loaded(server)
    server.hpa["spec"] = {**server.hpa["spec"], "minReplicas": 4}
    server.api.objects[f"{HPA}/demo-app-hpa"] = server.hpa
    assert conditions.left_over(client, ground) == [
        "spec.minReplicas",
        "4 replicas, 2 were found",
        "lease mine is open",
        "load load-steady-1 runs",
    ]
    assert conditions.replicas_words(client) == "demo-app is at 4 replicas, its floor is 4"


def test_the_incident_wants_rights_before_anything(server: Server, tmp_path: Path) -> None:
    api = server.api.objects
    api[outage.METRICS_API] = {"spec": {"service": {"name": "metrics-server", "namespace": "kube-system"}}}
    api["/api/v1/namespaces/kube-system/services/metrics-server"] = service({"k8s-app": "metrics-server"})
    api[PROMETHEUS.path] = service({"app.kubernetes.io/name": "prometheus"})
    client = client_of(server, tmp_path)
    (incident,) = catalogue.chosen("5")
    incident.needs(client)
    writes = server.api.on_write
    server.api.on_write = lambda method, path, query, body: (
        (201, {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] != "services"}})
        if path == ACCESS
        else writes(method, path, query, body)  # type: ignore[misc]
    )
    with pytest.raises(ClaudeScaleError, match=r"^you may not patch Service metrics-server in namespace kube-system"):
        incident.needs(client)


# The command


class FakeSession:
    """What the tools tell, by their names."""

    command = "python -m claudescale_mcp"
    answers: dict[str, Answer] = {}  # noqa: RUF012 - filled by a test

    def __init__(self, _: Options) -> None:
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return f"{name} in {arguments['language']}"

    def call(self, tool: str, _: dict[str, Any]) -> Answer:
        self.asked.append(tool)
        return self.answers.get(tool, Answer(is_error=False, text=f"told by {tool}", seconds=0.1, facts={"n": 1}))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let scenarios be something else: plays by their numbers."""
    monkeypatch.setattr(command, "observed", lambda *_: nullcontext())
    monkeypatch.setattr(command, "Session", FakeSession)
    monkeypatch.setattr(stages, "EXACT_SECONDS", 0.1)

    def play(**plays: Callable[[Stage], None]) -> None:
        made = tuple(replace(one, play=plays.get(f"_{one.number}", nothing)) for one in catalogue.ALL)
        monkeypatch.setattr(catalogue, "ALL", made)

    return play


def nothing(stage: Stage) -> None:
    stage.check("nothing is nothing", passed=True)


SCRIPT = {"status": Ask(tool="cluster_status", why="how is it?", arguments={})}


def test_a_good_run_is_told_and_kept(
    server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def play(stage: Stage) -> None:
        stage.undo.note("a thing", lambda: "a thing is back", "x")
        stage.script = SCRIPT
        stage.act("The conversation")
        assert stage.ask("status") == {"n": 1}
        stage.act("What must be true")
        stage.check("one is one", 1, "1\x1b[2J")

    played(_7=play)
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r"), "--language", "es") == 0
    said = capsys.readouterr().out
    for words in (
        "Scenario 7 of 7: Daily review",
        "a person says: ¿Qué se ha decidido desde ayer",
        "2  The conversation",
        "cluster_status()\n      told by cluster_status\n",
        "  passed  one is one: 1\n",
        "a thing is back",
        "  passed  demo-app, its autoscaler and its leases are as they were found: 2 replicas, floor 2",
        "2 of 2 checks passed",
        f"report: {tmp_path}/r/{FILE}.html",
    ):
        assert words in said
    found = told(tmp_path / "r")
    assert (found["complete"], found["passed"], found["person"]) == (True, True, "person")
    assert (found["language"], found["prompt"]["text"]) == ("Spanish", "daily_review in Spanish")
    assert [one["tool"] for one in found["calls"]] == ["cluster_status"]
    assert found["put_back"] == [{"words": "a thing is back", "done": True}]
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == [f"{FILE}.html", f"{FILE}.json"]


def test_a_check_that_fails_is_exit_code_1_and_a_whole_report(
    server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    played(_7=lambda stage: stage.check("two is one", 2 == 1, "2 and 1") and None)
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r")) == 1
    said = capsys.readouterr()
    assert "  FAILED  two is one: 2 and 1\n" in said.out
    assert said.err == "not all was as it should be: scenario 7: two is one\n"
    found = told(tmp_path / "r")
    assert (found["complete"], found["passed"]) == (True, False)


def test_what_could_not_be_put_back_is_exit_code_1(
    server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stuck() -> str:
        raise ClaudeScaleError("no")

    played(_7=lambda stage: stage.undo.note("a thing", stuck, "do it by hand"))
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r")) == 1
    assert "a thing could not be put back (no): do it by hand" in capsys.readouterr().err
    assert told(tmp_path / "r")["passed"] is False


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, id="ctrl-c"), pytest.param(signal.SIGTERM, 143, id="sigterm")]
)
def test_a_signal_puts_back_and_leaves_an_incomplete_report(
    number: int, code: int, server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def play(stage: Stage) -> None:
        stage.undo.note("a thing", lambda: "a thing is back", "x")
        stage.check("one is one", passed=True)
        os.kill(os.getpid(), number)
        time.sleep(2)

    played(_7=play)
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r")) == code
    said = capsys.readouterr()
    assert (
        "Interrupted: putting things back\n  a thing is back\n  demo-app is at 2 replicas, its floor is 2\n" in said.out
    )
    assert "1 of 1 checks passed" in said.out and "incomplete" in said.out
    assert said.err == ""
    found = told(tmp_path / "r")
    assert (found["complete"], found["incomplete_because"], found["passed"]) == (False, "it was interrupted", False)
    assert found["put_back"] == [{"words": "a thing is back", "done": True}]


def test_a_mistake_of_its_own_puts_back_and_is_no_secret(
    server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def play(stage: Stage) -> None:
        stage.undo.note("a thing", lambda: "a thing is back", "x")
        raise ZeroDivisionError

    played(_7=play)
    with pytest.raises(ZeroDivisionError):
        run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r"))
    found = told(tmp_path / "r")
    assert found["incomplete_because"] == "of a mistake of its own (ZeroDivisionError)"
    assert found["put_back"] == [{"words": "a thing is back", "done": True}]


def test_all_of_them_go_on_after_a_check_and_stop_after_an_error(
    server: Server, played: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def broken(_: Stage) -> None:
        raise ClaudeScaleError("the cluster does not answer any more")

    (fifth,) = catalogue.chosen("5")
    played(_2=lambda stage: stage.check("two is one", passed=False) and None)
    monkeypatch.setattr(catalogue, "ALL", tuple(replace(one, needs=lambda _: None) for one in catalogue.ALL))
    assert run(server, monkeypatch, tmp_path, "all", "--report", str(tmp_path / "r")) == 1
    assert capsys.readouterr().err == "not all was as it should be: scenario 2: two is one\n"
    assert len(list((tmp_path / "r").glob("*.html"))) == 7
    played(_4=broken)
    assert run(server, monkeypatch, tmp_path, "all", "--report", str(tmp_path / "s")) == 1
    assert capsys.readouterr().err == "the cluster does not answer any more (not played: 5, 6, 7)\n"
    assert sorted(file.stem for file in (tmp_path / "s").glob("*.html"))[-1] == "4-announced-launch"
    assert told(tmp_path / "s", "4-announced-launch")["complete"] is False
    assert fifth.number == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["8"], "there is no scenario '8': it is one of 1 health-check, ", id="unknown"),
        pytest.param(["7", "--language", "de"], "there is no language 'de': it is one of en, es", id="language"),
        pytest.param(["7", "--report", "a/b"], "a/b cannot be made (No such file or directory): name", id="folder"),
    ],
)
def test_a_mistake_of_the_person_asks_nobody(
    arguments: list[str], sentence: str, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(server, monkeypatch, tmp_path, *arguments) == 1
    said = capsys.readouterr()
    assert said.err.startswith(sentence)
    assert said.out == ""
    assert server.api.asked == []
    assert list(Path().iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r").write_text("mine", encoding="utf-8")
    assert run(server, monkeypatch, tmp_path, "7", "--report", str(tmp_path / "r")) == 1
    assert capsys.readouterr().err.endswith("cannot be made (File exists): name another folder by --report\n")
    assert (tmp_path / "r").read_text(encoding="utf-8") == "mine"


# The stage


class Played:
    """A cluster that answers, or does not."""

    namespace = "claudescale"

    def __init__(self) -> None:
        self.there = True
        self.looks = 0

    def text(self, _path: str, *, seconds: float) -> str:
        assert seconds <= 2
        self.looks += 1
        if not self.there:
            raise ClusterStopped("connection refused\x1b[2J")
        return "{}"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(stages, "PULSE_SECONDS", 0.01)
    monkeypatch.setattr(stages, "AGAIN_SECONDS", 0.01)
    observer = Observer("demo-app", "demo-app-hpa")
    observer.take("autoscaler", hpa(), old=True)
    observer.take("workload", {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}, old=True)
    facts = Facts(
        number=1, name="x", title="X", context="c", namespace="n", began=0.0, language="English", said="s",
        prompt_name="p",
    )  # fmt: skip
    return Stage(
        cluster=Played(),  # type: ignore[arg-type]
        screen=Screen(),
        session=FakeSession(None),  # type: ignore[arg-type]
        ground=Ground(person="p", autoscaler="demo-app-hpa", base=2, hpa=hpa()),
        observer=observer,
        facts=facts,
        undo=Undo(),
        clock=ServerClock(),
        began=time.monotonic(),
        script=SCRIPT,
    )


@pytest.mark.clock
def test_a_cluster_that_goes_away_ends_the_waiting(stage: Stage) -> None:
    stage.cluster.there = False  # type: ignore[attr-defined]
    began = time.monotonic()
    with pytest.raises(ClaudeScaleError, match=r"^the cluster does not answer any more [(]connection refused[)]$"):
        stage.wait(lambda: False, 30)
    assert time.monotonic() - began < 5
    assert stage.cluster.looks == stages.PULSE_PATIENCE  # type: ignore[attr-defined]


def test_one_look_without_an_answer_is_none(stage: Stage) -> None:
    cluster: Any = stage.cluster
    cluster.there = False
    stage.wait(lambda: cluster.looks == 2, 5)
    cluster.there = True
    assert not stage.wait(lambda: False, 0.5)
    assert cluster.looks > 2


def test_an_error_of_a_tool_ends_the_scenario_unless_it_may_be(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    error = Answer(is_error=True, text="Prometheus does not answer\x1b[2J", seconds=0.1)
    monkeypatch.setattr(FakeSession, "answers", {"cluster_status": error})
    with pytest.raises(ClaudeScaleError, match=r"^the MCP tool cluster_status answers: Prometheus does not answer$"):
        stage.ask("status")
    assert stage.ask("status", may_fail=True) == {}
    assert [(call.is_error, call.text) for call in stage.facts.calls] == [(True, "Prometheus does not answer")] * 2


def test_a_tool_is_asked_again_until_it_holds_and_once_in_the_report(stage: Stage) -> None:
    asked: Any = stage.session
    stage.ask("status", until=lambda _: len(asked.asked) == 3, patience=5)
    assert len(asked.asked) == 3
    assert len(stage.facts.calls) == 1
    stage.ask("status", until=lambda _: False, patience=0.1)
    assert len(stage.facts.calls) == 2


def test_figures_are_asked_again_while_a_pod_is_on_its_way_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = [3, 3, 2, 5]

    def call(_: Any, tool: str, _arguments: Any) -> Answer:
        facts = {"readings": [{"name": "pods_ready", "value": counted.pop(0)}]} if tool == transcripts.METRICS else {}
        return Answer(is_error=False, text=tool, seconds=0.1, facts=facts)

    monkeypatch.setattr(FakeSession, "call", call)
    stage.script = transcripts.capacity("demo-app")
    capacity.converse(stage)
    assert counted == [5]
    assert [call.tool for call in stage.facts.calls] == [ask.tool for ask in stage.script.values()]


def test_a_lease_is_noted_before_it_is_asked_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Answer:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeSession, "call", interrupted)
    stage.script = {"leased": Ask(tool="lease_capacity", why="x", arguments={"name": "scenario-1-a"})}
    with pytest.raises(KeyboardInterrupt):
        stage.lease("leased")
    assert not stage.undo.is_empty


@pytest.mark.clock
def test_what_was_seen_between_two_moments_has_what_stood_before(stage: Stage) -> None:
    for replicas in (3, 4):
        time.sleep(0.05)
        stage.observer.take("workload", {"spec": {"replicas": replicas}, "status": {"readyReplicas": 2}})
    first, second, third = stage.observer.seen
    at = [one.at - stage.began for one in (first, second, third)]
    assert stage.seen(at[0] + 0.01, at[1] + 0.01) == [first, second]
    assert stage.seen(at[1] + 0.01) == [second, third]
    assert stage.seen(at[2] + 0.01) == [third]


def lines(*seconds: int) -> Iterator[dict[str, Any]]:
    for second in seconds:
        figures = {"rate": 10, "ok": 10, "failed": 0, "p50_ms": 8.0, "p95_ms": 9.0, "p99_ms": 9.5}
        yield {"kind": "progress", "second": second, **figures}
    yield {"kind": "something new"}
    yield {
        "kind": "summary", "seconds": 2.0, "planned": 20, "sent": 20, "ok": 20, "failed": 0, "unsent": 0, "errors": {},
        "interrupted": False, "p50_ms": 8.0, "p95_ms": 9.0, "p99_ms": 9.5, "max_ms": 10.0,
    }  # fmt: skip


def test_a_load_is_noted_second_by_second_and_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(LoadRun, "start", lambda self: setattr(self, "name", "load-steady-1"))
    monkeypatch.setattr(LoadRun, "follow", lambda _: lines(1, 2, 5))
    monkeypatch.setattr(LoadRun, "stop", lambda self: done.append(self.name))
    sending = stage.load(10, 20)
    assert stage.sent(sending, 5)["ok"] == 20
    assert [(one.rate, one.ok) for one in stage.facts.load] == [(10, 10)] * 3
    assert [mark.words for mark in stage.facts.marks] == [
        "load load-steady-1 is asked for: 10 requests a second for 20 s",
        "the load is over",
    ]
    said = capsys.readouterr().out
    assert said.count("10/s wanted,   10 ok") == 2, "the first second and each fifth"
    assert "20 requests in 2 s: 20 ok, 0 failed" in said
    stage.undo.put_back(stage.returned)
    assert done == ["load-steady-1"]
    assert stage.facts.put_back == [Returned(words="load load-steady-1: its Job is gone", done=True)]


def test_a_load_that_breaks_ends_the_scenario_and_one_that_was_ended_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: LoadRun) -> Iterator[dict[str, Any]]:
        yield from ()
        raise ClaudeScaleError("the load's pod ended without a summary (Failed)")

    monkeypatch.setattr(LoadRun, "start", lambda self: setattr(self, "name", "load-steady-1"))
    monkeypatch.setattr(LoadRun, "stop", lambda _: None)
    monkeypatch.setattr(LoadRun, "follow", broken)
    with pytest.raises(ClaudeScaleError, match="the load's pod ended without a summary"):
        stage.sent(stage.load(10, 20), 5)
    monkeypatch.setattr(LoadRun, "follow", lambda _: iter([{"kind": "error", "message": "no vegeta"}]))
    with pytest.raises(ClaudeScaleError, match="the load could not run: no vegeta"):
        stage.sent(stage.load(10, 20), 5)
    monkeypatch.setattr(LoadRun, "follow", lambda _: (time.sleep(0.2), *broken(SimpleNamespace())))  # type: ignore[arg-type]
    stage.load(10, 20).stop()
    assert not stage.wait(lambda: False, 0.6)


def test_a_second_load_is_not_started(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_: LoadRun) -> None:
        raise ClaudeScaleError("a load runs already")

    monkeypatch.setattr(LoadRun, "start", busy)
    with pytest.raises(ClaudeScaleError, match="a load runs already"):
        stage.load(10, 20)
    stage.undo.put_back(stage.returned)
    assert stage.facts.put_back == [Returned(words="no load was started", done=True)]
