"""The load runner: its arithmetic, its refusals, its handling of vegeta's processes, and what it lets others see."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.images import load_runner
from ansible_collections.claudescale.core.images.load_meter import Metrics
from ansible_collections.claudescale.core.images.load_plan import TICKS, Plan, read_plan
from ansible_collections.claudescale.core.images.load_tally import (
    LATE_SECONDS,
    UNSENT_WORDS,
    Tally,
    percentile,
    quantiles,
)
from ansible_collections.claudescale.core.images.load_vegeta import START_SECONDS
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, figures, unpack
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.vegeta_double import vegeta

latencies = st.lists(st.floats(min_value=0, max_value=1e5, allow_nan=False), min_size=1, max_size=60)
TARGET = "http://127.0.0.1:9/work"

BAD_PLANS = [
    pytest.param("", "LOAD_PLAN is no plan: ", id="empty"),
    pytest.param('{"segments": []}', "LOAD_PLAN is no plan: KeyError('target')", id="no-target"),
    pytest.param('{"target": "ftp://x", "segments": []}', "LOAD_PLAN's target is 'ftp://x', no http address", id="ftp"),
    pytest.param('{"target": "http://x", "segments": []}', "LOAD_PLAN lasts 0 s, allowed are 1 to 1800", id="nothing"),
    pytest.param(
        '{"target": "http://x", "segments": [{"rate": 501, "seconds": 5}]}',
        "LOAD_PLAN has a segment of 501/s for 5 s, allowed are 0 to 500/s", id="fast",
    ),
    pytest.param(
        '{"target": "http://x", "segments": [{"rate": 1.5, "seconds": 5}]}',
        "LOAD_PLAN has a segment of 1.5/s for 5 s, allowed are 0 to 500/s", id="fraction",
    ),
    pytest.param(
        '{"target": "http://x", "segments": [{"rate": 5, "seconds": 1801}]}',
        "LOAD_PLAN lasts 1801 s, allowed are 1 to 1800", id="long",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_PLANS)
def test_bad_plan(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="LOAD_PLAN") as refused:
        read_plan(text)
    assert str(refused.value).startswith(message)


@given(values=latencies, percent=st.sampled_from([50, 95, 99]))
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], percent: int) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    enough = [value for value in ordered if sum(other <= value for other in ordered) * 100 >= percent * len(ordered)]
    assert found == min(enough)


def test_percentile_of_nothing() -> None:
    assert percentile([], 50) is None
    assert quantiles([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_quantiles_of_known_values() -> None:
    assert quantiles(float(value) for value in range(100, 0, -1)) == {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}


def steady(count: int, rate: int = 10) -> Plan:
    return Plan(target=TARGET, segments=((rate, max(1, -(-count // rate))),))


def kept(tally: Tally) -> list[Request]:
    return unpack(tally.parts())


@given(
    events=st.lists(
        st.tuples(st.sampled_from([0, 200, 302, 404, 503]), st.floats(0, 5), st.sampled_from([0.0, 0.2, 0.6])),
        min_size=1,
    ),
    half=st.integers(0, 50),
)
def test_progress_lines_add_up_to_the_summary_and_to_the_results(
    events: list[tuple[int, float, float]], half: int
) -> None:
    plan = steady(len(events))
    tally = Tally(plan)
    lines: list[dict[str, Any]] = []
    for number, (code, latency, delay) in enumerate(events):
        due = plan.due()[number] / TICKS
        tally.ended(number, code=code, sent=due + delay, latency=latency, error=f"HTTP {code}")
        if number == half:
            lines.append(tally.progress(1))
    tally.over(range(plan.requests))
    lines.append(tally.progress(2))
    summary = tally.summary()
    for name in ("sent", "ok", "failed", "unsent"):
        assert sum(line[name] for line in lines) == summary[name]
    timely = [(code, delay + latency) for code, latency, delay in events if delay <= LATE_SECONDS]
    good = [latency for code, latency in timely if 200 <= code < 400]
    assert (summary["planned"], summary["sent"], summary["ok"]) == (plan.requests, len(timely), len(good))
    assert summary["failed"] == plan.requests - len(good)
    assert summary["unsent"] == plan.requests - len(timely)
    assert sum(summary["codes"].values()) == len(timely)
    assert (summary["p99_ms"] is None) == (summary["ok"] == 0)
    assert math.isclose(summary["max_ms"] or 0, max(good, default=0) * 1000, abs_tol=0.11)
    found = figures(kept(tally), planned=plan.requests, objective=1)
    assert [getattr(found, name) for name in ("planned", "sent", "ok", "failed", "unsent")] == [
        summary[name] for name in ("planned", "sent", "ok", "failed", "unsent")
    ]


def test_a_request_counts_from_when_it_was_due() -> None:
    tally = Tally(steady(10))
    tally.ended(0, code=200, sent=0.1 + 0.4, latency=0.05, error="")
    assert kept(tally)[0] == Request(at=0.1, latency=0.45, code=200)
    assert tally.summary()["delay_max_ms"] == 400


def test_a_request_that_is_sent_too_late_failed_whatever_was_answered() -> None:
    tally = Tally(steady(10))
    tally.ended(0, code=200, sent=0.1 + LATE_SECONDS + 0.01, latency=0.01, error="")
    assert kept(tally)[0] == Request(at=0.1, latency=None, code=0, sent=False)
    assert tally.progress(1) | {"rate": 0} == {
        "kind": "progress", "second": 1, "rate": 0, "sent": 0, "ok": 0, "failed": 1, "unsent": 1, "p50_ms": None,
        "p95_ms": None, "p99_ms": None,
    }  # fmt: skip


def test_of_a_load_that_is_cut_only_what_was_late_already_is_not_sent() -> None:
    tally = Tally(steady(20))
    for number in (0, 1, 2, 14):
        tally.ended(number, code=200, sent=(number + 1) / 10, latency=0.01, error="")
    tally.cut(1.2)
    found = kept(tally)
    assert [request.at for request in found] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.5]
    assert [request.sent for request in found] == [True] * 3 + [False] * 4 + [True]
    tally.ended(9, code=200, sent=1.0, latency=0.01, error="")
    assert kept(tally) == found


@given(segments=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60)), min_size=1, max_size=8))
def test_the_rate_of_each_second(segments: list[tuple[int, int]]) -> None:
    plan = Plan(target="http://x", segments=tuple(segments))
    seconds = [rate for rate, length in segments for _ in range(length)]
    assert [plan.rate_at(second) for second in range(plan.seconds)] == seconds
    assert plan.rate_at(plan.seconds) == 0


@given(segments=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 4)), min_size=1, max_size=8))
def test_when_requests_are_due(segments: list[tuple[int, int]]) -> None:
    plan = Plan(target=TARGET, segments=tuple(segments))
    due = plan.due()
    assert len(due) == plan.requests
    assert due == sorted(due)
    for second in range(plan.seconds + 2):
        assert plan.due_by(second) == sum(one <= second * TICKS for one in due)
    for index, (rate, seconds) in enumerate(segments):
        start, first = plan.begins(index)
        if rate:
            assert due[first] == start * TICKS + round(TICKS / rate)
            assert due[first + rate * seconds - 1] == (start + seconds) * TICKS


def send(
    plan: Plan, program: str, leaving: threading.Event | None = None, **more: Any
) -> tuple[Any, list[Any], list[Request]]:
    """(Summary, progress lines, every request) of a run."""
    lines: list[dict[str, Any]] = []
    sender = load_runner.Run(plan, program, lines.append, more.pop("metrics", None))
    try:
        summary = sender.send(threading.Event(), **more)
    finally:
        sender.close()
    kinds = [line["kind"] for line in lines]
    assert kinds == sorted(kinds), "progress, then results"
    parts = [line["part"] for line in lines if line["kind"] == "results"]
    return summary, [line for line in lines if line["kind"] == "progress"], unpack(parts)


@pytest.fixture(autouse=True)
def started_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_runner, "AHEAD_SECONDS", 0.6)


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.clock
def test_a_run_tells_each_second_and_counts_what_was_not_sent(tmp_path: Path) -> None:
    plan = Plan(target=TARGET, segments=((10, 1), (0, 1), (20, 1)))
    metrics = Metrics()
    port = metrics.serve(0)
    before = scraped(port)
    assert before['claudescale_load_requests_total{outcome="unsent"}'] == 0
    rates: list[float] = []
    threading.Timer(1.2, lambda: rates.append(scraped(port)["claudescale_load_wanted_rate"])).start()
    wall = time.time()
    summary, lines, requests = send(plan, vegeta(tmp_path, unsent=2, codes=[200, 200, 503, 0]), metrics=metrics)
    assert [line["second"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["rate"] for line in lines][:3] == [10, 0, 20]
    assert (summary["planned"], summary["sent"], summary["ok"]) == (30, 26, 14)
    assert (summary["unsent"], summary["failed"]) == (4, 16)
    assert summary["errors"] == {"HTTP 503": 6, "HTTP 0": 6, UNSENT_WORDS: 4}
    assert summary["codes"] == {"0": 6, "200": 14, "503": 6}
    assert summary["interrupted"] is False
    assert 0 < summary["began"] - wall < 2
    assert summary["vegeta"] == {
        "requests": 26, "success": 14 / 26, "p50_ms": 5.0, "p95_ms": 5.0, "p99_ms": 5.0, "max_ms": 5.0,
    }  # fmt: skip
    first, second = [(n + 1) / 10 for n in range(10)], [2 + (n + 1) / 20 for n in range(20)]
    assert [request.at for request in requests] == first + second
    assert [request.sent for request in requests] == [True] * 8 + [False] * 2 + [True] * 18 + [False] * 2
    assert [(request.code, request.latency is None) for request in requests][:4] == [
        (200, False), (200, False), (503, False), (0, True),
    ]  # fmt: skip
    # due to sent is the time that a process needs to wake up, the least of it its start's; 5 ms are vegeta's
    found = [request.latency for request in requests if request.latency is not None]
    assert min(found) == 0.005 and max(found) < LATE_SECONDS

    after = scraped(port)
    outcomes = {
        name: after[f'claudescale_load_requests_total{{outcome="{name}"}}'] for name in ("ok", "failed", "unsent")
    }
    assert outcomes == {"ok": 14, "failed": 12, "unsent": 4}
    assert after["claudescale_load_due_total"] == 30
    assert after["claudescale_load_latency_seconds_count"] == 14
    assert (rates, after["claudescale_load_wanted_rate"]) == ([10], 0)


def test_late_requests_failed_and_others_have_what_they_waited_in_their_latency(tmp_path: Path) -> None:
    plan = Plan(target=TARGET, segments=((20, 1),))
    summary, _, requests = send(plan, vegeta(tmp_path, lates=4, late=LATE_SECONDS + 0.1))
    assert [request.sent for request in requests] == [False] * 4 + [True] * 16
    assert (summary["unsent"], summary["vegeta"]["requests"], summary["vegeta"]["success"]) == (4, 20, 1)


def test_users_wait_for_a_request_and_not_for_the_generator_to_begin(tmp_path: Path) -> None:
    plan = Plan(target=TARGET, segments=((20, 1),))
    summary, _, requests = send(plan, vegeta(tmp_path, lates=20, late=START_SECONDS + 0.2))
    latencies = [request.latency for request in requests if request.latency is not None]
    assert latencies and min(latencies) >= 0.2, "what is beyond counts"
    assert summary["start_max_ms"] == START_SECONDS * 1000


def test_a_vegeta_that_dies_sends_nothing_and_that_is_failed(tmp_path: Path) -> None:
    summary, _, requests = send(Plan(target=TARGET, segments=((5, 1),)), vegeta(tmp_path, dies=True))
    assert (summary["ok"], summary["unsent"], len(requests)) == (0, 5, 5)
    assert summary["vegeta"] == {"requests": 0, "success": 0, "p50_ms": 0, "p95_ms": 0, "p99_ms": 0, "max_ms": 0}


@pytest.mark.clock
def test_a_run_that_is_ended_early_has_its_results_and_no_failures(tmp_path: Path) -> None:
    file = tmp_path / "end"
    threading.Timer(1.4, lambda: file.write_text("enough")).start()
    began = time.monotonic()
    plan = Plan(target=TARGET, segments=((10, 600),))
    summary, _, requests = send(plan, vegeta(tmp_path), ended=lambda: load_runner.words_in(str(file)))
    assert time.monotonic() - began < 5
    assert (summary["interrupted"], summary["ended"]) == (True, "enough")
    assert 5 <= summary["ok"] == len(requests) <= 25
    assert (summary["failed"], summary["planned"]) == (0, 6000)


def test_a_file_that_says_nothing_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "end").write_text("\n")
    for path in (tmp_path / "end", tmp_path / "nothing", ""):
        assert load_runner.words_in(str(path)) == ""


def test_without_vegeta_it_is_an_error() -> None:
    with pytest.raises(OSError, match="no-such-vegeta"):
        send(Plan(target="http://x", segments=((1, 1),)), "/no-such-vegeta")


def run_program(folder: Path, plan: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", load_runner.__name__]
    given = {**os.environ, "LOAD_PLAN": plan, "VEGETA": vegeta(folder), **environment}
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True)


def test_the_program_says_what_is_wrong(tmp_path: Path) -> None:
    with run_program(tmp_path, "{}") as process:
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert said.startswith('{"kind":"error","message":"LOAD_PLAN is no plan')


def test_the_program_ends_well_on_sigterm(tmp_path: Path) -> None:
    plan = '{"target": "http://127.0.0.1:9/work", "segments": [{"rate": 5, "seconds": 60}]}'
    with run_program(tmp_path, plan) as process:
        assert process.stdout is not None
        assert '"progress"' in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"interrupted":true,"ended":"by a signal"' in said.splitlines()[-1]
