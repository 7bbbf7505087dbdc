"""What the MCP server says while something is away, and that it goes on afterwards: one process through all of it.

Between it and the API server stands a proxy that writes down with whose credentials each request came. Everything that
the server lists is asked in each outage, and asked again after the repair. Prints one table.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from tests.cluster.auditing_proxy import ACCOUNT, NOBODY, PERSON, AuditingProxy, auditing_proxy
from tests.cluster.rig import LEASES, SPACE, Workload, connect, until, workloads
from tests.doors.mcp_double import Stdio
from tests.doors.mcp_sweep import SENTENCE, STOPPED, Call, Said, stdio_calls, stdio_sweep
from tests.engine.http_double import refused_address
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

STOPPED_SECONDS = 3.0
READ_SECONDS = 8.0  # a report that waits 5 s for Prometheus is among them
WRITE_SECONDS = 16.0  # 3 s for the controller's answer, 12 s for the floor, and the way
REPAIR_SECONDS = 180
SHOWN = 100  # characters of an answer in the table
TOKEN = f"/api/v1/namespaces/{SPACE}/serviceaccounts/claudescale-sa/token"
ASSISTANT = f"system:serviceaccount:{SPACE}:claudescale-sa"
NEEDS_PROMETHEUS = ("get_metrics", "generate_report")
CREDENTIALS = "the API server does not accept the kubeconfig's credentials any more"

Check = Callable[[Said], None]


@dataclass
class Table:
    """A row for each call in each outage: what was answered, and how the same went after the repair."""

    rows: list[tuple[str, str, str, float, float, str]] = field(default_factory=list)

    def add(self, outage: str, said: Said, bound: float, again: Said) -> None:
        answer = " ".join(said.text.replace("|", "/").split())
        shown = answer if len(answer) <= SHOWN else answer[:SHOWN] + " ..."
        well = f"{'error' if again.error else 'well'} after {again.seconds:.2f} s"
        self.rows.append((outage, said.call.what, shown, said.seconds, bound, well))

    def show(self) -> None:
        print(
            "\n| away | call | answer | seconds | at most | the next one after the repair |\n|---|---|---|---|---|---|"
        )
        for outage, what, answer, seconds, bound, again in self.rows:
            print(f"| {outage} | {what} | {answer} | {seconds:.2f} | {bound:.0f} | {again} |")


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.show()


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    """It makes no pods; its floor may be leased."""
    with workloads(cluster, 1, ready=False, paused=True) as (found,):
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outages")


@pytest.fixture(scope="module")
def between(cluster: Cluster, folder: Path) -> Iterator[AuditingProxy]:
    with auditing_proxy(connect(cluster), folder) as made:
        yield made


@dataclass
class Rig:
    """The server, and the kubeconfig that it was told of: a link, so that it may lead elsewhere at once."""

    cluster: Cluster
    workload: Workload
    between: AuditingProxy
    folder: Path
    server: Stdio = field(init=False)
    calls: list[Call] = field(init=False)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def lead_to(self, target: Path) -> None:
        new = self.folder / "new"
        new.symlink_to(target)
        new.replace(self.kubeconfig)

    def lead_through(self, url: str = "") -> None:
        """To the proxy, or with the same credentials to another address."""
        target = self.folder / f"config-{uuid.uuid4().hex[:6]}"
        target.write_text(self.between.kubeconfig(self.cluster.context, url))
        self.lead_to(target)

    def sweep(self) -> list[Said]:
        """Everything once: the writes for the rig's workload, under names that were never used."""
        lease, scaled = (f"outage-{uuid.uuid4().hex[:8]}" for _ in range(2))
        asked = {"workload": self.workload.name, "replicas": 3, "reason": "an outage is tested"}
        arguments: dict[str, dict[str, Any]] = {
            "lease_capacity": {"name": lease, **asked, "duration_seconds": 600},
            "scale_deployment": {"name": scaled, **asked, "replicas": 4},
            "end_lease": {"name": lease},
        }
        found = []
        for call in self.calls:
            params = call.params
            if call.what in arguments:
                params = {**params, "arguments": arguments[call.what]}
            found += stdio_sweep(self.server, [replace(call, params=params)])
        self.end(scaled)
        return found

    def end(self, lease: str) -> None:
        """End the lease that a plain count became, by the person: the next round begins at the base."""
        with contextlib.suppress(ClaudeScaleError):  # none was made, or nobody is there
            connect(self.cluster).patch(f"{LEASES.format(SPACE)}/{lease}", {"spec": {"ended": True}})

    def raw(self, path: str) -> dict[str, Any]:
        """GET by kubectl, {} where that fails."""
        text = self.cluster.kubectl("get", "--raw", path, check=False)
        with contextlib.suppress(ValueError):
            found = json.loads(text)
            return found if isinstance(found, dict) else {}
        return {}


