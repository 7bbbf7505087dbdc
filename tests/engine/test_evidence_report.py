"""What happened in a window: records folded, the floor as steps, replica-hours as integrals, what is worth a look."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.capacity import (
    Stretch,
    gaps,
    replica_hours,
    stretches,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.findings import Finding, Look
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Series, Standing, Window
from ansible_collections.claudescale.core.plugins.module_utils.evidence.report import report
from ansible_collections.claudescale.core.plugins.module_utils.evidence.standing import cores, standing_of
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease
from hypothesis import given
from hypothesis import strategies as some

from tests.engine.evidence_support import (
    NOON,
    OTHER,
    STANDING,
    WINDOW,
    WORKLOAD,
    Fields,
    ended,
    entry,
    evidence_of,
    history_of,
    lease_fields,
    noted,
    refused,
    requested,
    restored,
    series_of,
    written,
)

LAUNCH = (
    requested(100, "launch", start=300, end=900),
    written(300, 4, leases=("launch",), lease=lease_fields("launch", 300, 900)),
    restored(900),
    ended(900.2, "launch", start=300, end=900),
)

# Windows


@pytest.mark.parametrize("seconds", [60, 61, 594, 595, 596, 1200, 3600, 86_400, 604_799, 604_800])
def test_a_window_has_few_points_and_none_beyond(seconds: int) -> None:
    window = Window.before(NOON + 0.7, seconds)
    assert (window.end, window.seconds) == (NOON, seconds)
    assert len(window.times) <= 120
    assert window.times[0] == window.start
    assert window.end - window.step < window.times[-1] <= window.end
    assert window.step >= 5


@pytest.mark.parametrize(("start", "end"), [(0, 59), (0, 604_801), (10, 0), (0, 0)])
def test_windows_have_bounds(start: float, end: float) -> None:
    with pytest.raises(ClaudeScaleError, match="ask for 60 to 604800 seconds"):
        Window(start=NOON + start, end=NOON + end)


def test_a_window_has_whole_seconds() -> None:
    with pytest.raises(ClaudeScaleError, match="leave the fractions out"):
        Window(start=NOON + 0.5, end=NOON + 100)


# Records


def test_the_life_of_a_lease() -> None:
    (life,) = history_of(*LAUNCH).lives
    assert (life.name, life.replicas, life.cause) == ("launch", 4, "Expired")
    assert (life.start, life.end, life.began, life.ended) == (NOON + 300, NOON + 900, NOON + 300, NOON + 900.2)


def begun(*entries: Fields) -> list[tuple[str, float | None]]:
    return [(life.name, life.began and life.began - NOON) for life in history_of(*entries).lives]


def test_when_a_lease_began() -> None:
    wrote = written(300, 4, leases=("a",), lease=lease_fields("a"))
    assert begun(requested(0, "a")) == [("a", None)]
    assert begun(requested(0, "a"), {**wrote, "outcome": "Overtaken"}) == [("a", None)]
    assert begun(wrote, written(400, 5, leases=("a",), lease=lease_fields("a"))) == [("a", 300)]
    assert begun(ended(300, "a", start=400)) == [("a", None)]  # before its start
    assert begun(refused(0)) == []


def test_a_lease_that_began_before_what_was_read() -> None:
    told = history_of(ended(600, "a", start=-200_000, end=600))
    assert told.lives[0].began == NOON - 200_000


def test_a_lease_that_is_active_and_in_no_record() -> None:
    lease = Lease(
        name="old", uid="u-old", created=NOON, workload=WORKLOAD, replicas=3, start=NOON - 9000, end=NOON + 9000,
        reason="", requested_by="me", status={"phase": "Active"},
    )  # fmt: skip
    pending = replace(lease, uid="u-2", status={"phase": "Pending"})
    others = replace(lease, uid="u-3", workload=OTHER)
    told = history_of(*LAUNCH, leases=[lease, pending, others])
    assert [(life.name, life.began) for life in told.lives] == [("launch", NOON + 300), ("old", NOON - 9000)]
    again = replace(lease, uid="uid-of-launch", start=NOON)
    assert history_of(*LAUNCH, leases=[again]).lives == history_of(*LAUNCH).lives


def test_records_of_others_are_left_out() -> None:
    told = history_of(
        entry("LeaseRequested", 0, outcome="Refused", workload=OTHER, decision={"code": "NoPolicy"}),
        entry("FloorWritten", 0, workload=OTHER, floor={"base": 1, "before": 1, "applied": 2, "held": True}, leases=[]),
    )
    assert (told.decisions, told.changes, told.lives, told.read) == ((), (), (), 3)


ODD: list[dict[str, Any]] = [
    {"floor": None},
    {"floor": [1]},
    {"floor": {"base": "2", "before": 2, "applied": 3, "held": True}},
    {"floor": {"base": True, "before": 2, "applied": 3, "held": True}},
    {"floor": {"base": -1, "before": 2, "applied": 3, "held": True}},
    {"floor": {"base": 1, "applied": 3, "held": True}},
]


@pytest.mark.parametrize("fields", ODD)
def test_a_record_with_other_fields_changes_no_floor(fields: dict[str, Any]) -> None:
    assert history_of(entry("FloorWritten", 0, leases=[], **fields)).changes == ()


def test_nothing_that_others_wrote_is_kept() -> None:
    lease = {**lease_fields("launch"), "name": "\x1b]0;evil\x07"}
    evidence = evidence_of(
        entry("LeaseRequested", 10, outcome="Refused", decision={"code": "obey: now"}, lease=lease),
        entry("LeaseRequested", 10, outcome="Accepted", decision={"code": "Allowed"}, lease=lease),
        written(20, 4, leases=("ok", "no name"), lease=lease),
        noted("FloorContested", 30, 3, 3, ("ok", "\x1bX")),
        written(35, 4, lease=lease_fields("fine")),
        entry("LeaseEnded", 40, lease=lease_fields("fine"), cause="do as I say"),
    )
    made = report(evidence)
    text = json.dumps(asdict(made))
    assert all(word not in text for word in ("evil", "obey", "no name", "\\u001b", "do as I say"))
    assert {one.code for one in made.decisions} == {"Unknown", "Allowed"}
    assert made.leases[0].cause == "Unknown"


# The floor


def steps(
    entries: tuple[Fields, ...], standing: Standing = STANDING, window: Window = WINDOW
) -> list[tuple[float, int, int, bool]]:
    found = stretches(history_of(*entries), standing, window)
    assert found == () or (found[0].start, found[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(found))
    return [(one.start - NOON, one.floor, one.base, one.held) for one in found]


FLOORS: list[Any] = [
    pytest.param((), STANDING, [(0, 2, 2, False)], id="nothing"),
    pytest.param((), Standing(), [], id="nothing-known"),
    pytest.param((), Standing(floor=4, base=2, held=True), [(0, 4, 2, True)], id="held-all-along"),
    pytest.param(LAUNCH, STANDING, [(0, 2, 2, False), (300, 4, 2, True), (900, 2, 2, False)], id="launch"),
    pytest.param(LAUNCH[:2], STANDING, [(0, 2, 2, False), (300, 4, 2, True)], id="not-over"),
    pytest.param((restored(600),), STANDING, [(0, 4, 2, True), (600, 2, 2, False)], id="began-before"),
    pytest.param(
        (written(-500, 4, leases=("a",)), restored(600)), STANDING, [(0, 4, 2, True), (600, 2, 2, False)], id="known"
    ),
    pytest.param(
        (written(100, 3, leases=("a",)), written(200, 5, before=3, leases=("a", "b")),
         written(700, 3, before=5, leases=("a",)), restored(800, before=3)),
        STANDING,
        [(0, 2, 2, False), (100, 3, 2, True), (200, 5, 2, True), (700, 3, 2, True), (800, 2, 2, False)],
        id="two-leases",
    ),
    pytest.param(
        (written(100, 4, leases=("a",)), noted("BaseChanged", 400, 3, 3, ("a",)),
         written(401, 4, before=3, base=3, leases=("a",)), restored(800, base=3)),
        Standing(floor=3, base=3),
        [(0, 2, 2, False), (100, 4, 2, True), (400, 3, 3, True), (401, 4, 3, True), (800, 3, 3, False)],
        id="base-changed",
    ),
    pytest.param(
        (written(100, 4, leases=("a",)), noted("FloorContested", 400, 3, 3, ("a",))), STANDING,
        [(0, 2, 2, False), (100, 4, 2, True), (400, 3, 3, True)],
        id="contested",
    ),
    # Nobody held the floor when people changed it, so no record says when.
    pytest.param((restored(-500),), Standing(floor=3, base=3), [(0, 3, 3, False)], id="people-since"),
    pytest.param(
        (restored(-500), written(600, 4, before=3, base=3, leases=("a",))), STANDING,
        [(0, 3, 3, False), (600, 4, 3, True)],
        id="people-meanwhile",
    ),
    pytest.param((restored(600),), Standing(), [(0, 4, 2, True), (600, 2, 2, False)], id="autoscaler-gone"),
    pytest.param(
        (written(5000, 4, leases=("a",)), restored(6000)), STANDING, [(0, 2, 2, False)], id="later-than-the-window"
    ),
    pytest.param((restored(5000),), STANDING, [(0, 4, 2, True)], id="held-beyond-the-window"),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "standing", "wanted"), FLOORS)
def test_floor(entries: tuple[Fields, ...], standing: Standing, wanted: list[Any]) -> None:
    assert steps(entries, standing) == wanted


@given(
    some.lists(
        some.tuples(
            some.integers(-600, 1800), some.integers(0, 9), some.integers(0, 9), some.integers(0, 9), some.booleans()
        ),
        max_size=12,
    )
)
def test_the_floor_is_told_at_each_time_of_a_window(told: list[tuple[int, int, int, int, bool]]) -> None:
    """Against the records themselves: what a floor is while it is held is what the last record before says."""
    told.sort()
    entries = [
        entry(
            "FloorWritten" if held else "FloorRestored",
            after,
            floor={"before": before, "applied": floor, "base": base, "held": held},
            leases=[],
        )
        for after, before, floor, base, held in told
    ]
    history = history_of(*entries)
    found = stretches(history, STANDING, WINDOW)
    assert (found[0].start, found[-1].end) == (WINDOW.start, WINDOW.end)
    assert all(one.start < one.end for one in found)
    for after in range(0, 1200, 37):
        (now,) = (one for one in found if one.start <= NOON + after < one.end)
        earlier = [change for change in history.changes if change.time <= NOON + after]
        if earlier and earlier[-1].held:
            assert (now.floor, now.base, now.held) == (earlier[-1].floor, earlier[-1].base, True)
        elif earlier:
            assert not now.held


# Hours


def by_the_second(
    points: tuple[tuple[float, float], ...], floors: tuple[Stretch, ...], window: Window
) -> tuple[float, float]:
    """The same integrals, second by second."""
    known = dict(points)
    total = above = 0.0
    for second in range(int(window.seconds)):
        time = window.start + second
        replicas = known.get(window.start + second // window.step * window.step)
        if replicas is None:
            continue
        total += replicas
        for one in floors:
            if one.held and one.start <= time < one.end and min(replicas, one.floor) > one.base:
                above += min(replicas, one.floor) - one.base
    return total / 3600, above / 3600


COUNTS = some.integers(0, 9)


@given(some.data())
def test_replica_hours_are_the_integral(data: some.DataObject) -> None:
    window = Window(start=NOON, end=NOON + data.draw(some.integers(60, 1500)))
    counts = data.draw(
        some.lists(
            some.one_of(some.none(), some.integers(0, 9)), min_size=len(window.times), max_size=len(window.times)
        )
    )
    points = tuple((time, float(count)) for time, count in zip(window.times, counts, strict=True) if count is not None)
    cuts = sorted(data.draw(some.sets(some.integers(1, int(window.seconds) - 1), max_size=6)))
    bounds = [window.start, *(window.start + cut for cut in cuts), window.end]
    floors = tuple(
        Stretch(start=start, end=end, floor=data.draw(COUNTS), base=data.draw(COUNTS), held=data.draw(some.booleans()))
        for start, end in pairwise(bounds)
    )  # fmt: skip
    hours = replica_hours(points, floors, window)
    total, above = by_the_second(points, floors, window)
    assert hours.total == pytest.approx(total)
    assert hours.above_base == pytest.approx(above)
    assert hours.above_base <= hours.total + 1e-9
    missing = sum(gap.end - gap.start for gap in gaps(points, window))
    assert hours.seconds + missing == pytest.approx(window.seconds)


def test_what_a_launch_cost() -> None:
    """Four pods for the 600 s of a lease over a base of two, two else."""
    made = report(evidence_of(*LAUNCH, values={"pods_ready": lambda after: 4 if 297 <= after < 902 else 2}))
    assert made.cost is not None
    assert made.cost.above_base == pytest.approx(2 * 600 / 3600, abs=0.02)
    assert made.cost.replica_hours == pytest.approx((2 * 1200 + 2 * 600) / 3600, abs=0.02)
    assert made.cost.counted_seconds == 1200


def test_pods_that_load_brought_are_not_a_leases() -> None:
    made = report(evidence_of(values={"pods_ready": lambda after: 5.0}))
    assert made.cost is not None
    assert made.cost.above_base == 0


# Gaps


def test_gaps_are_named() -> None:
    made = report(evidence_of(values={"pods_ready": lambda after: None if 110 <= after < 330 else 2.0}))
    (gap,) = made.gaps
    assert (gap.series, gap.start, gap.end, gap.seconds) == (
        "pods_ready",
        "2026-03-01T12:01:50Z",
        "2026-03-01T12:05:30Z",
        220,
    )
    assert made.replicas is not None
    assert made.replicas.missing_seconds == 220
    assert made.cost is not None
    assert made.cost.counted_seconds == 980


@given(some.sets(some.integers(0, 109)))
def test_gaps_are_what_is_not_there(missing: set[int]) -> None:
    points = tuple((time, 1.0) for index, time in enumerate(WINDOW.times) if index not in missing)
    found = gaps(points, WINDOW)
    assert all(one.end < other.start for one, other in pairwise(found))
    for index, time in enumerate(WINDOW.times):
        if time < WINDOW.end:
            assert any(one.start <= time < one.end for one in found) is (index in missing)


# The report


def test_a_report_in_figures() -> None:
    made = report(
        evidence_of(*LAUNCH, values={"request_rate": lambda after: 50.0 if after == 605 else 10.0 + after / 1200})
    )
    assert (made.start, made.end, made.seconds, made.step_seconds) == (
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:20:00Z",
        1200,
        11,
    )
    assert made.load is not None
    assert (made.load.name, made.load.unit) == ("request_rate", "requests/s")
    assert (made.load.highest.value, made.load.highest.time) == (50.0, "2026-03-01T12:10:05Z")
    assert (made.load.lowest.value, made.load.lowest.time) == (10.0, "2026-03-01T12:00:00Z")
    assert made.load.mean == pytest.approx(10.85, abs=0.05)
    (lease,) = made.leases
    assert (lease.name, lease.began, lease.ended, lease.cause) == (
        "launch",
        "2026-03-01T12:05:00Z",
        "2026-03-01T12:15:00Z",
        "Expired",
    )
    assert (lease.began_here, lease.ended_here) == (True, True)
    assert [(one.time[11:19], one.floor, one.base, one.leases) for one in made.floor] == [
        ("12:00:00", 2, 2, ()),
        ("12:05:00", 4, 2, ("launch",)),
        ("12:15:00", 2, 2, ()),
    ]
    assert (made.allowed, made.refused, made.records_complete) == (1, 0, True)
    assert made.absent == ()


def test_decisions_are_counted() -> None:
    made = report(
        evidence_of(
            refused(-10),
            requested(0, "a"),
            refused(10),
            refused(70, count=12),
            refused(80, "NoPolicy"),
            entry("LeaseRefused", 90, outcome="Refused", decision={"code": "NoAutoscaler"}, lease=lease_fields("a")),
            entry("LeaseRequested", 95, outcome="Observed", decision={"code": "Allowed"}, lease=lease_fields("b")),
            refused(1200),
        )
    )
    assert [(one.outcome, one.code, one.count) for one in made.decisions] == [
        ("Refused", "StepTooLarge", 13),
        ("Accepted", "Allowed", 1),
        ("Observed", "Allowed", 1),
        ("Refused", "NoAutoscaler", 1),
        ("Refused", "NoPolicy", 1),
    ]
    assert (made.decisions[0].first, made.decisions[0].last) == ("2026-03-01T12:00:10Z", "2026-03-01T12:01:10Z")
    assert (made.allowed, made.refused) == (1, 15)


def test_without_ready_pods_running_ones_are_counted() -> None:
    made = report(evidence_of(values={"pods_ready": lambda after: None, "pods_running": lambda after: 3.0}))
    assert made.replicas is not None
    assert (made.replicas.name, made.replicas.mean) == ("pods_running", 3.0)
    assert [(one.name, one.why) for one in made.absent] == [("pods_ready", "none of its pods is ready and scraped")]


def test_without_any_number_there_is_a_report_of_decisions() -> None:
    silent = {
        query.name: Series(query=query, promql="q", error="Prometheus does not answer") for query in queries.SERIES
    }
    made = report(replace(evidence_of(refused(10)), series=silent))
    assert (made.load, made.replicas, made.latency, made.cpu, made.cost, made.gaps) == (
        None,
        None,
        None,
        None,
        None,
        (),
    )
    assert {one.why for one in made.absent} == {"Prometheus does not answer"}
    assert made.refused == 1
    assert [one.code for one in made.findings] == [Look.NO_EVIDENCE]


def test_leases_outside_of_the_window_are_left_out() -> None:
    made = report(
        evidence_of(
            written(-900, 4, leases=("early",), lease=lease_fields("early", -900, -600)),
            ended(-600, "early", start=-900, end=-600),
            requested(10, "waits"),
            written(1200, 4, leases=("late",), lease=lease_fields("late", 1200, 1800)),
        )
    )
    assert made.leases == ()


# Findings


def found(evidence: Evidence, slow: float = 0.5) -> dict[Look, Finding]:
    made = report(evidence, slow_seconds=slow).findings
    assert [list(Look).index(one.code) for one in made] == sorted(list(Look).index(one.code) for one in made)
    return {one.code: one for one in made}


def between(start: float, end: float, inside: float | None, outside: float | None) -> Callable[[float], float | None]:
    return lambda after: inside if start <= after < end else outside


def test_a_quiet_window_has_nothing_to_look_at() -> None:
    assert found(evidence_of()) == {}


def test_slow_at_the_maximum() -> None:
    slow = {"latency_p95": between(110, 220, 2.0, 0.02), "pods_ready": lambda after: 5.0}
    finding = found(evidence_of(values=slow))[Look.SLOW_AT_MAXIMUM]
    assert finding.numbers == {
        "seconds": 110,
        "p95_seconds_max": 2.0,
        "p95_seconds_limit": 0.5,
        "pods": 5,
        "pods_max": 5,
    }
    assert found(evidence_of(values=slow), slow=2.0) == {}
    assert found(evidence_of(values={**slow, "latency_p95": between(110, 154, 2.0, 0.02)})) == {}  # not for long
    assert found(evidence_of(values=slow, standing=Standing())) == {}


def test_slow_below_the_maximum() -> None:
    slow = {"latency_p95": between(110, 220, 2.0, None), "pods_ready": between(0, 165, 2.0, 5.0)}
    seen = found(evidence_of(values=slow))
    assert set(seen) == set()  # 55 s each
    slow["latency_p95"] = between(77, 220, 2.0, None)
    seen = found(evidence_of(values=slow))
    assert set(seen) == {Look.SLOW_BELOW_MAXIMUM}
    assert seen[Look.SLOW_BELOW_MAXIMUM].numbers["pods"] == 2


def test_failures_and_restarts() -> None:
    seen = found(evidence_of(figures={"failed_share": 0.02, "restarts": 3}))
    assert seen[Look.REQUESTS_FAILED].numbers == {"share": 0.02, "share_limit": 0.01}
    assert seen[Look.RESTARTS].numbers == {"restarts": 3}
    assert found(evidence_of(figures={"failed_share": 0.01, "restarts": 0})) == {}


def test_refusals_repeated() -> None:
    assert found(evidence_of(refused(1), refused(2))) == {}
    finding = found(evidence_of(refused(1), refused(2, count=2)))[Look.REFUSALS_REPEATED]
    assert (finding.refused, finding.numbers) == ("StepTooLarge", {"refusals": 3})
    assert found(evidence_of(refused(-2), refused(1), refused(2))) == {}


def test_a_contested_floor() -> None:
    finding = found(evidence_of(written(0, 4, leases=("a",)), noted("FloorContested", 30, 3, 3, ("a",))))
    assert finding[Look.FLOOR_CONTESTED].numbers == {"records": 1}
    assert found(evidence_of(noted("FloorContested", -30, 3, 3, ("a",)))) == {}


UNUSED: list[Any] = [
    pytest.param({"cpu_cores": lambda after: 0.2}, STANDING, True, id="idle"),
    pytest.param({"cpu_cores": between(605, 616, 0.21, 0.1)}, STANDING, False, id="one-peak"),
    pytest.param({"cpu_cores": between(100, 200, 0.9, 0.1)}, STANDING, True, id="peak-before"),
    pytest.param({"cpu_cores": lambda after: 0.2}, Standing(maximum=5, floor=2, base=2), False, id="cost-unknown"),
    pytest.param({"cpu_cores": between(300, 500, None, 0.1)}, STANDING, False, id="not-seen"),
]


@pytest.mark.parametrize(("values", "standing", "told"), UNUSED)
def test_a_lease_that_was_not_needed(values: Any, standing: Standing, told: bool) -> None:
    seen = found(evidence_of(*LAUNCH, values=values, standing=standing))
    assert (Look.LEASE_UNUSED in seen) is told
    if told:
        finding = seen[Look.LEASE_UNUSED]
        assert finding.lease == "launch"
        assert finding.numbers["pods_leased"] == 4
        assert finding.numbers["pods_base"] == 2
        assert finding.numbers["pods_needed"] <= 2


def test_a_lease_that_is_not_over_is_not_judged() -> None:
    values = {"cpu_cores": lambda after: 0.1}
    assert Look.LEASE_UNUSED not in found(evidence_of(*LAUNCH[:2], values=values))
    earlier = (written(-60, 4, leases=("launch",), lease=lease_fields("launch", -60)), *LAUNCH[2:])
    assert Look.LEASE_UNUSED not in found(evidence_of(*earlier, values=values))


def test_data_missing() -> None:
    seen = found(evidence_of(values={"cpu_cores": between(0, 330, None, 0.1), "latency_p95": lambda after: None}))
    assert {code: (one.series, one.numbers["seconds"]) for code, one in seen.items()} == {
        Look.DATA_MISSING: ("cpu_cores", 330)
    }
    assert found(evidence_of(values={"cpu_cores": between(0, 55, None, 0.1)})) == {}


def test_records_cut_and_broken() -> None:
    seen = found(evidence_of(complete=False, unreadable=2))
    assert seen[Look.RECORDS_CUT].numbers == {"records": 3}
    assert seen[Look.RECORDS_BROKEN].numbers == {"records": 2}


# What stands now

CORES = [
    ("250m", 0.25),
    ("1", 1.0),
    ("1.5", 1.5),
    ("0", 0.0),
    (2, 2.0),
    ("", None),
    (None, None),
    ("1k", None),
    ("-1", None),
    ("1e3", None),
]


@pytest.mark.parametrize(("quantity", "wanted"), CORES)
def test_cores(quantity: object, wanted: float | None) -> None:
    assert cores(quantity) == wanted


def an_hpa(**spec: Any) -> dict[str, Any]:
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    return {
        "metadata": {"name": "demo-app-hpa", "uid": "h", "resourceVersion": "1", **spec.pop("metadata", {})},
        "spec": {
            "scaleTargetRef": WORKLOAD.to_object(),
            "minReplicas": 4,
            "maxReplicas": 5,
            "metrics": [metric],
            **spec,
        },
    }


def a_deployment(*requests: str | None) -> dict[str, Any]:
    containers = [{"resources": {"requests": {"cpu": one}}} if one else {} for one in requests]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def test_ground() -> None:
    held = {"annotations": {"claudescale.io/base": "2", "claudescale.io/floor": "4", "claudescale.io/leases": "a"}}
    found = standing_of(WORKLOAD, a_deployment("100m", "25m"), [an_hpa(metadata=held)])
    assert found == Standing(maximum=5, floor=4, base=2, held=True, cores_per_replica=0.125 * 80 / 100)
    free = standing_of(WORKLOAD, a_deployment("100m"), [an_hpa()])
    assert (free.floor, free.base, free.held) == (4, 4, False)
    value = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageValue": "300m"}}}
    assert standing_of(WORKLOAD, None, [an_hpa(metrics=[value])]).cores_per_replica == 0.3


@pytest.mark.parametrize("item", [None, a_deployment("100m", None), a_deployment("lots"), a_deployment()])
def test_what_a_replica_wants_may_be_unknown(item: Any) -> None:
    assert standing_of(WORKLOAD, item, [an_hpa()]) == Standing(maximum=5, floor=4, base=4)


@pytest.mark.parametrize(
    "metrics", [[], None, [{"type": "Pods"}], [{"type": "Resource", "resource": {"name": "memory"}}]]
)
def test_an_autoscaler_by_other_measures(metrics: Any) -> None:
    assert standing_of(WORKLOAD, a_deployment("100m"), [an_hpa(metrics=metrics)]).cores_per_replica is None


def test_no_one_autoscaler() -> None:
    other = an_hpa(scaleTargetRef=OTHER.to_object())
    assert standing_of(WORKLOAD, None, []) == standing_of(WORKLOAD, None, [other]) == Standing()
    assert standing_of(WORKLOAD, None, [an_hpa(), an_hpa()]) == Standing()


def test_series_leave_out_what_is_no_number() -> None:
    made = Series.of(queries.LATENCY_P95, "q", [(1.0, float("nan")), (2.0, 1.0), (3.0, float("inf"))])
    assert made.points == ((2.0, 1.0),)
    assert len(series_of(queries.LATENCY_P95, lambda after: 1.0).points) == len(WINDOW.times)
