# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The current state of a namespace, typed: what runs, who owns the count, which leases hold it, what is not well. Pure.

Made from objects that gather.py read. Texts that others wrote went through foreign.clean(); a warning's sentence is
ours alone, and the names that it speaks of stand beside it as data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean, clean_or_none
from ansible_collections.claudescale.core.plugins.module_utils.cluster import overview
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import rules
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    CONTROLLER,
    Autoscaler,
    Lease,
    Mode,
    Phase,
    Policy,
    WorkloadRef,
    read_leases,
)
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import RecordBroken

# An answer of 2,500 tokens holds a page of these; measured in tests/doors/test_mcp_contracts.py.
WORKLOADS_A_PAGE = 4
LEASES_A_PAGE = 4
WARNINGS_SHOWN = 6
RECORDS_SHOWN = 5
WAITING_SHOWN = 3  # reasons for which pods of one workload wait
NAMES_SHOWN = 3  # leases on one autoscaler
LONGEST_NAME = 75  # KIND/NAME with a name of 63 characters
LONGEST_WORD = 40  # reasons of pods and names of field managers

UNANSWERED_SECONDS = 5.0  # a lease that is older and has no phase: nobody decides


class CountOwner(StrEnum):
    """Who sets a workload's replica count."""

    AUTOSCALER = "Autoscaler"
    SEVERAL = "SeveralAutoscalers"
    KEDA = "Keda"
    DISABLED = "DisabledByZeroReplicas"
    PEOPLE = "People"


OWNERS = {
    None: CountOwner.AUTOSCALER,
    rules.NO_AUTOSCALER: CountOwner.PEOPLE,
    rules.SEVERAL_AUTOSCALERS: CountOwner.SEVERAL,
    rules.MANAGED_BY_KEDA: CountOwner.KEDA,
    rules.AUTOSCALER_DISABLED: CountOwner.DISABLED,
}


class Presence(StrEnum):
    """What is known of the controller."""

    RUNNING = "Running"
    AWAY = "Away"
    UNKNOWN = "Unknown"  # it may run outside of this namespace


class Trouble(StrEnum):
    """The codes of the warnings; WORDS has their sentences."""

    CONTROLLER_AWAY = "ControllerAway"
    RECORDS_BROKEN = "RecordsBroken"
    NO_RECORDS = "NoRecords"
    FLOOR_CONTESTED = "FloorContested"
    FLOOR_CAPPED = "FloorCapped"
    FLOOR_MISSING = "FloorMissing"
    FLOOR_LEFT = "FloorLeft"
    SEVERAL_AUTOSCALERS = "SeveralAutoscalers"
    MANAGED_BY_KEDA = "ManagedByKeda"
    AUTOSCALER_DISABLED = "AutoscalerDisabled"
    PODS_WAIT = "PodsWait"
    POLICY_WITHOUT_WORKLOAD = "PolicyWithoutWorkload"
    MORE = "MoreWarnings"


WORDS = {
    Trouble.CONTROLLER_AWAY: "the controller does not answer: leases wait and nothing is lost; make up brings it back",
    Trouble.RECORDS_BROKEN: "the last records are no whole chain: claudescale records verify names the place",
    Trouble.NO_RECORDS: "there are no records yet: the controller has never run in this namespace; make up brings it",
    Trouble.FLOOR_CONTESTED: "another manager keeps writing the floor: tell it to leave minReplicas alone",
    Trouble.FLOOR_CAPPED: "the floor stands under what a lease asks: a maximum was lowered meanwhile",
    Trouble.FLOOR_MISSING: "a lease is active and its floor does not stand: look again in a few seconds",
    Trouble.FLOOR_LEFT: "a floor of ours stands and no lease is active: the controller restores it when it is back",
    Trouble.SEVERAL_AUTOSCALERS: "several autoscalers own one count: leave one of them",
    Trouble.MANAGED_BY_KEDA: "the autoscaler belongs to KEDA, which writes its own floor: no lease is possible",
    Trouble.AUTOSCALER_DISABLED: "0 replicas switch the autoscaler off: a person has to bring it to 1 first",
    Trouble.PODS_WAIT: "pods are not ready: their reasons stand with the workload",
    Trouble.POLICY_WITHOUT_WORKLOAD: "a policy speaks of a workload that is not here",
    Trouble.MORE: "there are more warnings: ask for one workload at a time",
}


