"""A workload that crashes: a Deployment beside the demo app, whose one container ends at once with an error."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import pod_facts
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import CONTAINER_SECURITY, POD_SECURITY

LABEL = "claudescale.io/scenario"
KIND = "crash"
GONE_SECONDS = 30.0
CRASHED = ("CrashLoopBackOff", "Error")  # states of a pod whose container ended with an error
SAYS = "import sys; sys.exit('the configuration names no database')"


def deployments(cluster: ClusterClient) -> str:
    """Where it is made."""
    return f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments"


def manifest(name: str, image: str) -> dict[str, Any]:
    """The Deployment; `image` is on the node already, and no other of that name may run."""
    labels = {"app.kubernetes.io/name": name, LABEL: KIND}
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", SAYS],
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "48Mi"}},
        "securityContext": CONTAINER_SECURITY,
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_SECURITY,
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def restarts(cluster: ClusterClient, name: str) -> tuple[int, str]:
    """(how often its pod was restarted, in which state that is)."""
    for pod in pods(cluster, name):
        found = pod_facts(pod)
        return found["restarts"], found["state"]
    return 0, ""


def pods(cluster: ClusterClient, name: str) -> list[dict[str, Any]]:
    """Its pods."""
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    return cluster.items(path, {"labelSelector": f"app.kubernetes.io/name={name},{LABEL}={KIND}"})


def remove(cluster: ClusterClient, name: str) -> None:
    """Delete it and wait for its pods to go. ClaudeScaleError where they stay."""
    cluster.delete(f"{deployments(cluster)}/{name}")
    deadline = time.monotonic() + GONE_SECONDS
    while pods(cluster, name):
        if time.monotonic() > deadline:
            raise ClaudeScaleError(f"a pod of it is still there after {GONE_SECONDS:.0f} s")
        time.sleep(0.5)


def left(cluster: ClusterClient) -> list[str]:
    """The names of those that are there, of whichever run."""
    found = cluster.items(deployments(cluster), {"labelSelector": f"{LABEL}={KIND}"})
    return [str(one["metadata"]["name"]) for one in found]
