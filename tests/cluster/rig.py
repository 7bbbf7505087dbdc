"""Workloads to lease for: small Deployments with an autoscaler and a policy each, and what is seen of them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster import watch
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from tests.support import Cluster

SPACE = "claudescale"
LEASES = "/apis/claudescale.io/v1alpha1/namespaces/{}/capacityleases"
RECORDS = "/apis/claudescale.io/v1alpha1/namespaces/{}/scalingrecords"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
POLICIES = "/apis/claudescale.io/v1alpha1/namespaces/{}/scalingpolicies"
MANAGER = "people"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One Deployment `name` with autoscaler `name` (2 to 5) and policy `deployment.NAME` in a namespace."""

    client: ClusterClient
    name: str
    namespace: str = SPACE

    def autoscaler(self) -> dict[str, Any]:
        return self.client.get(f"{AUTOSCALERS.format(self.namespace)}/{self.name}")

    def floor(self) -> int:
        return int(self.autoscaler()["spec"]["minReplicas"])

    def replicas(self) -> int:
        return int(self.client.get(f"{DEPLOYMENTS.format(self.namespace)}/{self.name}")["spec"]["replicas"])

    def lease(self, replicas: int = 4, seconds: int = 5, name: str | None = None, **spec: Any) -> str:
        """Create a lease as a person would with kubectl; its name."""
        name = name or f"{self.name}-{uuid.uuid4().hex[:6]}"
        wanted = {
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "replicas": replicas,
            "reason": "a test",
            "requestedBy": self.client.whoami(),
            **({} if "endTime" in spec else {"durationSeconds": seconds}),
            **spec,
        }
        body = {
            "apiVersion": "claudescale.io/v1alpha1",
            "kind": "CapacityLease",
            "metadata": {"name": name},
            "spec": wanted,
        }
        self.client.create(LEASES.format(self.namespace), body, field_manager="kubectl-create")
        return name

    def status(self, lease: str) -> dict[str, Any]:
        found = self.client.find(f"{LEASES.format(self.namespace)}/{lease}")
        return (found or {}).get("status") or {}

    def phase(self, lease: str) -> str | None:
        return self.status(lease).get("phase")

    def write_autoscaler(self, spec: dict[str, Any], manager: str = MANAGER, **metadata: Any) -> None:
        path = f"{AUTOSCALERS.format(self.namespace)}/{self.name}"
        self.client.patch(path, {"metadata": metadata, "spec": spec}, field_manager=manager)

    def records(self) -> list[dict[str, Any]]:
        """The payloads of the records that speak of this workload, in order."""
        return [one for one in records(self.client, self.namespace) if one.get("workload", {}).get("name") == self.name]

    def restored(self, base: int = 2) -> bool:
        """Whether the base stands and nothing of ours is left on the autoscaler."""
        hpa = self.autoscaler()
        meta = hpa["metadata"]
        return bool(
            hpa["spec"]["minReplicas"] == base
            and not any(key.startswith("claudescale.io/") for key in meta.get("annotations") or {})
            and all(entry["manager"] != "claudescale-controller" for entry in meta["managedFields"])
        )


def records(client: ClusterClient, namespace: str = SPACE) -> list[dict[str, Any]]:
    return [json.loads(item["spec"]["payload"]) for item in client.pages(RECORDS.format(namespace))]


def connect(cluster: Cluster, namespace: str = SPACE) -> ClusterClient:
    return ClusterClient(context=cluster.context, namespace=namespace, kubeconfig=str(cluster.kubeconfig))


