"""What the prompts take. It goes into our own text, so it is bounded, and can be no more than it says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from claudescale_mcp.inputs import Arguments, Workload

Language = Annotated[
    str,
    Field(
        max_length=30,
        pattern=r"^\p{L}+(?:[ -]\p{L}+){0,2}$",
        description="Of the answer; default English",
        examples=["Spanish", "Brazilian Portuguese"],
    ),
]
Time = Annotated[
    str,
    Field(
        max_length=40,
        pattern=r"^[0-9][0-9T:.+Z -]{3,39}$",
        examples=["20:00", "2026-03-01T20:00:00Z"],
    ),
]
Number = Annotated[str, Field(max_length=5, pattern=r"^[1-9][0-9]{0,4}$", examples=["4"])]
Hours = Annotated[
    str,
    Field(max_length=3, pattern=r"^[1-9][0-9]{0,2}$", description="How many hours back; default 24", examples=["24"]),
]


class Spoken(Arguments):
    """What every prompt takes."""

    language: Language = "English"


class AboutWorkload(Spoken):
    """A prompt about a workload."""

    workload: Annotated[Workload | None, Field(description="Default: those that a policy speaks of")] = None


class Launch(AboutWorkload):
    """The arguments of announced_launch."""

    start: Annotated[Time, Field(description="When the load begins; with a zone, or the person is asked for it")]
    end: Annotated[Time | None, Field(description="When it is over; default: the policy's duration")] = None
    replicas: Annotated[Number | None, Field(description="How many it needs; default: worked out")] = None


class Incident(AboutWorkload):
    """The arguments of incident_analysis."""

    start: Annotated[Time | None, Field(description="When it began, as far as known")] = None
    end: Annotated[Time | None, Field(description="When it was over, as far as known")] = None


class Report(AboutWorkload):
    """The arguments of capacity_report."""

    hours: Hours = "24"


class Review(Spoken):
    """The arguments of daily_review."""

    hours: Hours = "24"
