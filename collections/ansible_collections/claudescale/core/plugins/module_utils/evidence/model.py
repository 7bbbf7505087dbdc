# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The nouns of evidence, frozen: figures, series over a window, and all that a report is made from. Pure.

Times are seconds since the epoch, replicas are counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import (
    LEAST_SECONDS,
    MOST_SECONDS,
    SCRAPE_SECONDS,
    Query,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import History
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef

MOST_POINTS = 120

Point = tuple[float, float]  # when, value


@dataclass(frozen=True, kw_only=True)
class Window:
    """[start, end), in whole seconds. ClaudeScaleError where it is too short or too long for a report."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (self.start.is_integer() and self.end.is_integer()):
            raise ClaudeScaleError("a window begins and ends at whole seconds: leave the fractions out")
        if not LEAST_SECONDS <= self.seconds <= MOST_SECONDS:
            raise ClaudeScaleError(
                f"a window of {self.seconds:.0f} s gives no report: ask for {LEAST_SECONDS} to {MOST_SECONDS} seconds"
            )

    @classmethod
    def before(cls, end: float, seconds: int) -> Window:
        """The last so many seconds before a time, which is cut to whole ones."""
        return cls(start=float(math.floor(end) - seconds), end=float(math.floor(end)))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def step(self) -> int:
        """Seconds between two points of a series, of which there are at most MOST_POINTS."""
        return max(SCRAPE_SECONDS, math.ceil(self.seconds / (MOST_POINTS - 1)))

    @property
    def times(self) -> tuple[float, ...]:
        """When a series has its points."""
        return tuple(self.start + index * self.step for index in range(int(self.seconds // self.step) + 1))

    def cut(self, start: float, end: float) -> tuple[float, float]:
        """The part of [start, end) that is in it; where there is none, end <= start."""
        return max(start, self.start), min(end, self.end)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A figure, of the time of its newest sample. One of value, missing and error is not None.

    `missing`: why there is no value, `error`: why it could not be read; sentences of ours. `stale`: the sample is old,
    or how old it is could not be read.
    """

    name: str
    unit: str
    query: str
    value: float | None = None
    time: str | None = None
    stale: bool = False
    missing: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a query gave at the window's times; a point is missing where it gave no number."""

    query: Query
    promql: str
    points: tuple[Point, ...] = ()
    error: str | None = None

    @classmethod
    def of(cls, query: Query, promql: str, points: Iterable[Point]) -> Series:
        """From what Prometheus answered."""
        return cls(query=query, promql=promql, points=tuple(point for point in points if math.isfinite(point[1])))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands now: the autoscaler's numbers, and how much CPU it wants a replica to have; None where unknown."""

    maximum: int | None = None
    floor: int | None = None
    base: int | None = None
    held: bool = False
    cores_per_replica: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What happened to a workload in a window, as it was read. `series` and `figures` by their queries' names.

    `is_there`: it stands now.
    """

    namespace: str
    workload: WorkloadRef
    window: Window
    series: Mapping[str, Series]
    history: History
    standing: Standing
    figures: Mapping[str, Reading] = field(default_factory=dict)
    is_there: bool = True

    @property
    def is_known(self) -> bool:
        """Whether the workload is there, or anybody ever heard of it, as far as could be read."""
        told = self.history.decisions or self.history.changes or self.history.lives or self.history.contested
        return self.is_there or bool(told) or any(one.points for one in self.series.values())

    def points(self, query: Query) -> tuple[Point, ...]:
        """The points of a series; () where it was not read."""
        found = self.series.get(query.name)
        return found.points if found is not None else ()

    def figure(self, query: Query) -> float | None:
        """The value of a figure; None where there is none."""
        found = self.figures.get(query.name)
        return found.value if found is not None else None
