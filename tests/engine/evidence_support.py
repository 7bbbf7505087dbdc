"""Windows of a workload, made up: the records of a chain, series on the window's grid, and what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import (
    Evidence,
    Reading,
    Series,
    Standing,
    Window,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import Query
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import History, history
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

NOON = 1772366400.0  # 2026-03-01T12:00:00Z
WORKLOAD = WorkloadRef(kind="Deployment", name="demo-app")
OTHER = WorkloadRef(kind="Deployment", name="another")
WINDOW = Window(start=NOON, end=NOON + 1200)  # 20 minutes, a point each 11 s
STANDING = Standing(maximum=5, floor=2, base=2, cores_per_replica=0.1)
BY_NAME = {query.name: query for query in (*queries.FIGURES, *queries.SERIES)}

Fields = dict[str, Any]


def entry(
    event: str, after: float, *, outcome: str = "Succeeded", workload: WorkloadRef = WORKLOAD, **more: Any
) -> Fields:
    """The fields of a record, so many seconds after NOON."""
    return {
        "time": moments.text(NOON + after),
        "event": event,
        "outcome": outcome,
        "actor": "somebody",
        "door": "claudescale-cli",
        "workload": workload.to_object(),
        **more,
    }


def lease_fields(name: str, start: float = 0, end: float = 600, replicas: int = 4) -> Fields:
    return {
        "name": name,
        "uid": f"uid-of-{name}",
        "replicas": replicas,
        "startTime": moments.text(NOON + start),
        "endTime": moments.text(NOON + end),
        "reason": "a launch",
    }


def requested(after: float, name: str, **lease: Any) -> Fields:
    return entry(
        "LeaseRequested",
        after,
        outcome="Accepted",
        lease=lease_fields(name, **lease),
        decision={"code": "Allowed", "allowed": True},
    )


def refused(after: float, code: str = "StepTooLarge", count: int | None = None) -> Fields:
    decision = {"code": code, "allowed": False}
    if count is not None:
        return entry("RefusalsRepeated", after, outcome="Refused", decision=decision, count=count)
    return entry("LeaseRequested", after, outcome="Refused", decision=decision, lease=lease_fields("too-many"))


def written(
    after: float, floor: int, *, before: int = 2, base: int = 2, leases: tuple[str, ...] = (), **more: Any
) -> Fields:
    numbers = {"base": base, "before": before, "applied": floor, "held": True}
    return entry("FloorWritten", after, floor=numbers, leases=list(leases), **more)


def restored(after: float, *, before: int = 4, base: int = 2) -> Fields:
    numbers = {"base": base, "before": before, "applied": base, "held": False}
    return entry("FloorRestored", after, floor=numbers, leases=[])


def noted(event: str, after: float, floor: int, base: int, leases: tuple[str, ...]) -> Fields:
    numbers = {"base": base, "before": floor, "applied": floor, "held": True}
    return entry(event, after, floor=numbers, leases=list(leases), manager="\x1b[31mevil", overrules=True)


def ended(after: float, name: str, cause: str = "Expired", **lease: Any) -> Fields:
    return entry("LeaseEnded", after, lease=lease_fields(name, **lease), cause=cause)


def chained(entries: Iterable[Fields], genesis: float = -100_000) -> list[chain.Record]:
    """A chain of these after its genesis."""
    found = [chain.genesis(namespace="space", uid="u", time=moments.text(NOON + genesis), actor="controller")]
    for fields in entries:
        found.append(chain.next_record(found[-1].head, fields))
    return found


def history_of(*entries: Fields, **more: Any) -> History:
    return history(chained(entries), WORKLOAD, **more)


def series_of(query: Query, value: Callable[[float], float | None], window: Window = WINDOW) -> Series:
    """A value for each time of the window, as a function of the seconds since its start; None: no point."""
    points = [(time, value(time - window.start)) for time in window.times]
    return Series.of(query, f"asked({query.name})", [(time, at) for time, at in points if at is not None])


def evidence_of(
    *entries: Fields,
    values: Mapping[str, Callable[[float], float | None]] | None = None,
    figures: Mapping[str, float] | None = None,
    standing: Standing = STANDING,
    window: Window = WINDOW,
    **more: Any,
) -> Evidence:
    """A quiet window, but for these records and values (by the queries' names)."""
    usual: dict[str, Callable[[float], float | None]] = {
        "request_rate": lambda after: 10.0,
        "pods_ready": lambda after: 2.0,
        "pods_running": lambda after: 2.0,
        "latency_p95": lambda after: 0.02,
        "cpu_cores": lambda after: 0.15,
    }
    return Evidence(
        namespace="space",
        workload=WORKLOAD,
        window=window,
        series={name: series_of(BY_NAME[name], value, window) for name, value in {**usual, **(values or {})}.items()},
        history=history_of(*entries, **more),
        standing=standing,
        figures={
            name: Reading(name=name, unit=BY_NAME[name].unit, query="q", value=value)
            for name, value in {"failed_share": 0.0, "restarts": 0.0, **(figures or {})}.items()
        },
    )
