# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The floor of a window as a step function, and replica-hours as integrals. Pure.

floor   ----.        .------------------.        .----
            |        |    a lease       |        |
base    ----'--------'- - - - - - - - - '--------'----
        stretch       stretch: held      stretch
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Point, Standing, Window
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import Change, History

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """[start, end) in which neither floor nor base changed; `held`: leases held the floor over the base."""

    start: float
    end: float
    floor: int
    base: int
    held: bool
    leases: tuple[str, ...] = ()


class Gap(NamedTuple):
    """[start, end) without a point."""

    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Hours:
    """Replica-hours of `seconds` in which replicas were counted; `above_base` is the part between base and floor.

    That part is the most that leases can have cost: load may have needed some of it anyway.
    """

    total: float
    above_base: float
    seconds: float


def stretches(history: History, standing: Standing, window: Window) -> tuple[Stretch, ...]:
    """The floor over the whole window; () where neither records nor an autoscaler tell it.

    Who changes a floor that no lease holds leaves no record: what the next record found, or what stands now, is taken
    for all of such a stretch.
    """
    changes = sorted(history.changes, key=lambda change: change.time)
    if not changes:
        if standing.floor is None or standing.base is None:
            return ()
        return (
            Stretch(start=window.start, end=window.end, floor=standing.floor, base=standing.base, held=standing.held),
        )
    found = [_earlier(changes[0])]
    for index, change in enumerate(changes):
        later = changes[index + 1] if index + 1 < len(changes) else None
        found.append(_from(change, later, standing))
    cut = []
    for stretch in found:
        start, end = window.cut(stretch.start, stretch.end)
        if start < end:
            cut.append(replace(stretch, start=start, end=end))
    return tuple(_joined(cut))


def replica_hours(points: Iterable[Point], floors: Iterable[Stretch], window: Window) -> Hours:
    """Integrals over the window; each point stands for the time until the next one is due."""
    held = [stretch for stretch in floors if stretch.held]
    total = above = seconds = 0.0
    for time, replicas in points:
        start, end = window.cut(time, time + window.step)
        if end <= start:
            continue
        seconds += end - start
        total += replicas * (end - start)
        for stretch in held:
            shared = min(end, stretch.end) - max(start, stretch.start)
            if shared > 0:
                above += max(0.0, min(replicas, stretch.floor) - stretch.base) * shared
    return Hours(total=total / HOUR, above_base=above / HOUR, seconds=seconds)


def gaps(points: Iterable[Point], window: Window) -> tuple[Gap, ...]:
    """Where points are missing."""
    there = {time for time, _value in points}
    found: list[Gap] = []
    for time in window.times:
        start, end = window.cut(time, time + window.step)
        if time in there or end <= start:
            continue
        if found and found[-1].end == start:
            found[-1] = Gap(found[-1].start, end)
        else:
            found.append(Gap(start, end))
    return tuple(found)


def _earlier(change: Change) -> Stretch:
    """What was before the first change that is known."""
    held = change.before > change.base
    return Stretch(
        start=-math.inf,
        end=change.time,
        floor=change.before,
        base=min(change.before, change.base),
        held=held,
    )


def _from(change: Change, later: Change | None, standing: Standing) -> Stretch:
    end = later.time if later is not None else math.inf
    if change.held:
        return Stretch(
            start=change.time, end=end, floor=change.floor, base=change.base, held=True, leases=change.leases
        )
    known = later.before if later is not None else standing.base
    floor = change.floor if known is None else known
    return Stretch(start=change.time, end=end, floor=floor, base=floor, held=False)


def _joined(found: list[Stretch]) -> Iterable[Stretch]:
    """Without the bounds at which nothing changes."""
    last: Stretch | None = None
    for stretch in found:
        if last is not None and replace(last, start=stretch.start, end=stretch.end) == stretch:
            last = replace(last, end=stretch.end)
            continue
        if last is not None:
            yield last
        last = stretch
    if last is not None:
        yield last
