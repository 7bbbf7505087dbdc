"""What must hold before the demo touches anything: each condition one sentence, or the sentence why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import Scaling, scaling
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, Phase, WorkloadRef

from claudescale_cli.capacity import controller, policy_facts, policy_words
from claudescale_cli.common import plain

WORKLOAD = "demo-app"
ASKED = 4


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the demo stands on."""

    person: str
    autoscaler: str
    base: int
    hpa: dict[str, Any]  # as it was found


class Missing(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """A condition does not hold; nothing was changed."""


def check(cluster: ClusterClient) -> tuple[Ground, list[tuple[str, str]]]:
    """(What is there, a (noun, sentence) for each condition); Missing with the first that does not hold."""
    reader = Reader(cluster)
    reader.kinds_exist()
    found = controller(cluster)
    if found["state"] != "Ready":
        raise Missing(f"the controller is not ready ({found['state']}): claudescale status, or make up")
    ref = WorkloadRef(kind="Deployment", name=WORKLOAD)
    autoscalers, leases, policies = reader.autoscalers(), reader.leases(), reader.policies()
    policy = next((one for one in policies if one.workload == ref), None)
    if policy is None:
        raise Missing(f"there is no policy for {WORKLOAD}, so nothing may be asked for it: make up brings one")
    facts = policy_facts(policy, autoscalers, leases)
    if facts["mode"] != "Enforce":
        raise Missing(f"policy {facts['name']} is in mode {facts['mode']}, which changes nothing: set it to Enforce")
    open_leases = [
        one.name for one in leases if one.workload == ref and one.phase in (None, Phase.PENDING, Phase.ACTIVE)
    ]
    if open_leases:
        names = ", ".join(plain(name) for name in open_leases[:3])
        raise Missing(f"{WORKLOAD} has a lease that is not over ({names}): wait for it, or claudescale end NAME")
    if facts["now"]["obstacle"]:
        raise Missing(f"nothing can be leased for {WORKLOAD}: {facts['now']['obstacle']}")
    main = next(one for one in autoscalers if one.workload == ref)
    hpa = cluster.get(_hpa_path(cluster, main.name))
    scale = _at_rest(cluster, main, scaling(hpa))
    if facts["now"]["most_replicas"] < ASKED or main.floor >= ASKED:
        most = facts["now"]["most_replicas"]
        raise Missing(
            f"the demo asks for {ASKED}: the base of {main.name} is {main.floor}, and {most} may be asked for"
        )
    person = cluster.whoami()
    if not cluster.allowed("patch", "apps", "deployments/scale", cluster.namespace, WORKLOAD):
        raise Missing(f"{plain(person)} may not write the scale of {WORKLOAD}, which the demo shows")
    lines = [
        ("controller", f"{found['name']} is ready ({found['ready']}/{found['wanted']})"),
        ("policy", f"{facts['name']} is in force: {policy_words(facts)}"),
        ("autoscaler", f"{main.name} is at its base: floor {main.floor}, {scale.current} replicas, {_cpu(scale)}"),
        ("leases", f"none of {WORKLOAD} is open"),
        ("you", f"{plain(person)}, with your own kubeconfig's rights"),
    ]
    return Ground(person=person, autoscaler=main.name, base=main.floor, hpa=hpa), lines


def _at_rest(cluster: ClusterClient, main: Autoscaler, scale: Scaling) -> Scaling:
    """The autoscaler's numbers; Missing where it is not at its base, idle, and knowing so."""
    if main.held is not None or main.our_entries:
        raise Missing(f"{main.name} still carries marks of a lease: claudescale status shows whose")
    deployment = cluster.get(f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{WORKLOAD}")
    counts = {scale.current, scale.wanted, deployment["spec"].get("replicas", 1)}
    if counts != {main.floor}:
        shown = " and ".join(str(count) for count in sorted(counts))
        raise Missing(f"{main.name} is not at its base of {main.floor} (replicas {shown}): wait until it is back there")
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    if ready != main.floor:
        raise Missing(f"{ready} of {main.floor} pods of {WORKLOAD} are ready: wait for them")
    if scale.cpu_percent is None:
        raise Missing(f"{main.name} does not know the CPU yet, so it would take nothing back: wait a minute")
    return scale


def differences(before: dict[str, Any], after: dict[str, Any], controller_name: str) -> list[str]:
    """What of an autoscaler is not as it was: spec, labels, annotations, and entries of the controller's ownership."""
    found = [f"spec.{key}" for key in sorted({*before["spec"], *after["spec"]}) if _differs(before, after, "spec", key)]
    for part in ("labels", "annotations"):
        old, new = (one["metadata"].get(part) or {} for one in (before, after))
        found += [f"{part} {key}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    entries = after["metadata"].get("managedFields") or []
    if any(entry.get("manager") == controller_name for entry in entries):
        found.append(f"managedFields of {controller_name}")
    return found


def read_autoscaler(cluster: ClusterClient, name: str) -> dict[str, Any]:
    """The autoscaler as it is now."""
    return cluster.get(_hpa_path(cluster, name))


def _differs(before: dict[str, Any], after: dict[str, Any], part: str, key: str) -> bool:
    return bool(before[part].get(key) != after[part].get(key))


def _hpa_path(cluster: ClusterClient, name: str) -> str:
    return f"/apis/autoscaling/v2/namespaces/{cluster.namespace}/horizontalpodautoscalers/{name}"


def _cpu(scale: Scaling) -> str:
    return f"CPU {scale.cpu_percent} % of {scale.cpu_target_percent} %"
