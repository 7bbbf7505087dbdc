"""What generate_report answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted
from claudescale_mcp.outputs.metrics import Reading


class Course(Answer):
    """A series in figures; the mean is of the points that are there."""

    name: str
    unit: str
    query: str
    lowest: float
    lowest_time: str
    highest: float
    highest_time: str
    mean: float
    missing_seconds: Annotated[int, Field(description="Without a point")]


class Absent(Answer):
    """A series without any point."""

    name: str
    query: str
    missing: str


class Cost(Answer):
    """Replica-hours of the seconds in which replicas were counted."""

    replica_hours: float
    above_base: Annotated[float, Field(description="The most that leases can have cost")]
    counted_seconds: int


class DecisionCount(Answer):
    """Decisions of one outcome and code."""

    outcome: str
    code: str
    count: int
    first: str
    last: str


class LeaseSpan(Answer):
    """A lease that was in force in the window."""

    name: Untrusted
    replicas: int | None = None
    began: str | None = None
    ended: str | None = None
    cause: str | None = None


class FloorStep(Answer):
    """Floor and base from a time on, and how many leases held it."""

    time: str
    floor: int
    base: int
    held: bool
    leases: int


class Gap(Answer):
    """A part of the window for which a series has no point."""

    series: str
    start: str
    end: str


class Finding(Answer):
    """One thing to look at, with the numbers behind it."""

    code: str
    message: str
    numbers: dict[str, float]
    lease: Untrusted | None = None
    refused: str | None = None
    series: str | None = None


class ReportAnswer(Answer):
    """What happened to a workload in a window.

    Lists with a total are cut: the most urgent findings, the most frequent decisions, the last leases and floors, the
    longest gaps are there.
    """

    namespace: str
    workload: Untrusted
    start: str
    end: str
    window_seconds: int
    findings_total: int
    findings: list[Finding]
    courses: Annotated[list[Course], Field(description="Load, replicas, latency and CPU")]
    absent: list[Absent]
    figures: Annotated[list[Reading], Field(description="Of the whole window")]
    cost: Cost | None = None
    allowed: int
    refused: int
    decisions_total: int
    decisions: list[DecisionCount]
    leases_total: int
    leases: list[LeaseSpan]
    floor_total: int
    floor: list[FloorStep]
    gaps: list[Gap]
    records_complete: bool
    plot: Annotated[str | None, Field(description="Where the picture is, or why there is none")] = None
