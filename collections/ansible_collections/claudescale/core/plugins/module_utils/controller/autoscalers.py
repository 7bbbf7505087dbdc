# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The figures of an autoscaler, each for a gauge: what people configured, what leases made of it, what it does now.

Counts are replicas. Nothing is asked: it comes from what the watches told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    Autoscaler,
    Lease,
    Phase,
    WorkloadRef,
)

MOST = 500  # autoscalers of a namespace with gauges of their own; the first by name
CAPPED = "FloorCapped"  # a lease's condition

GAUGES = {
    "floor_replicas": "minReplicas as it stands",
    "base_replicas": "minReplicas without any lease",
    "maximum_replicas": "maxReplicas",
    "current_replicas": "Replicas that the autoscaler counts",
    "desired_replicas": "Replicas that the autoscaler wants",
    "cpu_ratio": "CPU of its pods, as a share of what they request, as the autoscaler saw it last",
    "cpu_target_ratio": "The share that the autoscaler aims at",
    "floor_contested": "1 where somebody else keeps writing minReplicas during a lease",
    "floor_capped": "1 where an active lease gets less than it asked for",
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one autoscaler, by the names of GAUGES; what is not known is not there."""

    autoscaler: str
    workload: str  # KIND/NAME
    values: Mapping[str, float]


def figures(
    autoscalers: Iterable[Mapping[str, Any]], leases: Callable[[WorkloadRef], Iterable[Lease]]
) -> list[Figures]:
    """Of the first MOST autoscalers, in the order of their names; `leases` are those of a workload."""
    ordered = sorted(autoscalers, key=lambda item: str(item["metadata"]["name"]))
    return [_figures(item, leases) for item in ordered[:MOST]]


def _figures(item: Mapping[str, Any], leases: Callable[[WorkloadRef], Iterable[Lease]]) -> Figures:
    seen, status = Autoscaler.from_object(item), item.get("status") or {}
    known: dict[str, float | None] = {
        "floor_replicas": seen.floor,
        "base_replicas": seen.base,
        "maximum_replicas": seen.maximum,
        "current_replicas": status.get("currentReplicas"),
        "desired_replicas": status.get("desiredReplicas"),
        "cpu_ratio": _share(status.get("currentMetrics"), "current"),
        "cpu_target_ratio": _share(item["spec"].get("metrics"), "target"),
        "floor_contested": seen.held is not None and seen.held.contested_by is not None,
        "floor_capped": any(_is_capped(lease) for lease in leases(seen.workload)),
    }
    return Figures(
        autoscaler=seen.name,
        workload=str(seen.workload),
        values={name: float(value) for name, value in known.items() if value is not None},
    )


def _share(metrics: Iterable[Mapping[str, Any]] | None, part: str) -> float | None:
    """The CPU utilization among an autoscaler's metrics, as it is or as it is wanted."""
    for metric in metrics or []:
        resource = metric.get("resource") or {}
        percent = (resource.get(part) or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and percent is not None:
            return float(percent) / 100
    return None


def _is_capped(lease: Lease) -> bool:
    conditions = lease.status.get("conditions") or []
    return lease.phase is Phase.ACTIVE and any(one["type"] == CAPPED and one["status"] == "True" for one in conditions)
