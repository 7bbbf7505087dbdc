# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What a chain of records says about leases and floors, folded record by record. Pure.

The controller keeps one for each namespace and asks it what was decided already, so that a step which was cut short is
finished and none is recorded twice. It is made anew from the chain at every start: nothing in it is known only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.lease.table import Known

GENESIS = "Genesis"
LEASE_REQUESTED = "LeaseRequested"
LEASE_REFUSED = "LeaseRefused"  # at its start
REFUSALS_REPEATED = "RefusalsRepeated"
LEASE_ENDED = "LeaseEnded"
FLOOR_INTENDED = "FloorIntended"
FLOOR_WRITTEN = "FloorWritten"
FLOOR_RESTORED = "FloorRestored"
BASE_CHANGED = "BaseChanged"
FLOOR_CONTESTED = "FloorContested"

ACCEPTED, REFUSED, OBSERVED = "Accepted", "Refused", "Observed"
INTENDED, SUCCEEDED, OVERTAKEN = "Intended", "Succeeded", "Overtaken"

EVERY_WORKLOAD = "*"  # without a policy, the caller chooses the name: names must not make keys
RefusalKey = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Where in the chain something stands."""

    sequence: int
    hash: str
    time: float


@dataclass(frozen=True, kw_only=True)
class LeaseFacts:
    """What the chain says of one lease. `ended` is the cause, None while it is not over; counts are replicas."""

    uid: str
    name: str
    workload: WorkloadRef
    outcome: str
    decision: Mapping[str, Any]
    decided: Mark
    last: Mark
    started: Mark | None = None
    refused_at_start: bool = False
    ended: str | None = None
    before: int | None = None
    applied: int | None = None
    after: int | None = None

    @property
    def open(self) -> bool:
        """Whether it was accepted and is not over."""
        return self.outcome == ACCEPTED and self.ended is None and not self.refused_at_start


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A change by others, as its record says it."""

    event: str
    manager: str
    base: int
    overrules: bool  # the answer writes over what the manager wrote


