# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What time it is for a lease: the API server's time, which several doors and a controller share.

The local clock is used as it stands while it agrees with the Date headers of the API server's answers; else the time
is derived from them. Each answer bounds the server's time, because Date is cut to whole seconds and was written
between the request and the answer:

    sent ............. Date is written ............. received      (monotonic seconds)
    server(sent) < Date + 1                server(received) >= Date

so  low = Date - received  <=  server - monotonic  <  high = Date + 1 - sent. Many answers narrow this to some tens of
ms. A time derived from `low` is never ahead of the server's: no lease starts or ends early. Bounds that contradict
each other mean that the server's clock was set: the newest answer begins anew. A step backward that is smaller than
the width of the bounds (1 s and the time of flight, less as they narrow) cannot be noticed before later answers show
it. Old bounds widen, because no two clocks run equally fast.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple

TOLERATED = 2.0  # seconds that the local clock may differ: DESIGN's rule
REGAINED = 1.0  # seconds at which a clock that differed is believed again; less than TOLERATED, so nothing flaps
DRIFT = 0.0005  # of two clocks that run freely, seconds per second: the most that NTP's kernel discipline slews


class ServerClock:
    """Seconds since the epoch as the API server counts them; safe from several threads.

    `wall` may jump at any time; `monotonic` must not. `observe` has the form of ClusterClient.on_response.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._bounds: _Bounds | None = None
        self._corrected = False

    def now(self) -> float:
        """The server's time. Ahead of it by TOLERATED seconds at most, and only as far as the local clock is.

        Before the first answer it is the local clock's. It may go back when either clock is set.
        """
        with self._lock:
            moment, wall, bounds = self._read()
            return moment + bounds.low if bounds is not None and self._corrected else wall

    def observe(self, date: str, sent: float, received: float) -> None:
        """Learn from an answer's Date header, asked and answered at these monotonic times; a bad header is ignored."""
        seconds = _seconds(date)
        if seconds is None or received < sent:
            return
        newest = _Bounds(seconds - received, seconds + 1 - sent, received)
        with self._lock:
            both = newest if self._bounds is None else self._bounds.narrowed(newest)
            self._bounds = both if both.low <= both.high else newest

    def skew(self) -> float:
        """Seconds that the local clock is ahead of the server's at least (behind where negative); 0.0 if unknown."""
        with self._lock:
            moment, wall, bounds = self._read()
            if bounds is None:
                return 0.0
            local = wall - moment
            return local - min(max(local, bounds.low), bounds.high)

    def corrected(self) -> bool:
        """Whether now() is derived from the server's answers because the local clock differs too much."""
        with self._lock:
            self._read()
            return self._corrected

    def _read(self) -> tuple[float, float, _Bounds | None]:
        """Monotonic and wall time, and the bounds at that moment; decides which clock is believed."""
        moment, wall = self._monotonic(), self._wall()
        if self._bounds is None:
            return moment, wall, None
        bounds = self._bounds.at(moment)
        self._corrected = not bounds.agree(wall - moment, REGAINED if self._corrected else TOLERATED)
        return moment, wall, bounds


class _Bounds(NamedTuple):
    """low <= server's clock - monotonic clock <= high, as it was known at a monotonic moment."""

    low: float
    high: float
    moment: float

    def at(self, moment: float) -> _Bounds:
        drift = DRIFT * max(0.0, moment - self.moment)
        return _Bounds(self.low - drift, self.high + drift, max(moment, self.moment))

    def narrowed(self, other: _Bounds) -> _Bounds:
        mine, others = self.at(other.moment), other.at(self.moment)
        return _Bounds(max(mine.low, others.low), min(mine.high, others.high), mine.moment)

    def agree(self, local: float, tolerated: float) -> bool:
        # Within the bounds nothing speaks against the local clock; beyond them it must be near enough for certain.
        return min(self.low, self.high - tolerated) <= local <= max(self.high, self.low + tolerated)


def _seconds(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
