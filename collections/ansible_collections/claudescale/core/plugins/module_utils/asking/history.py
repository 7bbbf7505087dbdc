# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The chain of records read backward, newest first: those that are wanted, and whether what was looked at is whole.

Reads nothing itself: whoever searches reads the range that is asked for next and hands its records over. Texts that
others wrote went through foreign.clean().
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean, clean_or_none
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import LONGEST_NAME, LONGEST_WORD
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import REFUSED
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw, RecordBroken
from ansible_collections.claudescale.core.plugins.module_utils.record.payload import part

# An answer of 2,500 tokens holds a page of these; measured in tests/doors/test_mcp_contracts.py.
A_PAGE = 9
BROKEN_SHOWN = 5
LONGEST_REASON = 80
HASH_SHOWN = 12  # digits; the head's is whole


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records: of a workload, of a lease (or written while it held the floor), refusals; None, False: all."""

    workload: WorkloadRef | None = None
    lease: str | None = None
    refusals: bool = False

    @property
    def everything(self) -> bool:
        """Whether none is left out."""
        return self == Wanted()

    def fits(self, fields: Mapping[str, Any]) -> bool:
        """Whether a payload is one of them."""
        of = fields.get("workload") or {}
        if self.workload is not None and (of.get("kind"), of.get("name")) != (self.workload.kind, self.workload.name):
            return False
        if self.lease is not None and self.lease not in _leases_of(fields):
            return False
        return not self.refusals or fields["outcome"] == REFUSED


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record. `actor` is who the API server says asked; door, reason and names are claims. Floors are counts.

    `manager`: who wrote a floor that leases hold; `count`: of refusals that this one record speaks of.
    """

    sequence: int
    time: str
    event: str
    outcome: str
    code: str | None
    cause: str | None
    actor: str
    door: str
    workload: str | None
    lease: str | None
    replicas: int | None
    base: int | None
    floor_before: int | None
    floor: int | None
    count: int | None
    manager: str | None
    reason: str | None
    hash: str


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A place where the chain is not whole."""

    sequence: int
    code: Flaw


class Search:
    """A page of the wanted records that come before a sequence; all records before it must be there."""

    def __init__(self, wanted: Wanted, before: int) -> None:
        self.wanted = wanted
        self.entries: list[Entry] = []  # newest first
        self.broken: list[Broken] = []
        self.first = before  # the oldest record that was looked at, which the next page comes before
        self.last = before - 1  # the newest one
        self._later: chain.Record | None = None

    @property
    def looked_at(self) -> int:
        """How many records were looked at."""
        return self.last - self.first + 1

    @property
    def is_over(self) -> bool:
        """Whether the page is full, or the chain's beginning is reached."""
        return len(self.entries) >= A_PAGE or self.first == 0

    def ahead(self, most: int) -> range:
        """The sequences to be read next, at most so many, newest first."""
        count = min(most, A_PAGE) if self.wanted.everything else most
        return range(self.first - 1, max(self.first - 1 - count, -1), -1)

    def take(self, items: Mapping[int, Mapping[str, Any] | None]) -> None:
        """Look at the records that were read, None for one that is missing."""
        for sequence in sorted(items, reverse=True):
            if self.is_over:
                return
            self.first = sequence
            record = self._read(sequence, items[sequence])
            if record is None:
                self._later = None
                continue
            if self._later is not None and self._later.previous_hash != record.hash:
                self.broken.append(Broken(sequence=self._later.sequence, code=Flaw.PREVIOUS_HASH_DIFFERS))
            self._later = record
            if self.wanted.fits(record.fields):
                self.entries.append(_entry(record))

    def _read(self, sequence: int, item: Mapping[str, Any] | None) -> chain.Record | None:
        if item is None:
            self.broken.append(Broken(sequence=sequence, code=Flaw.MISSING))
            return None
        try:
            return chain.from_object(item)
        except RecordBroken as error:
            self.broken.append(Broken(sequence=sequence, code=error.code))
            return None


def head_of(item: Mapping[str, Any]) -> str | None:
    """SEQUENCE:HASH of a record, None where it is none."""
    try:
        return str(chain.from_object(item).head)
    except RecordBroken:
        return None


def _leases_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    lease, holding = fields.get("lease"), fields.get("leases")
    return (
        *([str(lease.get("name"))] if isinstance(lease, dict) else []),
        *(holding if isinstance(holding, list) else []),
    )


def _entry(record: chain.Record) -> Entry:
    fields = record.fields
    copies = chain.copies(fields)
    lease = part(fields, "lease")
    floor = part(fields, "floor")
    return Entry(
        sequence=record.sequence,
        time=f"{fields['time'][:19]}Z",
        event=clean(fields["event"], LONGEST_WORD),
        outcome=clean(fields["outcome"], LONGEST_WORD),
        code=clean_or_none(copies.get("decision"), LONGEST_WORD),
        cause=clean_or_none(fields.get("cause"), LONGEST_WORD),
        actor=clean(fields["actor"], LONGEST_NAME),
        door=clean(fields["door"], LONGEST_WORD),
        workload=clean_or_none(copies.get("workload"), LONGEST_NAME),
        lease=clean_or_none(lease.get("name"), LONGEST_NAME),
        replicas=_count(lease.get("replicas")),
        base=_count(floor.get("base")),
        floor_before=_count(floor.get("before")),
        floor=_count(floor.get("applied")),
        count=_count(fields.get("count")),
        manager=clean_or_none(fields.get("manager"), LONGEST_WORD),
        reason=clean_or_none(lease.get("reason"), LONGEST_REASON),
        hash=record.hash[:HASH_SHOWN],
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
