# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What to look at in a window: a short list, each with a code, a sentence of ours and the numbers behind it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.capacity import Stretch, gaps
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Point
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import Query
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import Life
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger

SLOW_SECONDS = 0.5  # of p95 latency, unless a caller says otherwise
NOTABLE_SECONDS = 60.0  # what lasts shorter is left out
NOTABLE_SHARE = 0.01  # of requests that failed
NOTABLE_REFUSALS = 3
OF_A_KIND = 3  # findings of one code
COVERED = 0.8  # of a lease's time, to judge whether it was needed


class Look(StrEnum):
    """The codes of the findings, the most urgent first; WORDS has their sentences."""

    NO_EVIDENCE = "NoEvidence"
    SLOW_AT_MAXIMUM = "SlowAtMaximum"
    SLOW_BELOW_MAXIMUM = "SlowBelowMaximum"
    REQUESTS_FAILED = "RequestsFailed"
    RESTARTS = "Restarts"
    FLOOR_CONTESTED = "FloorContested"
    REFUSALS_REPEATED = "RefusalsRepeated"
    LEASE_UNUSED = "LeaseUnused"
    DATA_MISSING = "DataMissing"
    RECORDS_CUT = "RecordsCut"
    RECORDS_BROKEN = "RecordsBroken"


