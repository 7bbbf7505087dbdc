"""A lease of 4 for 90 s from each door: the same floor, the same records, and nothing left behind.

Last of the files, because it has run in the background since the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.lives import DOORS, SECONDS, Life

pytestmark = pytest.mark.cluster

Results = Callable[[], dict[str, Life]]


@pytest.fixture(scope="module")
def all_lives(lives_of_leases: Results) -> dict[str, Life]:
    return lives_of_leases()


@pytest.fixture(params=DOORS)
def life(request: pytest.FixtureRequest, all_lives: dict[str, Life]) -> Life:
    return all_lives[request.param]


def test_the_floor_stood_and_four_pods_were_ready(life: Life) -> None:
    assert (life.floor, life.ready) == (4, 4)
    assert SECONDS - 3 <= life.held <= SECONDS + 3
    assert life.status["floor"] == {"before": 2, "applied": 4, "after": 2}


def test_the_autoscaler_is_what_it_was(life: Life) -> None:
    before, after = settled(life.before), settled(life.after)
    assert after == before
    assert "claudescale-controller" not in [entry["manager"] for entry in life.after["metadata"]["managedFields"]]
    assert managers_of(life.after) == managers_of(life.before)


def managers_of(hpa: dict[str, Any]) -> list[str]:
    """Who owns fields of the autoscaler, but for its status."""
    return sorted(entry["manager"] for entry in hpa["metadata"]["managedFields"] if not entry.get("subresource"))


def settled(hpa: dict[str, Any]) -> dict[str, Any]:
    """Everything but resourceVersion, generation and status; who owns what is compared apart."""
    meta = {
        name: value
        for name, value in hpa["metadata"].items()
        if name not in ("resourceVersion", "generation", "managedFields")
    }
    return {"metadata": meta, "spec": hpa["spec"]}


def test_records_differ_only_in_who_and_when(all_lives: dict[str, Life]) -> None:
    same = {door: [comparable(record, life) for record in life.records] for door, life in all_lives.items()}
    assert [one["event"] for one in same["kubectl"]] == [
        "LeaseRequested", "FloorIntended", "FloorWritten", "FloorRestored", "LeaseEnded",
    ]  # fmt: skip
    for door in DOORS:
        assert same[door] == same["kubectl"], door
    asked = {door: life.records[0] for door, life in all_lives.items()}
    doors = {door: record["door"] for door, record in asked.items()}
    assert doors == {
        "kubectl": "kubectl-create",
        "command": "claudescale-cli",
        "playbook": "claudescale-ansible",
        "mcp": "claudescale-mcp",
    }
    assert asked["mcp"]["actor"].endswith(":claudescale-sa")


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


def comparable(record: dict[str, Any], life: Life) -> Any:
    """A record without door, actor, the lease's name and UID, times and its place in the chain."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(found) for key, found in value.items() if key not in ("time", "startTime", "endTime")}
        if isinstance(value, list):
            return [plain(found) for found in value]
        return TIME.sub("TIME", value).replace(life.lease, "LEASE") if isinstance(value, str) else value

    kept = {key: value for key, value in record.items() if key not in ("door", "actor", "sequence", "of")}
    if "lease" in kept:
        kept["lease"] = {key: value for key, value in kept["lease"].items() if key != "uid"}
    return plain(kept)


def test_a_second_run_of_the_playbook_changed_nothing(all_lives: dict[str, Life]) -> None:
    assert re.search(r"changed=0\b", all_lives["playbook"].again), all_lives["playbook"].again
