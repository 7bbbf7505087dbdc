"""What was seen in one run of one arm, and what follows from it alone. Pure.

Every `seconds` counts from the beginning of the run's load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request

from claudescale_cli.compare.arms import Arm

MACHINE = "this machine"  # as a node's name: all of the machine that a node shares with this command
LATE = 2.0  # seconds by which a watch may show a change after the event that tells of it
NEW_SIZE = re.compile(r"SuccessfulRescale: New size: (\d+);")


@dataclass(frozen=True, kw_only=True)
class Level:
    """From this second until the next one: replicas wanted (the scale's), pods ready, the autoscaler's floor."""

    seconds: float
    wanted: int
    ready: int
    floor: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the autoscaler wrote about itself: SuccessfulRescale: New size: 2; reason: All metrics below target."""

    seconds: float
    words: str


@dataclass(frozen=True, kw_only=True)
class NodeCpu:
    """CPU seconds that a node, or the machine around it, used in all, at times; and how many cores it has."""

    node: str
    cores: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one arm. Its levels begin with what stood when the load began."""

    arm: Arm
    number: int
    attempt: int  # 1 for the first
    began: str  # UTC
    requests: tuple[Request, ...]
    levels: tuple[Level, ...]
    events: tuple[Event, ...]
    cpu: tuple[NodeCpu, ...]
    acted: float | None = None  # when the raw write was made, or the lease is to start; None for the HPA alone
    lease: Mapping[str, Any] = field(default_factory=dict)  # what was asked for and answered; {} without one
    reasons: tuple[str, ...] = ()  # why it is INVALID

    @property
    def valid(self) -> bool:
        """Whether it counts."""
        return not self.reasons


def level_at(levels: Sequence[Level], seconds: float) -> Level:
    """What stood at a second; the first level before that."""
    found = levels[0]
    for level in levels:
        if level.seconds > seconds:
            break
        found = level
    return found


def integral(levels: Sequence[Level], value: Callable[[Level], int], start: float, end: float) -> float:
    """Replica-seconds of a value in [start, end)."""
    ends = [level.seconds for level in levels[1:]] + [end]
    total = 0.0
    for level, until in zip(levels, ends, strict=True):
        since = start if level is levels[0] else max(level.seconds, start)
        total += value(level) * max(min(until, end) - since, 0.0)
    return total


def ready_from(levels: Sequence[Level], count: int, start: float, end: float) -> float | None:
    """The first second in [start, end) at which so many pods were ready; None where there is none."""
    if level_at(levels, start).ready >= count:
        return start
    return next((level.seconds for level in levels if start < level.seconds < end and level.ready >= count), None)


def undone(run: Run, end: float) -> tuple[str, ...]:
    """The autoscaler's events before `end` by which fewer replicas were wanted than before."""
    found = []
    for event in run.events:
        told = NEW_SIZE.match(event.words)
        if told is None or event.seconds >= end:
            continue
        size = int(told[1])
        changes = [
            before.wanted
            for before, now in pairwise(run.levels)
            if now.wanted == size != before.wanted and now.seconds <= event.seconds + LATE
        ]
        if changes and changes[-1] > size:
            found.append(event.words)
    return tuple(found)


def lowered(levels: Sequence[Level], start: float, end: float) -> int:
    """How often in [start, end) fewer replicas were wanted than before."""
    return sum(now.wanted < before.wanted and start <= now.seconds < end for before, now in pairwise(levels))


@dataclass(frozen=True, kw_only=True)
class Busy:
    """A mean of CPU: the share of a node's cores between two seconds."""

    share: float
    start: float
    end: float
    node: str


def busiest(cpu: Sequence[NodeCpu], start: float, end: float, least: float) -> Busy | None:
    """The busiest mean over `least` seconds or just more, inside [start, end]; None where there is no such mean."""
    found: Busy | None = None
    for node in cpu:
        inside = [point for point in node.points if start <= point[0] <= end]
        for index, (began, used) in enumerate(inside):
            until = next((point for point in inside[index + 1 :] if point[0] - began >= least), None)
            if until is None:
                break
            share = (until[1] - used) / (until[0] - began) / node.cores
            if found is None or share > found.share:
                found = Busy(share=share, start=began, end=until[0], node=node.node)
    return found
