# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What the records of a window say of one workload: decisions, leases, and each change of the floor. Pure.

Names and codes are taken where they can be ours, and left out elsewhere: nothing that others wrote freely is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease, Phase, WorkloadRef, is_name
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.payload import part

CODE = re.compile(r"[A-Za-z]{1,60}")
UNKNOWN = "Unknown"
DECISIONS = (ledger.LEASE_REQUESTED, ledger.LEASE_REFUSED, ledger.REFUSALS_REPEATED)
WRITES = (ledger.FLOOR_WRITTEN, ledger.FLOOR_RESTORED)
NOTES = (ledger.BASE_CHANGED, ledger.FLOOR_CONTESTED)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision, or `count` refusals of one kind in one record."""

    time: float
    outcome: str
    code: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a floor was before a record, and is from its time on; `held`: by leases, over the base."""

    time: float
    before: int
    floor: int
    base: int
    held: bool
    leases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Life:
    """A lease: asked for [start, end), in force from `began` to `ended`; None where that was not, or is not known."""

    uid: str
    name: str
    replicas: int | None = None
    start: float | None = None
    end: float | None = None
    began: float | None = None
    ended: float | None = None
    cause: str | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """In the order of the records. `complete`: all records of the window were read; `unreadable`: how many are broken.

    `read`: how many records were looked at, those of other workloads included.
    """

    decisions: tuple[Decided, ...] = ()
    changes: tuple[Change, ...] = ()
    lives: tuple[Life, ...] = ()
    contested: tuple[float, ...] = ()
    read: int = 0
    unreadable: int = 0
    complete: bool = True


def history(
    records: Iterable[chain.Record],
    workload: WorkloadRef,
    *,
    leases: Iterable[Lease] = (),
    unreadable: int = 0,
    complete: bool = True,
) -> History:
    """Fold the records, oldest first, and the leases as they are now."""
    told = list(records)
    decisions: list[Decided] = []
    changes: list[Change] = []
    contested: list[float] = []
    lives: dict[str, Life] = {}
    for record in told:
        fields, time = record.fields, moments.parse(record.fields["time"])
        if not _is_about(fields, workload):
            continue
        event = fields["event"]
        if event in DECISIONS and (decided := _decided(fields, time)) is not None:
            decisions.append(decided)
        if event in (*WRITES, *NOTES) and (change := _change(fields, time)) is not None:
            changes.append(change)
        if event == ledger.FLOOR_CONTESTED:
            contested.append(time)
        _live(lives, fields, time)
    since = moments.parse(told[0].fields["time"]) if told else None
    found = {uid: _begun(life, since) for uid, life in lives.items()}
    for lease in leases:
        if lease.uid not in found and lease.workload == workload and lease.phase is Phase.ACTIVE:
            found[lease.uid] = Life(
                uid=lease.uid,
                name=lease.name,
                replicas=lease.replicas,
                start=lease.start,
                end=lease.end,
                began=lease.start,
            )
    return History(
        decisions=tuple(decisions),
        changes=tuple(changes),
        lives=tuple(found.values()),
        contested=tuple(contested),
        read=len(told) + unreadable,
        unreadable=unreadable,
        complete=complete,
    )


def _is_about(fields: Mapping[str, Any], workload: WorkloadRef) -> bool:
    of = part(fields, "workload")
    return (of.get("kind"), of.get("name")) == (workload.kind, workload.name)


def _decided(fields: Mapping[str, Any], time: float) -> Decided | None:
    if fields["outcome"] not in (ledger.ACCEPTED, ledger.REFUSED, ledger.OBSERVED):
        return None
    return Decided(
        time=time,
        outcome=fields["outcome"],
        code=_code(part(fields, "decision").get("code")) or UNKNOWN,
        count=_count(fields.get("count")) or 1,
    )


def _change(fields: Mapping[str, Any], time: float) -> Change | None:
    floor = part(fields, "floor")
    before, applied, base = (_count(floor.get(name)) for name in ("before", "applied", "base"))
    if fields["outcome"] != ledger.SUCCEEDED or before is None or applied is None or base is None:
        return None
    holding = fields.get("leases")
    return Change(
        time=time,
        before=before,
        floor=applied,
        base=base,
        held=floor.get("held") is True,
        leases=tuple(name for name in map(_name, holding if isinstance(holding, list) else []) if name),
    )


def _live(lives: dict[str, Life], fields: Mapping[str, Any], time: float) -> None:
    lease, event = part(fields, "lease"), fields["event"]
    uid, name = lease.get("uid"), _name(lease.get("name"))
    asked = event == ledger.LEASE_REQUESTED and fields["outcome"] == ledger.ACCEPTED
    began = event == ledger.FLOOR_WRITTEN and fields["outcome"] == ledger.SUCCEEDED
    ended = event in (ledger.LEASE_ENDED, ledger.LEASE_REFUSED)
    if not isinstance(uid, str) or name is None or not (asked or began or ended):
        return
    life = lives.get(uid) or Life(
        uid=uid,
        name=name,
        replicas=_count(lease.get("replicas")),
        start=_moment(lease.get("startTime")),
        end=_moment(lease.get("endTime")),
    )
    if began and life.began is None:
        life = replace(life, began=time)
    if ended:
        cause = _code(fields.get("cause")) if event == ledger.LEASE_ENDED else event
        life = replace(life, ended=time, cause=cause or UNKNOWN)
    lives[uid] = life


def _begun(life: Life, since: float | None) -> Life:
    """With its beginning, where that was before the first record that was read."""
    if life.began is not None or life.start is None or life.ended is None or since is None:
        return life
    return replace(life, began=life.start) if life.start < min(since, life.ended) else life


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and is_name(value) else None


def _code(value: object) -> str | None:
    return value if isinstance(value, str) and CODE.fullmatch(value) else None


def _moment(value: object) -> float | None:
    try:
        return moments.parse(value) if isinstance(value, str) else None
    except ClaudeScaleError:
        return None
