"""From a lease's start to its floor and its pods, from its end to the base: by watch events on one monotonic clock."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments

from tests.benchmarks.figures import show
from tests.cluster.rig import AUTOSCALERS, LEASES, SPACE, Sightings, Workload, connect, until, watched, workloads
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

ROUNDS = 4
SIDE_BY_SIDE = 5  # workloads; one lease each and round
LEASE_SECONDS = 6
BETWEEN_SECONDS = 0.7  # so that leases do not start in the same moment
AIMS = (0.5, 3.0)  # seconds, median and worst
HPA = AUTOSCALERS.format(SPACE)
LEASE = LEASES.format(SPACE)
PODS = f"/api/v1/namespaces/{SPACE}/pods"


def is_pod_of(workload: Workload, item: dict[str, Any]) -> bool:
    return bool(item["metadata"].get("labels", {}).get("app") == workload.name)


def floor_is(workload: Workload, floor: int) -> Any:
    return lambda _kind, item: item["metadata"]["name"] == workload.name and item["spec"]["minReplicas"] == floor


def new_pod(workload: Workload) -> Any:
    return lambda kind, item: kind == "ADDED" and is_pod_of(workload, item)


def at_two(workload: Workload) -> bool:
    return workload.replicas() == 2


def clock_at(moment: float) -> float:
    """The monotonic clock at a moment: the node is a container, so its clock is this machine's."""
    return time.monotonic() + moment - time.time()


def one_round(rig: list[Workload], seen: Sightings) -> list[tuple[Workload, str, float]]:
    """One lease for each workload: (workload, lease, monotonic seconds just before its creation)."""
    made = []
    for workload in rig:
        began = time.monotonic()
        made.append((workload, workload.lease(4, LEASE_SECONDS), began))
        time.sleep(BETWEEN_SECONDS)
    for workload, lease, _ in made:
        until(lambda w=workload, name=lease: w.phase(name) == "Ended", 60)
    return made


def test_leases_start_and_end_in_time(cluster: Cluster) -> None:
    floors, pods, restores, alone = [], [], [], []
    client = connect(cluster)
    with workloads(cluster, SIDE_BY_SIDE) as rig, watched(client, HPA, LEASE, PODS) as seen:
        for number in range(ROUNDS):
            for workload in rig:
                until(lambda w=workload: at_two(w), 90)
            for workload, lease, began in one_round(rig, seen):
                floor = seen.first(HPA, floor_is(workload, 4), began)
                pod = seen.first(PODS, new_pod(workload), began)
                end = clock_at(moments.parse(workload.status(lease)["endTime"]))
                base = seen.first(HPA, floor_is(workload, 2), end)
                assert floor is not None and pod is not None and base is not None, (lease, floor, pod, base)
                floors.append(floor - began)
                pods.append(pod - began)
                restores.append(base - end)
                assert seen.first(HPA, floor_is(workload, 2), floor) >= end, "restored before its end"  # type: ignore[operator]
            print(f"round {number + 1} of {ROUNDS}: {len(floors)} leases", flush=True)
        for workload in rig:
            until(lambda w=workload: at_two(w), 90)
        for workload in rig:
            began = time.monotonic()
            workload.write_autoscaler({"minReplicas": 4})
            alone.append(until(lambda w=workload, at=began: seen.first(PODS, new_pod(w), at), 60) - began)
    assert len(floors) == ROUNDS * SIDE_BY_SIDE
    show("start to floor", floors, aims=AIMS)
    show("start to new pods created", pods, aims=AIMS)
    show("end to base", restores, aims=AIMS)
    show("minReplicas alone, to new pods created", alone)
