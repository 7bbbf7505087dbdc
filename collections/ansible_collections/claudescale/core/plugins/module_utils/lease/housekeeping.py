# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What is to be done for a namespace as a whole: repeats of refusals in one record, finished leases deleted. Pure.

A caller in a loop bounds itself: the first refusal of a kind is recorded at once, its repeats once in a minute with
their number, and where many finished leases lie about they go sooner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import Ledger, RefusalKey, refusal_key
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease
from ansible_collections.claudescale.core.plugins.module_utils.lease.plan import REPEAT_SECONDS

MANY = 100  # finished leases in a namespace
SHORT_SECONDS = 10.0  # how long they stay then: enough for a door that waits for its answer


@dataclass(frozen=True, kw_only=True)
class Chores:
    """Records to append, leases to delete, and when to look again (None: when something happens)."""

    repeats: tuple[Mapping[str, Any], ...]
    deletions: tuple[Lease, ...]
    again: float | None


def chores(leases: Iterable[Lease], ledger: Ledger, now: float, ttl: float) -> Chores:
    """Look at the namespace's leases; `ttl` is ttlSecondsAfterFinished."""
    finished = [lease for lease in leases if lease.phase is not None and lease.phase.is_final]
    stay = min(ttl, SHORT_SECONDS) if len(finished) > MANY else ttl
    waiting: dict[RefusalKey, list[Lease]] = {}
    deletions, times = [], []
    for lease in finished:
        key = _unrecorded(lease, ledger)
        if key is not None:
            waiting.setdefault(key, []).append(lease)
            continue
        goes = _finished_at(lease, ledger) + stay
        if goes <= now:
            deletions.append(lease)
        else:
            times.append(goes)
    repeats = []
    for group in (waiting[key] for key in sorted(waiting)):
        due = min(_decided_at(lease) for lease in group) + REPEAT_SECONDS
        if due <= now:
            repeats.append(_repeated(group, now))
        else:
            times.append(due)
    return Chores(repeats=tuple(repeats), deletions=tuple(deletions), again=min(times, default=None))


def _unrecorded(lease: Lease, ledger: Ledger) -> RefusalKey | None:
    """The kind of a refusal that no record speaks of yet, None for everything else."""
    if lease.status.get("record") is not None:
        return None
    key = refusal_key(lease.requested_by, lease.workload, lease.status["decision"]["code"])
    counted = ledger.counted.get(key)
    return None if counted is not None and counted >= _decided_at(lease) else key


def _decided_at(lease: Lease) -> float:
    return moments.parse(lease.status["decision"]["time"])


def _finished_at(lease: Lease, ledger: Ledger) -> float:
    """When a finished lease's last record was made; a repeat has none, and was finished when it was refused."""
    facts = ledger.leases.get(lease.uid)
    if facts is not None:
        return facts.last.time
    times = [moments.parse(condition["lastTransitionTime"]) for condition in lease.status.get("conditions") or []]
    return max(times, default=lease.created)


def _repeated(group: list[Lease], now: float) -> dict[str, Any]:
    last = max(group, key=lambda lease: lease.order)
    return {
        "time": moments.text(now),
        "event": chain.REFUSALS_REPEATED,
        "outcome": chain.REFUSED,
        "actor": last.requested_by,
        "door": last.door,
        "workload": last.workload.to_object(),
        "decision": dict(last.status["decision"]),
        "count": len(group),
        "lease": {"name": last.name, "uid": last.uid},
    }
