"""What is compared, and when what happens: the three arms, their order, and the timeline that all of them share. Pure.

Every time is in seconds after an arm's load began:

    0 .... act ............ lease's start ............ launch ................. end
    calm   raw write, or    the floor goes up, and     launch rate: the         no load any more,
           the request      new pods warm up           window that is judged    and the lease is over
           for the lease
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

AHEAD = 242  # seconds from act to launch: by then a raw write has been taken back, at 240 s at most
LEAST_AHEAD = 240
ACT = 4
WINDOW = 120  # seconds from launch to end
ROOM = 20  # seconds that the lease starts earlier than the warm-up needs: pods are made and started
MOST_WARMUP = 120
MOST_RUNS = 10


class Arm(StrEnum):
    """One of the three ways."""

    HPA = "hpa"
    RAW = "raw"
    LEASE = "lease"

    @property
    def words(self) -> str:
        """How people call it."""
        return {Arm.HPA: "HPA alone", Arm.RAW: "raw /scale", Arm.LEASE: "lease"}[self]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Everything that is chosen before the first run. Rates are requests per second, times are seconds.

    ClaudeScaleError where they contradict each other.
    """

    warmup: int = 30  # until a new pod is Ready
    limit: str = "150m"  # CPU of each pod's worker
    calm_rate: int = 10
    launch_rate: int = 80
    objective: float = 0.5  # a slower answer is as bad as none
    asked: int = 5  # replicas, by raw write and by lease
    act: int = ACT
    launch: int = ACT + AHEAD
    end: int = ACT + AHEAD + WINDOW

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= MOST_WARMUP:
            raise ClaudeScaleError(f"a warm-up of {self.warmup} s is out of bounds: 0 to {MOST_WARMUP} are allowed")
        if not self.objective > 0:
            raise ClaudeScaleError(f"an objective of {self.objective:g} s is none: give seconds above 0")
        if not 1 <= self.calm_rate < self.launch_rate:
            raise ClaudeScaleError(
                f"a launch of {self.launch_rate}/s is none after {self.calm_rate}/s: it must be more, and both above 0"
            )
        if self.end <= self.launch:
            raise ClaudeScaleError("the launch window is empty: give it some seconds")
        if self.lease_start < self.act + ROOM:
            raise ClaudeScaleError(
                f"a launch {self.ahead} s ahead is too near for a warm-up of {self.warmup} s:"
                f" {self.warmup + 2 * ROOM} s at least"
            )

    @property
    def ahead(self) -> int:
        """From the raw write, or the request for the lease, to the launch."""
        return self.launch - self.act

    @property
    def window(self) -> tuple[int, int]:
        """[launch, end): what is judged."""
        return self.launch, self.end

    @property
    def lease_start(self) -> int:
        """When the lease starts, so that its pods are ready at the launch."""
        return self.launch - self.warmup - ROOM

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """The load, as (requests per second, seconds)."""
        return (self.calm_rate, self.launch), (self.launch_rate, self.end - self.launch)

    @property
    def shortened(self) -> bool:
        """Whether the launch is nearer than a comparison needs: for trying settings out."""
        return self.ahead < LEAST_AHEAD


def order(runs: int, seed: int) -> list[tuple[int, Arm]]:
    """(Number of the run, arm): each run has all arms, in an order of its own that the seed decides."""
    if not 1 <= runs <= MOST_RUNS:
        raise ClaudeScaleError(f"{runs} runs are out of bounds: 1 to {MOST_RUNS} are allowed")
    shuffled = random.Random(seed)  # noqa: S311 - to be repeated by whoever has the seed: no secret
    found = []
    for number in range(1, runs + 1):
        arms = list(Arm)
        shuffled.shuffle(arms)
        found += [(number, arm) for arm in arms]
    return found
