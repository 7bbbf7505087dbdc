# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What the records of a workload say: the fields of each payload, in one place. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease import rules, table
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import Intent, LeaseFacts
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    CONTROLLER,
    Autoscaler,
    Held,
    Lease,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.view import View

Entry = dict[str, Any]


def about(view: View, event: str, outcome: str, autoscaler: Autoscaler | None = None) -> Entry:
    """What every record of a workload says; the controller acts unless a lease's requester does."""
    fields: dict[str, Any] = {
        "time": moments.text(view.snapshot.now),
        "event": event,
        "outcome": outcome,
        "actor": CONTROLLER,
        "door": CONTROLLER,
        "workload": view.snapshot.workload.to_object(),
    }
    if autoscaler is not None:
        fields["autoscaler"] = {"name": autoscaler.name, "uid": autoscaler.uid}
    return fields


def of_lease(lease: Lease) -> Entry:
    """Who asked for what."""
    fields: dict[str, Any] = {
        "name": lease.name,
        "uid": lease.uid,
        "replicas": lease.replicas,
        "startTime": moments.text(lease.start),
        "endTime": moments.text(lease.end),
        "reason": lease.reason,
    }
    if lease.on_behalf_of:
        fields["onBehalfOf"] = lease.on_behalf_of
    return {"actor": lease.requested_by, "door": lease.door, "lease": fields}


def floor_fields(base: int, before: int, applied: int, *, held: bool) -> Entry:
    """A floor in numbers: over which base, before and after, and whether leases hold it."""
    return {"base": base, "before": before, "applied": applied, "held": held}


def intended(view: View, autoscaler: Autoscaler, ground: table.Ground, held: Held, starting: Lease | None) -> Entry:
    """A floor that is to be written; with the decision, where a lease starts by it."""
    floor = held.floor or autoscaler.floor
    fields = {
        **about(view, chain.FLOOR_INTENDED, chain.INTENDED, autoscaler),
        "cause": "LeaseStart" if starting else _cause(autoscaler, ground, held),
        # A value that changes is taken from who applied it.
        "claimants": list(autoscaler.claimants) if floor == autoscaler.floor else [],
        "floor": floor_fields(ground.base, autoscaler.floor, floor, held=True),
        "leases": list(held.leases),
    }
    if starting is not None:
        earlier = view.earlier(view.snapshot.ledger.leases[starting.uid])
        fields.update(of_lease(starting), decision=view.decision(starting, earlier).to_object())
    return fields


def _cause(autoscaler: Autoscaler, ground: table.Ground, held: Held) -> str:
    """Why a floor changes when no lease starts."""
    if ground.seen.event is not table.Event.NOTHING:
        return ground.seen.event.name
    if autoscaler.held is None:
        return "AutoscalerBack"
    return "LeaseEnd" if set(held.leases) < set(autoscaler.held.leases) else "LimitsChanged"


def outcome_of(view: View, intent: Intent, outcome: str) -> Entry:
    """What came of a write that was intended."""
    kept = ("autoscaler", "floor", "leases", "cause", "claimants", "actor", "door")
    fields = {
        **about(view, chain.FLOOR_WRITTEN, outcome),
        **{name: intent.fields[name] for name in kept},
        "of": intent.sequence,
    }
    if "lease" in intent.fields:
        fields["lease"] = intent.fields["lease"]
    return fields


def found(view: View, autoscaler: Autoscaler, held: Held) -> Entry:
    """What stands on the autoscaler without a record of it: written while records could not be."""
    floor = held.floor or autoscaler.floor
    return {
        **about(view, chain.FLOOR_WRITTEN, chain.SUCCEEDED, autoscaler),
        "cause": "Found",
        "claimants": list(autoscaler.claimants),
        "floor": floor_fields(held.base or floor, floor, floor, held=True),
        "leases": list(held.leases),
    }


def lease_ended(view: View, facts: LeaseFacts, cause: str) -> Entry:
    """A lease that is over."""
    lease = view.by_uid.get(facts.uid)
    fields = {
        **about(view, chain.LEASE_ENDED, chain.SUCCEEDED, view.main),
        "cause": cause,
        "lease": {"name": facts.name, "uid": facts.uid},
    }
    if lease is not None:
        fields["lease"] = of_lease(lease)["lease"]
    if lease is not None and cause == "EndedEarly" and lease.ended_through:
        fields["door"] = lease.ended_through
    return fields


def noted(view: View, autoscaler: Autoscaler, ground: table.Ground, note: chain.Noted, leases: Iterable[str]) -> Entry:
    """What somebody else did to a floor that is held."""
    return {
        **about(view, note.event, chain.SUCCEEDED, autoscaler),
        "manager": note.manager,
        "overrules": note.overrules,
        "cause": ground.seen.event.name,
        "floor": floor_fields(ground.base, autoscaler.floor, autoscaler.floor, held=True),
        "leases": list(leases),
    }


def restored(view: View, autoscaler: Autoscaler, known: table.Known) -> Entry:
    """A floor that no lease holds any more."""
    return {
        **about(view, chain.FLOOR_RESTORED, chain.SUCCEEDED, autoscaler),
        "floor": floor_fields(known.base, known.applied, autoscaler.floor, held=False),
        "leases": [],
    }


def decided(view: View, event: str, outcome: str, lease: Lease, decision: rules.Decision) -> Entry:
    """A decision about a lease, at its request or at its start."""
    return {**about(view, event, outcome), **of_lease(lease), "decision": decision.to_object()}
