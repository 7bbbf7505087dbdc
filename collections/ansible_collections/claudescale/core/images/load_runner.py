# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Send a plan's load with vegeta and say each second how it went. It runs in the load Job, without the engine.

The plan comes as JSON in LOAD_PLAN: {"target": URL, "segments": [{"rate": requests per second, "seconds": N}, ...]}.
The arrival rate is open: segments start by the clock and requests are sent when they are due, whether or not earlier
ones were answered. A request's latency counts from when it was due by its segment's clock, which begins when vegeta
does, at most START_SECONDS after the plan's. One that is sent more than LATE_SECONDS after that,
or not at all, because MAX_WORKERS others still wait or vegeta is gone, was not sent in time: it failed.

Standard output has one JSON object per line, each with a `kind`:
    progress   second, rate (wanted), sent, ok, failed, unsent, p50_ms, p95_ms, p99_ms: of requests that ended in it
    results    part: a piece of every request's time, packed (load_results.py)
    summary    began (epoch seconds), seconds, planned, sent, ok, failed, unsent, p50_ms, p95_ms, p99_ms, max_ms,
               delay_p99_ms, delay_max_ms (from due to sent), start_max_ms (of segments, after the plan's time), codes,
               errors, interrupted, ended (why that was), and vegeta: its own report, with requests, success, p50_ms,
               p95_ms, p99_ms, max_ms; null without one
    error      message
failed holds unsent, sent does not. Latencies are those of ok requests, null where there is none. Exit code 0 after a
summary, else 2. SIGTERM, SIGINT and words in the file LOAD_END end the load and still bring results and summary.
/metrics on METRICS_PORT is served until Prometheus could read the last values.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.images.load_meter import Metrics
from ansible_collections.claudescale.core.images.load_plan import Plan, read_plan
from ansible_collections.claudescale.core.images.load_tally import Tally
from ansible_collections.claudescale.core.images.load_vegeta import REQUEST_SECONDS, Clock, Report, Segment

AHEAD_SECONDS = 1.0  # vegeta is started so long before its segment, and waits for its target
TAIL_SECONDS = REQUEST_SECONDS + 2  # after the last segment, for requests still under way
DRAIN_SECONDS = REQUEST_SECONDS + 0.5  # after an early end, likewise
LINGER_SECONDS = 6  # a scrape each 5 s sees the last values
SIGNALLED = "by a signal"

Say = Callable[[dict[str, Any]], None]


class Run:
    """One plan, sent once."""

    def __init__(self, plan: Plan, vegeta: str, say: Say, metrics: Metrics | None = None) -> None:
        """FileNotFoundError where there is no vegeta."""
        self._plan = plan
        self._vegeta = vegeta
        self._say = say
        self._metrics = metrics
        self._tally = Tally(plan, metrics)
        self._report = Report(vegeta)
        self._clock = Clock(AHEAD_SECONDS)
        self._second = 0
        self._late = 0.0
        self._to_start = [index for index, segment in enumerate(plan.segments) if segment[0]]
        self._to_release: list[Segment] = []
        self._running: list[Segment] = []

    def send(self, leaving: threading.Event, ended: Callable[[], str] = str) -> dict[str, Any]:
        """Send until the plan's end, `leaving`, or ended() that says why; say each second's line, then the results.

        The summary, which the caller says.
        """
        try:
            why = ""
            while not why and not self._over():
                self._take_turns()
                leaving.wait(max(0.0, self._next() - self._clock.now()))
                why = SIGNALLED if leaving.is_set() else ended()
            stopped = self._clock.now()
            self._drain()
        finally:
            for segment in (*self._running, *self._to_release):
                self._close(segment)
        if why:
            self._tally.cut(stopped)
        else:
            self._tally.over(range(self._plan.requests))
        if self._metrics:
            self._metrics.rate.set(0)
        seconds = round(max(0.0, self._clock.now()), 1)
        for part in self._tally.parts():
            self._say({"kind": "results", "part": part})
        return {
            "kind": "summary",
            "began": round(self._clock.began, 3),
            "seconds": seconds,
            **self._tally.summary(),
            "start_max_ms": round(self._late * 1000, 1),
            "interrupted": bool(why),
            "ended": why,
            "vegeta": self._report.figures(),
        }

    def close(self) -> None:
        """End what still runs."""
        self._report.close()

    def _over(self) -> bool:
        now = self._clock.now()
        busy = self._running or self._to_release or self._to_start
        return now >= self._plan.seconds and (not busy or now >= self._plan.seconds + TAIL_SECONDS)

    def _take_turns(self) -> None:
        """Do what is due now."""
        now = self._clock.now()
        while self._to_release and self._to_release[0].begins <= now:
            segment = self._to_release.pop(0)
            segment.release(self._clock)
            self._running.append(segment)
        while self._to_start and self._plan.begins(self._to_start[0])[0] - AHEAD_SECONDS <= now:
            index = self._to_start.pop(0)
            self._to_release.append(Segment(self._vegeta, self._plan, index, self._tally, self._report))
        if self._metrics:
            self._metrics.rate.set(self._plan.rate_at(now))
        if now >= self._second + 1:
            self._second += 1
            self._say(self._tally.progress(self._second))
            if self._metrics:
                self._metrics.due.inc(self._plan.due_by(self._second) - self._plan.due_by(self._second - 1))
        for segment in [segment for segment in self._running if segment.done()]:
            self._close(segment)
            self._running.remove(segment)

    def _close(self, segment: Segment) -> None:
        segment.close()
        self._late = max(self._late, segment.late or 0.0)

    def _next(self) -> float:
        """When there is something to do again."""
        starts = [self._plan.begins(index)[0] - AHEAD_SECONDS for index in self._to_start[:1]]
        if self._clock.now() >= self._plan.seconds:
            return self._clock.now() + 0.1  # the end is when the last answer came
        return min([self._second + 1.0, *starts, *(segment.begins for segment in self._to_release[:1])])

    def _drain(self) -> None:
        """Send nothing more, and wait for what is under way."""
        for segment in self._running:
            segment.stop()
        until = self._clock.now() + DRAIN_SECONDS
        waiting = threading.Event()
        while any(not segment.done() for segment in self._running) and self._clock.now() < until:
            waiting.wait(0.05)


def say(line: dict[str, Any]) -> None:
    """Write one line for the reader of the Job's log."""
    print(json.dumps(line, separators=(",", ":")), flush=True)


def words_in(path: str) -> str:
    """What a file says; one that is not there says nothing."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else ""
    except OSError:
        return ""


def main() -> int:
    """Run the plan of LOAD_PLAN."""
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: leaving.set())
    environment = os.environ
    try:
        plan = read_plan(environment.get("LOAD_PLAN", ""))
        port = environment.get("METRICS_PORT", "")
        metrics = Metrics() if port else None
        if metrics:
            metrics.serve(int(port))
        run = Run(plan, environment.get("VEGETA", "vegeta"), say, metrics)
    except (ValueError, OSError) as error:
        say({"kind": "error", "message": str(error)})
        return 2
    try:
        summary = run.send(leaving, lambda: words_in(environment.get("LOAD_END", "")))
    except OSError as error:
        say({"kind": "error", "message": str(error)})
        return 2
    finally:
        run.close()
    say(summary)
    if metrics:
        leaving.wait(LINGER_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
