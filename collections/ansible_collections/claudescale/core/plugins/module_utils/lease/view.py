# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A snapshot of one workload, and what every stage of a plan asks of it, worked out once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.lease import rules, table
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import (
    FloorFacts,
    Intent,
    LeaseFacts,
    Ledger,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    Autoscaler,
    Lease,
    Mode,
    Policy,
    Workload,
    WorkloadRef,
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything that a plan is made from.

    `can_record` is False after an append failed: then only what waits for no record is planned.
    """

    now: float
    workload: WorkloadRef
    policy: Policy | None
    target: Workload | None
    autoscalers: tuple[Autoscaler, ...]
    leases: tuple[Lease, ...]
    ledger: Ledger
    can_record: bool = True


class View:
    """A snapshot with what every stage asks of it, worked out once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.by_uid = {lease.uid: lease for lease in snapshot.leases}
        self.open = snapshot.ledger.accepted(snapshot.workload)
        self.main = _main(snapshot)
        enforced = snapshot.policy is not None and snapshot.policy.mode is Mode.ENFORCE
        timely = [facts for facts in self.open if enforced and self._in_time(facts)]
        standing = self._landed()
        self.running = [self.by_uid[facts.uid] for facts in timely if facts.started or facts.uid == standing]
        running = {lease.uid for lease in self.running}
        self.due = [self.by_uid[facts.uid] for facts in timely if facts.uid not in running]

    def _in_time(self, facts: LeaseFacts) -> bool:
        lease = self.by_uid.get(facts.uid)
        return lease is not None and not lease.ended and lease.start <= self.snapshot.now < lease.end

    def _landed(self) -> str | None:
        """The lease whose floor stands while its outcome is not recorded yet."""
        intent = self.snapshot.ledger.intents.get(self.main.uid) if self.main else None
        if intent is None or self.main is None or not landed(intent, self.main):
            return None
        return (intent.fields.get("lease") or {}).get("uid")

    def ground(self, autoscaler: Autoscaler) -> table.Ground:
        """The table's row for an autoscaler, in numbers."""
        known = self.known(autoscaler)
        holding = {*(known.leases if known else ()), *(autoscaler.held.leases if autoscaler.held else ())}
        in_force = autoscaler is self.main and any(lease.name in holding for lease in self.running)
        return table.apply(autoscaler, known, in_force=in_force)

    def known(self, autoscaler: Autoscaler) -> FloorFacts | None:
        """What the chain says of an autoscaler; a write that landed counts before its outcome is recorded."""
        ledger = self.snapshot.ledger
        intent = ledger.intents.get(autoscaler.uid)
        if intent is not None and landed(intent, autoscaler):
            return ledger.foreseen(intent)
        return ledger.floors.get(autoscaler.uid)

    @property
    def base(self) -> int | None:
        """The floor without any lease; None where no single autoscaler has it."""
        return self.ground(self.main).base if self.main else None

    def decision(self, lease: Lease, earlier: int) -> rules.Decision:
        """Ask every rule about a lease, now."""
        snapshot = self.snapshot
        facts = rules.Facts(
            lease=lease,
            now=snapshot.now,
            policy=snapshot.policy,
            workload=snapshot.target,
            autoscalers=snapshot.autoscalers,
            base=self.base,
            earlier=earlier,
        )
        return rules.decide(facts)

    def earlier(self, facts: LeaseFacts | None = None) -> int:
        """How many leases are accepted and not over: all, or those that were decided before this one."""
        found = [other for other in self.open if self.over(other) is None]
        return sum(facts is None or other.decided.sequence < facts.decided.sequence for other in found)

    def contribution(self, lease: Lease) -> int:
        """What a lease adds to the floor: never more than policy allows now."""
        policy = self.snapshot.policy
        return min(lease.replicas, policy.maximum) if policy else lease.replicas

    def over(self, facts: LeaseFacts) -> str | None:
        """Why a lease is over; None while it is not."""
        lease = self.by_uid.get(facts.uid)
        if lease is None:
            return "Deleted"
        if lease.ended:
            return "EndedEarly"
        if self.snapshot.now >= lease.end:
            return "Expired" if facts.started else "NeverStood"
        return None


def _main(snapshot: Snapshot) -> Autoscaler | None:
    """The autoscaler that leases go to: the one that holds some already, else the only one.

    Annotations may vanish, or be copied with their autoscaler: the chain knows which one it was.
    """
    everyone, floors = snapshot.autoscalers, snapshot.ledger.floors
    known = [autoscaler for autoscaler in everyone if (facts := floors.get(autoscaler.uid)) is not None and facts.held]
    held = [autoscaler for autoscaler in everyone if autoscaler.held is not None]
    found = [autoscaler for autoscaler in known if autoscaler in held] or held or known
    if found:
        return found[0]
    return everyone[0] if len(everyone) == 1 else None


def landed(intent: Intent, autoscaler: Autoscaler) -> bool:
    """Whether a write that was intended stands on the autoscaler."""
    if autoscaler.held is not None and autoscaler.held.record is not None:
        return autoscaler.held.record == intent.sequence
    # Annotations that vanished right after the write: the value tells, unless it is somebody else's.
    return autoscaler.floor == intent.applied != intent.before and not autoscaler.of_others
