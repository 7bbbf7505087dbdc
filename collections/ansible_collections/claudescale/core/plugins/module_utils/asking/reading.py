# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What a door reads to explain a decision, or to make a preview of one. Reads only, with the caller's own rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import rules
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    API_VERSION,
    Autoscaler,
    Lease,
    Phase,
    Policy,
    Workload,
    WorkloadRef,
    read_leases,
    times_in_force,
)


class NotInstalled(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """The API server does not know our kinds."""


class NoNamespace(NotInstalled):
    """The API server does not know the namespace."""


class Reader:
    """The objects of one namespace. NotInstalled where the CRDs are missing, else as the client raises."""

    def __init__(self, client: ClusterClient) -> None:
        self.client = client
        self.namespace = client.namespace

    def path(self, plural: str, name: str = "") -> str:
        """The path of our objects."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{plural}{'/' + name if name else ''}"

    def leases(self) -> list[Lease]:
        """All leases, first come first."""
        return read_leases(self._list("capacityleases"))

    def lease(self, name: str) -> Mapping[str, Any] | None:
        """One lease as the API server has it."""
        self.kinds_exist()
        return self.client.find(self.path("capacityleases", name))

    def policies(self) -> list[Policy]:
        """All policies."""
        return [Policy.from_object(item) for item in self._list("scalingpolicies")]

    def policy(self, workload: WorkloadRef) -> Policy | None:
        """The workload's policy."""
        self.kinds_exist()
        item = self.client.find(self.path("scalingpolicies", workload.policy_name))
        return Policy.from_object(item) if item is not None else None

    def autoscalers(self) -> list[Autoscaler]:
        """All autoscalers of the namespace."""
        path = f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers"
        return [Autoscaler.from_object(item) for item in self.client.items(path)]

    def workload(self, ref: WorkloadRef) -> Workload | None:
        """The workload, from its own object: a reader needs no right on scales."""
        item = self.client.find(ref.path(self.namespace))
        if item is None:
            return None
        return Workload(ref=ref, uid=item["metadata"]["uid"], replicas=item["spec"].get("replicas", 1))

    def kinds_exist(self) -> None:
        """NotInstalled where the API server does not know our kinds."""
        try:
            self.client.get(f"/apis/{API_VERSION}")
        except ApiError as error:
            if error.status == 404:
                raise NotInstalled(
                    "the kinds of claudescale.io are not installed in this cluster: make up brings them"
                ) from error
            raise

    def _list(self, plural: str) -> list[dict[str, Any]]:
        try:
            return list(self.client.pages(self.path(plural)))
        except ApiError as error:
            if error.status == 404:
                self.kinds_exist()
            raise


def preview(reader: Reader, name: str, spec: Mapping[str, Any], now: float) -> rules.Decision:
    """What the controller would decide about a lease if it were created now."""
    workload = WorkloadRef.from_object(spec["workloadRef"])
    start, end = times_in_force(spec, now)
    lease = Lease(
        name=name,
        uid="",
        created=now,
        workload=workload,
        replicas=spec["replicas"],
        start=start,
        end=end,
        reason=spec["reason"],
        requested_by=spec["requestedBy"],
    )
    autoscalers = tuple(found for found in reader.autoscalers() if found.workload == workload)
    main = autoscalers[0] if len(autoscalers) == 1 else None
    others = [other for other in reader.leases() if other.workload == workload and other.name != name]
    facts = rules.Facts(
        lease=lease,
        now=now,
        policy=reader.policy(workload),
        workload=reader.workload(workload),
        autoscalers=autoscalers,
        base=main.base if main is not None else None,
        earlier=sum(other.phase in (Phase.PENDING, Phase.ACTIVE) for other in others),
    )
    return rules.decide(facts)
