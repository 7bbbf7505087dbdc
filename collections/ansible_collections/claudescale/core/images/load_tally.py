# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What came of each request of a plan, and what that comes to: second by second, and in all."""

from __future__ import annotations

import math
import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ansible_collections.claudescale.core.images.load_plan import TICKS, Plan
from ansible_collections.claudescale.core.images.load_results import NOT_SENT, pack

LATE_SECONDS = 0.5  # a request that is sent later than this after it was due was not sent in time
ERRORS_SHOWN = 5
PENDING = 0xFFFE  # as a code: nothing is known yet
UNSENT_WORDS = "not sent when it was due"


class Meter(Protocol):
    """Who else wants to know what comes of requests."""

    def answered(self, seconds: float) -> None:
        """One was answered well, so many seconds after it was due."""

    def failed(self, *, sent: bool) -> None:
        """One failed."""


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


class Tally:
    """One slot for each request of the plan. Methods may be called from any thread."""

    def __init__(self, plan: Plan, meter: Meter | None = None) -> None:
        self._plan = plan
        self._meter = meter
        self._lock = threading.Lock()
        self._due = plan.due()
        self._waits = array("I", bytes(4 * plan.requests))
        self._codes = array("H", [PENDING]) * plan.requests
        self._delays = array("I", bytes(4 * plan.requests))  # ticks between due and sent
        self._errors: Counter[str] = Counter()
        self._now_ok: list[float] = []  # milliseconds, since the last progress line
        self._now_failed = 0
        self._now_unsent = 0
        self._is_cut = False

    def ended(self, number: int, *, code: int, sent: float, latency: float, error: str) -> None:
        """A request was sent at this second of the plan and ended; vegeta's code is 0 where no answer came."""
        with self._lock:
            if self._is_cut or self._codes[number] != PENDING:
                return
            delay = max(0.0, sent - self._due[number] / TICKS)
            if delay > LATE_SECONDS:
                self._unsent(number)
                return
            self._delays[number] = round(delay * TICKS)
            self._codes[number] = code
            if code:
                self._waits[number] = round((delay + latency) * TICKS) + 1
            if 200 <= code < 400:
                self._now_ok.append((delay + latency) * 1000)
                if self._meter:
                    self._meter.answered(delay + latency)
                return
            self._now_failed += 1
            if error in self._errors or len(self._errors) < ERRORS_SHOWN:
                self._errors[error] += 1
            if self._meter:
                self._meter.failed(sent=True)

    def over(self, numbers: range) -> None:
        """Nothing more will be sent of these requests: what is pending was not sent."""
        with self._lock:
            for number in numbers:
                if self._codes[number] == PENDING:
                    self._unsent(number)

    def cut(self, second: float) -> None:
        """The load was ended at this second: what was pending then, and not late yet, is no part of it any more."""
        with self._lock:
            self._is_cut = True
            last = second - LATE_SECONDS
            kept = [n for n, code in enumerate(self._codes) if code != PENDING or self._due[n] / TICKS <= last]
            self._due = [self._due[number] for number in kept]
            self._waits = array("I", (self._waits[number] for number in kept))
            self._codes = array("H", (self._codes[number] for number in kept))
            self._delays = array("I", (self._delays[number] for number in kept))
        self.over(range(len(kept)))

    def _unsent(self, number: int) -> None:
        self._codes[number] = NOT_SENT
        self._now_unsent += 1
        self._errors[UNSENT_WORDS] += 1
        if self._meter:
            self._meter.failed(sent=False)

    def progress(self, second: int) -> dict[str, Any]:
        """The line for what ended since the last call."""
        with self._lock:
            latencies, self._now_ok = self._now_ok, []
            failed, self._now_failed = self._now_failed, 0
            unsent, self._now_unsent = self._now_unsent, 0
        ok = len(latencies)
        counts = {"sent": ok + failed, "ok": ok, "failed": failed + unsent, "unsent": unsent}
        wanted = self._plan.rate_at(second - 1)
        return {"kind": "progress", "second": second, "rate": wanted, **counts, **quantiles(latencies)}

    def parts(self) -> list[str]:
        """Every request that is not pending, packed."""
        return pack(self._due, self._waits, self._codes)

    def summary(self) -> dict[str, Any]:
        """Counts and latencies of all, times in milliseconds; failed holds unsent, sent does not."""
        with self._lock:
            columns = zip(self._codes, self._delays, strict=True)
            delays = sorted(delay * 1000 / TICKS for code, delay in columns if code != NOT_SENT)
            pairs = zip(self._codes, self._waits, strict=True)
            latencies = [(wait - 1) * 1000 / TICKS for code, wait in pairs if 200 <= code < 400]
        worst = max(latencies, default=None)
        return {
            "planned": self._plan.requests,
            "sent": len(delays),
            "ok": len(latencies),
            "failed": len(self._codes) - len(latencies),
            "unsent": len(self._codes) - len(delays),
            **quantiles(latencies),
            "max_ms": None if worst is None else round(worst, 1),
            "delay_p99_ms": percentile(delays, 99),
            "delay_max_ms": delays[-1] if delays else None,
            "codes": {str(code): count for code, count in sorted(Counter(self._codes).items()) if code != NOT_SENT},
            "errors": dict(self._errors.most_common()),
        }
