# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""How the installation is: a finding for each part, and lists of what there is, cut. Pure; checkup.py reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import findings
from ansible_collections.claudescale.core.plugins.module_utils.asking import state as states
from ansible_collections.claudescale.core.plugins.module_utils.asking.findings import Finding, Health, Items, Miss
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import LONGEST_NAME, LONGEST_WORD, Pods
from ansible_collections.claudescale.core.plugins.module_utils.cluster import overview

# An answer of 2,500 tokens holds these; measured in tests/doors/test_mcp_contracts.py.
NODES_SHOWN = 4
SERVICES_SHOWN = 6
AUTOSCALERS_SHOWN = 5
PORTS_SHOWN = 4

Shown = TypeVar("Shown")


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What was read, as it came; `controller` is its Deployment, `targets` what Prometheus says."""

    nodes: Items
    pods: Items
    services: Items
    autoscalers: Items
    targets: Mapping[str, Any] | Miss
    samples: Items  # of metrics.k8s.io, one for each pod
    controller: Mapping[str, Any] | Miss
    leases: Items
    records: Items  # the last ones, oldest first


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A node; cpu and memory as its capacity says them."""

    name: str
    ready: bool
    version: str
    cpu: str
    memory: str


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service; its ports are cut after PORTS_SHOWN."""

    name: str
    type: str
    ports: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ScalerState:
    """An autoscaler's numbers, CPU as percent of what the pods request."""

    name: str
    workload: str
    floor: int
    maximum: int
    current: int
    wanted: int
    cpu_percent: int | None
    cpu_target_percent: int | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything; lists are cut, and the findings' numbers count all."""

    namespace: str
    time: str
    overall: Health
    findings: tuple[Finding, ...]
    nodes: tuple[NodeState, ...]
    services: tuple[ServiceState, ...]
    autoscalers: tuple[ScalerState, ...]
    pods: Pods | None
    head: str | None  # SEQUENCE:HASH of the last record


def status(found: Readings, *, namespace: str, now: float) -> Status:
    """How all parts are; `now` is the API server's."""
    nodes = _each(found.nodes, _node)
    pods = found.pods if isinstance(found.pods, Miss) else states.pods_of(found.pods)
    records, head = findings.records(found.records)
    parts = (
        findings.nodes(nodes if isinstance(nodes, Miss) else [node.ready for node in nodes]),
        findings.pods(found.pods),
        findings.services(found.services),
        findings.autoscalers(found.autoscalers),
        findings.prometheus(found.targets),
        findings.metrics_server(found.samples, None if isinstance(pods, Miss) else pods.ready, now),
        findings.controller(found.controller, found.leases, now),
        records,
    )
    shown = [] if isinstance(nodes, Miss) else sorted(nodes, key=lambda node: (node.ready, node.name))
    return Status(
        namespace=namespace,
        time=moments.text(now),
        overall=_overall(parts),
        findings=parts,
        nodes=tuple(shown[:NODES_SHOWN]),
        services=_some(_each(found.services, _service), SERVICES_SHOWN),
        autoscalers=_some(_each(found.autoscalers, _scaler), AUTOSCALERS_SHOWN),
        pods=None if isinstance(pods, Miss) else pods,
        head=head,
    )


def _overall(parts: tuple[Finding, ...]) -> Health:
    healths = {part.health for part in parts}
    if healths & {Health.DEGRADED, Health.AWAY}:
        return Health.DEGRADED
    return Health.UNKNOWN if Health.UNKNOWN in healths else Health.WELL


def _each(items: Items, show: Callable[[Mapping[str, Any]], Shown]) -> list[Shown] | Miss:
    return items if isinstance(items, Miss) else [show(item) for item in items]


def _some(shown: list[Shown] | Miss, most: int) -> tuple[Shown, ...]:
    return () if isinstance(shown, Miss) else tuple(shown[:most])


def _node(item: Mapping[str, Any]) -> NodeState:
    status = item.get("status") or {}
    capacity = status.get("capacity") or {}
    conditions = status.get("conditions") or []
    return NodeState(
        name=clean(item["metadata"]["name"], LONGEST_NAME),
        ready=any(one["type"] == "Ready" and one["status"] == "True" for one in conditions),
        version=clean((status.get("nodeInfo") or {}).get("kubeletVersion", ""), LONGEST_WORD),
        cpu=clean(capacity.get("cpu", ""), LONGEST_WORD),
        memory=clean(capacity.get("memory", ""), LONGEST_WORD),
    )


def _service(item: Mapping[str, Any]) -> ServiceState:
    facts = overview.service_facts(item)
    return ServiceState(
        name=clean(facts["name"], LONGEST_NAME),
        type=clean(facts["type"], LONGEST_WORD),
        ports=tuple(facts["ports"][:PORTS_SHOWN]),
    )


def _scaler(item: Mapping[str, Any]) -> ScalerState:
    facts = overview.scaling(item)
    return ScalerState(
        name=clean(facts.name, LONGEST_NAME),
        workload=clean(facts.workload, LONGEST_NAME),
        floor=facts.minimum,
        maximum=facts.maximum,
        current=facts.current,
        wanted=facts.wanted,
        cpu_percent=facts.cpu_percent,
        cpu_target_percent=facts.cpu_target_percent,
    )
