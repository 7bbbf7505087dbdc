"""A real lease by the MCP tool, over stdio: its floor, its end, and a state that says what kubectl says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.rig import SPACE, Workload, connect, records, until, workloads
from tests.doors.mcp_double import Stdio, Told
from tests.support import Cluster

pytestmark = pytest.mark.cluster

ASSISTANT = f"system:serviceaccount:{SPACE}:claudescale-sa"


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1) as (found,):
        yield found


@pytest.fixture(scope="module")
def mcp(cluster: Cluster) -> Iterator[Stdio]:
    """The server as a client starts it: an interpreter, options, KUBECONFIG."""
    options = ("--context", cluster.context, "--namespace", SPACE, "--allow-writes")
    with Stdio(*options, PATH=cluster.environment["PATH"], KUBECONFIG=str(cluster.kubeconfig)) as server:
        yield server
    assert server.rest == ""
    assert server.code == 0


def seen(mcp: Stdio, workload: Workload) -> Told:
    told = mcp.ask("get_current_state", workload=workload.name)
    assert not told.error, told.text
    return told


def test_a_lease_of_the_tool_lives_and_ends(mcp: Stdio, workload: Workload, cluster: Cluster) -> None:
    name = f"{workload.name}-{uuid.uuid4().hex[:6]}"
    before = workload.autoscaler()
    asked = {"name": name, "workload": workload.name, "replicas": 4, "reason": "a test of the MCP tool"}
    dry = mcp.ask("lease_capacity", **asked, dry_run=True)
    assert (dry.facts["outcome"], dry.facts["allowed"]) == ("WouldBeCreated", True), dry
    assert workload.status(name) == {}

    made = mcp.ask("lease_capacity", **asked)
    assert (made.facts["outcome"], made.facts["floor_stands"]) == ("Created", True), made
    assert made.facts["floor"] == {"before": 2, "applied": 4}
    assert workload.floor() == 4
    assert made.seconds < 15

    again = mcp.ask("lease_capacity", **asked)
    assert (again.facts["outcome"], again.facts["changed"]) == ("Unchanged", False), again

    until(lambda: seen(mcp, workload).facts["workloads"][0]["pods"] == {"count": 4, "ready": 4, "waiting": []}, 60)
    compare_with_kubectl(seen(mcp, workload), workload, cluster)

    ended = mcp.ask("end_lease", name=name)
    assert (ended.facts["outcome"], ended.facts["floor"]["after"]) == ("Ended", 2), ended
    until(workload.restored, 5)
    after = workload.autoscaler()
    for volatile in ("resourceVersion", "generation", "managedFields"):
        before["metadata"].pop(volatile, None)
        after["metadata"].pop(volatile, None)
    assert after["metadata"] == before["metadata"]
    assert after["spec"] == before["spec"]
    assert mcp.ask("end_lease", name=name).facts["outcome"] == "AlreadyOver"

    made_by = [one for one in workload.records() if one["event"] == "LeaseRequested"][-1]
    assert (made_by["door"], made_by["actor"]) == ("claudescale-mcp", ASSISTANT)
    assert made_by["lease"]["name"] == name


def compare_with_kubectl(told: Told, workload: Workload, cluster: Cluster) -> None:
    """Field by field, with the person's own eyes."""
    (mine,) = told.facts["workloads"]
    deployment = cluster.get("deployment", workload.name, "--namespace", SPACE)
    hpa = cluster.get("hpa", workload.name, "--namespace", SPACE)
    policy = cluster.get("scalingpolicy", f"deployment.{workload.name}", "--namespace", SPACE)
    assert mine["replicas"] == deployment["spec"]["replicas"]
    assert mine["pods"]["ready"] == deployment["status"]["readyReplicas"]
    scaling, annotations = mine["autoscaler"], hpa["metadata"]["annotations"]
    assert scaling["floor"] == hpa["spec"]["minReplicas"]
    assert str(scaling["base"]) == annotations["claudescale.io/base"]
    assert scaling["maximum"] == hpa["spec"]["maxReplicas"]
    assert ",".join(scaling["leases"]) == annotations["claudescale.io/leases"]
    assert mine["policy"]["max_replicas"] == policy["spec"]["maxReplicas"]
    assert mine["policy"]["max_seconds"] == policy["spec"]["lease"]["maxDurationSeconds"]
    shown = next(one for one in told.facts["leases"] if one["phase"] == "Active")
    lease = cluster.get("capacitylease", shown["name"], "--namespace", SPACE)
    assert shown["replicas"] == lease["spec"]["replicas"]
    assert shown["reason"] == lease["spec"]["reason"]
    assert shown["requested_by"] == lease["spec"]["requestedBy"] == ASSISTANT
    assert lease["status"]["endTime"].startswith(shown["until"][:19])
    assert told.facts["controller"] == "Running"


def test_the_head_is_the_last_record(mcp: Stdio, cluster: Cluster) -> None:
    def agrees() -> bool:
        told = mcp.ask("get_current_state")
        last = max(int(one["sequence"]) for one in records(connect(cluster)))
        return told.facts["head"].startswith(f"{last}:")

    until(agrees, 10)


def test_a_refusal_is_recorded_and_told_with_every_rule(mcp: Stdio, workload: Workload) -> None:
    name = f"{workload.name}-{uuid.uuid4().hex[:6]}"
    told = mcp.ask("lease_capacity", name=name, workload=workload.name, replicas=500, reason="far too much")
    assert (told.error, told.facts["outcome"], told.facts["allowed"]) == (False, "Refused", False), told
    codes = [rule["code"] for rule in told.facts["rules"] if not rule["passed"]]
    assert codes == ["AbovePolicyMaximum", "AboveAutoscalerMaximum", "StepTooLarge"]
    assert workload.phase(name) == "Refused"
    assert workload.floor() == 2


def test_a_lease_of_somebody_else_is_not_ended(mcp: Stdio, workload: Workload) -> None:
    name = workload.lease(replicas=3, seconds=30)
    until(lambda: workload.phase(name) == "Active", 5)
    told = mcp.ask("end_lease", name=name)
    assert (told.error, told.text) == (
        True,
        "the cluster's guard refuses it: a lease is ended only by who asked for it; tell the person whose it is",
    )
    assert workload.phase(name) == "Active"