@dataclass(frozen=True, kw_only=True)
class Objects:
    """What a state is made from, as the API server gives it; `records` are the last ones, oldest first."""

    deployments: list[dict[str, Any]]
    statefulsets: list[dict[str, Any]]
    pods: list[dict[str, Any]]
    autoscalers: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    leases: list[dict[str, Any]]
    records: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """So many pods are not ready for one reason."""

    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Pods:
    """The pods that are not over; waiting is cut after the WAITING_SHOWN most frequent reasons."""

    count: int
    ready: int
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, kw_only=True)
class AutoscalerState:
    """An autoscaler's numbers. base: the floor without any lease; leases: whose names stand on it."""

    name: str
    floor: int
    base: int
    maximum: int
    current: int
    wanted: int
    cpu_percent: int | None
    cpu_target_percent: int | None
    leases: tuple[str, ...]
    contested_by: str | None


@dataclass(frozen=True, kw_only=True)
class PolicyState:
    """What may be asked for a workload."""

    mode: Mode
    min_replicas: int
    max_replicas: int
    max_step_up: int
    max_seconds: int
    default_seconds: int
    max_lead_seconds: int
    max_leases: int


@dataclass(frozen=True, kw_only=True)
class WorkloadState:
    """A Deployment or StatefulSet; autoscaler None without exactly one, policy None: nothing may be asked."""

    ref: WorkloadRef
    workload: str  # KIND/NAME
    replicas: int
    count_owner: CountOwner
    pods: Pods
    autoscaler: AutoscalerState | None
    policy: PolicyState | None


@dataclass(frozen=True, kw_only=True)
class LeaseState:
    """A lease; phase None: the controller has not seen it yet."""

    name: str
    workload: str
    phase: Phase | None
    replicas: int
    start: str
    until: str
    floor_stands: bool
    code: str | None
    door: str
    requested_by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RecordState:
    """One link of the chain of records."""

    sequence: int
    time: str
    event: str
    outcome: str
    code: str | None
    workload: str | None
    lease: str | None


@dataclass(frozen=True, kw_only=True)
class Warned:
    """What is not well, in words of ours; the names are data."""

    code: Trouble
    message: str
    workload: str | None = None
    lease: str | None = None
    manager: str | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything; the workloads that a policy speaks of come first, and the leases that are not over."""

    namespace: str
    time: str
    controller: Presence
    workloads: tuple[WorkloadState, ...]
    leases: tuple[LeaseState, ...]
    records: tuple[RecordState, ...]
    head: str | None  # SEQUENCE:HASH of the last record
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a state; 1 <= page <= pages. The totals count what all pages hold."""

    state: State
    page: int
    pages: int
    workloads_total: int
    leases_total: int


def state(objects: Objects, *, namespace: str, now: float) -> State:
    """The state; `now` is the API server's."""
    leases = read_leases(objects.leases)
    policies = [Policy.from_object(item) for item in objects.policies]
    workloads = _workloads(objects, {policy.workload: policy for policy in policies})
    records, head, whole = read_records(objects.records)
    controller = presence(_controller(objects.deployments), leases, now)
    warned = [
        *_general(controller, has_records=bool(objects.records), whole=whole),
        *(one for lease in leases for one in _of_lease(lease)),
        *(one for workload in workloads for one in _of_workload(workload, leases)),
        *_of_policies(policies, workloads),
    ]
    return State(
        namespace=namespace,
        time=moments.text(now),
        controller=controller,
        workloads=tuple(workloads),
        leases=lease_states(leases),
        records=records,
        head=head,
        warnings=tuple(warned),
    )


