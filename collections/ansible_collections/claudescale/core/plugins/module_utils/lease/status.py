# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The status that a lease ought to have, from the chain and the autoscaler as they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import LeaseFacts
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, Lease, Phase
from ansible_collections.claudescale.core.plugins.module_utils.lease.view import Snapshot, View

ENDS = {
    "Expired": "its time is over",
    "EndedEarly": "it was ended before its time",
    "Deleted": "it was deleted",
    "PolicyRemoved": "its policy was deleted, which ends leases for good",
    "PolicyObserves": "its policy was set to Observe, which ends leases for good",
    "NeverStood": "its time passed before the floor could be raised",
}


def statuses(snapshot: Snapshot) -> list[tuple[Lease, dict[str, Any]]]:
    """The leases whose status is not what it ought to be, each with the one that it ought to have."""
    view = View(snapshot)
    found = []
    for lease in snapshot.leases:
        facts = snapshot.ledger.leases.get(lease.uid)
        if facts is None:
            continue  # not decided yet, or refused as a repeat
        wanted = status(lease, facts, view)
        if wanted != lease.status:
            found.append((lease, wanted))
    return found


def refusal(lease: Lease, decision: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a refused lease that has no record of its own yet."""
    conditions = [
        _condition(
            lease, "Accepted", passed=False, reason=decision["code"], message=decision["message"], at=decision["time"]
        )
    ]
    return {
        **_common(lease, Phase.REFUSED, decision),
        "conditions": conditions,
        "message": f"refused: {decision['message']}",
    }


def status(lease: Lease, facts: LeaseFacts, view: View) -> dict[str, Any]:
    """The whole status of a lease that the chain knows."""
    phase = phase_of(facts)
    message, stands, reason = _floor_words(lease, facts, phase, view)
    now = moments.text(view.snapshot.now)
    accepted = facts.outcome == chain.ACCEPTED and not facts.refused_at_start
    wanted = {
        **_common(lease, phase, facts.decision),
        "message": message,
        "record": {"sequence": facts.last.sequence, "hash": facts.last.hash},
        "conditions": [
            _condition(
                lease,
                "Accepted",
                passed=accepted,
                reason=facts.decision["code"],
                message=facts.decision["message"],
                at=now,
            )
        ],
    }
    if facts.outcome == chain.ACCEPTED:
        wanted["conditions"].append(
            _condition(lease, "FloorStands", passed=stands, reason=reason, message=message, at=now)
        )
        wanted["conditions"].extend(_troubles(lease, phase, view, now))
    floor = {"before": facts.before, "applied": _applied(facts, phase, view), "after": facts.after}
    if any(value is not None for value in floor.values()):
        wanted["floor"] = {name: value for name, value in floor.items() if value is not None}
    return wanted


def phase_of(facts: LeaseFacts) -> Phase:
    """Where in its life a lease is, by the chain."""
    if facts.outcome == chain.REFUSED or facts.refused_at_start:
        return Phase.REFUSED
    if facts.outcome == chain.OBSERVED:
        return Phase.OBSERVED
    if facts.ended is not None:
        return Phase.FAILED if facts.ended == "NeverStood" else Phase.ENDED
    return Phase.ACTIVE if facts.started else Phase.PENDING


def _common(lease: Lease, phase: Phase, decision: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "observedGeneration": lease.generation,
        "phase": phase.value,
        "startTime": moments.text(lease.start),
        "endTime": moments.text(lease.end),
        "decision": dict(decision),
    }


def _floor_words(lease: Lease, facts: LeaseFacts, phase: Phase, view: View) -> tuple[str, bool, str]:
    """(sentence, whether the floor stands, reason)."""
    if phase is Phase.PENDING:
        return _pending_words(lease, view)
    if phase is Phase.ACTIVE:
        return _active_words(lease, view)
    words = {
        Phase.REFUSED: f"refused: {facts.decision['message']}",
        Phase.OBSERVED: "the policy only observes: this would have been allowed, and nothing was changed",
    }
    ended = facts.ended or phase.value
    return words.get(phase) or f"over: {ENDS[ended]}", False, ended


def _active_words(lease: Lease, view: View) -> tuple[str, bool, str]:
    main = view.main
    if main is None:
        return "the autoscaler is not there: the lease waits for it", False, "AutoscalerMissing"
    if main.held is not None and main.held.contested_by:
        who = f"{main.held.contested_by} keeps writing minReplicas of {main.name}"
        return f"{who}: the lease stopped asserting its floor", False, "FloorContested"
    floor = f"the floor of {main.name} stands at {main.floor}"
    if main.floor < lease.replicas:
        return f"{floor}, under the {lease.replicas} that were asked", False, "FloorCapped"
    return f"{floor} until {moments.text(lease.end)}", True, "FloorStands"


def _pending_words(lease: Lease, view: View) -> tuple[str, bool, str]:
    snapshot = view.snapshot
    if snapshot.now < lease.start:
        return f"accepted: it starts at {moments.text(lease.start)}", False, "NotStarted"
    if not snapshot.can_record:
        return "no record can be written: without one nothing is raised", False, "RecordsUnavailable"
    return "accepted: the floor is being raised", False, "Raising"


def _applied(facts: LeaseFacts, phase: Phase, view: View) -> int | None:
    """The floor in force: it may change while the lease is active."""
    if phase is Phase.ACTIVE and view.main is not None:
        return view.main.floor
    return facts.applied


def _troubles(lease: Lease, phase: Phase, view: View, now: str) -> list[dict[str, Any]]:
    main = view.main if phase is Phase.ACTIVE else None
    found = []
    contested = main.held.contested_by if main is not None and main.held is not None else None
    capped = main is not None and not contested and main.floor < lease.replicas
    if contested and main is not None:
        message = (
            f"{contested} wrote minReplicas of {main.name} a second time: tell it to leave the field alone, for"
            " example by ignoreDifferences in Argo CD, or by a manifest without minReplicas"
        )
        found.append(_condition(lease, "FloorContested", passed=True, reason="WrittenAgain", message=message, at=now))
    if capped and main is not None:
        message = _capped_words(main, view)
        found.append(_condition(lease, "FloorCapped", passed=True, reason="MaximumReached", message=message, at=now))
    return found


def _capped_words(main: Autoscaler, view: View) -> str:
    policy = view.snapshot.policy
    if policy is not None and policy.maximum < main.maximum:
        return f"the policy allows {policy.maximum} replicas now"
    return f"maxReplicas of {main.name} is {main.maximum} now: to lower it first, end the leases"


def _condition(lease: Lease, kind: str, *, passed: bool, reason: str, message: str, at: str) -> dict[str, Any]:
    """A condition; its time moves only when its status does."""
    text = "True" if passed else "False"
    before = next((old for old in lease.status.get("conditions") or [] if old["type"] == kind), None)
    since = before["lastTransitionTime"] if before is not None and before["status"] == text else at
    return {
        "type": kind,
        "status": text,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
        "observedGeneration": lease.generation,
    }
