# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What a load is: a profile becomes segments of a constant rate. Pure.

The arrival rate is open: requests come when they are due, as users do. The Job that sends them is made in manifests.py
and run by run.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

MAX_RATE = 500  # requests per second; beyond it, a small cluster measures the load generator
MIN_SECONDS = 10
MAX_SECONDS = 1800
MAX_SEGMENTS = 100
OBJECTIVE_SECONDS = 0.5  # a slower answer is as bad as none, where nobody says otherwise
HOLD_SECONDS = 15.0  # a load until-scaled goes on so long after the maximum was reached, so that new pods get some
LABEL = "claudescale.io/load"  # of a load's Job; its value is the profile
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


class LoadRefused(ClaudeScaleError):  # noqa: N818 - a refusal, with its reason as text
    """The load that was asked for is outside the bounds, or nothing that is known."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A constant rate (requests per second) for some seconds; both whole and at least 1."""

    rate: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """A profile at a rate for a duration, as segments; `until_scaled` ends early once the autoscaler is at its top."""

    profile: str
    segments: tuple[Segment, ...]
    until_scaled: bool = False

    @property
    def seconds(self) -> int:
        """How long it lasts at most."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def requests(self) -> int:
        """How many requests it sends at most."""
        return sum(segment.rate * segment.seconds for segment in self.segments)

    @property
    def peak(self) -> int:
        """The highest rate, requests per second."""
        return max(segment.rate for segment in self.segments)

    def due_in(self, start: float, end: float) -> int:
        """How many requests are due after `start` and until `end`, seconds after the load began."""
        return self._due_until(end) - self._due_until(start)

    def _due_until(self, second: float) -> int:
        found = 0
        for segment in self.segments:
            # A hair more: 0.3 s at 10 per second are three requests, whatever floating point says.
            found += math.floor(segment.rate * min(max(second, 0.0), float(segment.seconds)) + 1e-6)
            second -= segment.seconds
        return found


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A shape of load, with the rate (requests per second) and duration (seconds) it has by default."""

    words: str
    rate: int
    seconds: int
    shape: Callable[[int, int], tuple[Segment, ...]]
    until_scaled: bool = False


def _steps(rates: list[int], seconds: int) -> tuple[Segment, ...]:
    """Spread the seconds over the rates as evenly as whole seconds allow; the remainder goes to the last."""
    each, more = divmod(seconds, len(rates))
    spread = [each] * (len(rates) - 1) + [each + more]
    return tuple(Segment(rate=rate, seconds=length) for rate, length in zip(rates, spread, strict=True))


def _steady(rate: int, seconds: int) -> tuple[Segment, ...]:
    return (Segment(rate=rate, seconds=seconds),)


def _ramp(rate: int, seconds: int) -> tuple[Segment, ...]:
    return _steps([max(1, rate * step // 10) for step in range(1, 11)], seconds)


def _stairs(rate: int, seconds: int) -> tuple[Segment, ...]:
    return _steps([max(1, rate * step // 4) for step in range(1, 5)], seconds)


def _launch(rate: int, seconds: int) -> tuple[Segment, ...]:
    calm = seconds // 3
    return Segment(rate=max(1, rate // 4), seconds=calm), Segment(rate=rate, seconds=seconds - calm)


def _spike(rate: int, seconds: int) -> tuple[Segment, ...]:
    calm = max(1, rate // 4)
    return _steps([calm, rate, calm], seconds)


def _stress(rate: int, seconds: int) -> tuple[Segment, ...]:
    # Soon at the rate, because an autoscaler looks at what was; then slowly on, in case that was not enough.
    quarters = [2, 3, 4, 4, 5, 5, 6, 6, 8, 8]
    return _steps([max(1, rate * quarter // 4) for quarter in quarters], seconds)


# Defaults: measured on two cores with 5 ms of CPU per request, see docs/DEMO_APP.md.
PROFILES = {
    "steady": Profile(words="one rate all the time", rate=20, seconds=120, shape=_steady),
    "ramp": Profile(words="ten even steps up to the rate", rate=60, seconds=200, shape=_ramp),
    "step": Profile(words="four even steps up to the rate, each held", rate=60, seconds=240, shape=_stairs),
    "spike": Profile(words="a quarter of the rate, the rate, a quarter again", rate=60, seconds=180, shape=_spike),
    "stress-until-scale": Profile(
        words="from half the rate up to double, ends when the autoscaler is at its maximum",
        rate=50,
        seconds=210,
        shape=_stress,
        until_scaled=True,
    ),
    "launch": Profile(
        words="announced: a quarter of the rate for a third of the time, then at once the rate",
        rate=60,
        seconds=180,
        shape=_launch,
    ),
}


def make_plan(profile: str, *, rate: int | None = None, seconds: int | None = None) -> LoadPlan:
    """The plan of a profile; LoadRefused names the value that is unknown or out of bounds, and what is allowed."""
    chosen = PROFILES.get(profile)
    if chosen is None:
        raise LoadRefused(f"there is no load profile {profile!r}: it is one of {', '.join(PROFILES)}")
    rate = chosen.rate if rate is None else rate
    seconds = chosen.seconds if seconds is None else seconds
    if not 1 <= rate <= MAX_RATE:
        raise LoadRefused(f"a rate of {rate} requests per second is out of bounds: 1 to {MAX_RATE} are allowed")
    _check_seconds(seconds)
    plan = LoadPlan(profile=profile, segments=chosen.shape(rate, seconds), until_scaled=chosen.until_scaled)
    if plan.peak > MAX_RATE:
        raise LoadRefused(
            f"{profile} at {rate} requests per second rises to {plan.peak}, and {MAX_RATE} are allowed: "
            f"ask for {rate * MAX_RATE // plan.peak} at most"
        )
    return plan


def plan_of(name: str, segments: Iterable[tuple[int, int]]) -> LoadPlan:
    """A plan of one's own: segments are (requests per second, seconds), whole and at least 1. LoadRefused names what is
    out of bounds; the name, which stands where a profile's does, is 1 to 40 lower-case letters, digits and hyphens.
    """
    if not _NAME.fullmatch(name):
        raise LoadRefused(f"{name!r} is no name of a plan: use 1 to 40 lower-case letters, digits and hyphens")
    made = tuple(Segment(rate=rate, seconds=seconds) for rate, seconds in segments)
    if not 1 <= len(made) <= MAX_SEGMENTS:
        raise LoadRefused(f"a plan of {len(made)} segments is out of bounds: 1 to {MAX_SEGMENTS} are allowed")
    for segment in made:
        if not (1 <= segment.rate <= MAX_RATE and segment.seconds >= 1):
            raise LoadRefused(
                f"a segment of {segment.rate} requests per second for {segment.seconds} s is out of bounds: "
                f"1 to {MAX_RATE} are allowed, for 1 s or more"
            )
    plan = LoadPlan(profile=name, segments=made)
    _check_seconds(plan.seconds)
    return plan


def launch_plan(*, calm: int, calm_seconds: int, seconds: int, rate: int | None = None) -> LoadPlan:
    """An announced launch: `calm` requests per second, then at a known second `rate` (None: four times calm)."""
    return plan_of("launch", [(calm, calm_seconds), (4 * calm if rate is None else rate, seconds)])


def _check_seconds(seconds: int) -> None:
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise LoadRefused(f"a duration of {seconds} s is out of bounds: {MIN_SECONDS} to {MAX_SECONDS} are allowed")
