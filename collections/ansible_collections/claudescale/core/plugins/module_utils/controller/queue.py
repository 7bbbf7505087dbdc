# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What is to be looked at: keys in the order they came, each once, and keys that come up at a moment or after a pause.

A moment is the API server's time, which may be set or corrected meanwhile; a pause is measured by the monotonic clock,
so that no clock's step makes it longer.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

LONGEST_WAIT_SECONDS = 1.0  # a clock that stepped is noticed after so long
BACKOFF_SECONDS = (0.1, 5.0)  # after a first failure, and at most

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """`now()` gives seconds since the epoch; moments are such. `monotonic` measures pauses."""

    def __init__(self, now: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ready: dict[Key, None] = {}  # in order
        self._moments: _Deadlines[Key] = _Deadlines(now)
        self._pauses: _Deadlines[Key] = _Deadlines(monotonic)
        self._failures: dict[Key, int] = {}
        self._changed = threading.Condition()

    def add(self, key: Key) -> None:
        """Look at it soon."""
        with self._changed:
            self._ready.setdefault(key)
            self._changed.notify()

    def add_at(self, moment: float, key: Key) -> None:
        """Look at it at a moment, or at the earlier one that is set already: looking sets the next."""
        with self._changed:
            self._moments.add(moment, key)
            self._changed.notify()

    def add_after(self, seconds: float, key: Key) -> None:
        """Look at it after a pause, or after the shorter one that is set already."""
        with self._changed:
            self._pauses.add(self._pauses.now() + seconds, key)
            self._changed.notify()

    def failed(self, key: Key) -> float:
        """Look at it again after a pause that grows with each failure in a row; its seconds."""
        with self._changed:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
        pause = min(BACKOFF_SECONDS[0] * 2.0 ** min(count, 10), BACKOFF_SECONDS[1])
        self.add_after(pause, key)
        return pause

    def succeeded(self, key: Key) -> None:
        """Its next failure is a first one."""
        with self._changed:
            self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key: those whose time has come first; None after waiting LONGEST_WAIT_SECONDS without one."""
        with self._changed:
            if (key := self._due()) is None:
                wait = min(max(self._moments.wait(), 0.0), max(self._pauses.wait(), 0.0), LONGEST_WAIT_SECONDS)
                if not self._ready:
                    self._changed.wait(wait)
                key = self._due()
            if key is not None:
                self._ready.pop(key, None)
                return key
            first = next(iter(self._ready), None)
            if first is not None:
                del self._ready[first]
            return first

    def is_pressing(self) -> bool:
        """Whether the time of some key has come."""
        with self._changed:
            return min(self._moments.wait(), self._pauses.wait()) <= 0

    def _due(self) -> Key | None:
        first = self._moments.due()
        return first if first is not None else self._pauses.due()


class _Deadlines(Generic[Key]):
    """Keys by the time at which they come up, on one clock; of several times of one key the earliest counts."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Key]] = []
        self._earliest: dict[Key, float] = {}
        self._counter = 0

    def add(self, moment: float, key: Key) -> None:
        if self._earliest.get(key, math.inf) <= moment:
            return
        self._earliest[key] = moment
        self._counter += 1
        heapq.heappush(self._heap, (moment, self._counter, key))

    def wait(self) -> float:
        """Seconds to the next one, 0 or less where it has come; infinity where there is none."""
        while self._heap and self._earliest.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] - self.now() if self._heap else math.inf

    def due(self) -> Key | None:
        """The first whose time has come, taken out."""
        if self.wait() > 0:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._earliest[key]
        return key
