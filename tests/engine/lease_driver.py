"""A tiny API server in memory, and a controller that does what plan() says: for tests of the lease engine.

The server keeps what the engine relies on: resourceVersions, preconditions, and the owners of fields (an Update takes a
field from everybody else, an Apply of the same value shares it, a write that changes nothing leaves no trace). The
controller may be stopped between any two of its effects; nothing it holds in memory survives that but the records.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import housekeeping, model, plan, status, view
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import Ledger
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

NAMESPACE, NAMESPACE_UID = "claudescale", "namespace-uid"
WORKLOAD = model.WorkloadRef(kind="Deployment", name="demo-app")
START = 1767225600.0  # 2026-01-01T00:00:00Z
TTL = 900.0
LONGEST_PASS = 400  # effects; a pass that needs more does not end


class Conflict(Exception):  # noqa: N818
    """409: a stale resourceVersion, or somebody else's field in an apply without force."""


class Invalid(Exception):  # noqa: N818
    """422."""


class Unavailable(Exception):  # noqa: N818
    """The record cannot be written."""


class Crash(Exception):  # noqa: N818
    """The controller dies here."""


@dataclass(kw_only=True)
class Entry:
    """One entry of managedFields; `fields` are "minReplicas", "maxReplicas" and names of annotations."""

    manager: str
    operation: str
    fields: set[str]

    def to_object(self) -> dict[str, Any]:
        spec: dict[str, Any] = {f"f:{name}": {} for name in sorted(self.fields) if "/" not in name}
        annotations: dict[str, Any] = {f"f:{name}": {} for name in sorted(self.fields) if "/" in name}
        fields: dict[str, Any] = {"f:spec": spec} if spec else {}
        if annotations:
            fields["f:metadata"] = {"f:annotations": annotations}
        return {"manager": self.manager, "operation": self.operation, "fieldsV1": fields}


@dataclass(kw_only=True)
class Hpa:
    """An autoscaler as the API server keeps it; `values` holds minReplicas, maxReplicas and annotations."""

    name: str
    uid: str
    values: dict[str, Any]
    version: int = 1
    entries: list[Entry] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def floor(self) -> int:
        return int(self.values["minReplicas"])

    @property
    def maximum(self) -> int:
        return int(self.values["maxReplicas"])

    @property
    def annotations(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if "/" in name}

    def is_clean(self) -> bool:
        return not self.annotations and all(entry.manager != model.CONTROLLER for entry in self.entries)

    def to_object(self) -> dict[str, Any]:
        return {
            "metadata": {
                "name": self.name,
                "uid": self.uid,
                "resourceVersion": str(self.version),
                "labels": self.labels,
                "annotations": self.annotations,
                "managedFields": [entry.to_object() for entry in self.entries],
            },
            "spec": {
                "scaleTargetRef": WORKLOAD.to_object(),
                "minReplicas": self.floor,
                "maxReplicas": self.maximum,
            },
        }

    def update(self, manager: str, changes: Mapping[str, Any], version: str | None = None) -> bool:
        """A merge patch; None removes. Whether anything changed."""
        if version is not None and version != str(self.version):
            raise Conflict
        values = {**self.values, **changes}
        values = {name: value for name, value in values.items() if value is not None}
        values.setdefault("minReplicas", 1)
        changed = {name for name in values if values[name] != self.values.get(name)}
        self._store(values, changed, manager, "Update", changed)
        return bool(changed or changes)

    def apply(self, manager: str, wanted: Mapping[str, Any], *, force: bool) -> None:
        """A server-side apply of these fields."""
        differing = {name for name, value in wanted.items() if self.values.get(name) != value}
        others = [entry for entry in self.entries if (entry.manager, entry.operation) != (manager, "Apply")]
        if not force and any(entry.fields & differing for entry in others):
            raise Conflict
        mine = next((e for e in self.entries if (e.manager, e.operation) == (manager, "Apply")), None)
        dropped = (mine.fields if mine else set()) - set(wanted)
        gone = {name for name in dropped if not any(name in entry.fields for entry in others)}
        values = {name: value for name, value in {**self.values, **wanted}.items() if name not in gone}
        values.setdefault("minReplicas", 1)
        values.setdefault("maxReplicas", self.values["maxReplicas"])
        before = (mine.fields if mine else set()) - dropped
        if mine:
            mine.fields -= dropped
        self._store(values, differing, manager, "Apply", set(wanted), was=before)

    def drop_entry(self, place: int, version: str) -> None:
        """A JSON patch that tests an entry's manager and removes it."""
        if version != str(self.version) or self.entries[place].manager != model.CONTROLLER:
            raise Conflict
        del self.entries[place]
        self.version += 1

    def _store(
        self,
        values: dict[str, Any],
        changed: set[str],
        manager: str,
        operation: str,
        owned: set[str],
        was: set[str] | None = None,
    ) -> None:
        if not 1 <= values["minReplicas"] <= values["maxReplicas"]:
            raise Invalid
        gone = set(self.values) - set(values)
        if not changed and not gone and (was is None or owned == was):
            return
        mine = next((e for e in self.entries if (e.manager, e.operation) == (manager, operation)), None)
        if mine is None:
            mine = Entry(manager=manager, operation=operation, fields=set())
            self.entries.append(mine)
        for entry in self.entries:
            entry.fields -= gone | (changed if entry is not mine else set())
        mine.fields |= owned
        self.entries = [entry for entry in self.entries if entry.fields]
        self.values = values
        self.version += 1


