"""What get_records answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted


class Record(Answer):
    """One link of the chain; door, reason and names are claims of who asked."""

    sequence: int
    time: str
    event: str
    outcome: str
    code: str | None = None
    cause: str | None = None
    actor: Untrusted
    door: Untrusted
    workload: Untrusted | None = None
    lease: Untrusted | None = None
    replicas: int | None = None
    base: int | None = None
    floor_before: int | None = None
    floor: int | None = None
    count: Annotated[int | None, Field(description="Of refusals")] = None
    manager: Untrusted | None = None
    reason: Untrusted | None = None
    hash: Annotated[str, Field(description="Its first digits")]


class BrokenPlace(Answer):
    """Where the chain is not whole."""

    sequence: int
    code: str


class RecordsAnswer(Answer):
    """A page of the chain, newest first."""

    namespace: str
    records: list[Record]
    total: int
    looked_from: int | None = None
    looked_to: int | None = None
    whole: bool
    broken: list[BrokenPlace]
    explanation: str
    before: Annotated[int | None, Field(description="Ask with it for older ones")] = None
    head: Annotated[str | None, Field(description="SEQUENCE:HASH of the last record")] = None