@pytest.fixture(scope="module")
def rig(cluster: Cluster, workload: Workload, between: AuditingProxy, folder: Path) -> Iterator[Rig]:
    made = Rig(cluster=cluster, workload=workload, between=between, folder=folder)
    made.lead_through()
    options = ("--context", cluster.context, "--namespace", SPACE, "--kubeconfig", str(made.kubeconfig))
    home = folder / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
    with Stdio(*options, "--allow-writes", **environment) as server:
        made.server = server
        made.calls = [call for call in stdio_calls(server) if call.reads_cluster]
        yield made
        assert server.process.poll() is None, "it is the same process to the end"
    assert (server.code, server.rest) == (0, "")
    assert "Traceback" not in server.log, server.log
    assert list(home.iterdir()) == [], "what was written is gone with the process"


# What is to be said


def well(said: Said) -> None:
    assert not said.error, said.text


def is_sentence(said: Said) -> None:
    assert said.error, said
    assert "\n" not in said.text
    assert len(said.text) < SENTENCE
    assert "mistake of its own" not in said.text, said.text


def stopped(said: Said) -> None:
    is_sentence(said)
    assert STOPPED in said.text, said.text


def refuses_credentials(said: Said) -> None:
    is_sentence(said)
    assert CREDENTIALS in said.text, said.text


def bad_kubeconfig(said: Said) -> None:
    is_sentence(said)
    assert "the kubeconfig cannot be " in said.text, said.text


def component(said: Said, name: str) -> str:
    """How cluster_status says that a part is."""
    return next(str(one["state"]) for one in said.facts["components"] if one["name"] == name)


def without_prometheus(said: Said) -> None:
    if said.call.what in NEEDS_PROMETHEUS:
        assert "prometheus" in said.raw.lower(), said.raw
        return
    well(said)
    if said.call.what == "cluster_status":
        assert component(said, "prometheus") == "Away"


def without_metrics_server(said: Said) -> None:
    well(said)
    if said.call.what == "cluster_status":
        assert component(said, "metrics-server") == "Away"


def without_controller(said: Said) -> None:
    well(said)
    if said.call.what == "cluster_status":
        assert component(said, "controller") in ("Away", "Degraded")
    elif said.call.what == "get_current_state":
        assert said.facts["controller"] == "Away"
    elif said.call.what == "lease_capacity":
        assert (said.facts["outcome"], said.facts["floor_stands"]) == ("Created", False)
        assert "the controller has not answered yet" in said.facts["explanation"]
        assert said.facts["decided_by"] == "preview"
    elif said.call.what == "end_lease":
        assert said.facts["outcome"] == "Ending"


# Outages

Away = Callable[[Rig], contextlib.AbstractContextManager[None]]


def scaled_to_nothing(deployment: str, namespace: str, label: str) -> Away:
    """The Deployment has no pods until it is repaired."""

    @contextmanager
    def away(rig: Rig) -> Iterator[None]:
        scale = ("scale", "deployment", deployment, "-n", namespace)
        rig.cluster.kubectl(*scale, "--replicas=0")
        try:
            until(lambda: not rig.cluster.get("pods", "-l", label, "-n", namespace)["items"], 100, pause=1.0)
            yield
        finally:
            rig.cluster.kubectl(*scale, "--replicas=1")
            status = ("rollout", "status", f"deployment/{deployment}", "-n", namespace, "--timeout=110s")
            rig.cluster.kubectl(*status)

    return away


def halted(process: str) -> Away:
    """The process does not move: connections are made, and nothing is said."""

    def signal(rig: Rig, name: str) -> int:
        command = ["docker", "exec", rig.cluster.profile, "pkill", f"-{name}", "-x", process]
        return subprocess.run(command, env=rig.cluster.environment, capture_output=True, check=False).returncode

    @contextmanager
    def away(rig: Rig) -> Iterator[None]:
        assert signal(rig, "STOP") == 0
        try:
            yield
        finally:
            signal(rig, "CONT")  # there is none where its probe has lost patience: then a new one starts

    return away


