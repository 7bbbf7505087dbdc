# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The nouns of a lease, frozen: what was asked, what policy allows, what the autoscaler and its workload show.

Each is read from the API server's plain object by its `from_object`; nothing here asks anybody. Times are seconds since
the epoch, replicas are counts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

GROUP = "claudescale.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CONTROLLER = "claudescale-controller"  # service account and field manager
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LONGEST_NAME = 253
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
KEDA_LABELS = ("scaledobject.keda.sh/name", "scaledobjects.keda.sh/name")

BASE = f"{GROUP}/base"
FLOOR = f"{GROUP}/floor"
LEASES = f"{GROUP}/leases"
RECORD = f"{GROUP}/record"
OVERRULED = f"{GROUP}/overruled"
CONTESTED_BY = f"{GROUP}/contested-by"
ANNOTATIONS = (BASE, FLOOR, LEASES, RECORD, OVERRULED, CONTESTED_BY)


class Phase(StrEnum):
    """Where a lease is in its life; a lease that the controller has not seen has none."""

    PENDING = "Pending"
    ACTIVE = "Active"
    OBSERVED = "Observed"
    ENDED = "Ended"
    REFUSED = "Refused"
    FAILED = "Failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self not in (Phase.PENDING, Phase.ACTIVE)


class Mode(StrEnum):
    """What a policy does with what it allows."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


@dataclass(frozen=True, kw_only=True, order=True)
class WorkloadRef:
    """A Deployment or StatefulSet of the namespace at hand."""

    kind: str
    name: str
    api_version: str = "apps/v1"

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def policy_name(self) -> str:
        """The one name that a policy of this workload can have."""
        return f"{self.kind.lower()}.{self.name}"

    def path(self, namespace: str) -> str:
        """Its path in the API server; ClaudeScaleError where its name would lead elsewhere."""
        if not is_name(self.name):
            raise ClaudeScaleError(
                f"{self.name[:60]!r} is no workload's name: use lower-case letters, digits and hyphens"
            )
        return f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[self.kind]}/{self.name}"

    @classmethod
    def from_object(cls, ref: Mapping[str, Any]) -> WorkloadRef:
        """From a workloadRef or a scaleTargetRef."""
        return cls(kind=ref["kind"], name=ref["name"], api_version=ref.get("apiVersion") or "")

    def to_object(self) -> dict[str, str]:
        """As a workloadRef."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": self.name}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What may be asked for one workload; replicas as counts, times in seconds."""

    workload: WorkloadRef
    mode: Mode
    minimum: int
    maximum: int
    step_up: int
    longest: float
    default_duration: float
    lead: float
    concurrent: int

    @classmethod
    def from_object(cls, policy: Mapping[str, Any]) -> Policy:
        """From a ScalingPolicy as the API server gives it: its schema has filled the defaults in."""
        spec = policy["spec"]
        lease = spec["lease"]
        return cls(
            workload=WorkloadRef.from_object(spec["workloadRef"]),
            mode=Mode(spec["mode"]),
            minimum=spec["minReplicas"],
            maximum=spec["maxReplicas"],
            step_up=spec["maxStep"]["up"],
            longest=lease["maxDurationSeconds"],
            default_duration=lease["defaultDurationSeconds"],
            lead=lease["maxLeadSeconds"],
            concurrent=lease["maxConcurrent"],
        )


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A CapacityLease: at least `replicas` in [start, end). `door` is the field manager that created it, as claimed."""

    name: str
    uid: str
    created: float
    workload: WorkloadRef
    replicas: int
    start: float
    end: float
    reason: str
    requested_by: str
    on_behalf_of: str | None = None
    ended: bool = False
    ended_through: str | None = None  # the field manager that set `ended`, as claimed
    door: str = "unknown"
    generation: int = 1
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> Phase | None:
        """The phase in its status; None before the controller has seen it."""
        text = self.status.get("phase")
        return Phase(text) if text else None

    @property
    def recorded(self) -> int:
        """The sequence of the last record that its status speaks of; -1 where there is none."""
        return int((self.status.get("record") or {}).get("sequence", -1))

    @property
    def order(self) -> tuple[float, str]:
        """Who came first."""
        return (self.created, self.name)

    @classmethod
    def from_object(cls, lease: Mapping[str, Any]) -> Lease:
        """From a CapacityLease; its times count from its creation.

        ClaudeScaleError where a time or the workload's name is none: the kind's schema takes no such lease.
        """
        meta, spec = lease["metadata"], lease["spec"]
        if not is_name(spec["workloadRef"]["name"]):
            raise ClaudeScaleError(f"lease {meta['name']} is for a workload whose name can be none: delete it")
        created = moments.parse(meta["creationTimestamp"])
        start, end = times_in_force(spec, created)
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            created=created,
            workload=WorkloadRef.from_object(spec["workloadRef"]),
            replicas=spec["replicas"],
            start=start,
            end=end,
            reason=spec["reason"],
            requested_by=spec["requestedBy"],
            on_behalf_of=spec.get("onBehalfOf"),
            ended=spec.get("ended", False),
            ended_through=_manager_of(meta, "f:spec", "f:ended"),
            door=_manager_of(meta, "f:spec", "f:requestedBy") or "unknown",
            generation=meta.get("generation", 1),
            status=lease.get("status") or {},
        )


