# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""One attached namespace: what its watches told, its chain, and the paths of its objects."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller.cache import Cache, Object
from ansible_collections.claudescale.core.plugins.module_utils.controller.journal import Journal
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    API_VERSION,
    Autoscaler,
    Lease,
    Policy,
    WorkloadRef,
)

log = logging.getLogger("claudescale.space")


class Space:
    """`wanted(workload)` is called when something of a workload changed, `wanted(None)` for the namespace's chores."""

    def __init__(self, client: ClusterClient, namespace: str, wanted: Callable[[WorkloadRef | None], None]) -> None:
        self.namespace = namespace
        self.journal = Journal(client, namespace)
        self._wanted = wanted
        self._index: dict[WorkloadRef, dict[str, Lease]] = {}  # the leases of each workload by name, read once
        self._indexing = threading.Lock()
        self.leases = Cache(self._lease_changed)
        self.policies = Cache(self._policy_changed)
        self.autoscalers = Cache(self._autoscaler_changed)

    @property
    def watched(self) -> tuple[tuple[str, Cache], ...]:
        """The paths to watch, each with the cache that takes what is seen."""
        ours = f"/apis/{API_VERSION}/namespaces/{self.namespace}"
        return (
            (f"{ours}/capacityleases", self.leases),
            (f"{ours}/scalingpolicies", self.policies),
            (self.autoscalers_path, self.autoscalers),
        )

    @property
    def listed(self) -> bool:
        """Whether every cache knows its objects."""
        return all(cache.listed.is_set() for _path, cache in self.watched)

    def lease_path(self, name: str) -> str:
        """A lease's path."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/capacityleases/{name}"

    def policy_path(self, workload: WorkloadRef) -> str:
        """The path of a workload's policy."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/scalingpolicies/{workload.policy_name}"

    @property
    def autoscalers_path(self) -> str:
        """The path of all autoscalers."""
        return f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers"

    def autoscaler_path(self, name: str) -> str:
        """An autoscaler's path."""
        return f"{self.autoscalers_path}/{name}"

    def scale_path(self, workload: WorkloadRef) -> str:
        """The path of a workload's scale."""
        return f"{workload.path(self.namespace)}/scale"

    def leases_of(self, workload: WorkloadRef) -> list[Lease]:
        """The workload's leases, first come first."""
        with self._indexing:
            found = list(self._index.get(workload, {}).values())
        return sorted(found, key=lambda lease: lease.order)

    def all_leases(self) -> list[Lease]:
        """Every lease of the namespace."""
        with self._indexing:
            return [lease for leases in self._index.values() for lease in leases.values()]

    def policy_of(self, workload: WorkloadRef) -> Policy | None:
        """The workload's policy."""
        item = self.policies.get(workload.policy_name)
        policy = Policy.from_object(item) if item is not None else None
        return policy if policy is not None and policy.workload == workload else None

    def autoscalers_of(self, workload: WorkloadRef) -> list[Object]:
        """The autoscalers that target the workload, as the watch told last."""
        return [item for item in self.autoscalers.all() if _ref(item, "scaleTargetRef") == workload]

    def workloads(self) -> set[WorkloadRef]:
        """Every workload that a lease, an autoscaler or the chain speaks of."""
        found = {lease.workload for lease in self.all_leases()}
        found |= {_ref(item, "scaleTargetRef") for item in self.autoscalers.all()}
        found |= {facts.workload for facts in self.journal.ledger.leases.values() if facts.open}
        return found | {intent.workload for intent in self.journal.ledger.intents.values()}

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        item = new or old
        if item is not None:
            self._read(item)
            self._wanted(_ref(item, "workloadRef"))
            if new is None or (new.get("status") or {}).get("phase"):
                self._wanted(None)

    def _read(self, item: Object) -> None:
        """Read a lease as the cache has it by now: two threads may come here in the other order."""
        name, workload = item["metadata"]["name"], _ref(item, "workloadRef")
        with self._indexing:
            current = self.leases.get(name)
            leases = self._index.setdefault(workload, {})
            leases.pop(name, None)
            if current is not None and _ref(current, "workloadRef") == workload:
                try:
                    leases[name] = Lease.from_object(current)
                except ClaudeScaleError as error:
                    # Nobody else's lease hangs on it. The schema takes no such lease.
                    log.error(
                        "lease cannot be read", extra={"facts": {"namespace": self.namespace, "what": str(error)}}
                    )
            if not leases:
                del self._index[workload]

    def _policy_changed(self, old: Object | None, new: Object | None) -> None:
        for item in (old, new):
            if item is not None:
                self._wanted(_ref(item, "workloadRef"))

    def _autoscaler_changed(self, old: Object | None, new: Object | None) -> None:
        # Its status changes every few seconds, and says nothing that matters here.
        if old is not None and new is not None and _without_version(old) == _without_version(new):
            return
        for item in (old, new):
            if item is not None:
                self._wanted(_ref(item, "scaleTargetRef"))


def _without_version(item: Object) -> Autoscaler:
    return replace(Autoscaler.from_object(item), resource_version="", our_entries=())


def _ref(item: Mapping[str, Any], name: str) -> WorkloadRef:
    return WorkloadRef.from_object(item["spec"][name])
