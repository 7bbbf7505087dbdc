# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Ask for a lease, or end one: what the Ansible module, the command and the MCP tools share.

A door writes no scale. It creates a CapacityLease under its caller's own identity, waits briefly for the controller's
answer in its status, and explains it. While the controller is away the lease waits in the API server, and the answer is
a preview made by the same function that decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import NoNamespace, Reader, preview
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import (
    BadRequest,
    Wish,
    check_name,
    differences,
    lease_object,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Phase, WorkloadRef

ANSWER_SECONDS = 3.0  # how long a door waits for the controller's decision
LOOK_SECONDS = 0.05


class NoLease(BadRequest):
    """There is no lease of that name."""


class NameTaken(BadRequest):
    """A lease of that name is there, and is not what was asked. `fields` are those that differ, none where it is over.

    For doors that may not repeat what others wrote: the sentence shows the contents of both.
    """

    def __init__(self, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a request. `lease` is the object as it is then, or as it would be created in a dry run."""

    changed: bool
    lease: Mapping[str, Any]
    decision: Mapping[str, Any] | None  # None only where nobody could decide or preview
    preview: bool = False  # the decision is ours, not the controller's
    message: str = ""
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)  # field, before, after

    @property
    def status(self) -> Mapping[str, Any]:
        """The lease's status, {} before the controller has seen it."""
        found: Mapping[str, Any] = self.lease.get("status") or {}
        return found

    @property
    def phase(self) -> str | None:
        """The lease's phase, None before the controller has seen it."""
        return self.status.get("phase")

    @property
    def refused(self) -> bool:
        """Whether it was, or would be, refused."""
        return self.decision is not None and not self.decision["allowed"]

    @property
    def over(self) -> bool:
        """Whether nothing comes after it."""
        return is_over(self.lease)

    @property
    def stands(self) -> bool:
        """Whether the floor stands."""
        return floor_stands(self.lease)


class Door:
    """One way in; `name` is the field manager, by which the lease says where it came from."""

    def __init__(self, client: ClusterClient, name: str) -> None:
        self.client = client
        self.name = name
        self.reader = Reader(client)
        self.clock = ServerClock()
        client.on_response.append(self.clock.observe)

    def ask(self, wish: Wish, *, dry_run: bool = False) -> Answer:
        """Create the lease that is wished for, or find it unchanged.

        BadRequest where the name is taken by other content or by a lease that is over.
        """
        spec = wish.spec(self.client.whoami(), self._default_seconds(wish.workload))
        found = self.reader.lease(wish.name)
        if found is not None:
            return self._unchanged(found, _comparable(wish, spec, found))
        if dry_run:
            return self._dry(wish.name, spec)
        try:
            made = self._create(wish.name, spec)
        except ApiError as error:
            raced = self.reader.lease(wish.name) if error.status == 409 else None
            if raced is None:
                raise
            return self._unchanged(raced, _comparable(wish, spec, raced))
        answered = self.wait(wish.name, lambda lease: phase_of(lease) is not None, ANSWER_SECONDS) or made
        changes = [(name, None, value) for name, value in spec.items()]
        return self._explain(answered, spec, changed=True, changes=changes)

    def end(self, name: str, *, dry_run: bool = False) -> Answer:
        """End a lease before its time; one that is over already is unchanged. NoLease where there is none."""
        found = self.reader.lease(check_name(name))
        if found is None:
            raise self._no_lease(name)
        if found["spec"].get("ended") or is_over(found):
            return _ending(found, changed=False)
        changes = [("ended", False, True)]
        path = self.reader.path("capacityleases", name)
        try:
            made = self.client.patch(path, {"spec": {"ended": True}}, field_manager=self.name, dry_run=dry_run)
        except ApiError as error:
            if error.status == 404:
                raise self._no_lease(name) from error
            raise
        if dry_run:
            message = f"would end lease {name}"
            return Answer(changed=True, lease=found, decision=_decision(found), message=message, changes=changes)
        return _ending(self.wait(name, is_over, ANSWER_SECONDS) or made, changed=True, changes=changes)

    def follow(self, answer: Answer, until: Callable[[Mapping[str, Any]], bool], seconds: float) -> Answer | None:
        """The answer once something holds for its lease, else as it is after so many seconds; None when it is gone."""
        found = self.wait(answer.lease["metadata"]["name"], until, seconds)
        if found is None:
            return None
        decision = _decision(found)
        if decision is None:
            return replace(answer, lease=found)
        return replace(answer, lease=found, decision=decision, preview=False, message=_told(found))

    def wait(self, name: str, until: Callable[[Mapping[str, Any]], bool], seconds: float) -> Mapping[str, Any] | None:
        """The lease once something holds for it, else as it is after so many seconds; None when it is gone."""
        deadline = time.monotonic() + seconds
        pause = LOOK_SECONDS
        while True:
            found = self.client.find(self.reader.path("capacityleases", name))
            if found is None or until(found) or time.monotonic() >= deadline:
                return found
            time.sleep(min(pause, max(deadline - time.monotonic(), 0.0)))
            pause = min(pause * 1.5, 1.0)

    def _default_seconds(self, workload: WorkloadRef) -> float | None:
        policy = self.reader.policy(workload)
        return policy.default_duration if policy is not None else None

    def _unchanged(self, found: Mapping[str, Any], spec: Mapping[str, Any]) -> Answer:
        name, phase = found["metadata"]["name"], phase_of(found)
        other = differences(spec, found["spec"])
        # The same question gets the same answer, as long as it is there; what has been does not come again.
        if is_over(found) and (other or phase in (Phase.ENDED, Phase.FAILED)):
            raise NameTaken(
                f"lease {name} is over ({phase}), and its name is taken until it is deleted: use another name"
            )
        if found["spec"].get("ended"):
            raise NameTaken(f"lease {name} is being ended: use another name")
        if other:
            shown = ", ".join(f"{field} is {was!r}, not {wanted!r}" for field, wanted, was in other)
            message = f"lease {name} exists with other content ({shown}): use another name, or end it first"
            raise NameTaken(message, tuple(entry[0] for entry in other))
        answer = self._explain(found, spec, changed=False)
        if phase == Phase.REFUSED:
            return replace(answer, message=f"{answer.message}; to ask again, use another name")
        return answer

    def _create(self, name: str, spec: Mapping[str, Any], *, dry_run: bool = False) -> Mapping[str, Any]:
        namespace = self.client.namespace
        try:
            return self.client.create(
                self.reader.path("capacityleases"),
                lease_object(name, namespace, spec),
                field_manager=self.name,
                dry_run=dry_run,
            )
        except ApiError as error:
            if error.status == 404:  # the kinds are there: they have just been read
                raise NoNamespace(f"there is no namespace {namespace} in this cluster") from error
            raise

    def _no_lease(self, name: str) -> NoLease:
        return NoLease(f"there is no lease {name} in namespace {self.client.namespace}: see claudescale leases")

    def _dry(self, name: str, spec: Mapping[str, Any]) -> Answer:
        """What would be: the API server's own checks, then our decision."""
        made = self._create(name, spec, dry_run=True)
        decision = preview(self.reader, name, spec, self.clock.now()).to_object()
        verdict = "would be allowed" if decision["allowed"] else "would be refused"
        changes = [(field, None, value) for field, value in spec.items()]
        message = f"lease {name} {verdict}: {decision['message']}"
        return Answer(changed=True, lease=made, decision=decision, preview=True, message=message, changes=changes)

    def _explain(
        self,
        lease: Mapping[str, Any],
        spec: Mapping[str, Any],
        *,
        changed: bool,
        changes: list[tuple[str, Any, Any]] | None = None,
    ) -> Answer:
        name = lease["metadata"]["name"]
        decision = _decision(lease)
        if decision is not None:
            return Answer(changed=changed, lease=lease, decision=decision, message=_told(lease), changes=changes or [])
        guess, words = self._guess(name, spec)
        message = (
            f"lease {name} waits: the controller has not answered within {ANSWER_SECONDS:.0f} s; {words}."
            f" Nothing is lost: it is decided when the controller is back (claudescale status shows it)"
        )
        return Answer(
            changed=changed, lease=lease, decision=guess, preview=True, message=message, changes=changes or []
        )

    def _guess(self, name: str, spec: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
        """(our decision, None where it cannot be made; the same in words) about a lease that is there already."""
        try:
            guess = preview(self.reader, name, spec, self.clock.now()).to_object()
        except ApiError as error:  # whoever may ask need not be allowed to read what is decided by
            return None, f"what the rules say cannot be foretold here ({error})"
        verdict = "allowed" if guess["allowed"] else f"refused ({guess['message']})"
        return guess, f"by the rules it would be {verdict}"


def phase_of(lease: Mapping[str, Any]) -> str | None:
    """A lease's phase, None before the controller has seen it."""
    return (lease.get("status") or {}).get("phase")


def is_over(lease: Mapping[str, Any]) -> bool:
    """Whether nothing comes after a lease's phase."""
    phase = phase_of(lease)
    return phase is not None and Phase(phase).is_final


def floor_stands(lease: Mapping[str, Any]) -> bool:
    """Whether a lease's floor stands."""
    conditions = (lease.get("status") or {}).get("conditions") or []
    return any(one["type"] == "FloorStands" and one["status"] == "True" for one in conditions)


def record_of(lease: Mapping[str, Any]) -> str | None:
    """SEQUENCE:HASH of the last record that speaks of a lease, to be noted down; None before there is one."""
    record = (lease.get("status") or {}).get("record")
    return f"{record['sequence']}:{record['hash']}" if record else None


def _comparable(wish: Wish, spec: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec to compare with a lease that is there: where no end was asked for, its own duration is as good."""
    seconds = found["spec"].get("durationSeconds")
    if wish.end is None and wish.seconds is None and seconds is not None:
        return {**spec, "durationSeconds": seconds}
    return spec


def _ending(lease: Mapping[str, Any], *, changed: bool, changes: list[tuple[str, Any, Any]] | None = None) -> Answer:
    """What came of a request to end a lease."""
    name = lease["metadata"]["name"]
    message = (
        _told(lease)
        if is_over(lease)
        else (
            f"lease {name} is to end, and the controller has not ended it yet: it does so when it is back (claudescale"
            " status shows it)"
        )
    )
    return Answer(changed=changed, lease=lease, decision=_decision(lease), message=message, changes=changes or [])


def _told(lease: Mapping[str, Any]) -> str:
    """What the controller says of a lease that it has decided about."""
    return f"lease {lease['metadata']['name']}: {lease['status'].get('message', lease['status']['phase'])}"


def _decision(lease: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return (lease.get("status") or {}).get("decision")