@contextmanager
def closed(rig: Rig) -> Iterator[None]:
    rig.between.close()
    try:
        yield
    finally:
        rig.between.listen()


@contextmanager
def silent(rig: Rig) -> Iterator[None]:
    rig.between.fall_silent()
    try:
        yield
    finally:
        rig.between.speak()


@contextmanager
def token_expired(rig: Rig) -> Iterator[None]:
    rig.between.revoke()
    yield


@contextmanager
def person_expired(rig: Rig) -> Iterator[None]:
    rig.between.refuses_person = True
    rig.between.revoke()
    try:
        yield
    finally:
        rig.between.refuses_person = False


@contextmanager
def kubeconfig_with_another_port(rig: Rig) -> Iterator[None]:
    """Nobody listens where it leads, nor where it led."""
    rig.between.close()
    rig.lead_through(refused_address().replace("http:", "https:"))
    try:
        yield
    finally:
        rig.between.port = 0  # another one again
        rig.between.listen()
        rig.lead_through()


@contextmanager
def broken_kubeconfig(rig: Rig) -> Iterator[None]:
    target = rig.folder / "broken"
    target.write_text("clusters: [unclosed\n")
    rig.between.close()
    rig.lead_to(target)
    try:
        yield
    finally:
        rig.between.listen()
        rig.lead_through()


@dataclass(frozen=True, kw_only=True)
class Outage:
    """`check`: what each call is answered with meanwhile; `repaired`: whether it is over, by somebody else's look."""

    name: str
    away: Away
    check: Check
    repaired: Callable[[Rig], bool] = lambda _: True


def prometheus_answers(rig: Rig) -> bool:
    found = rig.raw(f"/api/v1/namespaces/{SPACE}/services/prometheus:9090/proxy/api/v1/query?query=up")
    results = (found.get("data") or {}).get("result") or []
    return bool(results) and all(one["value"][1] == "1" for one in results)


def samples_are_fresh(rig: Rig) -> bool:
    """Of the controller's pod, too: the rig's workload has none."""
    items = rig.raw(f"/apis/metrics.k8s.io/v1beta1/namespaces/{SPACE}/pods").get("items") or []
    return len(items) >= 2


def controller_decides(rig: Rig) -> bool:
    """What was asked meanwhile is decided, and the base stands again."""
    return rig.workload.restored()


SERVER = "app.kubernetes.io/name"
OUTAGES = (
    Outage(
        name="Prometheus scaled to 0",
        away=scaled_to_nothing("prometheus", SPACE, f"{SERVER}=prometheus"),
        check=without_prometheus,
        repaired=prometheus_answers,
    ),
    Outage(name="Prometheus halted", away=halted("prometheus"), check=without_prometheus, repaired=prometheus_answers),
    Outage(
        name="metrics-server scaled to 0",
        away=scaled_to_nothing("metrics-server", "kube-system", "k8s-app=metrics-server"),
        check=without_metrics_server,
        repaired=samples_are_fresh,
    ),
    Outage(
        name="metrics-server halted",
        away=halted("metrics-server"),
        check=without_metrics_server,
        repaired=samples_are_fresh,
    ),
    Outage(
        name="controller scaled to 0",
        away=scaled_to_nothing("claudescale-controller", SPACE, f"{SERVER}=claudescale-controller"),
        check=without_controller,
        repaired=controller_decides,
    ),
    Outage(name="API server refuses connections", away=closed, check=stopped),
    Outage(name="API server says nothing", away=silent, check=stopped),
    Outage(name="token expired", away=token_expired, check=well),
    Outage(name="person's credentials expired", away=person_expired, check=refuses_credentials),
    Outage(name="kubeconfig with another port", away=kubeconfig_with_another_port, check=stopped),
    Outage(name="kubeconfig broken", away=broken_kubeconfig, check=bad_kubeconfig),
)


def bound_of(said: Said, check: Check) -> float:
    if check is stopped:
        return STOPPED_SECONDS
    return WRITE_SECONDS if said.call.writes else READ_SECONDS


def judge(rig: Rig, table: Table, name: str, check: Check, during: list[Said], again: list[Said]) -> None:
    """Every answer, and every answer after the repair; the table has all of them before anything is wrong."""
    wrong = []
    for said, after in zip(during, again, strict=True):
        bound = bound_of(said, check)
        table.add(name, said, bound, after)
        for one, holds, most in ((said, check, bound), (after, well, bound_of(after, well))):
            try:
                holds(one)
                assert one.seconds < most, f"{one.seconds:.1f} s"
            except AssertionError as error:
                wrong.append(f"{one.call.what}: {error}")
    assert wrong == []
    assert rig.server.process.poll() is None