def until(what: Callable[[], Any], seconds: float, *, pause: float = 0.1) -> Any:
    """What a look returns once it is true; AssertionError with the last look after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}, {found!r}"
        time.sleep(pause)


def manifests(
    name: str, image: str, *, replicas: int = 2, paused: bool = False, window: int = 0
) -> list[dict[str, Any]]:
    """Deployment, autoscaler and policy. A paused Deployment makes no pods."""
    labels = {"app": name, "claudescale.io/rig": "true"}
    container = {
        "name": "idle",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", "import signal; signal.signal(15, lambda *_: exit(0)); signal.pause()"],
        "resources": {"requests": {"cpu": "5m", "memory": "12Mi"}, "limits": {"memory": "48Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "paused": paused,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
                },
            },
        },
        {
            "apiVersion": "claudescale.io/v1alpha1",
            "kind": "ScalingPolicy",
            "metadata": {"name": f"deployment.{name}", "labels": labels},
            "spec": {"workloadRef": target, "mode": "Enforce", "maxReplicas": 5},
        },
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "scaleTargetRef": target,
                "minReplicas": 2,
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}},
                    }
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": window}},
            },
        },
    ]


PATHS = {"Deployment": DEPLOYMENTS, "ScalingPolicy": POLICIES, "HorizontalPodAutoscaler": AUTOSCALERS}


def image_of(cluster: Cluster) -> str:
    """The image that the demo's worker runs: it is on the node."""
    pods = cluster.get("deployment", "demo-app", "--namespace", SPACE)["spec"]["template"]["spec"]["containers"]
    return next(str(container["image"]) for container in pods if container["image"].startswith("claudescale/load"))


@contextmanager
def workloads(
    cluster: Cluster, count: int, *, namespace: str = SPACE, ready: bool = True, **shape: Any
) -> Iterator[list[Workload]]:
    """So many workloads, at two replicas and with nothing of ours on them; gone afterwards with their leases."""
    client = connect(cluster, namespace)
    image = image_of(cluster)
    found = [Workload(client=client, name=f"rig-{uuid.uuid4().hex[:6]}", namespace=namespace) for _ in range(count)]
    for workload in found:
        for manifest in manifests(workload.name, image, **shape):
            client.create(PATHS[manifest["kind"]].format(namespace), manifest, field_manager=MANAGER)
    try:
        if ready:
            for workload in found:
                path = f"{DEPLOYMENTS.format(namespace)}/{workload.name}"
                until(lambda path=path: (client.get(path).get("status") or {}).get("readyReplicas") == 2, 90)
        yield found
    finally:
        for workload in found:
            client.delete(f"{POLICIES.format(namespace)}/deployment.{workload.name}")
            for kind in ("HorizontalPodAutoscaler", "Deployment"):
                client.delete(f"{PATHS[kind].format(namespace)}/{workload.name}")
        names = {workload.name for workload in found}
        for item in client.items(LEASES.format(namespace)):
            if item["spec"]["workloadRef"]["name"] in names:
                client.delete(f"{LEASES.format(namespace)}/{item['metadata']['name']}")


@dataclass
class Sightings:
    """Watch events of several kinds on one monotonic clock: (seconds, path, type, object)."""

    events: list[tuple[float, str, str, dict[str, Any]]] = field(default_factory=list)

    def first(self, path: str, holds: Callable[[str, dict[str, Any]], bool], since: float = 0.0) -> float | None:
        """When something was first seen, in monotonic seconds."""
        return next(
            (at for at, where, kind, item in list(self.events) if where == path and at >= since and holds(kind, item)),
            None,
        )


@contextmanager
def watched(client: ClusterClient, *paths: str) -> Iterator[Sightings]:
    """Watch lists until the block ends; what is there already counts as seen at the beginning."""
    seen = Sightings()
    stop = threading.Event()
    begun = {path: threading.Event() for path in paths}

    def follow(path: str) -> None:
        def listed(items: list[dict[str, Any]]) -> None:
            begun[path].set()

        def event(kind: str, item: dict[str, Any]) -> None:
            seen.events.append((time.monotonic(), path, kind, item))

        watch.follow(client, path, on_list=listed, on_event=event, stop=stop)

    threads = [threading.Thread(target=follow, args=(path,), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    for one in begun.values():
        assert one.wait(10)
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=3)
