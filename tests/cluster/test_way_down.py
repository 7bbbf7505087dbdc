"""What holds the autoscaler up, and what brings it down; after the other files, so that it had the time."""

from __future__ import annotations

import json
import time

import pytest

from tests.cluster.climb import BACK_SECONDS, Seen, Watch
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


def test_a_held_floor_stays(cluster: Cluster) -> None:
    held = {"metadata": {"annotations": {"claudescale.io/base": "2"}}, "spec": {"minReplicas": 3}}
    cluster.kubectl("patch", "hpa", "demo-app-hpa", "--type=merge", "-p", json.dumps(held))
    try:
        made = cluster.site()
        assert made.code == 0
        assert made.changed == 0
        assert cluster.get("hpa", "demo-app-hpa")["spec"]["minReplicas"] == 3
    finally:
        free = {"metadata": {"annotations": {"claudescale.io/base": None}}}
        cluster.kubectl("patch", "hpa", "demo-app-hpa", "--type=merge", "-p", json.dumps(free))
    made = cluster.site()
    assert made.changed == 1
    assert cluster.get("hpa", "demo-app-hpa")["spec"]["minReplicas"] == 2