@dataclass(frozen=True, kw_only=True)
class FloorFacts(Known):
    """What the chain says of one autoscaler; `noted` is the last change by others that is recorded and not answered."""

    leases: tuple[str, ...] = ()
    noted: Noted | None = None


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A write that was recorded and whose outcome is not."""

    sequence: int
    workload: WorkloadRef
    autoscaler: str  # UID
    base: int
    before: int
    applied: int
    leases: tuple[str, ...]
    fields: Mapping[str, Any]


@dataclass(kw_only=True)
class Ledger:
    """The fold. `add` takes the records in their order."""

    head: Mark | None = None
    leases: dict[str, LeaseFacts] = field(default_factory=dict)  # by UID
    floors: dict[str, FloorFacts] = field(default_factory=dict)  # by the autoscaler's UID
    intents: dict[str, Intent] = field(default_factory=dict)  # by the autoscaler's UID
    refusals: dict[RefusalKey, float] = field(default_factory=dict)  # when the last record of such a refusal was made
    counted: dict[RefusalKey, float] = field(default_factory=dict)  # up to when its repeats were counted

    def add(self, sequence: int, digest: str, fields: Mapping[str, Any]) -> None:
        """Fold one more record in."""
        mark = Mark(sequence=sequence, hash=digest, time=moments.parse(fields["time"]))
        self.head = mark
        event = fields["event"]
        if event == LEASE_REQUESTED:
            self._requested(fields, mark)
        elif event == REFUSALS_REPEATED:
            self._refused(fields, mark)
        elif event == LEASE_REFUSED:
            self._update(fields, mark, refused_at_start=True, decision=fields["decision"])
        elif event == LEASE_ENDED:
            self._update(fields, mark, ended=fields["cause"])
        elif event == FLOOR_INTENDED:
            self._intended(fields, mark)
        elif event in (FLOOR_WRITTEN, FLOOR_RESTORED):
            self._written(fields, mark)
        elif event in (BASE_CHANGED, FLOOR_CONTESTED):
            self._noted(fields, event)

    def skip(self, sequence: int | None, digest: str | None) -> None:
        """A record that cannot be read: the chain goes on after it, where its place and its hash are known."""
        if sequence is not None and digest is not None:
            self.head = Mark(sequence=sequence, hash=digest, time=self.head.time if self.head else 0.0)

    def accepted(self, workload: WorkloadRef) -> list[LeaseFacts]:
        """The workload's leases that are accepted and not over, in the order of their decisions."""
        found = [facts for facts in self.leases.values() if facts.workload == workload and facts.open]
        return sorted(found, key=lambda facts: facts.decided.sequence)

    def foreseen(self, intent: Intent) -> FloorFacts:
        """What will be known of a floor once the outcome of its write is recorded."""
        return self._floor(intent.autoscaler, intent.fields)

    def forget(self, uid: str) -> None:
        """A lease's object is gone: keep nothing of it once it is over."""
        if uid in self.leases and not self.leases[uid].open:
            del self.leases[uid]

    def _requested(self, fields: Mapping[str, Any], mark: Mark) -> None:
        lease, workload = fields["lease"], WorkloadRef.from_object(fields["workload"])
        if fields["outcome"] == REFUSED:
            self._refused(fields, mark)
        self.leases[lease["uid"]] = LeaseFacts(
            uid=lease["uid"],
            name=lease["name"],
            workload=workload,
            outcome=fields["outcome"],
            decision=fields["decision"],
            decided=mark,
            last=mark,
        )

    def _refused(self, fields: Mapping[str, Any], mark: Mark) -> None:
        key = refusal_key(fields["actor"], WorkloadRef.from_object(fields["workload"]), fields["decision"]["code"])
        self.refusals[key] = mark.time
        if fields["event"] == REFUSALS_REPEATED:
            self.counted[key] = mark.time

    def _update(self, fields: Mapping[str, Any], mark: Mark, **changes: Any) -> None:
        uid = fields["lease"]["uid"]
        if uid in self.leases:
            self.leases[uid] = replace(self.leases[uid], last=mark, **changes)

    def _intended(self, fields: Mapping[str, Any], mark: Mark) -> None:
        autoscaler, floor = fields["autoscaler"]["uid"], fields["floor"]
        self.intents[autoscaler] = Intent(
            sequence=mark.sequence,
            workload=WorkloadRef.from_object(fields["workload"]),
            autoscaler=autoscaler,
            base=floor["base"],
            before=floor["before"],
            applied=floor["applied"],
            leases=tuple(fields["leases"]),
            fields=fields,
        )

    def _written(self, fields: Mapping[str, Any], mark: Mark) -> None:
        autoscaler, floor = fields["autoscaler"]["uid"], fields["floor"]
        self.intents.pop(autoscaler, None)
        if fields["outcome"] != SUCCEEDED:
            return
        old = self.floors.get(autoscaler)
        self.floors[autoscaler] = self._floor(autoscaler, fields)
        for name in set(old.leases if old else ()) - set(fields["leases"]):
            self._left(name, floor["applied"])
        if "lease" in fields:
            self._update(fields, mark, started=mark, before=floor["before"], applied=floor["applied"])

    def _floor(self, autoscaler: str, fields: Mapping[str, Any]) -> FloorFacts:
        """What is known of a floor once it stands as a record says."""
        old, floor = self.floors.get(autoscaler), fields["floor"]
        kept = old if old is not None and old.held and floor["held"] else None
        overruled = kept.overruled if kept else ()
        if kept and kept.noted and kept.noted.overrules and kept.noted.manager not in overruled:
            overruled = (*overruled, kept.noted.manager)
        return FloorFacts(
            base=floor["base"],
            applied=floor["applied"],
            held=floor["held"],
            leases=tuple(fields["leases"]),
            overruled=overruled,
            contested_by=kept.contested_by if kept else None,
            claimants=tuple(fields.get("claimants", ())),
        )

    def _left(self, name: str, floor: int) -> None:
        """A lease no longer holds the floor: what stands after it."""
        for facts in self.leases.values():
            if facts.name == name and facts.started and facts.after is None:
                self.leases[facts.uid] = replace(facts, after=floor)

    def _noted(self, fields: Mapping[str, Any], event: str) -> None:
        autoscaler, floor = fields["autoscaler"]["uid"], fields["floor"]
        found = self.floors.get(autoscaler)
        old = found if found is not None and found.held else None
        manager = fields["manager"]
        self.floors[autoscaler] = FloorFacts(
            base=floor["base"],
            applied=old.applied if old else floor["applied"],
            held=True,
            leases=tuple(fields["leases"]),
            overruled=old.overruled if old else (),
            contested_by=manager if event == FLOOR_CONTESTED else (old.contested_by if old else None),
            claimants=old.claimants if old else (),
            noted=Noted(event=event, manager=manager, base=floor["base"], overrules=fields["overrules"]),
        )


def refusal_key(actor: str, workload: WorkloadRef, code: str) -> RefusalKey:
    """What makes a refusal a repeat of another one."""
    return (actor, EVERY_WORKLOAD if code == "NoPolicy" else str(workload), code)