def times_in_force(spec: Mapping[str, Any], created: float) -> tuple[float, float]:
    """[start, end) of a lease's spec: an absent or past startTime means its creation."""
    start = max(moments.parse(spec["startTime"]), created) if spec.get("startTime") else created
    end = moments.parse(spec["endTime"]) if spec.get("endTime") else start + spec["durationSeconds"]
    moments.text(end)  # what cannot be written cannot be recorded
    return start, end


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the controller wrote on an autoscaler beside its floor; None where an annotation is not readable."""

    base: int | None
    floor: int | None
    leases: tuple[str, ...] = ()
    record: int | None = None
    overruled: tuple[str, ...] = ()
    contested_by: str | None = None

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> Held | None:
        """None where none of ours is there."""
        if not any(name in annotations for name in ANNOTATIONS):
            return None
        return cls(
            base=_count(annotations.get(BASE)),
            floor=_count(annotations.get(FLOOR)),
            leases=_names(annotations.get(LEASES)),
            record=_count(annotations.get(RECORD), least=0),
            overruled=_names(annotations.get(OVERRULED)),
            contested_by=annotations.get(CONTESTED_BY) or None,
        )

    def to_annotations(self) -> dict[str, str | None]:
        """For a merge patch: an annotation that is not wanted is None."""
        return {
            BASE: str(self.base),
            FLOOR: str(self.floor),
            LEASES: ",".join(self.leases),
            RECORD: None if self.record is None else str(self.record),
            OVERRULED: ",".join(self.overruled) or None,
            CONTESTED_BY: self.contested_by,
        }


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who owns a field: a manager, and whether by Apply or by Update."""

    manager: str
    operation: str


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler. `our_entries` are the places of the controller's entries in its managedFields."""

    name: str
    uid: str
    resource_version: str
    workload: WorkloadRef
    floor: int
    maximum: int
    held: Held | None = None
    owners: tuple[Owner, ...] = ()  # of minReplicas
    base_owner: str | None = None  # of the annotation claudescale.io/base
    our_entries: tuple[int, ...] = ()
    by_keda: bool = False

    @classmethod
    def from_object(cls, hpa: Mapping[str, Any]) -> Autoscaler:
        """From an object of autoscaling/v2."""
        meta, spec = hpa["metadata"], hpa["spec"]
        entries = meta.get("managedFields") or []
        labels = meta.get("labels") or {}
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            workload=WorkloadRef.from_object(spec["scaleTargetRef"]),
            floor=spec.get("minReplicas", 1),
            maximum=spec["maxReplicas"],
            held=Held.from_annotations(meta.get("annotations") or {}),
            owners=tuple(
                Owner(manager=entry.get("manager", ""), operation=entry.get("operation", ""))
                for entry in entries
                if _owns(entry, "f:spec", "f:minReplicas")
            ),
            base_owner=_manager_of(meta, "f:metadata", "f:annotations", f"f:{BASE}"),
            our_entries=tuple(place for place, entry in enumerate(entries) if entry.get("manager") == CONTROLLER),
            by_keda=any(label in labels for label in KEDA_LABELS)
            or any(owner.get("kind") == "ScaledObject" for owner in meta.get("ownerReferences") or []),
        )

    @property
    def base(self) -> int:
        """The floor without any lease; what stands, where the annotation that says it cannot be read."""
        return self.held.base if self.held is not None and self.held.base is not None else self.floor

    @property
    def writer(self) -> str:
        """Who wrote minReplicas, if not the controller: the manager's name, "unknown" where the API server has none."""
        return next((owner.manager for owner in self.owners if owner.manager != CONTROLLER), "unknown")

    @property
    def claimants(self) -> tuple[str, ...]:
        """The managers that own minReplicas by server-side apply."""
        return tuple(owner.manager for owner in self.owners if owner.operation == "Apply")

    @property
    def of_us(self) -> bool:
        """Whether the controller owns minReplicas: nobody wrote another value since it did."""
        return any(owner.manager == CONTROLLER for owner in self.owners)

    @property
    def of_others(self) -> bool:
        """Whether somebody else owns minReplicas and the controller does not: its value was not written by us last."""
        return bool(self.owners) and not self.of_us


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment or StatefulSet as its scale shows it."""

    ref: WorkloadRef
    uid: str
    replicas: int


def read_leases(objects: Iterable[Mapping[str, Any]]) -> list[Lease]:
    """The leases that can be read, first come first; one that cannot be takes the others nothing."""
    found = []
    for item in objects:
        with contextlib.suppress(ClaudeScaleError):
            found.append(Lease.from_object(item))
    return sorted(found, key=lambda lease: lease.order)


def is_name(text: str) -> bool:
    """Whether a text can be an object's name: an annotation may hold anything, and this one goes into a path."""
    return len(text) <= LONGEST_NAME and NAME.fullmatch(text) is not None


def _count(text: str | None, *, least: int = 1) -> int | None:
    # ASCII digits only: int() also reads "+2", "2_0" and other scripts' digits.
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) >= least else None


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


def _owns(entry: Mapping[str, Any], *path: str) -> bool:
    fields: Any = entry.get("fieldsV1") or {}
    for step in path:
        if not isinstance(fields, Mapping) or step not in fields:
            return False
        fields = fields[step]
    return not entry.get("subresource")


def _manager_of(meta: Mapping[str, Any], *path: str) -> str | None:
    return next((entry.get("manager") for entry in meta.get("managedFields") or [] if _owns(entry, *path)), None)
