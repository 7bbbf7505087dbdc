# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Run a load in the cluster: create its Job, follow what it says, end it. One load at a time."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import (
    LABEL,
    START_SECONDS,
    LoadPlan,
    LoadRefused,
    job_manifest,
)

POLL_SECONDS = 0.5
GONE_SECONDS = 20.0  # the pod's grace period of 10 s, twice
RECONNECTS = 5  # in a row, without a line in between
HOPELESS = {
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "RunContainerError",
}


def load_image(cluster: ClusterClient, workload: str = "demo-app") -> str:
    """The image with the load runner: the one that the demo app's worker runs, so that nobody has to name it."""
    deployment = cluster.find(f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{workload}")
    if deployment is None:
        raise LoadRefused(f"there is no {workload} in namespace {cluster.namespace}: make up")
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        if container["name"] == "worker":
            return str(container["image"])
    raise LoadRefused(f"{workload} in namespace {cluster.namespace} has no container worker, so it is not the demo app")


class LoadRun:
    """One load in the cluster, from start() to stop(); stop() may be called at any time and again."""

    def __init__(self, cluster: ClusterClient, plan: LoadPlan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._jobs = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
        self.name = ""  # the Job's, once it is started

    def start(self) -> None:
        """Create the Job; LoadRefused where another load runs or there is nothing to send it to."""
        for job in self._cluster.items(self._jobs, {"labelSelector": LABEL}):
            if (job.get("status") or {}).get("active"):
                where = f"--context {self._cluster.context} --namespace {self._cluster.namespace}"
                raise LoadRefused(
                    "a load runs already: end it where it was started, "
                    f"or by kubectl {where} delete job {job['metadata']['name']}"
                )
        image = load_image(self._cluster)
        # Named here, not by the API server: stop() finds it even where the answer never arrives.
        self.name = f"load-{self._plan.profile}-{secrets.token_hex(3)}"
        manifest = job_manifest(self._plan, name=self.name, image=image, namespace=self._cluster.namespace)
        self._cluster.create(self._jobs, manifest)

    def follow(self) -> Iterator[dict[str, Any]]:
        """The load runner's lines (kind progress, summary, error) as they come, each second once.

        Ends after the summary or the error. ClaudeScaleError where the pod cannot start or ends without either.
        """
        pod = self._started_pod()
        seen = 0
        failures = 0
        while True:
            try:
                for line in self._cluster.lines(f"{self._pods}/{pod}/log", {"follow": "true"}):
                    said = _parsed(line)
                    if said.get("kind") == "progress" and said["second"] > seen:
                        seen, failures = said["second"], 0
                        yield said
                    elif said.get("kind") in {"summary", "error"}:
                        yield said
                        return
            except (ApiError, ClusterStopped):
                if failures >= RECONNECTS:
                    raise
            failures += 1
            state = self._pod_state(pod)
            if state != "Running" and failures > 1:
                raise ClaudeScaleError(f"the load's pod {pod} ended without a summary ({state})")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Delete the Job and wait until its pod is gone; what never started or is gone is no error."""
        if not self.name:
            return
        self._cluster.delete(f"{self._jobs}/{self.name}")
        deadline = time.monotonic() + GONE_SECONDS
        while self._job_pods():
            if time.monotonic() > deadline:
                raise ClaudeScaleError(
                    f"the pod of {self.name} is still there {GONE_SECONDS:.0f} s after its Job was deleted"
                )
            time.sleep(POLL_SECONDS)

    def _job_pods(self) -> list[dict[str, Any]]:
        return self._cluster.items(self._pods, {"labelSelector": f"batch.kubernetes.io/job-name={self.name}"})

    def _pod_state(self, name: str) -> str:
        pod = self._cluster.find(f"{self._pods}/{name}")
        return pod["status"]["phase"] if pod else "deleted"

    def _started_pod(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        waits_for = "no pod was made"
        while time.monotonic() < deadline:
            for pod in self._job_pods():
                if pod["status"]["phase"] != "Pending":
                    return str(pod["metadata"]["name"])
                reason, message = _waiting(pod)
                waits_for = f"{reason}: {message}" if message else reason
                if reason in HOPELESS:
                    raise ClaudeScaleError(f"the load's pod cannot start ({waits_for})")
            time.sleep(POLL_SECONDS)
        raise ClaudeScaleError(f"the load's pod did not start within {START_SECONDS} s ({waits_for})")


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}  # vegeta's own words on standard error
    return said if isinstance(said, dict) else {}


def _waiting(pod: Mapping[str, Any]) -> tuple[str, str]:
    for container in pod["status"].get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return waiting.get("reason", "waiting"), waiting.get("message", "")
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), condition.get("message", "")
    return "starting", ""
