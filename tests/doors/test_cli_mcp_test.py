"""`claudescale mcp-test`: the real server over stdio, every tool called, and nothing left however it ends."""

from __future__ import annotations

import copy
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.live import connection
from claudescale_cli.mcp_test import arguments, writes
from claudescale_cli.mcp_test.calls import tokens_of
from claudescale_cli.mcp_test.command import NO_TARGET, STATE_FIRST
from claudescale_cli.mcp_test.target import Target, first_target

from tests.doors.cluster_double import HPA, REVIEW, write_kubeconfig
from tests.doors.command import Said, ended
from tests.doors.lease_double import LEASES, POLICIES, POLICY
from tests.doors.mcp_double import DEPLOYMENTS, TOKEN, McpCluster
from tests.engine.http_double import Asked, Reply, refused_address
from tests.support import running

READS = {"get_current_state", "cluster_status", "get_metrics", "get_records", "generate_report"}
WRITES = {"lease_capacity", "end_lease", "scale_deployment"}
ONE_MORE = """
import sys
from claudescale_mcp import server, serve, __main__
real = server.build
def build(*args, **more):
    found = real(*args, **more)
    found.tool(lambda: "done", name="rollback")
    return found
server.build = build
sys.argv[0] = "claudescale_mcp"
__main__.main()
"""


class Answered(Said):
    """With `--format json`: what was called."""

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.out)["calls"]
        return found

    def asked(self, tool: str) -> list[tuple[str, bool]]:
        """(what was asked of a tool, whether that was right)."""
        return [(row["asked"], row["ok"]) for row in self.rows() if row["tool"] == tool]

    def problems(self) -> dict[str, str]:
        """Each tool's last problem."""
        return {row["tool"]: row["problem"] for row in self.rows() if not row["ok"]}


