"""`claudescale compare`: what follows from given observations - order, figures, validity, table, report."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import MAX_SECONDS
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request
from claudescale_cli.compare import observed, series
from claudescale_cli.compare.arms import Arm, Design, order
from claudescale_cli.compare.observed import NodeCpu, busiest, integral, level_at, lowered, ready_from, undone
from claudescale_cli.compare.outcome import Outcome, aims, outcome, spread, summaries
from claudescale_cli.compare.play import load_plan
from claudescale_cli.compare.report import from_text, to_text
from claudescale_cli.compare.table import headlines, lines
from hypothesis import given
from hypothesis import strategies as st

from tests.doors.compare_double import DESIGN, TAKEN, cpu, levels, report, requests, run

# What is chosen


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"warmup": -1}, "a warm-up of -1 s is out of bounds: 0 to 120 are allowed"),
        ({"warmup": 121}, "a warm-up of 121 s is out of bounds: 0 to 120 are allowed"),
        ({"objective": 0.0}, "an objective of 0 s is none: give seconds above 0"),
        ({"objective": math.nan}, "an objective of nan s is none: give seconds above 0"),
        ({"launch_rate": 10}, "a launch of 10/s is none after 10/s: it must be more, and both above 0"),
        ({"calm_rate": 0}, "a launch of 80/s is none after 0/s: it must be more, and both above 0"),
        ({"end": 246}, "the launch window is empty: give it some seconds"),
        ({"launch": 60}, "a launch 56 s ahead is too near for a warm-up of 30 s: 70 s at least"),
    ],
)
def test_a_design_that_contradicts_itself_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ClaudeScaleError) as raised:
        Design(**changes)
    assert str(raised.value) == sentence


@pytest.mark.parametrize("warmup", [0, 30])
def test_the_design_that_is_measured(warmup: int) -> None:
    design = Design(warmup=warmup)
    assert design.ahead >= 240
    assert not design.shortened
    assert design.window == (246, 366)
    assert design.act < design.lease_start < design.launch - warmup
    assert load_plan(design).seconds == design.end
    assert load_plan(design).due_in(*design.window) == design.launch_rate * 120
    # Three arms, with 100 s around each load and two rollouts, take 25 minutes at most.
    assert 3 * (design.end + 100) + 100 < 25 * 60


def test_the_longest_load_is_one_that_the_generator_takes() -> None:
    assert Design(warmup=120).end < MAX_SECONDS


@given(runs=st.integers(1, 10), seed=st.integers(0, 10**9))
def test_each_run_has_all_arms_in_the_order_of_the_seed(runs: int, seed: int) -> None:
    found = order(runs, seed)
    assert found == order(runs, seed)
    for number in range(1, runs + 1):
        assert sorted(arm for one, arm in found if one == number) == sorted(Arm)
    assert [number for number, _ in found] == [number for number in range(1, runs + 1) for _ in Arm]


def test_seeds_make_different_orders() -> None:
    assert len({tuple(order(1, seed)) for seed in range(100)}) == 6


@pytest.mark.parametrize("runs", [0, -1, 11])
def test_too_many_runs_are_refused(runs: int) -> None:
    with pytest.raises(ClaudeScaleError, match=f"{runs} runs are out of bounds: 1 to 10 are allowed"):
        order(runs, 1)


# What was seen


STEPS = st.lists(
    st.tuples(st.floats(0, 100), st.integers(0, 5), st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=8
)


@given(steps=STEPS, window=st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted))
def test_replica_seconds_are_the_sum_of_thin_slices(steps: list[Any], window: list[int]) -> None:
    found = levels(*sorted(steps))
    start, end = window
    slices = 20
    thin = sum(
        level_at(found, second + (part + 0.5) / slices).ready / slices
        for second in range(start, end)
        for part in range(slices)
    )
    exact = integral(found, lambda level: level.ready, start, end)
    assert exact == pytest.approx(thin, abs=5 * len(found) / slices + 1e-6)
    assert 0 <= exact <= 5 * (end - start)


@given(steps=STEPS, start=st.integers(0, 99), middle=st.integers(0, 99), end=st.integers(0, 99))
def test_replica_seconds_add_up(steps: list[Any], start: int, middle: int, end: int) -> None:
    found = levels(*sorted(steps))
    first, second, third = sorted((start, middle, end))

    def of(begin: int, until: int) -> float:
        return integral(found, lambda level: level.wanted, begin, until)

    assert of(first, second) + of(second, third) == pytest.approx(of(first, third))


def test_what_stood_before_the_first_level_is_the_first_level() -> None:
    found = levels((5, 3, 3, 2), (8, 4, 4, 2))
    assert integral(found, lambda level: level.ready, 0, 10) == 3 * 8 + 4 * 2


@pytest.mark.parametrize(
    ("count", "start", "end", "expected"),
    [(5, 60, 100, 80), (4, 60, 100, 80), (5, 4, 100, 10), (2, 60, 100, 60), (5, 60, 80, None), (6, 0, 100, None)],
)
def test_when_pods_were_ready(count: int, start: float, end: float, expected: float | None) -> None:
    assert ready_from(run(Arm.RAW).levels, count, start, end) == expected


def test_only_events_that_took_replicas_away_before_the_launch_undid_something() -> None:
    raw = run(Arm.RAW)
    assert undone(raw, 60) == TAKEN
    assert undone(raw, 35) == TAKEN[:1]
    assert undone(run(Arm.HPA), 60) == ()
    assert undone(run(Arm.LEASE), 60) == ()
    up = observed.Event(seconds=4.1, words="SuccessfulRescale: New size: 5; reason: cpu above target")
    assert undone(replace(raw, events=(up,)), 60) == ()
    other = observed.Event(seconds=30.2, words="FailedGetResourceMetric: New size: 4;")
    assert undone(replace(raw, events=(other,)), 60) == ()


def test_an_event_may_come_before_the_watch_shows_the_change() -> None:
    early = observed.Event(seconds=29.0, words=TAKEN[0])
    assert undone(replace(run(Arm.RAW), events=(early,)), 60) == TAKEN[:1]


def test_replicas_that_were_taken_away_are_counted_without_events() -> None:
    raw = run(Arm.RAW)
    assert lowered(raw.levels, 4, 60) == 2
    assert lowered(raw.levels, 4, 35) == 1
    assert lowered(run(Arm.LEASE).levels, 4, 60) == 0


@given(
    used=st.lists(st.floats(0, 10), min_size=2, max_size=12),
    least=st.floats(1, 40),
    window=st.tuples(st.floats(0, 80), st.floats(0, 80)).map(sorted),
)
def test_the_busiest_mean_is_the_largest_of_all_shortest_ones(
    used: list[float], least: float, window: list[float]
) -> None:
    points, total = [], 0.0
    for index, value in enumerate(used):
        total += value
        points.append((7.0 * index, total))
    found = busiest((NodeCpu(node="n", cores=2.0, points=tuple(points)),), *window, least)
    inside = [point for point in points if window[0] <= point[0] <= window[1]]
    means = []
    for one in inside:
        later = [other for other in inside if other[0] - one[0] >= least]
        if later:
            means.append((later[0][1] - one[1]) / (later[0][0] - one[0]) / 2)
    assert (found is None) == (not means)
    if found is not None:
        assert found.share == pytest.approx(max(means))
        assert found.end - found.start >= least


def test_the_busiest_of_several_nodes_is_named() -> None:
    found = busiest((cpu(0.3), cpu(0.6, node="other")), 60, 100, 15)
    assert found is not None
    assert (found.node, found.share) == ("other", pytest.approx(0.6))


# Validity


INVALID = [
    pytest.param({"cpu": ()}, "the node's CPU in the launch window is not known", id="no-cpu"),
    pytest.param({"cpu": (cpu(start=0, end=60),)}, "the node's CPU in the launch window is not known", id="other-time"),
    pytest.param({"cpu": (cpu(0.5, node="this machine"),)}, "the node's CPU in the launch window is not known",
                 id="machine-alone"),
    pytest.param({"cpu": (cpu(0.9),)}, "the node's CPU was at 90.0 % from 0 to 20 s after the launch, 85 % at most",
                 id="busy-node"),
    pytest.param({"cpu": (cpu(0.5), cpu(0.9, node="this machine"))},
                 "the CPU of this machine was at 90.0 % from 0 to 20 s after the launch, 85 % at most",
                 id="busy-machine"),
    pytest.param({"requests": requests(unsent=5)},
                 "the generator fell behind: 395 of 400 requests in the launch window, 99 % at least", id="unsent"),
    pytest.param({"requests": requests()[120:]},
                 "the generator fell behind: 0 of 120 requests in the calm before, 99 % at least", id="lost"),
    pytest.param({"levels": levels((0, 2, 2, 2), (20, 3, 3, 3))}, "somebody else changed the floor to 3 after 20 s",
                 id="floor-early"),
    pytest.param({"levels": levels((0, 2, 2, 2), (90, 3, 3, 3))}, "somebody else held the floor in the launch window",
                 id="floor-late"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), INVALID)
def test_what_makes_a_run_invalid(changes: dict[str, Any], reason: str) -> None:
    found = run(Arm.HPA, **changes)
    assert found.reasons == (reason,)
    assert not found.valid


@pytest.mark.parametrize("arm", Arm)
def test_what_is_just_good_enough_is_valid(arm: Arm) -> None:
    assert run(arm).valid
    assert run(arm, cpu=(cpu(0.85 - 1e-9), cpu(0.85 - 1e-9, node="this machine"))).valid
    assert run(arm, requests=requests(unsent=4)).valid


def test_a_lease_of_somebody_else_before_ours_is_noticed() -> None:
    others = levels((0, 2, 2, 2), (10, 3, 3, 3), (15, 3, 3, 2), (35, 5, 2, 5))
    assert run(Arm.LEASE, levels=others).reasons == ("somebody else changed the floor to 3 after 10 s",)


def test_every_reason_is_told() -> None:
    assert len(run(Arm.RAW, cpu=(), requests=requests(unsent=100)).reasons) == 2


# Figures


def test_the_figures_of_a_raw_write() -> None:
    assert outcome(run(Arm.RAW), DESIGN) == Outcome(
        requests=400, slow=100, failed=100, share=0.5, p50=0.02, p95=1.0, p99=1.0,
        ready_seconds=2 * 6 + 5 * 20 + 4 * 10 + 2 * 40 + 5 * 20,
        wanted_seconds=5 * 26 + 4 * 10 + 2 * 30 + 4 * 10 + 5 * 20,
        ready_at_launch=2, to_ready=6.0, launch_to_ready=20.0, undone=TAKEN, lowered=2, cpu=pytest.approx(0.5),
    )  # fmt: skip


def test_the_figures_of_a_lease() -> None:
    found = outcome(run(Arm.LEASE), DESIGN)
    assert (found.share, found.p99, found.ready_at_launch, found.to_ready, found.launch_to_ready, found.undone) == (
        0.0, 0.02, 5, 7.0, 0.0, (),
    )  # fmt: skip


def test_the_hpa_alone_is_asked_by_the_launch() -> None:
    found = outcome(run(Arm.HPA), DESIGN)
    assert (found.to_ready, found.launch_to_ready, found.ready_at_launch) == (25.0, 25.0, 2)


def test_pods_that_never_came_are_no_figure() -> None:
    found = outcome(run(Arm.HPA, levels=levels((0, 2, 2, 2))), DESIGN)
    assert (found.to_ready, found.launch_to_ready) == (None, None)


def test_requests_that_are_missing_failed() -> None:
    found = outcome(run(Arm.LEASE, requests=requests()[:-40]), DESIGN)
    assert (found.requests, found.failed, found.share) == (400, 40, 0.1)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=9))
def test_a_spread_holds_its_values(values: list[float | None]) -> None:
    found = spread(values)
    known = [value for value in values if value is not None]
    assert (found is None) == (not known)
    if found is not None:
        assert (found.least, found.most) == (min(known), max(known))
        assert found.least <= found.median <= found.most
        assert (found.count, found.missing) == (len(known), len(values) - len(known))


def test_only_valid_runs_count_and_the_median_one_is_shown() -> None:
    runs = [
        run(Arm.HPA, 1, requests=requests(300)),
        run(Arm.HPA, 2, cpu=()),
        run(Arm.HPA, 2, 2, requests=requests(100)),
        run(Arm.HPA, 3, requests=requests(200)),
    ]
    found = summaries(runs, DESIGN)[0]
    share = found.spread(lambda one: one.share)
    assert share is not None
    assert (found.made, share.count, share.median, share.least, share.most) == (4, 3, 0.5, 0.25, 0.75)
    assert found.shown is runs[3]


def test_an_arm_without_a_valid_run_shows_its_last_attempt() -> None:
    runs = [run(Arm.HPA, 1, attempt, cpu=()) for attempt in (1, 2, 3)]
    found = summaries(runs, DESIGN)[0]
    assert (found.shown, found.outcomes) == (runs[2], ())


def test_aims_are_judged_by_medians() -> None:
    def met(*runs: observed.Run) -> list[bool | None]:
        return [aim.met for aim in aims(summaries(runs, DESIGN))]

    every = [run(arm) for arm in Arm]
    assert met(*every) == [True, True, True]
    assert met(run(Arm.HPA, requests=requests(19)), run(Arm.RAW, events=()), run(Arm.LEASE, requests=requests(3))) == [
        False, False, False,
    ]  # fmt: skip
    assert met(run(Arm.HPA, requests=requests(20)), run(Arm.LEASE, requests=requests(2))) == [True, True, None]
    assert met() == [None, None, None]


# Table


CHOSEN = (
    "Chosen before the first run: objective 0.5 s, 5 s of warm-up and 150m CPU for each worker,"
    " 2/s and 10/s from the launch on, 5 replicas asked for 56 s ahead; seed 7."
)
UNDONE = (
    "aim: raw /scale: the autoscaler's own events show that it was undone before the launch: in 0 of 1 runs, NOT met"
)


def test_the_table() -> None:
    runs = [
        run(Arm.HPA, cpu=()), run(Arm.HPA, 1, 2), run(Arm.HPA, 2, requests=requests(40)),
        run(Arm.RAW, levels=levels((0, 2, 2, 2)), events=()), run(Arm.LEASE),
    ]  # fmt: skip
    assert lines(runs, DESIGN, seed=7, why_incomplete="interrupted in run 2 of 2, lease") == [
        "                               HPA alone                       raw /scale             lease",
        "slower than 0.5 s, or failed   30.00 % (10.00..50.00)          50.00 %                0.00 %",
        "  of them failed               12.50 % (0.00..25.00)           25.00 %                0.00 %",
        "p50 of what was answered       0.020 s (0.020..0.020)          0.020 s                0.020 s",
        "p95                            1.000 s (1.000..1.000)          1.000 s                0.020 s",
        "p99                            1.000 s (1.000..1.000)          1.000 s                0.020 s",
        "replica-seconds of ready pods  247 (247..247)                  192                    366",
        "replica-seconds wanted         272 (272..272)                  192                    387",
        "pods ready at the launch       2 (2..2)                        2                      5",
        "until 5 pods were ready        from the launch: 25 s (25..25)  from the write: never  from its start: 7 s",
        "  after the launch             25 s (25..25)                   never                  0 s",
        "events that undid something    0 (0..0)                        0                      0",
        "busiest 15 s of CPU            50 % (50..50)                   50 %                   50 %",
        "valid runs                     2 of 3                          1 of 1                 1 of 1",
        "",
        "Each figure is the median over the valid runs, then the least and the most.",
        "Shares and latencies: of the 40 s of the launch.",
        "Replica-seconds: of the 96 s from the raw write's time to the load's end.",
        CHOSEN,
        "aim: HPA alone: at least 5 % slow or failed in the launch window: 30.00 %, met",
        "aim: lease: at most 0.5 %: 0.00 %, met",
        UNDONE,
        "INVALID: HPA alone, run 1, attempt 1: the node's CPU in the launch window is not known",
        "SHORTENED: the launch is 56 s after the write, so this is a trial and no comparison.",
        "INCOMPLETE: interrupted in run 2 of 2, lease",
    ]  # fmt: skip


def test_a_figure_that_some_runs_do_not_have_says_so() -> None:
    runs = [run(Arm.HPA), run(Arm.HPA, 2, levels=levels((0, 2, 2, 2)))]
    row = next(line for line in lines(runs, DESIGN, seed=7) if line.startswith("until 5 pods"))
    assert "from the launch: 25 s, 1 never" in row


def test_headlines_have_a_spread_where_there_are_several_runs() -> None:
    one = headlines(summaries([run(Arm.HPA)], DESIGN)[0], DESIGN)
    assert [(found.figure, found.words, found.spread) for found in one] == [
        ("50.0 %", "slower than 0.5 s or failed", ""),
        ("1.00 s", "p99 of the answers", ""),
        ("247", "replica-seconds", ""),
    ]
    two = headlines(summaries([run(Arm.HPA), run(Arm.HPA, 2, requests=requests())], DESIGN)[0], DESIGN)
    assert [found.spread for found in two] == ["0.0 to 50.0", "0.02 to 1.00", "247 to 247"]
    none = headlines(summaries([], DESIGN)[0], DESIGN)
    assert [found.figure for found in none] == ["-", "-", "-"]


# Over time


@given(
    st.lists(
        st.builds(
            Request,
            at=st.floats(0.01, 30),
            latency=st.one_of(st.none(), st.floats(0, 5)),
            code=st.sampled_from([0, 200, 503]),
        ),
        max_size=60,
    )
)
def test_each_request_is_in_one_second_and_of_one_kind(found: list[Request]) -> None:
    load = series.load(found, 30, 0.5)
    assert sum(load.in_time) + sum(load.slow) + sum(load.failed) == len(found)
    good = [one for one in found if one.ok and one.latency is not None]
    assert sum(load.slow) == sum(one.latency > 0.5 for one in good if one.latency is not None)
    known = [value for value in series.latencies(found, 30).p99 if not math.isnan(value)]
    assert max(known, default=None) == max((one.latency for one in good if one.latency), default=None)


def test_a_request_belongs_to_the_second_at_whose_end_it_is_due() -> None:
    found = series.load(requests(), DESIGN.end, 0.5)
    assert found.in_time == (2,) * 60 + (10,) * 40


# Report


def test_a_report_comes_back_as_it_was() -> None:
    written = report(
        run(Arm.HPA, cpu=()), run(Arm.HPA, 1, 2), run(Arm.RAW), run(Arm.LEASE), why_incomplete="interrupted"
    )
    assert from_text(to_text(written)) == written
    whole = json.loads(to_text(written))
    assert (whole["complete"], whole["why_incomplete"]) == (False, "interrupted")
    assert [one["valid"] for one in whole["runs"]] == [False, True, True, True]
    assert whole["runs"][1]["figures"]["share"] == 0.5
    assert whole["order"][1] == {"arm": "hpa", "number": 1, "attempt": 2}
    assert from_text(to_text(report())).why_incomplete == ""


def test_figures_come_from_what_was_seen_and_not_from_what_is_written() -> None:
    whole = json.loads(to_text(report()))
    whole["runs"][0]["figures"]["share"] = 0.0
    whole["runs"][0]["valid"] = False
    found = from_text(json.dumps(whole))
    assert found == from_text(to_text(report()))


DAMAGES = [
    pytest.param(lambda whole: whole.update(kind="other"), id="kind"),
    pytest.param(lambda whole: whole.update(version=2), id="version"),
    pytest.param(lambda whole: whole.pop("runs"), id="no-runs"),
    pytest.param(lambda whole: whole["design"].pop("limit"), id="design"),
    pytest.param(lambda whole: whole["runs"][0].update(arm="kubectl"), id="arm"),
    pytest.param(lambda whole: whole["runs"][0].update(levels=[]), id="no-levels"),
    pytest.param(lambda whole: whole["runs"][0].update(levels=[[1, 2]]), id="levels"),
    pytest.param(lambda whole: whole["runs"][0].update(cpu=3), id="cpu"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_report_is_one_sentence(damage: Any) -> None:
    whole = json.loads(to_text(report()))
    damage(whole)
    with pytest.raises(ClaudeScaleError) as raised:
        from_text(json.dumps(whole))
    assert str(raised.value) == "this is no report of claudescale compare, or one that is damaged"


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{}", "\x00"])
def test_what_is_no_report_is_one_sentence(text: str) -> None:
    with pytest.raises(ClaudeScaleError, match="this is no report of claudescale compare"):
        from_text(text)


def test_damaged_requests_are_told_by_their_own_sentence() -> None:
    whole = json.loads(to_text(report()))
    whole["runs"][0]["requests"] = ["1/1:AAAA"]
    with pytest.raises(ClaudeScaleError, match="the load's results are damaged"):
        from_text(json.dumps(whole))
