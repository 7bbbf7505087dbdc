# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What happened to a workload in a window: load, replicas, cost, decisions, leases, what to look at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.capacity import (
    Stretch,
    gaps,
    replica_hours,
    stretches,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.findings import (
    SLOW_SECONDS,
    Finding,
    findings,
    steady,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Reading
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import Query
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import Decided, Life
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger
from ansible_collections.claudescale.core.plugins.module_utils.moments import to_the_second

GAPS_SHOWN = 6  # the longest


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A value, and when it first was."""

    value: float
    time: str


@dataclass(frozen=True, kw_only=True)
class Course:
    """A series in figures; the mean is of the points that are there. `missing_seconds`: for how long there are none."""

    name: str
    unit: str
    query: str
    lowest: Extreme
    highest: Extreme
    mean: float
    missing_seconds: float


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A series without any point, and why; a sentence of ours."""

    name: str
    query: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Replica-hours of the `counted_seconds` in which replicas are known.

    `above_base`: what of it stood between the base and a floor that leases held, the most that they can have cost.
    """

    replica_hours: float
    above_base: float
    counted_seconds: float


@dataclass(frozen=True, kw_only=True)
class DecisionCount:
    """So many decisions of one outcome and code, between two times."""

    outcome: str
    code: str
    count: int
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class LeaseSpan:
    """A lease that was in force in the window. began or ended None: not in the records that were read, or not yet."""

    name: str
    replicas: int | None
    began: str | None
    ended: str | None
    cause: str | None
    began_here: bool
    ended_here: bool


@dataclass(frozen=True, kw_only=True)
class FloorStep:
    """The floor and the base from a time on; leases: the names that held it."""

    time: str
    floor: int
    base: int
    held: bool
    leases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A part of the window for which a series has no point."""

    series: str
    start: str
    end: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """All of it; load, latency, cpu, replicas and cost are None where nothing was measured (absent says why).

    `replicas` counts ready pods, or running ones where ready ones are not known: its name says which. `figures` are of
    the whole window. `records_read`: how many records were looked at, `records_complete`: whether those are all.
    """

    namespace: str
    workload: str  # KIND/NAME
    start: str
    end: str
    seconds: int
    step_seconds: int
    load: Course | None
    replicas: Course | None
    latency: Course | None
    cpu: Course | None
    cost: Cost | None
    absent: tuple[Absent, ...]
    figures: tuple[Reading, ...]
    decisions: tuple[DecisionCount, ...]
    allowed: int
    refused: int
    leases: tuple[LeaseSpan, ...]
    floor: tuple[FloorStep, ...]
    gaps: tuple[Missing, ...]
    findings: tuple[Finding, ...]
    records_read: int
    records_complete: bool


def report(evidence: Evidence, *, slow_seconds: float = SLOW_SECONDS) -> Report:
    """Sum the evidence up; `slow_seconds`: the p95 latency above which it is worth a look."""
    window = evidence.window
    floors = stretches(evidence.history, evidence.standing, window)
    replicas = replicas_of(evidence)
    decided = [one for one in evidence.history.decisions if window.start <= one.time < window.end]
    return Report(
        namespace=evidence.namespace,
        workload=str(evidence.workload),
        start=to_the_second(window.start),
        end=to_the_second(window.end),
        seconds=int(window.seconds),
        step_seconds=window.step,
        load=_course(evidence, queries.REQUEST_RATE),
        replicas=_course(evidence, replicas) if replicas is not None else None,
        latency=_course(evidence, queries.LATENCY_P95),
        cpu=_course(evidence, queries.CPU_CORES),
        cost=_cost(evidence, replicas, floors),
        absent=tuple(_absent(evidence)),
        figures=tuple(evidence.figures.values()),
        decisions=_counts(decided),
        allowed=sum(one.count for one in decided if one.outcome == ledger.ACCEPTED),
        refused=sum(one.count for one in decided if one.outcome == ledger.REFUSED),
        leases=tuple(_span(evidence, life) for life in in_force(evidence)),
        floor=tuple(
            FloorStep(time=to_the_second(one.start), floor=one.floor, base=one.base, held=one.held, leases=one.leases)
            for one in floors
        ),
        gaps=_missing(evidence, replicas),
        findings=findings(evidence, replicas, floors, slow_seconds),
        records_read=evidence.history.read,
        records_complete=evidence.history.complete,
    )


def replicas_of(evidence: Evidence) -> Query | None:
    """The series that counts the pods: ready ones, or running ones where nobody scrapes them; None without either."""
    known = (queries.PODS_READY, queries.PODS_RUNNING)
    return next((query for query in known if evidence.points(query)), None)


def in_force(evidence: Evidence) -> tuple[Life, ...]:
    """The leases that were in force at some time of the window, by their beginning."""
    window = evidence.window
    found = [
        life
        for life in evidence.history.lives
        if life.began is not None and life.began < window.end and (life.ended is None or life.ended > window.start)
    ]
    return tuple(sorted(found, key=lambda life: (life.began or 0.0, life.name)))


def _course(evidence: Evidence, query: Query) -> Course | None:
    points = evidence.points(query)
    if not points:
        return None
    lowest, highest = (chosen(points, key=lambda point: point[1]) for chosen in (min, max))
    return Course(
        name=query.name,
        unit=query.unit,
        query=evidence.series[query.name].promql,
        lowest=Extreme(value=lowest[1], time=to_the_second(lowest[0])),
        highest=Extreme(value=highest[1], time=to_the_second(highest[0])),
        mean=sum(value for _time, value in points) / len(points),
        missing_seconds=sum(gap.end - gap.start for gap in gaps(points, evidence.window)),
    )


def _cost(evidence: Evidence, replicas: Query | None, floors: Iterable[Stretch]) -> Cost | None:
    if replicas is None:
        return None
    hours = replica_hours(evidence.points(replicas), floors, evidence.window)
    return Cost(replica_hours=hours.total, above_base=hours.above_base, counted_seconds=hours.seconds)


def _absent(evidence: Evidence) -> Iterable[Absent]:
    for name, series in evidence.series.items():
        if not series.points:
            yield Absent(name=name, query=series.promql, why=series.error or series.query.absent)


def _counts(decided: Iterable[Decided]) -> tuple[DecisionCount, ...]:
    """By outcome and code, the most frequent first."""
    groups: dict[tuple[str, str], list[Decided]] = {}
    for one in decided:
        groups.setdefault((one.outcome, one.code), []).append(one)
    counted = [
        DecisionCount(
            outcome=outcome,
            code=code,
            count=sum(one.count for one in group),
            first=to_the_second(min(one.time for one in group)),
            last=to_the_second(max(one.time for one in group)),
        )
        for (outcome, code), group in groups.items()
    ]
    return tuple(sorted(counted, key=lambda one: (-one.count, one.outcome, one.code)))


def _span(evidence: Evidence, life: Life) -> LeaseSpan:
    window = evidence.window
    return LeaseSpan(
        name=life.name,
        replicas=life.replicas,
        began=to_the_second(life.began) if life.began is not None else None,
        ended=to_the_second(life.ended) if life.ended is not None else None,
        cause=life.cause,
        began_here=life.began is not None and life.began >= window.start,
        ended_here=life.ended is not None and life.ended < window.end,
    )


def _missing(evidence: Evidence, replicas: Query | None) -> tuple[Missing, ...]:
    found = [
        Missing(
            series=query.name,
            start=to_the_second(gap.start),
            end=to_the_second(gap.end),
            seconds=gap.end - gap.start,
        )
        for query in steady(evidence, replicas)
        for gap in gaps(evidence.points(query), evidence.window)
    ]
    return tuple(sorted(found, key=lambda one: (-one.seconds, one.start, one.series))[:GAPS_SHOWN])
