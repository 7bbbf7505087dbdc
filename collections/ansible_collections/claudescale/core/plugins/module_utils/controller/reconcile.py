# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Do what lease/plan.py says, for one workload at a time: the only code of the project that writes a floor or a scale.

Look, plan, do, look again, until there is nothing to do. Every write has a precondition, and every answer replaces what
was known before, so an error anywhere ends the pass and the next one begins with a fresh look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller.journal import (
    Overtaken,
    RecordUnavailable,
)
from ansible_collections.claudescale.core.plugins.module_utils.controller.metrics import Metrics
from ansible_collections.claudescale.core.plugins.module_utils.controller.space import Space
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import housekeeping
from ansible_collections.claudescale.core.plugins.module_utils.lease import status as statuses
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    ANNOTATIONS,
    CONTROLLER,
    Autoscaler,
    Held,
    Lease,
    Workload,
    WorkloadRef,
    is_name,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.plan import (
    Append,
    DropOwnership,
    RaiseScale,
    Restore,
    Step,
    WriteFloor,
    next_deadline,
    plan,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.view import Snapshot

MOST_ROUNDS = 400  # of one pass: a batch of decisions takes three, a floor six
MOST_DELETIONS = 20  # at a time, so that a flood's leavings delay nobody
log = logging.getLogger("claudescale.reconcile")

# Takes the namespace, a record's fields, and the workload where it is known.
Told: TypeAlias = "Callable[[str, Mapping[str, Any], Workload | None], None]"


class EndlessPlanError(RuntimeError):
    """A pass that finds new steps for ever: a defect of the plan."""


class Pass:
    """One pass over one workload. `reconcile` returns the moment at which time alone makes something to do."""

    def __init__(
        self,
        *,
        client: ClusterClient,
        space: Space,
        workload: WorkloadRef,
        now: Callable[[], float],
        metrics: Metrics,
        told: Told,
        pressing: Callable[[], bool],
    ) -> None:
        self.client = client
        self.space = space
        self.workload = workload
        self.now = now
        self.metrics = metrics
        self.told = told
        self.pressing = pressing  # whether other workloads' deadlines have come
        self.can_record = True
        self.known: set[str] = set()  # UIDs of the leases that this pass is about
        self.target: Workload | None = None
        self.autoscalers: list[Autoscaler] = []

    def reconcile(self) -> float | None:
        """RecordUnavailable where something waits for a record; other errors as the client raises them."""
        if self._is_idle():
            return None
        self._look()
        for _round in range(MOST_ROUNDS):
            steps = plan(self._snapshot())
            if not steps:
                break
            self._do(steps)
            if isinstance(steps[0], DropOwnership) and self.pressing():
                return self.now()  # restored: what is left is to be told, and others wait for their restore
        else:
            raise EndlessPlanError(f"{self.workload}: {steps[0]}")
        snapshot = self._snapshot()
        for lease, status in statuses.statuses(snapshot):
            self._set_status(lease, status)
        if not self.can_record:
            raise RecordUnavailable("records cannot be written now")
        return next_deadline(self._snapshot())

    def _is_idle(self) -> bool:
        ledger = self.space.journal.ledger
        if self.space.leases_of(self.workload) or ledger.accepted(self.workload):
            return False
        if any(intent.workload == self.workload for intent in ledger.intents.values()):
            return False
        for item in self.space.autoscalers_of(self.workload):
            seen = Autoscaler.from_object(item)
            known = ledger.floors.get(seen.uid)
            if seen.held is not None or seen.our_entries or (known is not None and known.held):
                return False
        return True

    def _look(self) -> None:
        """Read the autoscalers anew: between a watch's event and now somebody may have written.

        A lease that appears after this look is for the next pass: the workload may not have been read for it.
        """
        self.autoscalers = []
        for item in self.space.autoscalers_of(self.workload):
            self._look_at(item["metadata"]["name"])
        self._catch_up()
        leases = self.space.leases_of(self.workload)
        self.known = {lease.uid for lease in leases}
        if any(lease.phase is None for lease in leases):
            self._look_for_what_is_missing()
        if any(self._may_start(lease) for lease in leases):
            scale = self.client.find(self.space.scale_path(self.workload))
            self.target = self._workload(scale) if scale is not None else None

    def _look_for_what_is_missing(self) -> None:
        """The watches of policies and autoscalers may be behind that of leases: nothing is refused for that."""
        if self.space.policy_of(self.workload) is None:
            policy = self.client.find(self.space.policy_path(self.workload))
            if policy is not None:
                self.space.policies.put(policy)
        if not self.autoscalers:
            for item in self.client.items(self.space.autoscalers_path):
                self._seen(item)

    def _may_start(self, lease: Lease) -> bool:
        """Whether pods may have to start for a lease, or it is still to be decided."""
        if lease.phase is None:
            return True
        return not lease.phase.is_final and not lease.ended and self.now() < lease.end

    def _catch_up(self) -> None:
        """Read what another controller did, before undoing it: its records, and leases that no watch told of yet."""
        holding = [held for autoscaler in self.autoscalers if (held := autoscaler.held) is not None]
        known = {lease.name for lease in self.space.leases_of(self.workload)}
        for name in sorted({name for held in holding for name in held.leases} - known):
            found = self.client.find(self.space.lease_path(name)) if is_name(name) else None
            if found is not None:
                self.space.leases.put(found)
        told = [held.record for held in holding if held.record is not None]
        told += [lease.recorded for lease in self.space.leases_of(self.workload)]
        head = self.space.journal.head
        if head is not None and max(told, default=-1) > head.sequence:
            self.space.journal.catch_up()

    def _look_at(self, name: str) -> None:
        item = self.client.find(self.space.autoscaler_path(name))
        if item is not None:
            self._seen(item)
        else:
            self.autoscalers = [autoscaler for autoscaler in self.autoscalers if autoscaler.name != name]

    def _seen(self, item: Mapping[str, Any]) -> None:
        self.space.autoscalers.put(item)
        seen = Autoscaler.from_object(item)
        others = [autoscaler for autoscaler in self.autoscalers if autoscaler.name != seen.name]
        self.autoscalers = [*others, seen] if seen.workload == self.workload else others

    def _workload(self, scale: Mapping[str, Any]) -> Workload:
        return Workload(ref=self.workload, uid=scale["metadata"]["uid"], replicas=scale["spec"].get("replicas", 0))

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            now=self.now(),
            workload=self.workload,
            policy=self.space.policy_of(self.workload),
            target=self.target,
            autoscalers=tuple(self.autoscalers),
            leases=tuple(lease for lease in self.space.leases_of(self.workload) if lease.uid in self.known),
            ledger=self.space.journal.ledger,
            can_record=self.can_record,
        )

    def _do(self, steps: list[Step]) -> None:
        """Do the steps of one stage, until one shows that the plan was made from an older state."""
        for step in steps:
            try:
                self._do_one(step)
            except Overtaken:
                self.metrics.conflict("record")
                return
            except RecordUnavailable as error:
                self.can_record = False
                self.metrics.error("record")
                log.warning("no record can be written", extra={"facts": self._facts(what=str(error))})
                return
            except ApiError as error:
                # A JSON patch's failed `test` is a 422.
                if error.status not in (404, 409, 422 if isinstance(step, DropOwnership) else 409):
                    raise
                self.metrics.conflict(type(step).__name__)
                self._look()
                return

    def _do_one(self, step: Step) -> None:
        if isinstance(step, Append):
            self._append(step.fields)
        elif isinstance(step, WriteFloor):
            self._write_floor(step.autoscaler, step.floor, step.held.to_annotations())
        elif isinstance(step, Restore):
            self._check_nothing_was_told()
            self._write_floor(step.autoscaler, step.floor, dict.fromkeys(ANNOTATIONS))
        elif isinstance(step, DropOwnership):
            self._drop_ownership(step.autoscaler, step.entry)
        elif isinstance(step, RaiseScale):
            self._raise_scale(step.workload, step.replicas)
        else:
            self._set_status(step.lease, statuses.refusal(step.lease, step.decision))

    def _check_nothing_was_told(self) -> None:
        """Overtaken where records were written that this plan does not know; records that fail hold nothing back."""
        journal = self.space.journal
        before = journal.head
        try:
            journal.catch_up()
        except ClaudeScaleError as error:
            log.warning("records cannot be read", extra={"facts": self._facts(what=str(error))})
        if journal.head != before:
            raise Overtaken("another controller wrote records meanwhile")

    def _append(self, fields: Mapping[str, Any]) -> None:
        record = self.space.journal.append(fields)
        self.metrics.recorded(self.space.namespace, record.fields)
        head = str(record.head)
        log.info("recorded", extra={"facts": {**self._facts(head=head), **_short(record.fields)}})
        self.told(self.space.namespace, record.fields, self.target)

    def _write_floor(self, autoscaler: Autoscaler, floor: int, annotations: Mapping[str, str | None]) -> None:
        """One merge patch; the answer is verified, because it is the only proof of what stands there."""
        meta = {"resourceVersion": autoscaler.resource_version, "uid": autoscaler.uid, "annotations": annotations}
        answer = self.client.patch(
            self.space.autoscaler_path(autoscaler.name),
            {"metadata": meta, "spec": {"minReplicas": floor}},
            field_manager=CONTROLLER,
        )
        self._seen(answer)
        wanted = Held.from_annotations({name: text for name, text in annotations.items() if text is not None})
        seen = Autoscaler.from_object(answer)
        if (seen.floor, seen.held) != (floor, wanted):
            log.error("the API server made something else of a floor", extra={"facts": self._facts(floor=seen.floor)})
        log.info("floor written", extra={"facts": self._facts(autoscaler=seen.name, floor=seen.floor)})

    def _drop_ownership(self, autoscaler: Autoscaler, entry: int) -> None:
        place = f"/metadata/managedFields/{entry}"
        answer = self.client.patch(
            self.space.autoscaler_path(autoscaler.name),
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": autoscaler.resource_version},
                {"op": "test", "path": f"{place}/manager", "value": CONTROLLER},
                {"op": "remove", "path": place},
            ],
            kind="json",
            field_manager=CONTROLLER,
        )
        self._seen(answer)

    def _raise_scale(self, workload: Workload, replicas: int) -> None:
        path = self.space.scale_path(self.workload)
        scale = self.client.get(path)
        found = self._workload(scale)
        if 0 < found.replicas < replicas:
            meta = {"resourceVersion": scale["metadata"]["resourceVersion"], "uid": workload.uid}
            scale = self.client.patch(
                path, {"metadata": meta, "spec": {"replicas": replicas}}, field_manager=CONTROLLER
            )
            log.info("scale raised to the floor", extra={"facts": self._facts(replicas=replicas)})
        self.target = self._workload(scale)

    def _set_status(self, lease: Lease, status: Mapping[str, Any]) -> None:
        """A lease that is gone, or was made anew, has no status to set."""
        body = {"metadata": {"uid": lease.uid}, "status": status}
        try:
            answer = self.client.patch(f"{self.space.lease_path(lease.name)}/status", body, field_manager=CONTROLLER)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return
        self.space.leases.put(answer)

    def _facts(self, **more: Any) -> dict[str, Any]:
        return {"namespace": self.space.namespace, "workload": str(self.workload), **more}


def do_chores(client: ClusterClient, space: Space, now: float, ttl: float, metrics: Metrics) -> float | None:
    """Record the repeats of refusals, delete finished leases; when to look again (`now`: there is more to do)."""
    ledger = space.journal.ledger
    leases = space.all_leases()
    chores = housekeeping.chores(leases, ledger, now, ttl)
    for fields in chores.repeats:
        record = space.journal.append(fields)
        metrics.recorded(space.namespace, record.fields)
        log.info("recorded", extra={"facts": {"head": str(record.head), **_short(record.fields)}})
    for lease in chores.deletions[:MOST_DELETIONS]:
        client.delete(space.lease_path(lease.name), uid=lease.uid)
    for uid in ledger.leases.keys() - {lease.uid for lease in leases}:
        ledger.forget(uid)
    # What was just recorded may go now.
    return now if chores.repeats or len(chores.deletions) > MOST_DELETIONS else chores.again


def _short(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields for a log line: no text of other people's in it."""
    found = {name: fields[name] for name in ("sequence", "event", "outcome", "cause", "floor") if name in fields}
    if "lease" in fields:
        found["lease"] = fields["lease"]["name"]
    if "decision" in fields:
        found["code"] = fields["decision"]["code"]
    return found
