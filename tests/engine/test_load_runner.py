"""The load runner: its arithmetic, its refusals, and its handling of vegeta's processes."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.images.load_runner import Plan, Tally, percentile, quantiles, read_plan, run
from hypothesis import given
from hypothesis import strategies as st

latencies = st.lists(st.floats(min_value=0, max_value=1e5, allow_nan=False), min_size=1, max_size=60)

# Stands in for vegeta: sends at the rate, answers 200 at once, ends like it on SIGINT. Encoding is the identity.
FAKE_VEGETA = """#!{python}
import json, signal, sys, time
if sys.argv[1] == "encode":
    for line in sys.stdin:
        print(line, end="", flush=True)
    sys.exit(0)
options = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[2:])
rate, seconds = int(options["rate"].split("/")[0]), int(options["duration"].rstrip("s"))
over = []
signal.signal(signal.SIGINT, lambda *_: over.append(1))
assert sys.stdin.readline().startswith("GET http")
for number in range(rate * seconds - {unsent}):
    time.sleep(1 / rate)
    if over:
        break
    print(json.dumps({{"code": 200, "latency": 5_000_000, "error": ""}}), flush=True)
"""

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


@given(
    events=st.lists(st.tuples(st.sampled_from([0, 200, 302, 404, 503]), st.floats(0, 5000, allow_nan=False))),
    unsent=st.integers(0, 5),
    cut=st.integers(0, 50),
)
def test_progress_lines_add_up_to_the_summary(events: list[tuple[int, float]], unsent: int, cut: int) -> None:
    tally = Tally()
    lines: list[dict[str, Any]] = []
    for number, (code, latency) in enumerate(events):
        tally.ended(code, latency, f"HTTP {code}")
        if number == cut:
            lines.append(tally.progress(1, 10))
    tally.could_not_send(unsent)
    lines.append(tally.progress(2, 10))
    summary = tally.summary(2.0, 99, False)
    for name in ("sent", "ok", "failed"):
        assert sum(line[name] for line in lines) == summary[name]
    assert summary["sent"] == summary["ok"] + summary["failed"] == len(events) + unsent
    assert summary["ok"] == sum(200 <= code < 400 for code, _ in events)
    assert summary["unsent"] == unsent
    assert sum(summary["codes"].values()) == len(events)
    assert (summary["p99_ms"] is None) == (summary["ok"] == 0)
    slowest = max((latency for code, latency in events if 200 <= code < 400), default=0)
    assert math.isclose(summary["max_ms"] or 0, slowest, abs_tol=0.06)


@given(segments=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60)), min_size=1, max_size=8))
def test_the_rate_of_each_second(segments: list[tuple[int, int]]) -> None:
    plan = Plan(target="http://x", segments=tuple(segments))
    seconds = [rate for rate, length in segments for _ in range(length)]
    assert [plan.rate_at(second) for second in range(plan.seconds)] == seconds
    assert plan.rate_at(plan.seconds) == 0


def vegeta(folder: Path, unsent: int = 0) -> str:
    program = folder / "vegeta"
    program.write_text(FAKE_VEGETA.format(python=sys.executable, unsent=unsent), encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_a_run_tells_each_second_and_counts_what_was_not_sent(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    plan = Plan(target="http://127.0.0.1:9/work", segments=((10, 1), (0, 1), (20, 1)))
    summary = run(plan, threading.Event(), vegeta(tmp_path, unsent=3), lines.append)
    assert [line["second"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["rate"] for line in lines][:3] == [10, 0, 20]
    assert (summary["planned"], summary["ok"], summary["unsent"], summary["failed"]) == (30, 24, 6, 6)
    assert sum(line["sent"] for line in lines) <= summary["sent"] == 30
    assert (summary["p50_ms"], summary["interrupted"]) == (5.0, False)


def test_a_run_that_is_ended_early_has_its_summary_and_no_failures(tmp_path: Path) -> None:
    leaving = threading.Event()
    threading.Timer(1.2, leaving.set).start()
    began = time.monotonic()
    plan = Plan(target="http://127.0.0.1:9/work", segments=((10, 600),))
    summary = run(plan, leaving, vegeta(tmp_path), json.dumps)
    assert time.monotonic() - began < 5
    assert summary["interrupted"] is True
    assert 5 <= summary["ok"] <= 13
    assert summary["failed"] == 0


def test_without_vegeta_it_is_an_error() -> None:
    with pytest.raises(OSError, match="no-such-vegeta"):
        run(Plan(target="http://x", segments=((1, 1),)), threading.Event(), "/no-such-vegeta", print)
