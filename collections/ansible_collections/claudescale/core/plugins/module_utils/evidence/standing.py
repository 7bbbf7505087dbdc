# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What stands under a workload now: its autoscaler's numbers, and the CPU that one replica is wanted to have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Standing
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, WorkloadRef

QUANTITY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(m?)")


def standing_of(
    workload: WorkloadRef, item: Mapping[str, Any] | None, autoscalers: Iterable[Mapping[str, Any]]
) -> Standing:
    """From the workload as the API server has it (None: it is gone), and the namespace's autoscalers.

    Nothing is known where not exactly one of them is the workload's.
    """
    its = [hpa for hpa in autoscalers if Autoscaler.from_object(hpa).workload == workload]
    if len(its) != 1:
        return Standing()
    found = Autoscaler.from_object(its[0])
    return Standing(
        maximum=found.maximum,
        floor=found.floor,
        base=found.base,
        held=found.held is not None and found.held.base is not None,
        cores_per_replica=_cores_per_replica(its[0], item),
    )


def cores(quantity: object) -> float | None:
    """The cores of a quantity of CPU such as 250m or 1.5; None where it is written otherwise."""
    found = QUANTITY.fullmatch(str(quantity))
    return float(found[1]) / (1000 if found[2] else 1) if found else None


def _cores_per_replica(hpa: Mapping[str, Any], item: Mapping[str, Any] | None) -> float | None:
    """How much CPU a replica uses when the autoscaler is content with their number."""
    metrics = hpa["spec"].get("metrics") or []
    targets = [metric["resource"]["target"] for metric in metrics if _is_cpu(metric)]
    if len(targets) != 1 or len(metrics) != 1:
        return None
    if "averageValue" in targets[0]:
        return cores(targets[0]["averageValue"])
    requested = _requested(item)
    percent = targets[0].get("averageUtilization")
    return requested * percent / 100 if requested and percent else None


def _is_cpu(metric: Mapping[str, Any]) -> bool:
    return bool(metric.get("type") == "Resource" and metric["resource"]["name"] == "cpu")


def _requested(item: Mapping[str, Any] | None) -> float | None:
    """The CPU that a pod requests; None where one of its containers requests none."""
    if item is None:
        return None
    containers = item["spec"]["template"]["spec"]["containers"]
    found = [cores(((one.get("resources") or {}).get("requests") or {}).get("cpu")) for one in containers]
    known = [one for one in found if one is not None]
    return sum(known) if known and len(known) == len(found) else None