def test_all_is_well_at_first(rig: Rig, table: Table) -> None:
    first, second = rig.sweep(), rig.sweep()
    judge(rig, table, "nothing", well, first, second)
    until(rig.workload.restored, 30)
    tools = {said.call.what: said for said in second}
    assert tools["lease_capacity"].facts["floor_stands"] is True
    # Pods that other tests took away are targets for some seconds more.
    until(lambda: parts_are_well(rig), 60, pause=2.0)


def parts_are_well(rig: Rig) -> bool:
    (said,) = stdio_sweep(rig.server, [call for call in rig.calls if call.what == "cluster_status"])
    return all(component(said, name) == "Well" for name in ("prometheus", "metrics-server", "controller"))


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.name.replace(" ", "-"))
def test_each_answer_is_clear_and_the_next_one_after_the_repair_works(rig: Rig, table: Table, outage: Outage) -> None:
    until(rig.workload.restored, 60)
    with outage.away(rig):
        during = rig.sweep()
    until(lambda: outage.repaired(rig), REPAIR_SECONDS, pause=1.0)
    again = rig.sweep()
    judge(rig, table, outage.name, outage.check, during, again)


def test_a_lease_that_was_asked_for_without_controller_is_decided_when_it_is_back(rig: Rig) -> None:
    """Nothing was lost in the outage of the controller: every lease of ours is over, and the base stands."""
    until(rig.workload.restored, 60)
    mine = [
        item
        for item in rig.workload.client.items(LEASES.format(SPACE))
        if item["spec"]["workloadRef"]["name"] == rig.workload.name
    ]
    assert mine
    until(lambda: all(rig.workload.phase(item["metadata"]["name"]) in (None, "Ended", "Failed") for item in mine), 30)


def test_the_persons_credentials_make_tokens_and_nothing_else(rig: Rig, between: AuditingProxy) -> None:
    """Through all of that, by what came to the API server."""
    assert between.paths(PERSON) == {("POST", TOKEN)}
    assert between.paths(NOBODY) == {("GET", "/version")}
    done = between.paths(ACCOUNT)
    assert len(done) > 10
    assert ("POST", LEASES.format(SPACE)) in done
    spaces = {path.split("/namespaces/")[1].split("/")[0] for _, path in done if "/namespaces/" in path}
    assert spaces == {SPACE}
    assert not [path for _, path in done if "secrets" in path or "configmaps" in path]
    assert len(between.tokens) >= 3  # the first, and after each time that they were refused
    for token in between.tokens:
        part = token.removeprefix("Bearer ").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert claims["sub"] == ASSISTANT
        assert claims["exp"] - claims["iat"] <= 600
    secrets = [token.removeprefix("Bearer ") for token in between.tokens]
    said = json.dumps(rig.server.messages)
    assert not [token for token in secrets if token in said]
    environ = Path(f"/proc/{rig.server.process.pid}/environ").read_text()
    assert not [token for token in secrets if token in environ]
    files = [path.read_bytes() for path in (rig.folder / "home").rglob("*") if path.is_file()]
    assert not [token for token in secrets if any(token.encode() in content for content in files)]


def test_the_kubeconfig_leads_to_the_cluster_itself(rig: Rig, table: Table, cluster: Cluster) -> None:
    """The way that was taken until now is gone; the next call takes the other one, and waits for nothing."""
    until(rig.workload.restored, 60)
    rig.between.close()
    rig.lead_to(cluster.kubeconfig.resolve())
    first, second = rig.sweep(), rig.sweep()
    judge(rig, table, "kubeconfig replaced", well, first, second)
    until(rig.workload.restored, 60)


def test_the_cluster_is_stopped_and_started(rig: Rig, table: Table, cluster: Cluster) -> None:
    until(rig.workload.restored, 60)
    assert cluster.make("stop").code == 0
    during = rig.sweep()
    assert cluster.make("up").code == 0
    rig.workload = Workload(client=connect(cluster), name=rig.workload.name)
    until(lambda: prometheus_answers(rig) and samples_are_fresh(rig), REPAIR_SECONDS, pause=1.0)
    until(rig.workload.restored, 60)
    again = rig.sweep()
    judge(rig, table, "cluster stopped and started", stopped, during, again)
