"""What the controller tells Prometheus of autoscalers: from its caches, at each scrape, and of what is there only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import autoscalers, metrics, reconcile
from ansible_collections.claudescale.core.plugins.module_utils.controller.loop import Controller
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger, plan
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

SPACE = "claudescale"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"}
NEW = {"floor_replicas": 2, "base_replicas": 2, "maximum_replicas": 5, "cpu_target_ratio": 0.5, "floor_contested": 0,
       "floor_capped": 0}  # fmt: skip
SEEN = {"currentReplicas": 3, "desiredReplicas": 5, "currentMetrics": [
    {"type": "Resource", "resource": {"name": "memory", "current": {"averageUtilization": 20}}},
    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 130, "averageValue": "130m"}}},
]}  # fmt: skip
HELD = {"claudescale.io/base": "2", "claudescale.io/floor": "4", "claudescale.io/leases": "launch"}

CASES: list[Any] = [
    pytest.param({}, {}, NEW, id="new, without a status"),
    pytest.param(
        {}, {"status": SEEN}, {**NEW, "current_replicas": 3, "desired_replicas": 5, "cpu_ratio": 1.3}, id="at work"
    ),
    pytest.param(
        {"annotations": HELD},
        {"spec": {"minReplicas": 4}},
        {**NEW, "floor_replicas": 4},
        id="held by a lease, over the base",
    ),
    pytest.param(
        {"annotations": {**HELD, "claudescale.io/contested-by": "argocd"}},
        {"spec": {"minReplicas": 3}},
        {**NEW, "floor_replicas": 3, "floor_contested": 1},
        id="contested",
    ),
    pytest.param({}, {"spec": {"minReplicas": None}}, {**NEW, "floor_replicas": 1, "base_replicas": 1}, id="default"),
    pytest.param({}, {"spec": {"metrics": None}}, {**NEW, "cpu_target_ratio": None}, id="no CPU among its metrics"),
]


def autoscaler(name: str = "demo-app-hpa", version: int = 1, /, **parts: Any) -> dict[str, Any]:
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    spec = {"scaleTargetRef": TARGET, "minReplicas": 2, "maxReplicas": 5, "metrics": [metric], **parts.pop("spec", {})}
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), **parts.pop("metadata", {})}
    return {"metadata": meta, "spec": {key: value for key, value in spec.items() if value is not None}, **parts}


def lease(name: str, phase: str, condition: str) -> dict[str, Any]:
    meta = {
        "name": name, "uid": f"uid-{name}", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    spec = {"workloadRef": TARGET, "replicas": 5, "durationSeconds": 60, "reason": "a test", "requestedBy": "anna"}
    return {
        "metadata": meta,
        "spec": spec,
        "status": {"phase": phase, "conditions": [{"type": condition, "status": "True"}]},
    }


class Attached:
    """A controller that was told nothing yet by its watches, and what it answers a scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        client = cast(ClusterClient, type("Silent", (), {"on_response": []})())
        self.space = Controller(client, [SPACE], metrics=metrics.Metrics(self.registry)).spaces[SPACE]

    def scraped(self) -> dict[tuple[str, ...], float]:
        """Every sample of ours by its name and the values of its labels, but for the namespace."""
        found = {}
        for family in text_string_to_metric_families(generate_latest(self.registry).decode()):
            for sample in family.samples:
                assert sample.labels.pop("namespace", SPACE) == SPACE
                found[sample.name.removeprefix("claudescale_"), *sample.labels.values()] = sample.value
        return found

    def figures(self) -> dict[tuple[str, ...], float]:
        """Those of autoscalers: the gauge, the autoscaler, the workload."""
        return {
            (key[0].removeprefix("autoscaler_"), *key[1:]): value
            for key, value in self.scraped().items()
            if key[0].startswith("autoscaler_")
        }


