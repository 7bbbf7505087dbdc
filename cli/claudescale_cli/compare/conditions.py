"""What must hold before a comparison touches anything, beside what the demo needs: one sentence where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LABEL
from ansible_collections.claudescale.core.plugins.module_utils.load.run import outcome_of

from claudescale_cli.common import plain
from claudescale_cli.compare import fitting
from claudescale_cli.compare.undo import deployment_path
from claudescale_cli.live.conditions import WORKLOAD, Missing


def check_workload(cluster: ClusterClient) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """(The Deployment, a (noun, sentence) for each condition); Missing with the first that does not hold."""
    found = cluster.get(deployment_path(cluster))
    stands = fitting.fit_of(found)
    if fitting.is_fitted(found):
        raise Missing(
            f"{WORKLOAD} still has the settings of a comparison that was killed ({stands.words}): make up mends it"
        )
    if not fitting.rolled_out(found):
        raise Missing(f"the pods of {WORKLOAD} are still changing: wait until its rollout is over")
    if not cluster.allowed("patch", "apps", "deployments", cluster.namespace, WORKLOAD):
        raise Missing(f"you may not change the Deployment {WORKLOAD}, whose pods get a warm-up and a CPU limit")
    jobs = cluster.items(f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs", {"labelSelector": LABEL})
    running = [plain(job["metadata"]["name"]) for job in jobs if not outcome_of(job)]
    if running:
        raise Missing(f"a load runs already ({', '.join(running)}): end it where it was started")
    return found, [("workload", f"{WORKLOAD} has {stands.words} for each worker")]


def window_of(hpa: Mapping[str, Any]) -> int:
    """Seconds for which the autoscaler remembers that it wanted more: its window for scaling down."""
    behavior = hpa["spec"].get("behavior") or {}
    return int((behavior.get("scaleDown") or {}).get("stabilizationWindowSeconds", 300))
