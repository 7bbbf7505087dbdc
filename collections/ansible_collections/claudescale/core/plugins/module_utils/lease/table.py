# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The lease table: what may have happened to an autoscaler, and what stands as its base, floor and record afterwards.

    read()  autoscaler + what the chain knows of it  ->  Seen: (state, event)
    TABLE   (state, event)                           ->  Row: base, floor, condition, record
    apply() a row                                    ->  Ground: base in numbers, who is overruled or contests

The truth is on the autoscaler itself: base and floor stand in annotations that are written together with minReplicas.
So "somebody wrote" means that minReplicas is not the floor in the annotation, and it is seen however late one looks.
What cannot be seen: a plain update that writes the floor's own value leaves no trace in the API server.

A combination that is not in TABLE cannot be: looking it up raises KeyError.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, Held


class State(StrEnum):
    """What the autoscaler's annotations say, or, where they are gone, what the chain says."""

    FREE = "free"
    HELD = "held"
    CONTESTED = "contested"


class Event(StrEnum):
    """What happened since the controller wrote last."""

    NOTHING = "nothing"
    VALUE_WRITTEN = "another minReplicas was written"
    VALUE_WRITTEN_AGAIN = "the same manager wrote minReplicas again"
    VALUE_CLAIMED = "the floor's own value was applied server-side"
    BASE_EDITED = "the annotation base was edited"
    BASE_UNREADABLE = "the annotations cannot be read"
    ANNOTATIONS_LOST = "the annotations vanished, the value stayed"
    REPLACED = "the annotations vanished, a value was written"
    MAXIMUM_LOWERED = "maxReplicas fell under the floor"


class BaseFrom(StrEnum):
    """Where the base comes from."""

    SAME = "the annotation as it stands"
    LIVE = "the live minReplicas"
    RECORD = "the last record"


class FloorTo(StrEnum):
    """What becomes of the floor while a lease is active; without one, the base stands again in every row."""

    ASSERTED = "max(base, active leases), at most the maximum"
    LEFT = "what the other manager wrote"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `overrules`: the writer's value is written over, which happens once for each manager."""

    base: BaseFrom
    floor: FloorTo
    record: str | None = None
    condition: str | None = None
    overrules: bool = False


BASE_CHANGED = "BaseChanged"
FLOOR_CONTESTED = "FloorContested"
FLOOR_CAPPED = "FloorCapped"

