"""The same facts twice: as kubectl shows the objects, and as the reading tools answer; both in one shape, to compare.

`Kubectl` gives the objects of a kind in the namespace, as `kubectl get KIND -o json` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Kubectl = Callable[[str], list[dict[str, Any]]]
Facts = dict[str, Any]
BASE, LEASES = "claudescale.io/base", "claudescale.io/leases"
KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
NAMES_SHOWN = 3  # of the leases on one autoscaler
HASH_SHOWN = 12  # digits of a record's hash; the head's is whole


def workloads(kubectl: Kubectl) -> dict[str, Facts]:
    """Each workload by KIND/NAME: replicas, pods, autoscaler, policy."""
    pods, scalers, policies = kubectl("pods"), kubectl("hpa"), kubectl("scalingpolicies")
    found = {}
    for kind, word in KINDS.items():
        for item in kubectl(kind):
            name = f"{word}/{item['metadata']['name']}"
            its = [hpa for hpa in scalers if _ref(hpa["spec"]["scaleTargetRef"]) == name]
            rules = [one["spec"] for one in policies if _ref(one["spec"]["workloadRef"]) == name]
            found[name] = {
                "replicas": item["spec"].get("replicas", 1),
                **_pods(item["spec"]["selector"]["matchLabels"], pods),
                "autoscaler": _autoscaler(its[0]) if len(its) == 1 else None,
                "policy": _policy(rules[0]) if rules else None,
            }
    return found


def _ref(ref: Facts) -> str:
    return f"{ref['kind']}/{ref['name']}"


def _pods(labels: dict[str, str], pods: list[Facts]) -> Facts:
    its = [pod for pod in pods if labels.items() <= (pod["metadata"].get("labels") or {}).items()]
    its = [pod for pod in its if pod["status"]["phase"] not in ("Succeeded", "Failed")]
    ready = [
        pod
        for pod in its
        if not pod["metadata"].get("deletionTimestamp")
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
    ]
    return {"pods": len(its), "ready": len(ready)}


def _autoscaler(hpa: Facts) -> Facts:
    notes = hpa["metadata"].get("annotations") or {}
    floor = hpa["spec"].get("minReplicas", 1)
    status = hpa.get("status") or {}
    return {
        "name": hpa["metadata"]["name"],
        "floor": floor,
        "base": int(notes.get(BASE, floor)),
        "maximum": hpa["spec"]["maxReplicas"],
        "current": status.get("currentReplicas", 0),
        "wanted": status.get("desiredReplicas", 0),
        "leases": [name for name in notes.get(LEASES, "").split(",") if name][:NAMES_SHOWN],
    }


def _policy(spec: Facts) -> Facts:
    lease = spec.get("lease") or {}
    return {
        "mode": spec["mode"],
        "min_replicas": spec.get("minReplicas", 1),
        "max_replicas": spec["maxReplicas"],
        "max_step_up": (spec.get("maxStep") or {}).get("up", 3),
        "max_seconds": lease.get("maxDurationSeconds", 14400),
        "default_seconds": lease.get("defaultDurationSeconds", 1800),
        "max_lead_seconds": lease.get("maxLeadSeconds", 604800),
        "max_leases": lease.get("maxConcurrent", 10),
    }


def leases(kubectl: Kubectl) -> dict[str, Facts]:
    """Each lease by its name."""
    items = kubectl("capacityleases")
    return {item["metadata"]["name"]: _lease(item["spec"], item.get("status") or {}) for item in items}


def _lease(spec: Facts, status: Facts) -> Facts:
    stands = [one["status"] for one in status.get("conditions", []) if one["type"] == "FloorStands"]
    return {
        "workload": _ref(spec["workloadRef"]),
        "phase": status.get("phase"),
        "replicas": spec["replicas"],
        "until": (status.get("endTime") or spec.get("endTime") or "")[:19],
        "floor_stands": stands == ["True"],
        "requested_by": spec["requestedBy"],
        "reason": spec["reason"],
    }


def records(kubectl: Kubectl) -> list[Facts]:
    """The chain, oldest first."""
    chain = sorted(kubectl("scalingrecords"), key=lambda item: int(item["spec"]["sequence"]))
    return [_record(item["spec"]) for item in chain]


def _record(spec: Facts) -> Facts:
    fields = json.loads(spec["payload"])
    of, lease = fields.get("workload"), fields.get("lease")
    return {
        "sequence": int(spec["sequence"]),
        "time": fields["time"][:19],
        "event": fields["event"],
        "outcome": fields["outcome"],
        "workload": _ref(of) if of else None,
        "lease": lease["name"] if lease else None,
        "hash": spec["hash"],
    }


def head(kubectl: Kubectl) -> str:
    """SEQUENCE:HASH of the last record."""
    last = records(kubectl)[-1]
    return f"{last['sequence']}:{last['hash']}"


# What the tools say


def told_workloads(pages: list[Facts]) -> dict[str, Facts]:
    return {one["workload"]: _told_workload(one) for page in pages for one in page["workloads"]}


def _told_workload(one: Facts) -> Facts:
    scaler = one.get("autoscaler")
    shown = ("name", "floor", "base", "maximum", "current", "wanted", "leases")
    return {
        "replicas": one["replicas"],
        "pods": one["pods"]["count"],
        "ready": one["pods"]["ready"],
        "autoscaler": {key: scaler[key] for key in shown} if scaler else None,
        "policy": one.get("policy"),
    }


def told_leases(pages: list[Facts], seen: dict[str, Facts]) -> dict[str, Facts]:
    """`seen` is what kubectl says: an end that stands nowhere, because the lease never began, is not compared."""
    shown = ("workload", "replicas", "floor_stands", "requested_by", "reason")
    found = {}
    for one in (one for page in pages for one in page["leases"]):
        until = one["until"][:19] if seen.get(one["name"], {}).get("until") else ""
        found[one["name"]] = {"phase": one.get("phase"), "until": until, **{key: one[key] for key in shown}}
    return found


def told_record(one: Facts, known: Facts) -> Facts:
    """A record as a tool tells it, in the shape of `known`; a hash that is cut stands for the whole."""
    told = {key: one.get(key) for key in known}
    if told.get("time"):
        told["time"] = told["time"][:19]
    if one.get("hash") and known["hash"].startswith(one["hash"]) and len(one["hash"]) >= HASH_SHOWN:
        told["hash"] = known["hash"]
    return told