class Server:
    """Everything of one namespace."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.hpas: dict[str, Hpa] = {}
        self.leases: dict[str, dict[str, Any]] = {}
        self.policy: dict[str, Any] | None = policy_object()
        self.replicas: int | None = 2
        self.records: list[chain.Record] = []
        self.records_fail = False
        self.status_writes = 0
        self._uids = itertools.count(1)

    def add_hpa(self, name: str = "demo", *, floor: int = 2, maximum: int = 5, manager: str = "people") -> Hpa:
        hpa = Hpa(
            name=name,
            uid=f"hpa-{next(self._uids)}",
            values={"minReplicas": floor, "maxReplicas": maximum},
            entries=[Entry(manager=manager, operation="Apply", fields={"minReplicas", "maxReplicas"})],
        )
        self.hpas[name] = hpa
        return hpa

    def add_lease(
        self,
        name: str,
        replicas: int = 4,
        *,
        seconds: float = 600,
        lead: float | None = None,
        by: str = "alice",
        door: str = "kubectl-create",
        workload: model.WorkloadRef = WORKLOAD,
    ) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "workloadRef": workload.to_object(),
            "replicas": replicas,
            "durationSeconds": seconds,
            "reason": "a launch",
            "requestedBy": by,
        }
        if lead is not None:
            spec["startTime"] = moments.text(self.now + lead)
        created = int(self.now)  # the API server's times are whole seconds
        self.leases[name] = {
            "metadata": {
                "name": name,
                "uid": f"lease-{next(self._uids)}",
                "creationTimestamp": moments.text(created).replace(".000000Z", "Z"),
                "generation": 1,
                "managedFields": [
                    {"manager": door, "operation": "Update", "fieldsV1": {"f:spec": {"f:requestedBy": {}}}}
                ],
            },
            "spec": spec,
        }
        return self.leases[name]

    def end_lease(self, name: str, door: str = "claudescale-cli") -> None:
        lease = self.leases[name]
        if not lease["spec"].get("ended"):
            lease["spec"]["ended"] = True
            lease["metadata"]["generation"] += 1
            lease["metadata"]["managedFields"].append(
                {"manager": door, "operation": "Update", "fieldsV1": {"f:spec": {"f:ended": {}}}}
            )

    def create_record(self, record: chain.Record) -> None:
        if self.records_fail:
            raise Unavailable
        if record.sequence != len(self.records):
            raise Conflict
        self.records.append(record)

    def write_status(self, name: str, wanted: Mapping[str, Any]) -> None:
        self.leases[name]["status"] = dict(wanted)
        self.status_writes += 1

    def told(self) -> list[Mapping[str, Any]]:
        """The fields of every record but the genesis."""
        return [record.fields for record in self.records[1:]]

    def chain_objects(self) -> list[dict[str, Any]]:
        """The records as objects of the API server."""
        return [chain.to_object(record, NAMESPACE) for record in self.records]

    def story(self) -> list[str]:
        """The events of the records, each with its outcome or cause."""
        return [f"{told['event']} {told.get('cause') or told['outcome']}" for told in self.told()]


def policy_object(
    *,
    mode: str = "Enforce",
    minimum: int = 1,
    maximum: int = 5,
    step: int = 3,
    longest: int = 14400,
    concurrent: int = 10,
) -> dict[str, Any]:
    return {
        "metadata": {"name": WORKLOAD.policy_name},
        "spec": {
            "workloadRef": WORKLOAD.to_object(),
            "mode": mode,
            "minReplicas": minimum,
            "maxReplicas": maximum,
            "maxStep": {"up": step},
            "lease": {
                "maxDurationSeconds": longest,
                "defaultDurationSeconds": 1800,
                "maxLeadSeconds": 604800,
                "maxConcurrent": concurrent,
            },
        },
    }


class Controller:
    """What the real one does, without its waiting: look, plan, do, until there is nothing to do."""

    def __init__(
        self,
        server: Server,
        *,
        around: Callable[[], None] = lambda: None,
        written: Callable[[Hpa, plan.Step, view.Snapshot], None] = lambda *_: None,
        recorded: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self.server = server
        self.around = around  # called before and after every effect: may meddle, may raise Crash
        self.written = written  # called after each write of an autoscaler's floor
        self.recorded = recorded  # called after each record
        self.effects = 0
        if not server.records:
            self._append_genesis()
        self.ledger = ledger_of(server)

    def look(self, *, can_record: bool = True) -> view.Snapshot:
        server = self.server
        leases = model.read_leases(server.leases.values())
        return view.Snapshot(
            now=server.now,
            workload=WORKLOAD,
            policy=model.Policy.from_object(server.policy) if server.policy else None,
            target=None
            if server.replicas is None
            else model.Workload(ref=WORKLOAD, uid="workload-uid", replicas=server.replicas),
            autoscalers=tuple(model.Autoscaler.from_object(hpa.to_object()) for _, hpa in sorted(server.hpas.items())),
            leases=tuple(lease for lease in leases if lease.workload == WORKLOAD),
            ledger=self.ledger,
            can_record=can_record,
        )

    def run(self) -> bool:
        """One pass; whether every record that it wanted was written."""
        can_record, self.effects = True, 0
        while steps := plan.plan(snapshot := self.look(can_record=can_record)):
            for step in steps:
                try:
                    self._effect(partial(self._do, step, snapshot))
                except Conflict:
                    break
                except Unavailable:
                    can_record = False
                    break
        self._tell(can_record=can_record)
        return self._tidy() and can_record

    def _tell(self, *, can_record: bool) -> None:
        for lease, wanted in status.statuses(self.look(can_record=can_record)):
            if lease.name in self.server.leases:
                self._effect(partial(self._write_status, lease, wanted))

    def _tidy(self) -> bool:
        leases = model.read_leases(self.server.leases.values())
        chores = housekeeping.chores(leases, self.ledger, self.server.now, TTL)
        try:
            for fields in chores.repeats:
                self._effect(partial(self._append, fields))
        except (Conflict, Unavailable):
            return False
        for lease in chores.deletions:
            self._effect(partial(self._delete, lease))
        uids = {lease["metadata"]["uid"] for lease in self.server.leases.values()}
        for uid in set(self.ledger.leases) - uids:
            self.ledger.forget(uid)
        return True

    def _effect(self, effect: Callable[[], None]) -> None:
        self.effects += 1
        assert self.effects < LONGEST_PASS, "the pass does not end"
        self.around()
        effect()
        self.around()

    def _do(self, step: plan.Step, snapshot: view.Snapshot) -> None:
        if isinstance(step, plan.Append):
            self._append(step.fields)
        elif isinstance(step, plan.Refuse):
            self._write_status(step.lease, status.refusal(step.lease, step.decision))
        elif isinstance(step, plan.RaiseScale):
            assert self.server.replicas is not None and self.server.replicas > 0
            self.server.replicas = step.replicas
        elif isinstance(step, plan.DropOwnership):
            self._hpa(step.autoscaler).drop_entry(step.entry, step.autoscaler.resource_version)
        else:
            self._write_floor(step, snapshot)

    def _write_floor(self, step: plan.WriteFloor | plan.Restore, snapshot: view.Snapshot) -> None:
        hpa = self._hpa(step.autoscaler)
        if isinstance(step, plan.WriteFloor):
            annotations = step.held.to_annotations()
        else:
            annotations = dict.fromkeys(model.ANNOTATIONS)
        if not hpa.update(
            model.CONTROLLER, {"minReplicas": step.floor, **annotations}, step.autoscaler.resource_version
        ):
            raise AssertionError("a write that changes nothing")
        self.written(hpa, step, snapshot)

    def _hpa(self, autoscaler: model.Autoscaler) -> Hpa:
        hpa = self.server.hpas.get(autoscaler.name)
        if hpa is None or hpa.uid != autoscaler.uid:
            raise Conflict
        return hpa

    def _append(self, fields: Mapping[str, Any]) -> None:
        assert self.ledger.head is not None
        head = chain.Head(sequence=self.ledger.head.sequence, hash=self.ledger.head.hash)
        record = chain.next_record(head, fields)
        self.server.create_record(record)
        self.ledger.add(record.sequence, record.hash, record.fields)
        self.recorded(record.fields)

    def _append_genesis(self) -> None:
        self.server.create_record(
            chain.genesis(
                namespace=NAMESPACE, uid=NAMESPACE_UID, time=moments.text(self.server.now), actor=model.CONTROLLER
            )
        )

    def _write_status(self, lease: model.Lease, wanted: Mapping[str, Any]) -> None:
        found = self.server.leases.get(lease.name)
        if found is None or found["metadata"]["uid"] != lease.uid:
            return
        self.server.write_status(lease.name, wanted)

    def _delete(self, lease: model.Lease) -> None:
        found = self.server.leases.get(lease.name)
        if found is not None and found["metadata"]["uid"] == lease.uid:
            del self.server.leases[lease.name]


def ledger_of(server: Server) -> Ledger:
    """The ledger made anew from the records."""
    ledger = Ledger()
    for record in server.records:
        ledger.add(record.sequence, record.hash, record.fields)
    return ledger
