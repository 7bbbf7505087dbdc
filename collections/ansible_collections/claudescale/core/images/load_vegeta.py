# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""vegeta's processes: one attack for each segment, and one report on all that they did."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import IO, Any

from ansible_collections.claudescale.core.images.load_plan import Plan
from ansible_collections.claudescale.core.images.load_tally import Tally

MAX_WORKERS = 256  # requests under way at once: memory is bounded
REQUEST_SECONDS = 5
REPORT_SECONDS = 5.0  # for what is still in its pipe
START_SECONDS = 0.1  # that vegeta may need to begin once it was told: its segment's clock is so much late at most


class Clock:
    """Seconds since the plan's beginning, which may be still to come."""

    def __init__(self, ahead: float) -> None:
        self._began = time.monotonic() + ahead
        self.began = time.time() + ahead  # epoch seconds

    def now(self) -> float:
        """Seconds since the beginning; below 0 before it."""
        return time.monotonic() - self._began


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("a process was started without the pipe that is asked for")
    return stream


class Report:
    """vegeta's own figures of every result that is given to it."""

    def __init__(self, vegeta: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [vegeta, "report", "-type=json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr
        )

    def add(self, line: bytes) -> None:
        """One result, a line of JSON."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # without it, the load goes on
            _pipe(self._process.stdin).write(line)

    def figures(self) -> dict[str, Any] | None:
        """What vegeta says: requests, success (0 to 1), and latencies in milliseconds. None where it says nothing.

        vegeta counts from when a request was really sent, and its latencies are those of failed requests, too.
        """
        try:
            said = json.loads(self._process.communicate(timeout=REPORT_SECONDS)[0])
            latencies = {"p50_ms": "50th", "p95_ms": "95th", "p99_ms": "99th", "max_ms": "max"}
            found = {name: round(said["latencies"][theirs] / 1e6, 1) for name, theirs in latencies.items()}
            return {"requests": said["requests"], "success": said["success"], **found}
        except (subprocess.TimeoutExpired, OSError, ValueError, KeyError, TypeError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End the process for good."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _pipe(stream).close()


class Segment:
    """One vegeta at one rate. It is started ahead of time and sends once it is told its target: release()."""

    def __init__(self, vegeta: str, plan: Plan, index: int, tally: Tally, report: Report) -> None:
        rate, seconds = plan.segments[index]
        self.begins, first = plan.begins(index)
        self._numbers = range(first, first + rate * seconds)
        self._target = plan.target
        self._tally = tally
        self._report = report
        self._stopped = False
        self._shift = 0.0  # from seconds of the epoch to seconds of the plan
        self._rate = rate
        self.late: float | None = None  # how much later than by the plan it began, as far as is known
        # Half an interval less, so that vegeta's clock never lets it send one request more than planned.
        lasts = seconds * 10**9 - 10**9 // rate // 2
        # No keep-alive: a kept connection stays with its pod, and pods that are added would get no load.
        self._attack = subprocess.Popen(
            [vegeta, "attack", f"-rate={rate}/1s", f"-duration={lasts}ns", f"-timeout={REQUEST_SECONDS}s",
             f"-max-workers={MAX_WORKERS}", "-keepalive=false", "-http2=false", "-max-body=0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr,
        )  # fmt: skip
        with _pipe(self._attack.stdout) as results:
            self._encode = subprocess.Popen(
                [vegeta, "encode", "-to=json"], stdin=results, stdout=subprocess.PIPE, stderr=sys.stderr
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def release(self, clock: Clock) -> None:
        """Send from now on."""
        # Taken anew for each segment: a wall clock may be set while the load runs.
        self._shift = clock.now() - time.time()
        # vegeta that died meanwhile sends nothing, and that is counted
        with contextlib.suppress(OSError), _pipe(self._attack.stdin) as targets:
            targets.write(f"GET {self._target}\n".encode())

    def _read(self) -> None:
        with _pipe(self._encode.stdout) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # the process was killed
                self._report.add(line)
                result = json.loads(line)
                if result["seq"] >= len(self._numbers):
                    continue
                sent = datetime.fromisoformat(result["timestamp"]).timestamp() + self._shift
                # Users do not wait for a generator to begin: what all requests have in common is no delay of theirs.
                late = sent - self.begins - (result["seq"] + 1) / self._rate
                self.late = max(0.0, min(late, START_SECONDS if self.late is None else self.late))
                self._tally.ended(
                    self._numbers[result["seq"]],
                    code=result["code"],
                    sent=sent - self.late,
                    latency=result["latency"] / 1e9,
                    error=result["error"],
                )
        if not self._stopped:
            self._tally.over(self._numbers)

    def done(self) -> bool:
        """Whether all results are in the tally."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send nothing more; what was sent is still waited for."""
        self._stopped = True
        if self._attack.poll() is None:
            self._attack.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the processes for good."""
        self._stopped = True
        for process in (self._attack, self._encode):
            if process.poll() is None:
                process.kill()
            process.wait()
        self._thread.join(timeout=1)
        with contextlib.suppress(OSError):
            _pipe(self._attack.stdin).close()
