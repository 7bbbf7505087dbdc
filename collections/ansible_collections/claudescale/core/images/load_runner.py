# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Send a plan's load with vegeta and say each second how it went. It runs in the load Job, without the engine.

The plan comes as JSON in LOAD_PLAN: {"target": URL, "segments": [{"rate": requests per second, "seconds": N}, ...]}.
The arrival rate is open: segments start by the clock and requests are sent when they are due, whether or not earlier
ones were answered. A request that cannot be sent, because MAX_WORKERS others still wait, counts as failed.

Standard output has one JSON object per line, each with a `kind`:
    progress   second, rate (wanted), sent, ok, failed, p50_ms, p95_ms, p99_ms   of requests that ended in this second
    summary    seconds, planned, sent, ok, failed, unsent, p50_ms, p95_ms, p99_ms, max_ms, codes, errors, interrupted
    error      message
sent = ok + failed; latencies are those of ok requests, null where there is none. Exit code 0 after a summary, else 2.
SIGTERM and SIGINT end the load and still bring the summary.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

MAX_RATE = 500  # the same bounds as in the engine, which made the plan: this is the last fence
MAX_SECONDS = 1800
MAX_WORKERS = 256  # requests under way at once: memory is bounded
REQUEST_SECONDS = 5
TAIL_SECONDS = REQUEST_SECONDS + 2  # after the last segment, for requests still under way
ERRORS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send: segments are (requests per second, seconds), both whole and positive; rate 0 is a pause."""

    target: str
    segments: tuple[tuple[int, int], ...]

    @property
    def seconds(self) -> int:
        """How long the plan lasts."""
        return sum(segment[1] for segment in self.segments)

    @property
    def requests(self) -> int:
        """How many requests it sends."""
        return sum(rate * seconds for rate, seconds in self.segments)

    def rate_at(self, second: float) -> int:
        """The wanted rate at a time counted from the start; 0 after the end."""
        for rate, seconds in self.segments:
            if second < seconds:
                return rate
            second -= seconds
        return 0


def read_plan(text: str) -> Plan:
    """The plan from its JSON; ValueError where it is malformed or outside the bounds."""
    try:
        raw = json.loads(text)
        target = raw["target"]
        segments = tuple((segment["rate"], segment["seconds"]) for segment in raw["segments"])
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"LOAD_PLAN is no plan: {error!r}") from None
    if not isinstance(target, str) or not target.startswith(("http://", "https://")):
        raise ValueError(f"LOAD_PLAN's target is {target!r}, no http address")
    for rate, seconds in segments:
        if not (_whole(rate) and _whole(seconds)) or not 0 <= rate <= MAX_RATE or seconds < 1:
            raise ValueError(f"LOAD_PLAN has a segment of {rate!r}/s for {seconds!r} s, allowed are 0 to {MAX_RATE}/s")
    plan = Plan(target=target, segments=segments)
    if not 1 <= plan.seconds <= MAX_SECONDS:
        raise ValueError(f"LOAD_PLAN lasts {plan.seconds} s, allowed are 1 to {MAX_SECONDS}")
    return plan


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of ascending values: the smallest that `percent` % of them do not exceed."""
    if not ordered:
        return None
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1]


def quantiles(latencies: Iterable[float]) -> dict[str, float | None]:
    """p50, p95 and p99 in milliseconds, of latencies in milliseconds."""
    ordered = sorted(latencies)
    found = {f"p{percent}_ms": percentile(ordered, percent) for percent in (50, 95, 99)}
    return {name: None if value is None else round(value, 1) for name, value in found.items()}


@dataclass(kw_only=True)
class Tally:
    """What happened: since the last progress line, and in all. Methods may be called from any thread."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    now: array[float] = field(default_factory=lambda: array("d"))  # latencies of ok requests, milliseconds
    now_failed: int = 0
    all: array[float] = field(default_factory=lambda: array("d"))
    failed: int = 0
    unsent: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def ended(self, code: int, latency_ms: float, error: str) -> None:
        """One request ended; vegeta's code is 0 where no answer came."""
        with self.lock:
            self.codes[str(code)] += 1
            if 200 <= code < 400:
                self.now.append(latency_ms)
                self.all.append(latency_ms)
                return
            self.now_failed += 1
            self.failed += 1
            if error in self.errors or len(self.errors) < ERRORS_SHOWN:
                self.errors[error] += 1

    def could_not_send(self, number: int) -> None:
        """So many requests were due and could not be sent."""
        if number > 0:
            with self.lock:
                self.unsent += number
                self.now_failed += number
                self.failed += number
                self.errors["not sent when it was due"] += number

    def progress(self, second: int, rate: int) -> dict[str, Any]:
        """The line for what ended since the last call."""
        with self.lock:
            latencies, self.now = self.now, array("d")
            failed, self.now_failed = self.now_failed, 0
        ok = len(latencies)
        counts = {"sent": ok + failed, "ok": ok, "failed": failed}
        return {"kind": "progress", "second": second, "rate": rate, **counts, **quantiles(latencies)}

    def summary(self, seconds: float, planned: int, interrupted: bool) -> dict[str, Any]:
        """The last line."""
        with self.lock:
            ok = len(self.all)
            return {
                "kind": "summary",
                "seconds": round(seconds, 1),
                "planned": planned,
                "sent": ok + self.failed,
                "ok": ok,
                "failed": self.failed,
                "unsent": self.unsent,
                **quantiles(self.all),
                "max_ms": round(max(self.all), 1) if ok else None,
                "codes": dict(sorted(self.codes.items())),
                "errors": dict(self.errors.most_common()),
                "interrupted": interrupted,
            }


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("a process was started without the pipe that is asked for")
    return stream


