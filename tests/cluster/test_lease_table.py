"""DESIGN's table on a real autoscaler: what others do during a lease, and what stands as base, floor and condition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.climb import samples
from tests.cluster.rig import AUTOSCALERS, LEASES, POLICIES, SPACE, Workload, connect, manifests, until, workloads
from tests.support import Cluster

pytestmark = pytest.mark.cluster

LONG_SECONDS = 60
SOON_SECONDS = 10


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    """Its Deployment is paused: nothing here needs pods."""
    with workloads(cluster, 1, ready=False, paused=True) as rig:
        yield rig[0]


@pytest.fixture
def leased(workload: Workload) -> Iterator[str]:
    """An active lease of 4, and a base of 2 that is there again afterwards."""
    lease = workload.lease(4, LONG_SECONDS)
    until(lambda: workload.floor() == 4 and workload.phase(lease) == "Active", SOON_SECONDS)
    yield lease
    end(workload, lease)
    until(lambda: workload.client.find(hpa_path(workload)) is None or not held(workload), SOON_SECONDS)
    if workload.client.find(hpa_path(workload)) is None:
        make_autoscaler(workload)
    workload.write_autoscaler({"minReplicas": 2, "maxReplicas": 5})


def end(workload: Workload, lease: str) -> None:
    path = f"{LEASES.format(workload.namespace)}/{lease}"
    if workload.client.find(path) is not None:
        workload.client.patch(path, {"spec": {"ended": True}})


def hpa_path(workload: Workload) -> str:
    return f"{AUTOSCALERS.format(workload.namespace)}/{workload.name}"


def make_autoscaler(workload: Workload, **spec: Any) -> None:
    hpa = next(one for one in manifests(workload.name, "any") if one["kind"] == "HorizontalPodAutoscaler")
    hpa["spec"].update(spec)
    workload.client.create(AUTOSCALERS.format(workload.namespace), hpa, field_manager="people")


def held(workload: Workload) -> dict[str, str]:
    annotations = workload.autoscaler()["metadata"].get("annotations") or {}
    return {name.removeprefix("claudescale.io/"): text for name, text in annotations.items() if "claudescale" in name}


def condition(workload: Workload, lease: str, kind: str) -> str | None:
    found = workload.status(lease).get("conditions") or []
    return next((one["status"] for one in found if one["type"] == kind), None)


def told(workload: Workload, event: str) -> list[dict[str, Any]]:
    return [one for one in workload.records() if one["event"] == event]


def settled(workload: Workload, floor: int, base: int) -> None:
    until(lambda: workload.floor() == floor and held(workload).get("base") == str(base), SOON_SECONDS)


def test_another_value_is_the_base_and_the_floor_stands_again(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({"minReplicas": 3}, manager="somebody")
    settled(workload, 4, 3)
    changed = told(workload, "BaseChanged")[-1]
    assert (changed["manager"], changed["floor"]["base"]) == ("somebody", 3)
    end(workload, leased)
    until(lambda: workload.restored(3), SOON_SECONDS)


def test_the_bases_own_value_is_written_over_once(workload: Workload, leased: str) -> None:
    before = len(told(workload, "BaseChanged"))
    workload.write_autoscaler({"minReplicas": 2}, manager="somebody")
    settled(workload, 4, 2)
    assert len(told(workload, "BaseChanged")) == before + 1


def test_a_manager_that_writes_again_is_left_alone(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({"minReplicas": 3}, manager="gitops")
    settled(workload, 4, 3)
    workload.write_autoscaler({"minReplicas": 2}, manager="gitops")
    until(lambda: condition(workload, leased, "FloorContested") == "True", SOON_SECONDS)
    assert workload.floor() == 2
    text = next(one for one in workload.status(leased)["conditions"] if one["type"] == "FloorContested")["message"]
    assert "gitops" in text and "ignoreDifferences" in text
    time.sleep(2)
    assert workload.floor() == 2
    end(workload, leased)
    until(lambda: workload.restored(2), SOON_SECONDS)


def test_the_floors_own_value_applied_server_side_is_the_base(workload: Workload, leased: str) -> None:
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": workload.name},
        "spec": {"minReplicas": 4, "maxReplicas": 5, "scaleTargetRef": workload.autoscaler()["spec"]["scaleTargetRef"]},
    }
    workload.client.patch(hpa_path(workload), body, kind="apply", field_manager="applier")
    settled(workload, 4, 4)
    end(workload, leased)
    until(lambda: workload.restored(4), SOON_SECONDS)


def test_an_edited_annotation_is_the_base(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({}, manager="somebody", annotations={"claudescale.io/base": "3"})
    until(lambda: (told(workload, "BaseChanged") or [{}])[-1].get("floor", {}).get("base") == 3, SOON_SECONDS)
    assert workload.floor() == 4
    end(workload, leased)
    until(lambda: workload.restored(3), SOON_SECONDS)


def test_a_lowered_maximum_caps_the_floor(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({"minReplicas": 3, "maxReplicas": 3}, manager="somebody")
    until(lambda: condition(workload, leased, "FloorCapped") == "True", SOON_SECONDS)
    assert (workload.floor(), held(workload)["base"]) == (3, "2")
    end(workload, leased)
    until(lambda: workload.restored(2), SOON_SECONDS)


STRIPPED = dict.fromkeys(f"claudescale.io/{name}" for name in ("base", "floor", "leases", "record", "overruled"))


def test_lost_annotations_come_back(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({}, manager="somebody", annotations=STRIPPED)
    settled(workload, 4, 2)
    assert held(workload)["leases"] == leased


def test_a_replace_is_a_new_base_and_the_floor_stands_again(workload: Workload, leased: str) -> None:
    workload.write_autoscaler({"minReplicas": 3}, manager="replacer", annotations=STRIPPED)
    settled(workload, 4, 3)
    assert told(workload, "BaseChanged")[-1]["manager"] == "replacer"


def test_a_recreated_autoscaler_has_its_own_base(workload: Workload, leased: str) -> None:
    workload.client.delete(hpa_path(workload))
    until(lambda: condition(workload, leased, "FloorStands") == "False", SOON_SECONDS)
    make_autoscaler(workload, minReplicas=1)
    settled(workload, 4, 1)
    end(workload, leased)
    until(lambda: workload.restored(1), SOON_SECONDS)


def test_leases_overlap(workload: Workload, leased: str) -> None:
    other = workload.lease(5, 3)
    settled(workload, 5, 2)
    assert held(workload)["leases"] == ",".join(sorted([leased, other]))
    until(lambda: workload.phase(other) == "Ended", 10)
    settled(workload, 4, 2)


def test_a_deleted_lease_is_undone(workload: Workload, leased: str) -> None:
    workload.client.delete(f"{LEASES.format(SPACE)}/{leased}")
    until(workload.restored, SOON_SECONDS)
    assert told(workload, "LeaseEnded")[-1]["cause"] == "Deleted"


def policy_path(workload: Workload) -> str:
    return f"{POLICIES.format(workload.namespace)}/deployment.{workload.name}"


def make_policy(workload: Workload) -> None:
    policy = next(one for one in manifests(workload.name, "any") if one["kind"] == "ScalingPolicy")
    workload.client.create(POLICIES.format(workload.namespace), policy)


@pytest.mark.parametrize("how", ["deleted", "set to Observe"], ids=["policy-deleted", "policy-observes"])
def test_the_kill_switch_ends_leases_for_good(workload: Workload, leased: str, how: str) -> None:
    if how == "deleted":
        workload.client.delete(policy_path(workload))
    else:
        workload.client.patch(policy_path(workload), {"spec": {"mode": "Observe"}})
    until(workload.restored, SOON_SECONDS)
    until(lambda: workload.phase(leased) == "Ended", SOON_SECONDS)
    if how == "deleted":
        make_policy(workload)
    else:
        workload.client.patch(policy_path(workload), {"spec": {"mode": "Enforce"}})
    time.sleep(2)
    assert workload.restored()
    assert workload.phase(leased) == "Ended"


def test_an_observing_policy_decides_and_changes_nothing(workload: Workload) -> None:
    workload.client.patch(policy_path(workload), {"spec": {"mode": "Observe"}})
    try:
        before = workload.autoscaler()
        allowed, refused = workload.lease(4), workload.lease(500)
        until(lambda: workload.phase(allowed) == "Observed" and workload.phase(refused) == "Refused", SOON_SECONDS)
        assert workload.status(allowed)["decision"]["allowed"] is True
        assert workload.autoscaler()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        # Both were asked for in one second, so that either may have been decided first.
        outcomes = {one["lease"]["name"]: one["outcome"] for one in told(workload, "LeaseRequested")}
        assert (outcomes[allowed], outcomes[refused]) == ("Observed", "Refused")
    finally:
        workload.client.patch(policy_path(workload), {"spec": {"mode": "Enforce"}})


def test_events_tell_people_what_happened(cluster: Cluster, workload: Workload, leased: str) -> None:
    end(workload, leased)
    until(workload.restored, SOON_SECONDS)

    def reasons() -> set[str]:
        events = connect(cluster).items(f"/api/v1/namespaces/{SPACE}/events")
        return {one["reason"] for one in events if one["involvedObject"]["name"] == workload.name}

    until(lambda: {"LeaseStarted", "FloorRestored", "LeaseEnded"} <= reasons(), SOON_SECONDS)


METRICS = {
    "claudescale_decisions_total",
    "claudescale_leases",
    "claudescale_start_lag_seconds_count",
    "claudescale_restore_lag_seconds_count",
    "claudescale_record_head",
    "claudescale_clock_skew_seconds",
}


def test_prometheus_scrapes_the_controllers_figures(cluster: Cluster, workload: Workload) -> None:
    lease = workload.lease(3, 2)
    until(lambda: workload.phase(lease) == "Ended", 20)

    def scraped() -> bool:
        found = {labels["__name__"] for labels, _ in samples(cluster, '{job="claudescale-controller"}')}
        return found >= METRICS

    until(scraped, 30, pause=1)
