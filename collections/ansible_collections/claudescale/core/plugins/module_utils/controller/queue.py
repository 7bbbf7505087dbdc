# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What is to be looked at: keys in the order they came, each once, and keys that come up at a moment."""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

LONGEST_WAIT_SECONDS = 1.0  # a clock that stepped is noticed after so long
BACKOFF_SECONDS = (0.1, 5.0)  # after a first failure, and at most

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """`now()` gives seconds since the epoch; deadlines are such moments."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ready: dict[Key, None] = {}  # in order
        self._deadlines: list[tuple[float, int, Key]] = []
        self._earliest: dict[Key, float] = {}  # of each key's deadlines; its later ones are void
        self._counter = 0
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
            if self._earliest.get(key, math.inf) <= moment:
                return
            self._earliest[key] = moment
            self._counter += 1
            heapq.heappush(self._deadlines, (moment, self._counter, key))
            self._changed.notify()

    def failed(self, key: Key) -> float:
        """Look at it again after a pause that grows with each failure in a row; its seconds."""
        with self._changed:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
        pause = min(BACKOFF_SECONDS[0] * 2.0 ** min(count, 10), BACKOFF_SECONDS[1])
        self.add_at(self._now() + pause, key)
        return pause

    def succeeded(self, key: Key) -> None:
        """Its next failure is a first one."""
        with self._changed:
            self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key: those whose moment has come first; None after waiting LONGEST_WAIT_SECONDS without one."""
        with self._changed:
            if (key := self._due()) is None:
                wait = min(max(self._next() - self._now(), 0.0), LONGEST_WAIT_SECONDS)
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
        """Whether the moment of some key has come."""
        with self._changed:
            return self._next() <= self._now()

    def _due(self) -> Key | None:
        if self._next() > self._now():
            return None
        key = heapq.heappop(self._deadlines)[2]
        del self._earliest[key]
        return key

    def _next(self) -> float:
        """The next moment that counts; infinity where there is none."""
        while self._deadlines and self._earliest.get(self._deadlines[0][2]) != self._deadlines[0][0]:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf
