# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What becomes of "scale this workload to N": a lease, nothing, or a refusal. Pure.

Under an autoscaler a written count does not last, so none is written. What is asked is compared with the count that
the workload's spec asks for now: more than that becomes a lease, less is the autoscaler's to do. Whether the lease may
be is for the rules of leases to say; here only what no lease could be is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.lease import rules
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, Workload


class Course(StrEnum):
    """What becomes of it."""

    LEASE = "Lease"
    UNCHANGED = "Unchanged"
    REFUSED = "Refused"


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What becomes of it, and why: a code, and the numbers for its words. None where they are not known.

    `base`: the floor without any lease. `held_by`: the leases that hold the floor.
    """

    course: Course
    code: str
    present: int | None = None
    floor: int | None = None
    base: int | None = None
    held_by: tuple[str, ...] = ()


def rule(
    asked: int, workload: Workload | None, autoscalers: Sequence[Autoscaler], *, is_named_already: bool = False
) -> Ruling:
    """What becomes of a wish for `asked` replicas, of which `autoscalers` are the workload's own.

    `is_named_already`: there is a lease of the request's name, so this is a repeat, or a mistake that doors explain.
    The count may have changed since, by that lease itself: it says nothing about a repeat.
    """
    present = workload.replicas if workload is not None else None
    if is_named_already:
        return Ruling(course=Course.LEASE, code="NamedAlready", present=present)
    if workload is None:
        return Ruling(course=Course.REFUSED, code="WorkloadNotFound")
    obstacle = rules.obstacle(autoscalers, workload.replicas)
    if obstacle is not None:
        return Ruling(course=Course.REFUSED, code=obstacle, present=present)
    owner = autoscalers[0]
    numbers = {
        "present": workload.replicas,
        "floor": owner.floor,
        "base": owner.base,
    }
    held_by = owner.held.leases if owner.held is not None else ()
    if asked > workload.replicas:
        return Ruling(course=Course.LEASE, code="Upward", held_by=held_by, **numbers)
    if asked == workload.replicas:
        return Ruling(course=Course.UNCHANGED, code="AlreadySo", held_by=held_by, **numbers)
    return Ruling(course=Course.REFUSED, code="ScalingDown", held_by=held_by, **numbers)
