"""A metrics outage that harms as little as it can: the way to a Service's pods is cut, and the pods go on.

The selector's values get a suffix, so that it chooses no pod. Nothing is stopped, no sample is lost, and putting it
back takes one write. What stood before can be read off the Service: should a run be killed, the next one mends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.scenarios.undo import FIELD_MANAGER

SUFFIX = ".cut-by-a-scenario"
METRICS_API = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
PROMETHEUS = "prometheus"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A Service that leads to metrics."""

    name: str
    namespace: str
    words: str  # what it leads to

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/api/v1/namespaces/{self.namespace}/services/{self.name}"


def ways(cluster: ClusterClient) -> tuple[Way, ...]:
    """To metrics-server, which the autoscaler asks, and to Prometheus, which the tools ask.

    ClaudeScaleError where one of them is not there.
    """
    api = cluster.find(METRICS_API)
    service = ((api or {}).get("spec") or {}).get("service")
    if not service:
        raise ClaudeScaleError("the cluster has no metrics-server, so its metrics cannot be cut off: make up")
    found = (
        Way(name=str(service["name"]), namespace=str(service["namespace"]), words="metrics-server"),
        Way(name=PROMETHEUS, namespace=cluster.namespace, words="Prometheus"),
    )
    for way in found:
        if cluster.find(way.path) is None:
            raise ClaudeScaleError(f"there is no Service {way.name} in namespace {way.namespace}: make up")
    return found


def selector_of(cluster: ClusterClient, way: Way) -> dict[str, str]:
    """Whom the Service chooses."""
    return dict(cluster.get(way.path)["spec"].get("selector") or {})


def cut(cluster: ClusterClient, way: Way) -> None:
    """Let the Service choose nobody."""
    selector = selector_of(cluster, way)
    _write(cluster, way, {key: f"{value.removesuffix(SUFFIX)}{SUFFIX}" for key, value in selector.items()})


def mend(cluster: ClusterClient, way: Way) -> bool:
    """Let it choose whom it chose before, and leave no entry of ours; whether there was anything to mend."""
    selector = selector_of(cluster, way)
    if not any(value.endswith(SUFFIX) for value in selector.values()):
        return False
    _write(cluster, way, {key: value.removesuffix(SUFFIX) for key, value in selector.items()})
    _disown(cluster, way)
    return True


def _write(cluster: ClusterClient, way: Way, selector: dict[str, str]) -> None:
    cluster.patch(way.path, {"spec": {"selector": selector}}, field_manager=FIELD_MANAGER)


def _disown(cluster: ClusterClient, way: Way) -> None:
    entries: list[dict[str, Any]] = cluster.get(way.path)["metadata"].get("managedFields") or []
    place = next((place for place, entry in enumerate(entries) if entry.get("manager") == FIELD_MANAGER), None)
    if place is not None:
        path = f"/metadata/managedFields/{place}"
        operations = [
            {"op": "test", "path": f"{path}/manager", "value": FIELD_MANAGER},
            {"op": "remove", "path": path},
        ]
        cluster.patch(way.path, operations, kind="json", field_manager=FIELD_MANAGER)
