"""The scale of the workload, as `kubectl scale` writes it: with the person's own rights, and past every lease."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from claudescale_cli.live.conditions import WORKLOAD


def scale_path(cluster: ClusterClient) -> str:
    """Where the workload's count is written."""
    return f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{WORKLOAD}/scale"


def write_scale(cluster: ClusterClient, replicas: int, field_manager: str) -> None:
    """Write the count."""
    cluster.patch(scale_path(cluster), {"spec": {"replicas": replicas}}, field_manager=field_manager)
