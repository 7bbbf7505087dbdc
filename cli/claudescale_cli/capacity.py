"""What stands about capacity in a namespace, for tables and for machines: controller, policies, floors, leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking.door import record_of
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import NotInstalled, Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    CONTROLLER,
    Autoscaler,
    Lease,
    Phase,
    Policy,
    WorkloadRef,
)

SERVICE_ACCOUNT = "system:serviceaccount:"
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def capacity(cluster: ClusterClient) -> dict[str, Any]:
    """controller, policies, floors, leases, and problem: the sentence why some of them are not known, else None."""
    found: dict[str, Any] = {"controller": None, "policies": [], "floors": [], "leases": [], "problem": None}
    reader = Reader(cluster)
    try:
        found["controller"] = controller(cluster)
        autoscalers, leases, policies = reader.autoscalers(), reader.leases(), reader.policies()
    except NotInstalled as error:
        return {**found, "problem": str(error)}
    except ApiError as error:
        if error.status != 403:
            raise
        return {**found, "problem": str(error)}
    return {
        **found,
        "policies": [policy_facts(policy, autoscalers, leases) for policy in policies],
        "floors": [floor_facts(autoscaler) for autoscaler in autoscalers],
        "leases": [lease_facts(lease) for lease in leases],
    }


def controller(cluster: ClusterClient) -> dict[str, Any]:
    """name, state (Ready, NotReady, or Absent: it may still run outside of the cluster), ready and wanted pods."""
    deployment = cluster.find(f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{CONTROLLER}")
    if deployment is None:
        return {"name": CONTROLLER, "state": "Absent", "ready": 0, "wanted": 0}
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    wanted = deployment["spec"].get("replicas", 1)
    return {"name": CONTROLLER, "state": "Ready" if ready else "NotReady", "ready": ready, "wanted": wanted}


def lease_facts(lease: Lease) -> dict[str, Any]:
    """A lease with plain values; phase is None before the controller has seen it."""
    return {
        "name": lease.name,
        "workload": str(lease.workload),
        "replicas": lease.replicas,
        "phase": lease.phase.value if lease.phase else None,
        "floor": dict(lease.status.get("floor") or {}),
        "starts": moments.text(lease.start),
        "ends": moments.text(lease.end),
        "requested_by": lease.requested_by,
        "on_behalf_of": lease.on_behalf_of,
        "door": lease.door,
        "reason": lease.reason,
        "message": lease.status.get("message"),
        "record": record_of({"status": lease.status}),
    }


def floor_facts(autoscaler: Autoscaler) -> dict[str, Any]:
    """An autoscaler's floor, what it is without leases (None: not known), and the leases that hold it."""
    held = autoscaler.held
    return {
        "autoscaler": autoscaler.name,
        "workload": str(autoscaler.workload),
        "floor": autoscaler.floor,
        "base": base_of(autoscaler),
        "maximum": autoscaler.maximum,
        "leases": list(held.leases) if held else [],
        "contested_by": held.contested_by if held else None,
    }


def policy_facts(policy: Policy, autoscalers: Iterable[Autoscaler], leases: Iterable[Lease]) -> dict[str, Any]:
    """What may be asked for a workload; `now` is what that comes to as things are, times in seconds."""
    owners = [found for found in autoscalers if found.workload == policy.workload]
    main = owners[0] if len(owners) == 1 else None
    accepted = sum(
        lease.workload == policy.workload and lease.phase in (Phase.PENDING, Phase.ACTIVE) for lease in leases
    )
    base = base_of(main) if main else None
    obstacle = _obstacle(owners, accepted, policy)
    limits = [policy.maximum, *([main.maximum] if main else []), *([base + policy.step_up] if base is not None else [])]
    return {
        "name": policy.workload.policy_name,
        "workload": str(policy.workload),
        "mode": policy.mode.value,
        "least_replicas": policy.minimum,
        "most_replicas": policy.maximum,
        "most_above_base": policy.step_up,
        "default_seconds": int(policy.default_duration),
        "most_seconds": int(policy.longest),
        "most_seconds_ahead": int(policy.lead),
        "most_leases": policy.concurrent,
        "now": {
            "autoscaler": main.name if main else None,
            "floor": main.floor if main else None,
            "base": base,
            "autoscaler_maximum": main.maximum if main else None,
            "leases": accepted,
            "obstacle": obstacle,
            "most_replicas": None if obstacle else min(limits),
        },
    }


def _obstacle(owners: list[Autoscaler], accepted: int, policy: Policy) -> str | None:
    """Why nothing at all can be had now, as far as policy and autoscalers tell."""
    if len(owners) != 1:
        return f"{len(owners)} autoscalers" if owners else "no autoscaler"
    if owners[0].by_keda:
        return "its autoscaler is KEDA's"
    return "all leases are taken" if accepted >= policy.concurrent else None


def base_of(autoscaler: Autoscaler) -> int | None:
    """The floor that people configured, None where the annotation that says it cannot be read."""
    return autoscaler.held.base if autoscaler.held else autoscaler.floor


# Words


def span(seconds: float) -> str:
    """A duration as people write it: 90s, 30m, 1h30m, 7d."""
    left = int(seconds)
    if left < 120:
        return f"{left}s"
    words = ""
    for unit, size in UNITS:
        count, left = divmod(left, size)
        words += f"{count}{unit}" if count else ""
    return words


def moment(text: str, now: float) -> str:
    """A time in UTC, to the second, without its date where that is today's."""
    found = moments.text(moments.parse(text))
    day, time = found[:10], f"{found[11:19]}Z"
    return time if day == moments.text(now)[:10] else f"{day} {time}"


def floor_words(floor: Mapping[str, int]) -> str:
    """How a lease moved the floor: before → applied → after."""
    return " → ".join(str(floor[name]) for name in ("before", "applied", "after") if name in floor)


def user_words(user: str) -> str:
    """A user's name for a narrow place: a service account without its prefix and namespace."""
    return "…:" + user.rpartition(":")[2] if user.startswith(SERVICE_ACCOUNT) else user


def workload_words(workload: str) -> str:
    """A workload as people name it: a Deployment by its name alone."""
    return workload.removeprefix("Deployment/")


def policy_words(policy: Mapping[str, Any]) -> str:
    """A policy in one line."""
    lasts = f"{span(policy['default_seconds'])}, up to {span(policy['most_seconds'])}"
    return (
        f"{policy['least_replicas']} to {policy['most_replicas']} replicas of {workload_words(policy['workload'])},"
        f" {policy['most_above_base']} above the base at most, for {lasts}"
    )


def ref_words(ref: WorkloadRef) -> str:
    """A workload as people name it."""
    return workload_words(str(ref))
