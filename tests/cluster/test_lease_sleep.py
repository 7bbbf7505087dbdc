"""The controller in the cluster is killed, the node sleeps past a lease's end, the cluster is stopped past it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments

from tests.cluster.reliability import (
    RIGHT_SECONDS,
    Table,
    check_chain,
    check_records,
    ended,
    seconds_until_right,
    signal_controller,
)
from tests.cluster.rig import SPACE, Workload, connect, until, workloads
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

READY_SECONDS = 90


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.show()


@pytest.fixture
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1, ready=False, paused=True) as (found,):
        yield found


def kill_pod(cluster: Cluster) -> None:
    """SIGKILL to the controller's process in its pod: kubelet starts it again."""
    signal_controller(cluster, "KILL")


def controller_is_ready(cluster: Cluster) -> bool:
    found = cluster.get("deployment", "claudescale-controller", "-n", SPACE)
    return bool((found.get("status") or {}).get("readyReplicas"))


def restarts(cluster: Cluster) -> int:
    pods = cluster.get("pods", "-n", SPACE, "-l", "app.kubernetes.io/name=claudescale-controller")["items"]
    return sum(one["restartCount"] for pod in pods for one in pod["status"].get("containerStatuses") or [])


@pytest.mark.parametrize("when", ["before the lease", "during the lease", "right before its end"])
def test_the_pod_is_killed(cluster: Cluster, table: Table, workload: Workload, when: str) -> None:
    until(lambda: controller_is_ready(cluster), READY_SECONDS)
    before = restarts(cluster)
    if when == "before the lease":
        kill_pod(cluster)
        lease = workload.lease(4, 30)
    else:
        lease = workload.lease(4, 12)
        until(lambda: workload.floor() == 4, 10)
        if when == "right before its end":
            end = moments.parse(until(lambda: workload.status(lease).get("endTime"), 5))
            time.sleep(max(end - time.time() - 0.5, 0))
        kill_pod(cluster)
    until(lambda: restarts(cluster) > before, 60, pause=0.3)
    until(lambda: controller_is_ready(cluster), READY_SECONDS, pause=0.3)
    seconds = seconds_until_right(workload, lease, time.monotonic())
    ended(workload, lease, 60)
    check_records(workload, lease)
    check_chain(workload.client)
    table.add("SIGKILL in the pod", when, seconds)


def test_the_node_sleeps_past_a_leases_end(cluster: Cluster, table: Table, workload: Workload) -> None:
    until(lambda: controller_is_ready(cluster), READY_SECONDS)
    lease = workload.lease(4, 6)
    until(lambda: workload.floor() == 4, 10)
    subprocess.run(["docker", "pause", cluster.profile], env=cluster.environment, check=True, capture_output=True)
    try:
        time.sleep(20)
    finally:
        subprocess.run(["docker", "unpause", cluster.profile], env=cluster.environment, check=True, capture_output=True)
    well = time.monotonic()
    seconds = seconds_until_right(workload, lease, well)
    ended(workload, lease)
    check_records(workload, lease)
    check_chain(workload.client)
    table.add("node paused for 20 s", "past the lease's end", seconds)


def test_the_cluster_is_stopped_past_a_leases_end(cluster: Cluster, table: Table, workload: Workload) -> None:
    until(lambda: controller_is_ready(cluster), READY_SECONDS)
    lease = workload.lease(4, 15)
    until(lambda: workload.floor() == 4, 10)
    assert cluster.make("stop").code == 0
    assert cluster.make("up").code == 0
    again = Workload(client=connect(cluster), name=workload.name)
    until(lambda: controller_is_ready(cluster), READY_SECONDS)
    seconds = seconds_until_right(again, lease, time.monotonic())
    ended(again, lease)
    check_records(again, lease)
    check_chain(again.client)
    assert seconds <= RIGHT_SECONDS
    table.add("make stop, make up", "past the lease's end", seconds)
