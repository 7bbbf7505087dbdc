"""What get_metrics answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted


class Reading(Answer):
    """One figure. Without a value, `missing` says why there is none, or `error` why it could not be read."""

    name: str
    unit: str
    query: str
    value: float | None = None
    time: Annotated[str | None, Field(description="Of its newest sample")] = None
    stale: Annotated[bool | None, Field(description="true: an old sample")] = None
    missing: str | None = None
    error: str | None = None


class MetricsAnswer(Answer):
    """The figures of one workload, each about the window where it is about any."""

    namespace: str
    workload: Untrusted
    time: str
    window_seconds: int
    readings: list[Reading]