def page_of(found: State, number: int, ref: WorkloadRef | None = None) -> Page:
    """One page, of one workload only where `ref` is given; a number beyond the last page is the last. number >= 1."""
    if ref is not None:
        name = _shown(ref)
        found = replace(
            found,
            workloads=tuple(one for one in found.workloads if one.ref == ref),
            leases=tuple(one for one in found.leases if one.workload == name),
            warnings=tuple(one for one in found.warnings if one.workload in (None, name)),
        )
    pages = max(1, *(-(-len(all_of) // size) for all_of, size in _paged(found)))
    number = min(number, pages)
    warnings = found.warnings
    if len(warnings) > WARNINGS_SHOWN:
        more = Warned(code=Trouble.MORE, message=WORDS[Trouble.MORE])
        warnings = (*warnings[: WARNINGS_SHOWN - 1], more)
    (workloads, workload_size), (leases, lease_size) = _paged(found)
    return Page(
        state=replace(
            found,
            workloads=found.workloads[(number - 1) * workload_size : number * workload_size],
            leases=found.leases[(number - 1) * lease_size : number * lease_size],
            warnings=warnings,
        ),
        page=number,
        pages=pages,
        workloads_total=len(workloads),
        leases_total=len(leases),
    )


def _paged(found: State) -> tuple[tuple[tuple[WorkloadState, ...], int], tuple[tuple[LeaseState, ...], int]]:
    return (found.workloads, WORKLOADS_A_PAGE), (found.leases, LEASES_A_PAGE)


# Workloads


def _workloads(objects: Objects, policies: Mapping[WorkloadRef, Policy]) -> list[WorkloadState]:
    autoscalers = [(Autoscaler.from_object(item), overview.scaling(item)) for item in objects.autoscalers]
    kinds = (("Deployment", objects.deployments), ("StatefulSet", objects.statefulsets))
    found = []
    for kind, items in kinds:
        for item in items:
            ref = WorkloadRef(kind=kind, name=item["metadata"]["name"])
            its = [pair for pair in autoscalers if pair[0].workload == ref]
            replicas = item["spec"].get("replicas", 1)
            only = its[0] if len(its) == 1 else None
            policy = policies.get(ref)
            found.append(
                WorkloadState(
                    ref=ref,
                    workload=_shown(ref),
                    replicas=replicas,
                    count_owner=OWNERS[rules.obstacle([pair[0] for pair in its], replicas)],
                    pods=pods_of(pod for pod in objects.pods if _selects(item["spec"].get("selector") or {}, pod)),
                    autoscaler=_autoscaler(*only) if only else None,
                    policy=policy_state(policy) if policy else None,
                )
            )
    return sorted(found, key=lambda one: (one.policy is None, one.autoscaler is None, one.ref))


def _autoscaler(found: Autoscaler, numbers: overview.Scaling) -> AutoscalerState:
    held = found.held
    return AutoscalerState(
        name=clean(found.name, LONGEST_NAME),
        floor=found.floor,
        base=found.base,
        maximum=found.maximum,
        current=numbers.current,
        wanted=numbers.wanted,
        cpu_percent=numbers.cpu_percent,
        cpu_target_percent=numbers.cpu_target_percent,
        leases=tuple(clean(name, LONGEST_NAME) for name in (held.leases if held else ())[:NAMES_SHOWN]),
        contested_by=clean_or_none(held.contested_by, LONGEST_WORD) if held else None,
    )


def policy_state(policy: Policy) -> PolicyState:
    """What a policy lets be asked."""
    return PolicyState(
        mode=policy.mode,
        min_replicas=policy.minimum,
        max_replicas=policy.maximum,
        max_step_up=policy.step_up,
        max_seconds=int(policy.longest),
        default_seconds=int(policy.default_duration),
        max_lead_seconds=int(policy.lead),
        max_leases=policy.concurrent,
    )


def pods_of(pods: Iterable[Mapping[str, Any]]) -> Pods:
    """The pods, counted; those that are over are none of them."""
    current = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    waiting = Counter(reason for pod in current if (reason := _waits_for(pod)) is not None)
    return Pods(
        count=len(current),
        ready=len(current) - waiting.total(),
        waiting=tuple(
            Waiting(reason=reason, count=count)
            for reason, count in sorted(waiting.items(), key=lambda pair: (-pair[1], pair[0]))[:WAITING_SHOWN]
        ),
    )


def _waits_for(pod: Mapping[str, Any]) -> str | None:
    """Why a pod is not ready; None where it is."""
    conditions = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or []}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return clean(scheduled.get("reason") or "NotScheduled", LONGEST_WORD)
    state_of_pod = overview.pod_facts(pod)["state"]
    return "NotReady" if state_of_pod == "Running" else clean(state_of_pod, LONGEST_WORD)


def _selects(selector: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return bool(selector) and equal and all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(expression["operator"], False)


# Leases, records and the controller


def lease_states(leases: Iterable[Lease]) -> tuple[LeaseState, ...]:
    """The leases, those that are not over first, by their start; then the others, the last that ended first."""
    return tuple(_lease(lease) for lease in sorted(leases, key=_by_interest))


def _by_interest(lease: Lease) -> tuple[bool, float, str]:
    over = lease.phase is not None and lease.phase.is_final
    return (over, -lease.end if over else lease.start, lease.name)


def _lease(lease: Lease) -> LeaseState:
    return LeaseState(
        name=clean(lease.name, LONGEST_NAME),
        workload=_shown(lease.workload),
        phase=lease.phase,
        replicas=lease.replicas,
        start=_seconds(lease.start),
        until=_seconds(lease.end),
        floor_stands=_condition(lease, "FloorStands"),
        code=clean_or_none((lease.status.get("decision") or {}).get("code")),
        door=clean(lease.door, LONGEST_WORD),
        requested_by=clean(lease.requested_by, LONGEST_NAME),
        reason=clean(lease.reason),
    )


def _condition(lease: Lease, kind: str) -> bool:
    conditions = lease.status.get("conditions") or []
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def read_records(items: Iterable[Mapping[str, Any]]) -> tuple[tuple[RecordState, ...], str | None, bool]:
    """(the records that can be read, the head, whether each is whole and follows the one before it)."""
    found: list[RecordState] = []
    previous: chain.Record | None = None
    whole = True
    for item in items:
        try:
            record = chain.from_object(item)
        except RecordBroken:
            whole = False
            continue
        whole = whole and (previous is None or record.previous_hash == previous.hash)
        found.append(_record(record))
        previous = record
    return tuple(found), str(previous.head) if previous else None, whole


def _record(record: chain.Record) -> RecordState:
    fields = record.fields
    copies = chain.copies(fields)
    lease = fields.get("lease")
    return RecordState(
        sequence=record.sequence,
        time=clean(fields["time"]),
        event=clean(fields["event"]),
        outcome=clean(fields["outcome"]),
        code=clean_or_none(copies.get("decision")),
        workload=clean_or_none(copies.get("workload"), LONGEST_NAME),
        lease=clean_or_none(lease.get("name"), LONGEST_NAME) if isinstance(lease, dict) else None,
    )


def presence(controller: Mapping[str, Any] | None, leases: Iterable[Lease], now: float) -> Presence:
    """Whether somebody decides; `controller` is its Deployment, None where there is none in the namespace."""
    if unanswered(leases, now):
        return Presence.AWAY
    if controller is None:
        return Presence.UNKNOWN
    return Presence.RUNNING if (controller.get("status") or {}).get("readyReplicas") else Presence.AWAY


def unanswered(leases: Iterable[Lease], now: float) -> int:
    """How many leases nobody has decided about for too long."""
    return sum(lease.phase is None and now - lease.created > UNANSWERED_SECONDS for lease in leases)


def _controller(deployments: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((item for item in deployments if item["metadata"]["name"] == CONTROLLER), None)


# Warnings


def _warned(code: Trouble, **names: str | None) -> Warned:
    return Warned(code=code, message=WORDS[code], **names)


def _general(controller: Presence, *, has_records: bool, whole: bool) -> Iterable[Warned]:
    if controller is Presence.AWAY:
        yield _warned(Trouble.CONTROLLER_AWAY)
    if not has_records:
        yield _warned(Trouble.NO_RECORDS)
    if not whole:
        yield _warned(Trouble.RECORDS_BROKEN)


def _of_lease(lease: Lease) -> Iterable[Warned]:
    if lease.phase is not Phase.ACTIVE:
        return
    names = {"workload": _shown(lease.workload), "lease": clean(lease.name, LONGEST_NAME)}
    if _condition(lease, "FloorContested"):
        return  # said with its workload, where the manager's name is
    if _condition(lease, "FloorCapped"):
        yield _warned(Trouble.FLOOR_CAPPED, **names)
    elif not _condition(lease, "FloorStands"):
        yield _warned(Trouble.FLOOR_MISSING, **names)


def _of_workload(workload: WorkloadState, leases: list[Lease]) -> Iterable[Warned]:
    name = workload.workload
    by_owner = {
        CountOwner.SEVERAL: Trouble.SEVERAL_AUTOSCALERS,
        CountOwner.KEDA: Trouble.MANAGED_BY_KEDA,
        CountOwner.DISABLED: Trouble.AUTOSCALER_DISABLED,
    }
    if workload.count_owner in by_owner:
        yield _warned(by_owner[workload.count_owner], workload=name)
    autoscaler = workload.autoscaler
    if autoscaler is not None and autoscaler.contested_by:
        yield _warned(Trouble.FLOOR_CONTESTED, workload=name, manager=autoscaler.contested_by)
    if autoscaler is not None and autoscaler.leases and not _is_held(workload.ref, leases):
        yield _warned(Trouble.FLOOR_LEFT, workload=name)
    if workload.pods.waiting and any(one.reason != "Terminating" for one in workload.pods.waiting):
        yield _warned(Trouble.PODS_WAIT, workload=name)


def _is_held(ref: WorkloadRef, leases: list[Lease]) -> bool:
    """Whether a lease of the workload is open: it holds the floor, or will when its status is written."""
    return any(lease.workload == ref and not (lease.phase is not None and lease.phase.is_final) for lease in leases)


def _of_policies(policies: list[Policy], workloads: list[WorkloadState]) -> Iterable[Warned]:
    known = {workload.ref for workload in workloads}
    for policy in policies:
        if policy.workload not in known:
            yield _warned(Trouble.POLICY_WITHOUT_WORKLOAD, workload=_shown(policy.workload))


def _shown(ref: WorkloadRef) -> str:
    return clean(str(ref), LONGEST_NAME)


def _seconds(moment: float) -> str:
    """A moment to the second: 2026-03-01T10:00:00Z; what no clock can say as it stands."""
    try:
        return moments.to_the_second(moment)
    except ClaudeScaleError:
        return str(moment)