TABLE: dict[tuple[State, Event], Row] = {
    (State.FREE, Event.NOTHING): Row(base=BaseFrom.LIVE, floor=FloorTo.ASSERTED),
    (State.HELD, Event.NOTHING): Row(base=BaseFrom.SAME, floor=FloorTo.ASSERTED),
    (State.HELD, Event.VALUE_WRITTEN): Row(
        base=BaseFrom.LIVE, floor=FloorTo.ASSERTED, record=BASE_CHANGED, overrules=True
    ),
    (State.HELD, Event.VALUE_WRITTEN_AGAIN): Row(
        base=BaseFrom.LIVE, floor=FloorTo.LEFT, record=FLOOR_CONTESTED, condition=FLOOR_CONTESTED
    ),
    (State.HELD, Event.VALUE_CLAIMED): Row(base=BaseFrom.LIVE, floor=FloorTo.ASSERTED, record=BASE_CHANGED),
    (State.HELD, Event.BASE_EDITED): Row(base=BaseFrom.SAME, floor=FloorTo.ASSERTED, record=BASE_CHANGED),
    (State.HELD, Event.BASE_UNREADABLE): Row(base=BaseFrom.RECORD, floor=FloorTo.ASSERTED),
    (State.HELD, Event.ANNOTATIONS_LOST): Row(base=BaseFrom.RECORD, floor=FloorTo.ASSERTED),
    (State.HELD, Event.REPLACED): Row(base=BaseFrom.LIVE, floor=FloorTo.ASSERTED, record=BASE_CHANGED, overrules=True),
    (State.HELD, Event.MAXIMUM_LOWERED): Row(base=BaseFrom.SAME, floor=FloorTo.ASSERTED, condition=FLOOR_CAPPED),
    (State.CONTESTED, Event.NOTHING): Row(base=BaseFrom.SAME, floor=FloorTo.LEFT, condition=FLOOR_CONTESTED),
    (State.CONTESTED, Event.VALUE_WRITTEN): Row(
        base=BaseFrom.LIVE, floor=FloorTo.LEFT, record=BASE_CHANGED, condition=FLOOR_CONTESTED
    ),
    (State.CONTESTED, Event.BASE_EDITED): Row(
        base=BaseFrom.SAME, floor=FloorTo.LEFT, record=BASE_CHANGED, condition=FLOOR_CONTESTED
    ),
    (State.CONTESTED, Event.BASE_UNREADABLE): Row(base=BaseFrom.RECORD, floor=FloorTo.LEFT, condition=FLOOR_CONTESTED),
    (State.CONTESTED, Event.ANNOTATIONS_LOST): Row(base=BaseFrom.RECORD, floor=FloorTo.LEFT, condition=FLOOR_CONTESTED),
    (State.CONTESTED, Event.REPLACED): Row(
        base=BaseFrom.LIVE, floor=FloorTo.LEFT, record=BASE_CHANGED, condition=FLOOR_CONTESTED
    ),
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the chain says of one autoscaler: the floor applied last, over which base, and who spoke against it."""

    base: int
    applied: int
    held: bool
    overruled: tuple[str, ...] = ()
    contested_by: str | None = None
    claimants: tuple[str, ...] = ()  # who owned minReplicas by server-side apply when that was recorded


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read from an autoscaler; `manager` is who did what the event says."""

    state: State
    event: Event
    manager: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A row in numbers: what a floor is computed from."""

    base: int
    asserted: bool
    overruled: tuple[str, ...]
    contested_by: str | None
    row: Row
    seen: Seen


def read(autoscaler: Autoscaler, known: Known | None, *, in_force: bool) -> Seen:
    """Recognise what happened, the most telling fact first. `in_force`: a lease that held the floor is not over."""
    told = known if known is not None and known.held else None
    held = autoscaler.held
    if held is None:
        return _read_without_annotations(autoscaler, told, in_force=in_force)
    # One annotation that vanished is looked up in the chain, as all of them are.
    contested = held.contested_by or (told.contested_by if told else None)
    state = State.CONTESTED if contested else State.HELD
    floor = held.floor or (told.applied if told and not autoscaler.of_us else autoscaler.floor)
    if autoscaler.floor != floor:
        return _read_value(autoscaler, held, told, floor, state)
    claimant = _claimant(autoscaler, told)
    if state is State.HELD and claimant and held.base != floor:
        return Seen(state=state, event=Event.VALUE_CLAIMED, manager=claimant)
    if held.base is None:
        return Seen(state=state, event=Event.BASE_UNREADABLE, manager=autoscaler.base_owner)
    if told is not None and told.base != held.base:
        return Seen(state=state, event=Event.BASE_EDITED, manager=autoscaler.base_owner)
    return Seen(state=state, event=Event.NOTHING)


def _claimant(autoscaler: Autoscaler, told: Known | None) -> str | None:
    """Who owns minReplicas by server-side apply and did not when the chain spoke of it last."""
    known = told.claimants if told else ()
    return next((manager for manager in autoscaler.claimants if manager not in known), None)


def _read_without_annotations(autoscaler: Autoscaler, told: Known | None, *, in_force: bool) -> Seen:
    # The base's value is our own restore, whose record is still to be written: unless a lease is in force, and the
    # value is somebody else's, or the floor that we asserted, which was no higher than the base.
    asserted = told is not None and not told.contested_by and autoscaler.floor == told.applied
    if told is None or (autoscaler.floor == told.base and not (in_force and (autoscaler.of_others or asserted))):
        return Seen(state=State.FREE, event=Event.NOTHING)
    state = State.CONTESTED if told.contested_by else State.HELD
    # A floor that came down while records could not be written is ours, too.
    if autoscaler.floor == told.applied or autoscaler.of_us:
        return _read_applied(autoscaler, told, state, in_force=in_force)
    if state is State.HELD and autoscaler.writer in told.overruled:
        return Seen(state=state, event=Event.VALUE_WRITTEN_AGAIN, manager=autoscaler.writer)
    return Seen(state=state, event=Event.REPLACED, manager=autoscaler.writer)


def _read_applied(autoscaler: Autoscaler, told: Known, state: State, *, in_force: bool) -> Seen:
    """The floor's own value without annotations."""
    claimant = _claimant(autoscaler, told)
    if state is State.HELD and claimant:
        return Seen(state=state, event=Event.VALUE_CLAIMED, manager=claimant)
    # Restored before, and then somebody wanted that value: it is not ours to take back.
    if autoscaler.of_others and not in_force:
        return Seen(state=state, event=Event.REPLACED, manager=autoscaler.writer)
    return Seen(state=state, event=Event.ANNOTATIONS_LOST)


def _read_value(autoscaler: Autoscaler, held: Held, told: Known | None, floor: int, state: State) -> Seen:
    writer = autoscaler.writer
    if state is State.CONTESTED:
        return Seen(state=state, event=Event.VALUE_WRITTEN, manager=writer)
    # The API server takes a maximum under the floor only together with a lower minReplicas: the base's or the maximum's
    # value was written for that, anything else is a base that somebody wants.
    base = held.base or (told.base if told else None)
    if autoscaler.maximum < floor and autoscaler.floor in (base, autoscaler.maximum):
        return Seen(state=state, event=Event.MAXIMUM_LOWERED, manager=writer)
    if writer in (*held.overruled, *(told.overruled if told else ())):
        return Seen(state=state, event=Event.VALUE_WRITTEN_AGAIN, manager=writer)
    return Seen(state=state, event=Event.VALUE_WRITTEN, manager=writer)


def apply(autoscaler: Autoscaler, known: Known | None, *, in_force: bool) -> Ground:
    """The row that holds for an autoscaler, in numbers."""
    seen = read(autoscaler, known, in_force=in_force)
    row = TABLE[seen.state, seen.event]
    held = autoscaler.held or Held(base=None, floor=None)
    told = known if known is not None and known.held and seen.state is not State.FREE else None
    recorded = told.base if told else None
    bases = {BaseFrom.SAME: held.base or recorded, BaseFrom.LIVE: autoscaler.floor, BaseFrom.RECORD: recorded}
    base = bases[row.base]
    overruled = dict.fromkeys((*held.overruled, *(told.overruled if told else ())))
    if row.overrules and seen.manager:
        overruled[seen.manager] = None
    contested = held.contested_by or (told.contested_by if told else None)
    return Ground(
        base=autoscaler.floor if base is None else base,  # nothing is known any more: what stands is what there is
        asserted=row.floor is FloorTo.ASSERTED,
        overruled=tuple(overruled),
        contested_by=seen.manager if row.record == FLOOR_CONTESTED else contested,
        row=row,
        seen=seen,
    )
