# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The plan of a load as the runner reads it: which request is due when. Pure.

The requests of a plan are numbered through, from 0. A segment of R per second sends its first one 1/R s after its start
and its last one at its end, as vegeta does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

MAX_RATE = 500  # the same bounds as in the engine, which made the plan: this is the last fence
MAX_SECONDS = 1800
TICKS = 10_000  # in a second: times are kept to a tenth of a millisecond


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

    def begins(self, segment: int) -> tuple[int, int]:
        """A segment's first second, and the number of its first request."""
        before = self.segments[:segment]
        return sum(one[1] for one in before), sum(rate * seconds for rate, seconds in before)

    def rate_at(self, second: float) -> int:
        """The wanted rate at a time counted from the start; 0 before it and after the end."""
        if second < 0:
            return 0
        for rate, seconds in self.segments:
            if second < seconds:
                return rate
            second -= seconds
        return 0

    def due_by(self, second: int) -> int:
        """How many requests are due by the end of so many whole seconds."""
        found = 0
        for rate, seconds in self.segments:
            found += rate * min(max(second, 0), seconds)
            second -= seconds
        return found

    def due(self) -> list[int]:
        """When each request is due, in ticks after the start, ascending."""
        found: list[int] = []
        start = 0
        for rate, seconds in self.segments:
            found += [start * TICKS + round(number * TICKS / rate) for number in range(1, rate * seconds + 1)]
            start += seconds
        return found


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
