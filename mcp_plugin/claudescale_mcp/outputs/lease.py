"""What lease_capacity, scale_deployment and end_lease answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted


class Rule(Answer):
    """What one rule said, with the numbers compared."""

    rule: str
    passed: bool
    code: str
    message: Untrusted
    asked: int | None = None
    limit: int | None = None


class Floor(Answer):
    """minReplicas before the lease, while it stands, and after it."""

    before: int | None = None
    applied: int | None = None
    after: int | None = None


class LeaseAnswer(Answer):
    """What came of a request for a lease."""

    outcome: Literal["Created", "Unchanged", "WouldBeCreated", "Refused", "WouldBeRefused"]
    allowed: Annotated[bool | None, Field(description="false: refused, rules say why; absent: nobody could decide")] = (
        None
    )
    changed: bool
    explanation: str
    next_step: str
    name: str
    workload: Untrusted
    replicas: int
    phase: Annotated[str | None, Field(description="absent: the controller has not seen it yet")] = None
    floor_stands: bool
    start: str | None = None
    until: str | None = None
    floor: Floor | None = None
    code: str | None = None
    decided_by: Literal["controller", "preview"] | None = None
    rules: list[Rule] = Field(default_factory=list)
    record: Annotated[str | None, Field(description="SEQUENCE:HASH of its last record")] = None


class ScaleAnswer(Answer):
    """What came of a request for a count; where it became a lease, what came of that."""

    outcome: Literal["Created", "Unchanged", "WouldBeCreated", "Refused", "WouldBeRefused"]
    became_lease: bool
    changed: bool
    explanation: str
    next_step: str
    name: str
    workload: Untrusted
    replicas: int
    replicas_before: Annotated[int | None, Field(description="Its count when it was asked")] = None
    floor_stands: bool = False
    until: str | None = None
    code: str | None = None
    record: str | None = None


class EndAnswer(Answer):
    """What came of a request to end a lease."""

    outcome: Literal["Ended", "Ending", "WouldEnd", "AlreadyOver"]
    changed: bool
    explanation: str
    next_step: str
    name: str
    workload: Untrusted
    replicas: int
    phase: str | None = None
    floor: Floor | None = None
    record: Annotated[str | None, Field(description="SEQUENCE:HASH of its last record")] = None
