"""Warm-up and CPU limit of the demo app's worker: how they are set for a comparison, and how that is undone. Pure.

A write of ours takes fields from their owners. What is undone is therefore both: the values, each only while it is
still what we wrote, and the entries of managedFields, so that whoever owned a field owns it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

FIELD_MANAGER = "claudescale-compare"
CONTAINER = "worker"
VARIABLE = "WARMUP_SECONDS"
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What the worker has: the variable's entry in env, and the CPU limit; None where there is none."""

    variable: Mapping[str, Any] | None
    limit: str | None

    @property
    def words(self) -> str:
        """For people."""
        warmup = "no warm-up" if self.variable is None else f"{self.variable.get('value', '?')} s of warm-up"
        return f"{warmup}, {'no CPU limit' if self.limit is None else f'{self.limit} CPU'}"


def fit_of(deployment: Mapping[str, Any]) -> Fit:
    """What stands; ClaudeScaleError where there is no worker."""
    _, worker = _worker(deployment)
    variable = next((deepcopy(one) for one in worker.get("env") or [] if one["name"] == VARIABLE), None)
    return Fit(variable=variable, limit=((worker.get("resources") or {}).get("limits") or {}).get("cpu"))


def is_fitted(deployment: Mapping[str, Any]) -> bool:
    """Whether a comparison's settings are still on it, because it was killed."""
    return any(entry.get("manager") == FIELD_MANAGER and not entry.get("subresource") for entry in _entries(deployment))


def wanted_fit(warmup: int, limit: str) -> Fit:
    """The settings of a comparison."""
    return Fit(variable={"name": VARIABLE, "value": str(warmup)}, limit=limit)


def setting(deployment: Mapping[str, Any], wanted: Fit) -> Json:
    """A strategic merge patch that sets both, for exactly this version of the Deployment."""
    variable = {**dict.fromkeys(fit_of(deployment).variable or {}), **(wanted.variable or {})}  # None takes a key away
    worker = {"name": CONTAINER, "env": [variable], "resources": {"limits": {"cpu": wanted.limit}}}
    return {
        "metadata": {"resourceVersion": deployment["metadata"]["resourceVersion"]},
        "spec": {"template": {"spec": {"containers": [worker]}}},
    }


def values_back(now: Mapping[str, Any], ours: Fit, before: Fit) -> list[Json]:
    """JSON patch operations that bring each value back which is still ours; [] where none is."""
    place, worker = _worker(now)
    root = f"/spec/template/spec/containers/{place}"
    stands = fit_of(now)
    found: list[Json] = []
    if stands.variable != before.variable and stands.variable == ours.variable:
        index = next(index for index, one in enumerate(worker["env"]) if one["name"] == VARIABLE)
        found += _back(f"{root}/env/{index}", ours.variable, before.variable)
    if stands.limit != before.limit and stands.limit == ours.limit:
        found += _back(f"{root}/resources/limits/cpu", ours.limit, before.limit)
    return [{"op": "test", "path": f"{root}/name", "value": CONTAINER}, *found] if found else []


def strangers(now: Mapping[str, Any], ours: Fit, before: Fit) -> list[str]:
    """What is neither ours nor what was there: somebody else wrote it, and it is left alone."""
    stands = fit_of(now)
    found = []
    if stands.variable not in (ours.variable, before.variable):
        found.append(VARIABLE)
    if stands.limit not in (ours.limit, before.limit):
        found.append("the CPU limit")
    return found


def owners_back(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Json]:
    """JSON patch operations that give our fields to those who owned them before; [] where we own none."""
    mine = [entry for entry in _entries(now) if entry.get("manager") == FIELD_MANAGER]
    if not mine:
        return []
    taken: Json = {}
    for entry in mine:
        taken = _union(taken, entry.get("fieldsV1") or {})
    entries = [deepcopy(dict(entry)) for entry in _entries(now) if entry.get("manager") != FIELD_MANAGER]
    for old in _entries(before):
        back = _common(old.get("fieldsV1") or {}, taken)
        if not back or old.get("manager") == FIELD_MANAGER:
            continue
        same = next((entry for entry in entries if _key(entry) == _key(old)), None)
        if same is None:
            entries.append({**deepcopy(dict(old)), "fieldsV1": back})
        else:
            same["fieldsV1"] = _union(same.get("fieldsV1") or {}, back)
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        # A precondition: a version that is not the present one is refused.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": now["metadata"]["resourceVersion"]},
    ]


def rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether all pods are of the present template, ready, and as many as wanted."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")}
    return bool(status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and counts == {wanted})


def left_behind(
    sets: Sequence[Mapping[str, Any]], deployment: Mapping[str, Any], known: set[str], ours: Fit
) -> list[Json]:
    """ReplicaSets that our settings made, and that run nothing any more: to those a `rollout undo` would lead."""
    uid = deployment["metadata"]["uid"]
    return [
        dict(one)
        for one in sets
        if one["metadata"]["uid"] not in known
        and any(owner.get("uid") == uid for owner in one["metadata"].get("ownerReferences") or [])
        and fit_of(one) == ours
        and not one["spec"].get("replicas")
        and not (one.get("status") or {}).get("replicas")
    ]


def _worker(deployment: Mapping[str, Any]) -> tuple[int, Json]:
    for place, container in enumerate(deployment["spec"]["template"]["spec"]["containers"]):
        if container["name"] == CONTAINER:
            return place, container
    name = deployment["metadata"]["name"]
    raise ClaudeScaleError(f"{name} has no container {CONTAINER}, so it is not the demo app: make up brings it")


def _back(path: str, ours: Any, before: Any) -> list[Json]:
    test = {"op": "test", "path": path, "value": ours}
    return [
        test,
        {"op": "remove", "path": path} if before is None else {"op": "replace", "path": path, "value": before},
    ]


def _entries(deployment: Mapping[str, Any]) -> list[Json]:
    return deployment["metadata"].get("managedFields") or []


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in ("manager", "operation", "apiVersion", "subresource"))


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> Json:
    """The fields that both sets have. A leaf of a set is {}."""
    found: Json = {}
    for key in one.keys() & other.keys():
        if not one[key] and not other[key]:
            found[key] = {}
        elif below := _common(one[key], other[key]):
            found[key] = below
    return found


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> Json:
    return {key: _union(one.get(key) or {}, other.get(key) or {}) for key in {**one, **other}}
