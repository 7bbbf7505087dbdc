# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What stands in the cluster, as facts for a table: nodes, pods, services, autoscalers. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """An autoscaler's numbers: replicas, and CPU as percent of what the pods request; None where it does not know."""

    name: str
    workload: str
    minimum: int
    maximum: int
    current: int
    wanted: int
    cpu_percent: int | None
    cpu_target_percent: int | None


def scaling(hpa: Mapping[str, Any]) -> Scaling:
    """The numbers of a HorizontalPodAutoscaler of autoscaling/v2."""
    spec, status = hpa["spec"], hpa.get("status") or {}
    targets = [metric["resource"]["target"] for metric in spec.get("metrics") or [] if _is_cpu(metric)]
    values = [metric["resource"]["current"] for metric in status.get("currentMetrics") or [] if _is_cpu(metric)]
    return Scaling(
        name=hpa["metadata"]["name"],
        workload=spec["scaleTargetRef"]["name"],
        minimum=spec.get("minReplicas", 1),
        maximum=spec["maxReplicas"],
        current=status.get("currentReplicas", 0),
        wanted=status.get("desiredReplicas", 0),
        cpu_percent=values[0].get("averageUtilization") if values else None,
        cpu_target_percent=targets[0].get("averageUtilization") if targets else None,
    )


def overview(cluster: ClusterClient) -> dict[str, Any]:
    """Everything in one dictionary of lists, each with plain values only; see the functions below for the keys."""
    space = f"namespaces/{cluster.namespace}"
    return {
        "context": cluster.context,
        "namespace": cluster.namespace,
        "nodes": [node_facts(item) for item in cluster.items("/api/v1/nodes")],
        "pods": [pod_facts(item) for item in cluster.items(f"/api/v1/{space}/pods")],
        "services": [service_facts(item) for item in cluster.items(f"/api/v1/{space}/services")],
        "autoscalers": [
            asdict(scaling(item)) for item in cluster.items(f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers")
        ],
    }


def node_facts(node: Mapping[str, Any]) -> dict[str, Any]:
    """name, state (Ready or NotReady), version, cpu and memory as the node's capacity says them."""
    status = node["status"]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    return {
        "name": node["metadata"]["name"],
        "state": "Ready" if ready else "NotReady",
        "version": status["nodeInfo"]["kubeletVersion"],
        "cpu": status["capacity"]["cpu"],
        "memory": status["capacity"]["memory"],
    }


def pod_facts(pod: Mapping[str, Any]) -> dict[str, Any]:
    """name, state (the phase, or what a container waits for or ended with), ready and containers as counts, restarts.

    A container that crashes may be seen ended ("Error") for a minute until the kubelet tells that it waits
    ("CrashLoopBackOff").
    """
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    state = status.get("phase", "Unknown")
    if pod["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    elif state in ("Pending", "Running"):
        state = next((reason for how in ("waiting", "terminated") for reason in _reasons(containers, how)), state)
    return {
        "name": pod["metadata"]["name"],
        "state": state,
        "ready": sum(bool(c.get("ready")) for c in containers),
        "containers": len(pod["spec"]["containers"]),
        "restarts": sum(c.get("restartCount", 0) for c in containers),
    }


def _reasons(containers: Iterable[Mapping[str, Any]], how: str) -> list[str]:
    """The reasons of those containers that are in a state and tell one."""
    found = (((one.get("state") or {}).get(how) or {}).get("reason") for one in containers)
    return [reason for reason in found if reason]


def service_facts(service: Mapping[str, Any]) -> dict[str, Any]:
    """name, type, ports."""
    spec = service["spec"]
    return {
        "name": service["metadata"]["name"],
        "type": spec["type"],
        "ports": [port["port"] for port in spec.get("ports") or []],
    }


def _is_cpu(metric: Mapping[str, Any]) -> bool:
    return bool(metric.get("type") == "Resource" and metric["resource"]["name"] == "cpu")