class Segment:
    """One running vegeta at one rate; its results flow into the tally by a thread of its own."""

    def __init__(self, vegeta: str, target: str, rate: int, seconds: int, tally: Tally) -> None:
        self._planned = rate * seconds
        self._tally = tally
        self._stopped = False
        # No keep-alive: a kept connection stays with its pod, and pods that are added would get no load.
        self._attack = subprocess.Popen(
            [vegeta, "attack", f"-rate={rate}/1s", f"-duration={seconds}s", f"-timeout={REQUEST_SECONDS}s",
             f"-max-workers={MAX_WORKERS}", "-keepalive=false", "-http2=false", "-max-body=0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr,
        )  # fmt: skip
        with _pipe(self._attack.stdin) as targets:
            targets.write(f"GET {target}\n".encode())
        with _pipe(self._attack.stdout) as results:
            self._encode = subprocess.Popen(
                [vegeta, "encode", "-to=json"], stdin=results, stdout=subprocess.PIPE, stderr=sys.stderr
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        ended = 0
        with _pipe(self._encode.stdout) as lines:
            for line in lines:
                result = json.loads(line)
                self._tally.ended(result["code"], result["latency"] / 1e6, result["error"])
                ended += 1
        if not self._stopped:
            self._tally.could_not_send(self._planned - ended)

    def done(self) -> bool:
        """Whether all results are in the tally."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send nothing more; what was not sent is then no failure."""
        self._stopped = True
        if self._attack.poll() is None:
            self._attack.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the processes for good."""
        for process in (self._attack, self._encode):
            if process.poll() is None:
                process.kill()
            process.wait()
        self._thread.join(timeout=1)


def run(plan: Plan, leaving: threading.Event, vegeta: str, say: Any) -> dict[str, Any]:
    """Run the plan until its end or until `leaving` is set; say each second's line and return the summary.

    FileNotFoundError where there is no vegeta.
    """
    tally = Tally()
    running: list[Segment] = []
    due = 0.0
    starts = []
    for rate, seconds in plan.segments:
        starts.append((due, rate, seconds))
        due += seconds
    began = time.monotonic()
    second = 0
    try:
        while True:
            now = time.monotonic() - began
            while starts and starts[0][0] <= now and not leaving.is_set():
                rate, seconds = starts.pop(0)[1:]
                if rate:
                    running.append(Segment(vegeta, plan.target, rate, seconds, tally))
            if now >= second + 1:
                second += 1
                say(tally.progress(second, plan.rate_at(second - 1)))
            for segment in [segment for segment in running if segment.done()]:
                segment.close()
                running.remove(segment)
            if leaving.is_set() or (now >= plan.seconds and (not running or now >= plan.seconds + TAIL_SECONDS)):
                break
            leaving.wait(max(0.0, min([second + 1.0] + [start[0] for start in starts[:1]]) - now))
        for segment in running:
            segment.stop()
        deadline = time.monotonic() + 2
        while any(not segment.done() for segment in running) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for segment in running:
            segment.close()
    return tally.summary(time.monotonic() - began, plan.requests, leaving.is_set())


def say(line: dict[str, Any]) -> None:
    """Write one line for the reader of the Job's log."""
    print(json.dumps(line, separators=(",", ":")), flush=True)


def main() -> int:
    """Run the plan of LOAD_PLAN."""
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: leaving.set())
    try:
        plan = read_plan(os.environ.get("LOAD_PLAN", ""))
        say(run(plan, leaving, os.environ.get("VEGETA", "vegeta"), say))
    except (ValueError, OSError) as error:
        say({"kind": "error", "message": str(error)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