@pytest.mark.parametrize(("meta", "parts", "wanted"), CASES)
def test_an_autoscaler(meta: dict[str, Any], parts: dict[str, Any], wanted: dict[str, float | None]) -> None:
    attached = Attached()
    attached.space.autoscalers.put(autoscaler(metadata=meta, **parts))
    assert attached.figures() == {
        (name, "demo-app-hpa", "Deployment/demo-app"): value for name, value in wanted.items() if value is not None
    }


@pytest.mark.parametrize(
    ("phase", "condition", "capped"),
    [("Active", "FloorCapped", 1), ("Active", "FloorContested", 0), ("Ended", "FloorCapped", 0)],
)
def test_a_floor_is_capped_while_an_active_lease_says_so(phase: str, condition: str, capped: int) -> None:
    attached = Attached()
    attached.space.autoscalers.put(autoscaler())
    attached.space.leases.put(lease("launch", phase, condition))
    assert attached.figures()["floor_capped", "demo-app-hpa", "Deployment/demo-app"] == capped


def test_of_an_autoscaler_that_is_gone_nothing_is_left() -> None:
    attached = Attached()
    before = attached.scraped()
    attached.space.autoscalers.replace([autoscaler("one"), autoscaler("two")])
    assert {key[1] for key in attached.figures()} == {"one", "two"}
    attached.space.autoscalers.event("DELETED", autoscaler("one"))
    assert {key[1] for key in attached.figures()} == {"two"}
    attached.space.autoscalers.replace([])
    assert attached.scraped() == before


def test_a_change_is_seen_by_the_next_scrape() -> None:
    attached = Attached()
    attached.space.autoscalers.put(autoscaler())
    attached.space.autoscalers.event("MODIFIED", autoscaler("demo-app-hpa", 2, spec={"maxReplicas": 9}))
    assert attached.figures()["maximum_replicas", "demo-app-hpa", "Deployment/demo-app"] == 9


def test_a_scrape_is_bounded_and_says_how_many_there_are() -> None:
    attached = Attached()
    attached.space.autoscalers.replace([autoscaler(f"hpa-{number:04d}") for number in range(autoscalers.MOST + 20)])
    assert len({key[1] for key in attached.figures()}) == autoscalers.MOST
    assert attached.scraped()[("autoscalers",)] == autoscalers.MOST + 20


def test_what_can_be_counted_is_there_before_it_happens() -> None:
    """A counter that appears with its first failure has not risen, for Prometheus."""
    found = Attached().scraped()
    assert {key[1] for key in found if key[0] == "errors_total"} == set(metrics.PLACES)
    assert {key[1] for key in found if key[0] == "conflicts_total"} == set(metrics.WRITES)
    assert {key[1] for key in found if key[0] == "records_total"} == set(metrics.EVENTS)
    assert found["decisions_total", "Allowed"] == found[("start_lag_seconds_count",)] == 0
    assert {value for key, value in found.items() if not key[0].endswith("_created")} == {0}


def test_the_names_are_those_that_the_controller_counts_by() -> None:
    """They are written where something happens, and once more where they begin at 0."""
    code = "".join(file.read_text(encoding="utf-8") for file in Path(reconcile.__file__).parent.glob("*.py"))
    said = {way: set(re.findall(rf"metrics\.{way}\(\"(\w+)\"\)", code)) for way in ("error", "conflict")}
    assert said["error"] == set(metrics.PLACES)
    records = {"Append", "Refuse"}  # an append that comes too late is a conflict of the record
    assert said["conflict"] | set(str(plan.Step).split(" | ")) - records == set(metrics.WRITES)
    words = {ledger.EVERY_WORKLOAD, ledger.ACCEPTED, ledger.REFUSED, ledger.OBSERVED, ledger.INTENDED,
             ledger.SUCCEEDED, ledger.OVERTAKEN}  # fmt: skip
    assert set(metrics.EVENTS) == {
        value
        for name, value in vars(ledger).items()
        if name.isupper() and isinstance(value, str) and value not in words
    }
