# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What is to be done next for one workload, from a snapshot of what is there. Pure.

plan() looks at everything anew and returns the steps of the first stage that has any; the caller does them, looks again
and asks again, until there is nothing to do. So each step follows from the state alone, and a controller that dies
between any two of them is continued by the next one.

The order of the stages is the order of what matters: what policy took away ends, floors come down and go up, pods are
brought up to them, ends are recorded, requests are decided, and statuses say it all.

A raise is recorded before it is written (FloorIntended) and its outcome after it (FloorWritten). A restore waits for no
record: FloorRestored follows when it can be written. Only where nothing but the annotations tells the base do they stay
until the record does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ansible_collections.claudescale.core.plugins.module_utils.lease import entries, table
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import (
    Intent,
    refusal_key,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    Autoscaler,
    Held,
    Lease,
    Mode,
    Workload,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.view import Snapshot, View, landed

REPEAT_SECONDS = 60.0  # repeats of a refusal make one record in so long
BATCH = 20  # decisions at a time, so that a flood of requests delays no deadline


@dataclass(frozen=True, kw_only=True)
class Append:
    """The next record of the chain; `lease` is the one it speaks of, for the Event that people see."""

    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class WriteFloor:
    """minReplicas and annotations of an autoscaler, in one write with its resourceVersion."""

    autoscaler: Autoscaler
    floor: int
    held: Held


@dataclass(frozen=True, kw_only=True)
class Restore:
    """The base as minReplicas, and none of our annotations."""

    autoscaler: Autoscaler
    floor: int


@dataclass(frozen=True, kw_only=True)
class DropOwnership:
    """One of our entries in an autoscaler's managedFields."""

    autoscaler: Autoscaler
    entry: int


@dataclass(frozen=True, kw_only=True)
class RaiseScale:
    """Bring 0 < replicas < floor up to the floor, so that pods start at once."""

    workload: Workload
    replicas: int


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """A repeated refusal: it is said in the lease's status, and recorded with the others of its minute."""

    lease: Lease
    decision: Mapping[str, Any]


Step: TypeAlias = "Append | WriteFloor | Restore | DropOwnership | RaiseScale | Refuse"


def plan(snapshot: Snapshot) -> list[Step]:
    """The steps of the first stage that has any; an empty list when nothing is to be done now."""
    view = View(snapshot)
    for stage in STAGES:
        steps = [step for step in stage(view) if snapshot.can_record or not isinstance(step, Append)]
        if steps:
            return steps
    return []


def next_deadline(snapshot: Snapshot) -> float | None:
    """When time alone makes something to do; None when it does not."""
    moments_ahead = [
        moment
        for lease in snapshot.leases
        if (facts := snapshot.ledger.leases.get(lease.uid)) is not None and facts.open
        for moment in (lease.start, lease.end)
        if moment > snapshot.now
    ]
    return min(moments_ahead, default=None)


def _what_policy_took(view: View) -> Iterable[Step]:
    """Deleting the policy or setting it to Observe ends its leases for good."""
    policy = view.snapshot.policy
    if policy is not None and policy.mode is Mode.ENFORCE:
        return
    cause = "PolicyRemoved" if policy is None else "PolicyObserves"
    for facts in view.open:
        yield Append(fields=entries.lease_ended(view, facts, cause))


def _ownership(view: View) -> Iterable[Step]:
    """No field is ours where no lease holds the floor; a record that cannot be written holds nothing back."""
    for autoscaler in view.snapshot.autoscalers:
        idle = autoscaler.held is None and not (autoscaler is view.main and view.running)
        if idle and autoscaler.our_entries and _is_restored(autoscaler, view.ground(autoscaler)):
            yield DropOwnership(autoscaler=autoscaler, entry=autoscaler.our_entries[-1])
            return


def _scale(view: View) -> Iterable[Step]:
    """Pods start at once where the floor stands already."""
    target, main = view.snapshot.target, view.main
    if target is None or main is None or main.held is None or not view.running:
        return
    if main.held.leases != _names(view.running):
        return  # the floor is about to change
    if not main.held.contested_by and main.floor == main.held.floor and 0 < target.replicas < main.floor:
        yield RaiseScale(workload=target, replicas=min(main.floor, main.maximum))


def _floors(view: View) -> Iterable[Step]:
    """Floors come down and go up, one autoscaler after the other."""
    uids = {autoscaler.uid for autoscaler in view.snapshot.autoscalers}
    for intent in list(view.snapshot.ledger.intents.values()):
        if intent.workload == view.snapshot.workload and intent.autoscaler not in uids:
            yield Append(fields=entries.outcome_of(view, intent, chain.OVERTAKEN))
    for autoscaler in view.snapshot.autoscalers:
        for step in _floor(view, autoscaler):
            if view.snapshot.can_record or not isinstance(step, Append):
                yield step
                return


def _floor(view: View, autoscaler: Autoscaler) -> Iterable[Step]:
    """Everything that one floor needs, in order; what comes after a record is planned for when it cannot be made."""
    intent = view.snapshot.ledger.intents.get(autoscaler.uid)
    if intent is not None and landed(intent, autoscaler):
        yield Append(fields=entries.outcome_of(view, intent, chain.SUCCEEDED))
    ground = view.ground(autoscaler)
    yield from _note(view, autoscaler, ground)
    if ground.seen.state is table.State.FREE:
        yield from _closed(view, autoscaler, intent)
    leases = list(view.running) if autoscaler is view.main else []
    starting, refusal = _starting(view) if autoscaler is view.main else (None, None)
    if refusal is not None:
        yield refusal
    if starting is not None and view.snapshot.can_record:
        leases.append(starting)
    if leases:
        held = _wanted(view, autoscaler, ground, leases)
        yield from _with_leases(view, autoscaler, ground, held, starting)
    else:
        yield from _without_leases(view, autoscaler, ground, intent)


def _names(leases: list[Lease]) -> tuple[str, ...]:
    return tuple(sorted(lease.name for lease in leases))


def _wanted(view: View, autoscaler: Autoscaler, ground: table.Ground, leases: list[Lease]) -> Held:
    """What ought to stand on an autoscaler while leases are active."""
    floor = autoscaler.floor
    if ground.asserted:
        floor = min(max(ground.base, *(view.contribution(lease) for lease in leases)), autoscaler.maximum)
    return Held(
        base=ground.base,
        floor=floor,
        leases=_names(leases),
        overruled=ground.overruled,
        contested_by=ground.contested_by,
    )


def _with_leases(
    view: View, autoscaler: Autoscaler, ground: table.Ground, held: Held, starting: Lease | None
) -> Iterable[Step]:
    ledger = view.snapshot.ledger
    intent, known = ledger.intents.get(autoscaler.uid), ledger.floors.get(autoscaler.uid)
    floor = held.floor or autoscaler.floor
    stands = autoscaler.held is not None and replace(autoscaler.held, record=None) == held and autoscaler.floor == floor
    wanted = intent is not None and (intent.base, intent.applied, intent.leases) == (held.base, floor, held.leases)
    if intent is not None and wanted and not landed(intent, autoscaler):
        yield WriteFloor(autoscaler=autoscaler, floor=floor, held=replace(held, record=intent.sequence))
    elif intent is not None:
        yield Append(fields=entries.outcome_of(view, intent, chain.OVERTAKEN))
    elif not stands:
        yield Append(fields=entries.intended(view, autoscaler, ground, held, starting))
    elif known is None or (known.base, known.applied, known.held, known.leases) != (
        held.base,
        floor,
        True,
        held.leases,
    ):
        yield Append(fields=entries.found(view, autoscaler, held))
    if floor < autoscaler.floor and autoscaler.held is not None:
        yield WriteFloor(autoscaler=autoscaler, floor=floor, held=replace(held, record=autoscaler.held.record))


def _without_leases(view: View, autoscaler: Autoscaler, ground: table.Ground, intent: Intent | None) -> Iterable[Step]:
    if not _is_restored(autoscaler, ground):
        floor = min(ground.base, autoscaler.maximum)
        if view.snapshot.can_record or not _only_annotations_tell(view, autoscaler, ground.base):
            yield Restore(autoscaler=autoscaler, floor=floor)
        elif autoscaler.floor != floor and autoscaler.held is not None:
            held = replace(autoscaler.held, base=ground.base, floor=floor)
            yield WriteFloor(autoscaler=autoscaler, floor=floor, held=held)
    elif intent is not None:
        yield Append(fields=entries.outcome_of(view, intent, chain.OVERTAKEN))
    else:
        yield from _closed(view, autoscaler, intent)


def _only_annotations_tell(view: View, autoscaler: Autoscaler, base: int) -> bool:
    """Whether a base is on no record yet: without annotations the older one would be taken for it."""
    known = view.known(autoscaler)
    return autoscaler.held is not None and known is not None and known.held and known.base != base


def _is_restored(autoscaler: Autoscaler, ground: table.Ground) -> bool:
    """Whether an autoscaler is as people want it without leases."""
    free = ground.seen.state is table.State.FREE
    return autoscaler.held is None and (free or autoscaler.floor == min(ground.base, autoscaler.maximum))


def _closed(view: View, autoscaler: Autoscaler, intent: Intent | None) -> Iterable[Append]:
    """The last records of a floor that was held: before it may be held again."""
    known = view.snapshot.ledger.floors.get(autoscaler.uid)
    if known is None or not known.held:
        return
    if intent is not None:
        yield Append(fields=entries.outcome_of(view, intent, chain.OVERTAKEN))
    else:
        yield Append(fields=entries.restored(view, autoscaler, known))


def _note(view: View, autoscaler: Autoscaler, ground: table.Ground) -> Iterable[Append]:
    """The record of what somebody else did, once."""
    known = view.snapshot.ledger.floors.get(autoscaler.uid)
    event = ground.row.record
    if event is None:
        return
    noted = chain.Noted(
        event=event, manager=ground.seen.manager or "unknown", base=ground.base, overrules=ground.row.overrules
    )
    # What is contested is not noted again as a change of the base.
    if known is not None and known.noted in (noted, replace(noted, event=chain.FLOOR_CONTESTED)):
        return
    holding = autoscaler.held.leases if autoscaler.held else (known.leases if known else ())
    yield Append(fields=entries.noted(view, autoscaler, ground, noted, holding))


def _starting(view: View) -> tuple[Lease | None, Append | None]:
    """The first lease that is due and still allowed; else the refusal of the first that no longer is."""
    for lease in view.due:
        decision = view.decision(lease, view.earlier(view.snapshot.ledger.leases[lease.uid]))
        if decision.allowed:
            return lease, None
        refusal = entries.decided(view, chain.LEASE_REFUSED, chain.REFUSED, lease, decision)
        return None, Append(fields=refusal)
    return None, None


def _refused_without_autoscaler(view: View) -> Iterable[Step]:
    """A lease that is due and has no single autoscaler to go to is refused by the rules."""
    if view.main is None:
        refusal = _starting(view)[1]
        if refusal is not None:
            yield refusal


def _decide(view: View) -> Iterable[Step]:
    """Decide what was asked and not decided yet, first come first."""
    ledger, now = view.snapshot.ledger, view.snapshot.now
    undecided = [lease for lease in view.snapshot.leases if lease.uid not in ledger.leases and lease.phase is None]
    accepted = view.earlier()
    recorded = dict(ledger.refusals)
    for lease in undecided[:BATCH]:
        decision = view.decision(lease, accepted)
        if decision.allowed:
            outcome = chain.OBSERVED if decision.observed else chain.ACCEPTED
            accepted += outcome == chain.ACCEPTED
        else:
            outcome = chain.REFUSED
            key = refusal_key(lease.requested_by, lease.workload, decision.code)
            if now < recorded.get(key, -REPEAT_SECONDS) + REPEAT_SECONDS:
                yield Refuse(lease=lease, decision=decision.to_object())
                continue
            if view.snapshot.can_record:
                recorded[key] = now
        yield Append(fields=entries.decided(view, chain.LEASE_REQUESTED, outcome, lease, decision))


def _ends(view: View) -> Iterable[Step]:
    """Record what is over, once no floor speaks of it any more."""
    holding = {name for a in view.snapshot.autoscalers if a.held is not None for name in a.held.leases}
    for facts in view.open:
        cause = view.over(facts)
        if cause is not None and facts.name not in holding:
            yield Append(fields=entries.lease_ended(view, facts, cause))


STAGES: tuple[Callable[[View], Iterable[Step]], ...] = (
    _what_policy_took,
    _ownership,
    _scale,
    _floors,
    _refused_without_autoscaler,
    _ends,
    _decide,
)