@pytest.fixture
def living(cluster: McpCluster) -> McpCluster:
    """A cluster whose floor and replicas follow the leases, as the controller and the autoscaler see to."""
    write = cluster.server.on_write

    def on_write(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        answer = write(method, path, query, body)
        if "dryRun" in query:
            return answer
        active = [one for one in cluster.server.leases() if one.get("status", {}).get("phase") == "Active"]
        floor = max([2, *(one["spec"]["replicas"] for one in active)])
        hpa, demo = cluster.server.hpa, cluster.objects[f"{DEPLOYMENTS}/demo-app"]
        hpa["spec"]["minReplicas"] = floor
        hpa["metadata"]["annotations"] = (
            {"claudescale.io/base": "2", "claudescale.io/leases": active[0]["metadata"]["name"]} if active else {}
        )
        demo["spec"]["replicas"] = max(demo["spec"]["replicas"], floor)
        return answer

    cluster.server.on_write = on_write  # type: ignore[method-assign]
    return cluster


class Command:
    """The command, in this process; the server is a process of its own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kubeconfig: str | Path
    ) -> None:
        self.monkeypatch, self.capfd, self.kubeconfig = monkeypatch, capfd, kubeconfig

    def __call__(self, *more: str) -> Answered:
        self.capfd.readouterr()
        code = ended(self.monkeypatch, "--kubeconfig", str(self.kubeconfig), "mcp-test", *more)
        return Answered(code, *self.capfd.readouterr())


@pytest.fixture
def mcp_test(
    cluster: McpCluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    return Command(monkeypatch, capfd, cluster.place(tmp_path).kubeconfig or "")


def changing(cluster: McpCluster) -> list[Asked]:
    """Whatever the API server was asked that is neither a look, a dry run, a token, nor a question who asks."""
    return [
        asked
        for asked in cluster.http.asked
        if asked.method != "GET" and asked.path not in (TOKEN, REVIEW) and "dryRun" not in asked.query
    ]


# A whole trial


def test_every_tool_is_called_and_a_lease_lives_from_its_request_to_its_end(
    living: McpCluster, mcp_test: Command
) -> None:
    said = mcp_test("-o", "json")
    assert (said.code, said.err) == (0, ""), said
    assert json.loads(said.out)["passed"] is True
    rows = said.rows()
    assert [row["tool"] for row in rows[:3]] == ["(start)", "(list)", "get_current_state"]
    listed = int(rows[1]["asked"].split()[0])
    assert len({row["tool"] for row in rows} - {"(start)", "(list)"}) == listed
    first_write = next(place for place, row in enumerate(rows) if row["tool"] in WRITES)
    assert {row["tool"] for row in rows[2:first_write]} <= READS
    assert said.asked("lease_capacity") == [
        ("dry run: 3 of demo-app for 60 s", True),
        ("3 of demo-app for 60 s", True),
        ("the same again", True),
        ("500 of demo-app", True),
    ]
    assert said.asked("end_lease") == [("dry run: the lease", True), ("the lease", True), ("the lease again", True)]
    assert said.asked("get_current_state") == [
        ("everything", True),
        ("the lease", True),
        ("the floor, which was 2", True),
    ]
    assert said.asked("scale_deployment") == [("dry run: up to 5", True), ("down to 2", True)]
    assert all(row["tokens"] > 0 and row["seconds"] > 0 for row in rows[1:])

    asked = changing(living)
    assert [(one.method, one.path == LEASES) for one in asked] == [("POST", True), ("POST", True), ("PATCH", False)]
    assert [one.body["spec"]["replicas"] for one in asked[:2]] == [3, 500]
    assert [lease["status"]["phase"] for lease in living.server.leases()] == ["Ended", "Refused"]
    assert living.server.hpa["spec"]["minReplicas"] == 2
    names = {lease["metadata"]["name"] for lease in living.server.leases()}
    assert len(names) == 2
    assert all(name.startswith("mcp-test-") for name in names)


def test_the_table(living: McpCluster, mcp_test: Command) -> None:
    said = mcp_test()
    assert (said.code, said.err) == (0, ""), said
    lines = said.out.splitlines()
    assert lines[0].split() == ["tool", "asked", "seconds", "tokens", "result"]
    assert all(line.rstrip().endswith(" ok") for line in lines[1:]), said.out


def test_without_scale_nothing_is_changed(living: McpCluster, mcp_test: Command) -> None:
    living.server.put("somebodys")
    before = copy.deepcopy(living.objects)
    said = mcp_test("--no-scale", "-o", "json")
    assert (said.code, said.err) == (0, ""), said
    assert changing(living) == []
    assert living.objects == before
    writing = [row for row in said.rows() if row["tool"] in WRITES]
    assert {row["tool"] for row in writing} == WRITES
    assert [row for row in writing if row["arguments"].get("dry_run") is not True] == []
    assert said.asked("end_lease") == [("dry run: a lease that nobody made", True)]
    assert said.asked("scale_deployment") == [("dry run: up to 5", True), ("dry run: down to 1", True)]
    assert [row["asked"] for row in writing if row["tool"] == "lease_capacity"] == [
        "dry run: 3 of demo-app for 60 s",
        "dry run: 500 of demo-app",
    ]


def test_another_workload_can_be_named(living: McpCluster, mcp_test: Command) -> None:
    said = mcp_test("--no-scale", "--workload", "nobody", "-o", "json")
    assert said.code == 1
    assert "no such workload" in said.problems()["get_current_state"]
    assert said.problems()["lease_capacity"] == NO_TARGET
    said = mcp_test("--no-scale", "--workload", "demo-app", "-o", "json")
    assert said.code == 0, said


# What is not as it should be


def test_a_tool_that_the_command_does_not_know_is_named(
    cluster: McpCluster, mcp_test: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = connection.server_arguments
    monkeypatch.setattr(connection, "server_arguments", lambda options: ["-c", ONE_MORE, *real(options)[2:]])
    said = mcp_test("--no-scale", "-o", "json")
    assert said.code == 1
    assert said.err == "not all is as it should be: rollback\n"
    assert "does not know how to call it" in said.problems()["rollback"]


def test_a_floor_that_does_not_rise_is_found_and_the_lease_is_ended(
    cluster: McpCluster, mcp_test: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "SHOWN_SECONDS", 0.2)
    said = mcp_test("-o", "json")
    assert said.code == 1
    assert said.problems() == {"get_current_state": "floor 2 and 2 replicas, where the lease asked for 3"}
    assert said.err == "not all is as it should be: get_current_state\n"
    assert [lease["status"]["phase"] for lease in cluster.server.leases()] == ["Ended", "Refused"]


def test_a_floor_that_does_not_come_back_is_found(
    living: McpCluster, mcp_test: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "SHOWN_SECONDS", 0.2)
    write = living.server.on_write

    def stuck(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        answer = write(method, path, query, body)
        if method == "PATCH" and "dryRun" not in query:
            living.server.hpa["spec"]["minReplicas"] = 3
        return answer

    living.server.on_write = stuck  # type: ignore[method-assign]
    said = mcp_test("-o", "json")
    assert said.code == 1
    assert said.problems() == {"get_current_state": "the floor is 3, and was 2"}


def test_a_controller_that_is_away_is_found_and_no_lease_is_left(
    cluster: McpCluster, mcp_test: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claudescale_cli.mcp_test.leftovers.OVER_SECONDS", 0.1)
    cluster.server.away = True
    said = mcp_test("-o", "json")
    assert said.code == 1
    assert said.problems()["lease_capacity"].startswith("its floor does not stand: ")
    assert said.problems()["end_lease"].startswith("not Ended: Ending, ")
    assert [lease["spec"].get("ended") for lease in cluster.server.leases()] == [True]
    assert "and the controller has not done it yet" in said.err
    assert said.err.endswith("not all is as it should be: lease_capacity, end_lease, what it left\n")


def test_an_error_of_a_tool_is_told_with_its_words(living: McpCluster, mcp_test: Command) -> None:
    def refuses(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path == LEASES:
            return Reply(status=403, body={"reason": "Forbidden", "message": "exceeded quota: claudescale-leases"})
        return None

    living.instead = refuses
    said = mcp_test("--no-scale", "-o", "json")
    assert said.code == 1
    assert said.problems()["lease_capacity"].startswith("it answers: the namespace holds as many leases as its quota")
    assert [ok for _, ok in said.asked("end_lease")] == [True]


@pytest.mark.parametrize("mode", [(), ("--no-scale",)], ids=str)
def test_without_a_policy_nothing_can_be_asked(cluster: McpCluster, mcp_test: Command, mode: tuple[str, ...]) -> None:
    cluster.objects[POLICIES]["items"].clear()
    del cluster.objects[POLICY]
    said = mcp_test(*mode, "-o", "json")
    assert said.code == 1
    problems = said.problems()
    assert set(problems) <= WRITES
    assert set(problems) >= {"lease_capacity", "end_lease"}
    assert set(problems.values()) == {NO_TARGET}
    assert changing(cluster) == []


def test_a_stopped_cluster_is_told_once(mcp_test: Command, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path, refused_address())
    said = mcp_test("-o", "json")
    assert said.code == 1
    problems = said.problems()
    assert problems.pop("get_current_state").startswith("it answers: the cluster is stopped: make up")
    assert set(problems.values()) == {STATE_FIRST}
    assert {"lease_capacity", "end_lease"} <= set(problems)


def test_a_server_that_does_not_start_is_a_sentence(mcp_test: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "server_arguments", lambda _: ["-c", "raise SystemExit('no such module')"])
    said = mcp_test()
    assert said.code == 1
    assert said.err.startswith("the MCP server does not start: ")
    assert said.err.endswith("(no such module)\n")


# However it ends


@pytest.mark.long  # on a busy machine the signal may come after the lease: alone it does not
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_mid_lease_leaves_no_lease_and_no_server(
    living: McpCluster, mcp_test: Command, tmp_path: Path, number: int
) -> None:
    def interrupts(asked: Asked) -> None:
        if asked.method == "POST" and asked.path == LEASES and "dryRun" not in asked.query:
            os.kill(os.getpid(), number)
            time.sleep(0.3)

    living.instead = interrupts
    said = mcp_test("-o", "json")
    assert said.code == 128 + number
    (lease,) = living.server.leases()
    assert lease["spec"]["ended"] is True
    assert lease["status"]["phase"] == "Ended"
    assert said.err == f"lease {lease['metadata']['name']} was left, and is ended now\n"
    assert said.rows()[-1]["asked"].startswith("dry run: ")
    assert not any(f"--kubeconfig {tmp_path}" in line for line in running())


# The parts


def workload(**changes: Any) -> dict[str, Any]:
    policy = {"mode": "Enforce", "min_replicas": 1, "max_replicas": 5, "max_step_up": 3}
    return {
        "workload": "Deployment/demo-app",
        "replicas": 2,
        "count_owner": "Autoscaler",
        "autoscaler": {"floor": 2, "base": 2, "maximum": 6} | changes.pop("autoscaler", {}),
        "policy": policy | changes.pop("policy", {}),
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, 5),
        ({"autoscaler": {"maximum": 4}}, 4),
        ({"policy": {"max_step_up": 1}}, 3),
        ({"autoscaler": {"floor": 5}}, 5),
    ],
)
def test_how_much_may_be_asked(changes: dict[str, Any], limit: int) -> None:
    target = Target.of(workload(**changes))
    assert target is not None
    assert (target.base, target.limit, target.forbidden) == (2, limit, 500)


@pytest.mark.parametrize(
    "changes",
    [
        {"autoscaler": {"base": 5}},
        {"autoscaler": {"base": 1}, "policy": {"min_replicas": 3}},
        {"policy": {"max_step_up": 0}},
        {"policy": {"mode": "Observe"}},
        {"count_owner": "DisabledByZeroReplicas"},
    ],
)
def test_what_cannot_be_leased_for(changes: dict[str, Any]) -> None:
    bare = {"workload": "Deployment/bare", "replicas": 1, "count_owner": "People"}
    assert Target.of(workload(**changes)) is None
    assert Target.of(bare) is None
    assert first_target([bare, workload(**changes), workload()]) == Target.of(workload())


def test_too_many_is_more_than_any_policy_allows() -> None:
    target = Target.of(workload(policy={"max_replicas": 900}, autoscaler={"maximum": 1000}))
    assert target is not None
    assert target.forbidden == 901


def test_required_arguments() -> None:
    schema = {
        "properties": {
            "workload": {"examples": ["demo-app"]},
            "window": {"examples": ["1h", "2h"]},
            "plot": {"default": False},
            "odd": {"type": "string"},
        },
        "required": ["workload", "window"],
    }
    assert arguments.required(schema, {"workload": "StatefulSet/db", "plot": True}) == {
        "workload": "StatefulSet/db",
        "window": "1h",
    }
    assert arguments.required({"properties": {}}, {"workload": "x"}) == {}
    with pytest.raises(ClaudeScaleError, match="gives no example of odd"):
        arguments.required({**schema, "required": ["odd"]}, {})


def test_tokens_are_characters_by_four() -> None:
    assert tokens_of("x" * 9) == 2
    assert tokens_of({"a": [1, "ä"]}) == len('{"a":[1,"ä"]}') // 4


def test_the_double_moves_as_the_tests_believe(living: McpCluster) -> None:
    assert living.objects[HPA]["items"] == [living.server.hpa]
