"""What holds the autoscaler up, and what brings it down; after the other files, so that it had the time."""

from __future__ import annotations

import time

import pytest

from tests.cluster.climb import BACK_SECONDS, Seen, Watch
from tests.cluster.rig import Workload, connect, until
from tests.support import Cluster

pytestmark = pytest.mark.cluster

KNOWN_SECONDS = 300


def test_the_autoscaler_knew_the_cpu_for_five_minutes_after_up(watch: Watch) -> None:
    while watch.seconds < KNOWN_SECONDS:
        time.sleep(1)
    assert watch.events
    assert [event for event in watch.events if not event.cpu_known] == []


def test_without_load_the_autoscaler_goes_back_to_two(seen: Seen) -> None:
    ends = time.monotonic() + BACK_SECONDS
    while (seen.events[-1].current, seen.events[-1].wanted) != (2, 2) and time.monotonic() < ends:
        time.sleep(1)
    assert max(event.current for event in seen.events) == 5
    assert (seen.events[-1].current, seen.events[-1].wanted) == (2, 2)
    print(f"back at 2 after {seen.events[-1].seconds:.0f} s")


def test_up_during_a_lease_changes_nothing(cluster: Cluster) -> None:
    """The demo app's floor is held by a lease; afterwards the base is what the inventory says."""
    demo = Workload(client=connect(cluster), name="demo-app-hpa")
    asked = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"}
    lease = demo.lease(3, 600, name="during-up", workloadRef=asked)
    until(lambda: demo.floor() == 3, 10)
    try:
        made = cluster.site()
        assert made.code == 0
        assert made.changes() == []
        assert demo.floor() == 3
        edited = cluster.site("-e", "autoscaling_min_replicas=1")
        assert edited.changed == 1
        assert demo.floor() == 3, "another base changes no floor that is held"
    finally:
        cluster.kubectl("patch", "capacitylease", lease, "--type=merge", "-p", '{"spec":{"ended":true}}')
    until(lambda: demo.restored(1), 10)
    made = cluster.site()
    assert made.changed == 1
    assert demo.floor() == 2