WORDS = {
    Look.NO_EVIDENCE: "no numbers could be read: claudescale status shows how Prometheus is",
    Look.SLOW_AT_MAXIMUM: "latency was high and the autoscaler could add no pod: a person may raise its maximum",
    Look.SLOW_BELOW_MAXIMUM: "latency was high and the autoscaler had room: a lease before such load helps",
    Look.REQUESTS_FAILED: "requests were refused or failed",
    Look.RESTARTS: "containers were restarted: the pods' events and logs say why",
    Look.FLOOR_CONTESTED: "another manager kept writing the floor: its name is in the record FloorContested",
    Look.REFUSALS_REPEATED: "the same was refused again and again: ask for what the policy allows",
    Look.LEASE_UNUSED: "the highest load in the lease's time needed no more pods than the base has",
    Look.DATA_MISSING: "the series has no numbers for a part of the window, so its figures are of the rest",
    Look.RECORDS_CUT: "not all records of the window were read: ask for a shorter one",
    Look.RECORDS_BROKEN: "records of the window cannot be read: claudescale records verify names the place",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to look at. The numbers are named with their units; the names are data.

    `lease`: whose it is, `refused`: the code of refusals, `series`: the query's name.
    """

    code: Look
    message: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    lease: str | None = None
    refused: str | None = None
    series: str | None = None


def findings(
    evidence: Evidence, replicas: Query | None, floors: Iterable[Stretch], slow_seconds: float = SLOW_SECONDS
) -> tuple[Finding, ...]:
    """All of them; `replicas` is the series that counts the pods, None where there is none."""
    found = [
        *_without_evidence(evidence),
        *_slow(evidence, replicas, slow_seconds),
        *_failed(evidence),
        *_restarts(evidence),
        *_contested(evidence),
        *_refusals(evidence),
        *_unused(evidence, tuple(floors)),
        *_gaps(evidence, replicas),
        *_records(evidence),
    ]
    order = list(Look)
    return tuple(sorted(found, key=lambda finding: order.index(finding.code)))


def _finding(
    code: Look,
    numbers: Mapping[str, float],
    *,
    lease: str | None = None,
    refused: str | None = None,
    series: str | None = None,
) -> Finding:
    return Finding(code=code, message=WORDS[code], numbers=numbers, lease=lease, refused=refused, series=series)


def _without_evidence(evidence: Evidence) -> Iterator[Finding]:
    if evidence.series and all(series.error is not None for series in evidence.series.values()):
        yield _finding(Look.NO_EVIDENCE, {"seconds": evidence.window.seconds})


def _slow(evidence: Evidence, replicas: Query | None, slow: float) -> Iterator[Finding]:
    counts = dict(evidence.points(replicas)) if replicas is not None else {}
    maximum, step = evidence.standing.maximum, evidence.window.step
    at_maximum: list[Point] = []
    below: list[Point] = []
    for time, seconds in evidence.points(queries.LATENCY_P95):
        if seconds <= slow or maximum is None or time not in counts:
            continue
        (at_maximum if counts[time] >= maximum else below).append((time, seconds))
    for code, points in ((Look.SLOW_AT_MAXIMUM, at_maximum), (Look.SLOW_BELOW_MAXIMUM, below)):
        if points and len(points) * step >= NOTABLE_SECONDS and maximum is not None:
            worst, peak = max(points, key=lambda point: point[1])
            yield _finding(
                code,
                {
                    "seconds": float(len(points) * step),
                    "p95_seconds_max": peak,
                    "p95_seconds_limit": slow,
                    "pods": counts[worst],
                    "pods_max": maximum,
                },
            )


def _failed(evidence: Evidence) -> Iterator[Finding]:
    share = evidence.figure(queries.FAILED_SHARE)
    if share is not None and share > NOTABLE_SHARE:
        yield _finding(Look.REQUESTS_FAILED, {"share": share, "share_limit": NOTABLE_SHARE})


def _restarts(evidence: Evidence) -> Iterator[Finding]:
    restarts = evidence.figure(queries.RESTARTS)
    if restarts:
        yield _finding(Look.RESTARTS, {"restarts": restarts})


def _contested(evidence: Evidence) -> Iterator[Finding]:
    times = [time for time in evidence.history.contested if _is_in(evidence, time)]
    if times:
        yield _finding(Look.FLOOR_CONTESTED, {"records": len(times)})


def _refusals(evidence: Evidence) -> Iterator[Finding]:
    counts: Counter[str] = Counter()
    for decided in evidence.history.decisions:
        if decided.outcome == ledger.REFUSED and _is_in(evidence, decided.time):
            counts[decided.code] += decided.count
    for code, count in counts.most_common(OF_A_KIND):
        if count >= NOTABLE_REFUSALS:
            yield _finding(Look.REFUSALS_REPEATED, {"refusals": count}, refused=code)


def _unused(evidence: Evidence, floors: tuple[Stretch, ...]) -> Iterator[Finding]:
    """Leases that lived and ended in the window, and whose highest load the base would have borne.

    How many pods a load needs is counted as the autoscaler does it: CPU by the CPU that a pod is wanted to use.
    """
    found = [finding for life in evidence.history.lives for finding in _unneeded(evidence, life, floors)]
    yield from sorted(found, key=lambda finding: -finding.numbers["seconds"])[:OF_A_KIND]


def _unneeded(evidence: Evidence, life: Life, floors: tuple[Stretch, ...]) -> Iterator[Finding]:
    window, each = evidence.window, evidence.standing.cores_per_replica
    if life.began is None or life.ended is None or not each:
        return
    seconds = life.ended - life.began
    if life.began < window.start or life.ended > window.end or seconds < NOTABLE_SECONDS:
        return
    # The floor that it asked for, and the least base under it: others may have held the floor as well.
    during = [one for one in floors if one.held and life.began <= one.start < life.ended and life.name in one.leases]
    if life.replicas is None or not during:
        return
    base = min(one.base for one in during)
    peaks = [value for time, value in evidence.points(queries.CPU_CORES) if life.began <= time < life.ended]
    if life.replicas <= base or len(peaks) * window.step < COVERED * seconds:
        return
    needed = math.ceil(max(peaks) / each)
    if needed <= base:
        yield _finding(
            Look.LEASE_UNUSED,
            {
                "seconds": seconds,
                "pods_leased": life.replicas,
                "pods_base": base,
                "pods_needed": needed,
                "cores_max": max(peaks),
                "cores_per_pod": each,
            },
            lease=life.name,
        )


def _gaps(evidence: Evidence, replicas: Query | None) -> Iterator[Finding]:
    for query in steady(evidence, replicas):
        missing = sum(gap.end - gap.start for gap in gaps(evidence.points(query), evidence.window))
        if missing >= NOTABLE_SECONDS:
            yield _finding(
                Look.DATA_MISSING,
                {"seconds": missing, "window_seconds": evidence.window.seconds},
                series=query.name,
            )


def steady(evidence: Evidence, replicas: Query | None) -> tuple[Query, ...]:
    """The series that ought to have a point at each time; a latency of no requests is none, and is no gap."""
    wanted = (queries.REQUEST_RATE, replicas, queries.CPU_CORES)
    return tuple(query for query in wanted if query is not None and evidence.points(query))


def _records(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.history.complete:
        yield _finding(Look.RECORDS_CUT, {"records": evidence.history.read})
    if evidence.history.unreadable:
        yield _finding(Look.RECORDS_BROKEN, {"records": evidence.history.unreadable})


def _is_in(evidence: Evidence, time: float) -> bool:
    return evidence.window.start <= time < evidence.window.end
