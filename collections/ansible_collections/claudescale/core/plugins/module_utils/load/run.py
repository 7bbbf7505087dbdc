# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Run a load in the cluster: create its Job, follow what it says, end it. One load at a time.

The Service of a load has one name for all of them: the API server lets one of two that start together create it.
"""

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
from ansible_collections.claudescale.core.plugins.module_utils.load import results
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import (
    END,
    GRACE_SECONDS,
    SERVICE,
    START_SECONDS,
    TAIL_SECONDS,
    job_manifest,
    plan_in,
    service_manifest,
)
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LABEL, LoadPlan, LoadRefused

POLL_SECONDS = 0.5
GONE_SECONDS = 2.0 * GRACE_SECONDS
RECONNECTS = 5  # in a row, without a line in between
TRIES = 5  # to take the Service of a load that is over, while others do
OVER = ("Complete", "Failed")
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


def delete_job(cluster: ClusterClient, name: str) -> None:
    """Delete a load's Job by its name and wait until its pod is gone; ClaudeScaleError where that takes too long."""
    cluster.delete(f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs/{name}")
    deadline = time.monotonic() + GONE_SECONDS
    while _pods_of(cluster, name):
        if time.monotonic() > deadline:
            raise ClaudeScaleError(f"the pod of {name} is still there {GONE_SECONDS:.0f} s after its Job was deleted")
        time.sleep(POLL_SECONDS)


def outcome_of(job: Mapping[str, Any]) -> str:
    """Complete or Failed, "" for a Job that is not over."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((one["type"] for one in conditions if one["type"] in OVER and one["status"] == "True"), "")


class LoadRun:
    """One load in the cluster, from start() to stop(); stop() may be called at any time and again.

    With a `name` it has an identity: its Job is load-NAME and is kept when it is over, and start() finds it again.
    """

    def __init__(self, cluster: ClusterClient, plan: LoadPlan, name: str | None = None) -> None:
        self._cluster = cluster
        self._plan = plan
        self._named = name
        self._jobs = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
        self._services = f"/api/v1/namespaces/{cluster.namespace}/services"
        self._parts: list[str] = []
        self.name = ""  # the Job's, once it is started
        self.created = False  # whether start() made it, or tried to

    def start(self) -> bool:
        """Create the Job. False where it is there already, with this plan; it may be over.

        LoadRefused where another load runs, there is nothing to send it to, or the name has another plan.
        """
        if self.there():
            return False
        image = self.startable()
        # Named here, not by the API server: stop() finds it even where the answer never arrives.
        self.name = f"load-{self._named or f'{self._plan.profile}-{secrets.token_hex(3)}'}"
        manifest = job_manifest(
            self._plan, name=self.name, image=image, namespace=self._cluster.namespace, keep=self._named is not None
        )
        self.created = True
        try:
            job = self._cluster.create(self._jobs, manifest)
        except ApiError as error:
            self.name, self.created = "", False
            if error.status == 409 and self.there():  # by somebody who was a moment earlier
                return False
            raise
        try:
            self._take_service(job)
        except ClaudeScaleError:
            self.stop()
            self.name, self.created = "", False
            raise
        return True

    def there(self) -> bool:
        """Whether the named load is there already; LoadRefused where it has another plan."""
        job = self.job()
        if job is None:
            return False
        plan = plan_in(job)
        if plan != self._plan:
            what = "is no load" if plan is None else f"is another one ({words(plan)}, not {words(self._plan)})"
            remedy = f"use another name, or remove it first (state absent, or {self._by_hand()})"
            raise LoadRefused(f"load {self._named} {what}: {remedy}")
        self.name = job["metadata"]["name"]
        return True

    def job(self) -> dict[str, Any] | None:
        """The load's Job as it is now; None where there is none."""
        name = self.name or (f"load-{self._named}" if self._named else "")
        return self._cluster.find(f"{self._jobs}/{name}") if name else None

    def startable(self) -> str:
        """The image to start; LoadRefused where another load runs or there is nothing to send it to."""
        for job in self._cluster.items(self._jobs, {"labelSelector": LABEL}):
            if not outcome_of(job):
                raise self._busy(job["metadata"]["name"])
        return load_image(self._cluster)

    def follow(self) -> Iterator[dict[str, Any]]:
        """The load runner's lines (kind progress, summary, error) as they come, each second once.

        Ends after the summary or the error. ClaudeScaleError where the pod cannot start or ends without either.
        """
        pod = self.started_pod()
        seen = 0
        failures = 0
        while True:
            try:
                for line in self._cluster.lines(f"{self._pods}/{pod}/log", {"follow": "true"}):
                    said = _parsed(line)
                    if said.get("kind") == "progress" and said["second"] > seen:
                        seen, failures = said["second"], 0
                        yield said
                    elif said.get("kind") == "results":
                        self._parts.append(said["part"])
                    elif said.get("kind") in {"summary", "error"}:
                        yield said
                        return
            except (ApiError, ClusterStopped):
                if failures >= RECONNECTS:
                    raise
            failures += 1
            state = self._pod_state(pod)
            if state != "Running" and failures > 1:
                raise ClaudeScaleError(
                    f"the load's pod {pod} ended without a summary ({state}): what came of the load is not complete"
                )
            time.sleep(POLL_SECONDS)

    def results(self) -> list[results.Request]:
        """Every request that was due, once follow() brought the summary; ResultsDamaged where some are missing."""
        return results.unpack(self._parts)

    def end(self, why: str) -> None:
        """Ask the load to end early and to keep its results: it takes a few seconds to hear of it."""
        for pod in self._job_pods():
            path = f"{self._pods}/{pod['metadata']['name']}"
            self._cluster.patch(path, {"metadata": {"annotations": {END: why}}})

    def rest(self) -> None:
        """Wait until a load that brought its summary is over, so that another one may start."""
        deadline = time.monotonic() + TAIL_SECONDS
        while time.monotonic() < deadline:
            job = self.job()
            if job is None or outcome_of(job):
                return
            time.sleep(POLL_SECONDS)
        raise ClaudeScaleError(f"the pod of {self.name} is still there {TAIL_SECONDS} s after its summary")

    def stop(self) -> None:
        """Delete the Job and wait until its pod is gone; what never started or is gone is no error."""
        if self.name:
            delete_job(self._cluster, self.name)

    def started_pod(self) -> str:
        """The load's pod, once it started or is over; ClaudeScaleError where it cannot start, or is gone."""
        deadline = time.monotonic() + START_SECONDS
        waits_for = "no pod was made"
        while time.monotonic() < deadline:
            pods = self._job_pods()
            for pod in pods:
                if pod["status"]["phase"] != "Pending":
                    return str(pod["metadata"]["name"])
                reason, message = _waiting(pod)
                waits_for = f"{reason}: {message}" if message else reason
                if reason in HOPELESS:
                    raise ClaudeScaleError(f"the load's pod cannot start ({waits_for})")
            if not pods and self._is_over():
                raise ClaudeScaleError(f"the pod of {self.name} is gone, and what it said with it: run the load again")
            time.sleep(POLL_SECONDS)
        raise ClaudeScaleError(f"the load's pod did not start within {START_SECONDS} s ({waits_for})")

    def _take_service(self, job: Mapping[str, Any]) -> None:
        manifest = service_manifest(job)
        for _try in range(TRIES):
            try:
                self._cluster.create(self._services, manifest)
                return
            except ApiError as error:
                if error.status != 409:
                    raise
            self._free_service()
        raise LoadRefused(f"other loads start all the time: {SERVICE} could not be had for {self.name}")

    def _free_service(self) -> None:
        """Delete the Service of a load that is over; LoadRefused where it is not, or the Service is none of a load."""
        held = self._cluster.find(f"{self._services}/{SERVICE}")
        if held is None:
            return
        owners = [one for one in held["metadata"].get("ownerReferences") or [] if one["kind"] == "Job"]
        if not owners:
            raise LoadRefused(f"service {SERVICE} is none of a load: delete it, its name is needed")
        holder = self._cluster.find(f"{self._jobs}/{owners[0]['name']}")
        if holder is not None and holder["metadata"]["uid"] == owners[0]["uid"] and not outcome_of(holder):
            raise self._busy(owners[0]["name"])
        try:
            self._cluster.delete(f"{self._services}/{SERVICE}", uid=held["metadata"]["uid"])
        except ApiError as error:
            if error.status != 409:  # then it is a newer one: look again
                raise

    def _busy(self, name: str) -> LoadRefused:
        return LoadRefused(f"a load runs already: end it where it was started, or by {self._by_hand(name)}")

    def _by_hand(self, name: str = "") -> str:
        where = f"--context {self._cluster.context} --namespace {self._cluster.namespace}"
        return f"kubectl {where} delete job {name or f'load-{self._named}'}"

    def _job_pods(self) -> list[dict[str, Any]]:
        return _pods_of(self._cluster, self.name)

    def _is_over(self) -> bool:
        job = self.job()
        return job is None or bool(outcome_of(job))

    def _pod_state(self, name: str) -> str:
        pod = self._cluster.find(f"{self._pods}/{name}")
        return pod["status"]["phase"] if pod else "deleted"


def words(plan: LoadPlan) -> str:
    """A plan in words, its segments included."""
    segments = ", ".join(f"{segment.rate}/s for {segment.seconds} s" for segment in plan.segments)
    return f"{plan.profile}: {segments}"


def _pods_of(cluster: ClusterClient, job: str) -> list[dict[str, Any]]:
    selector = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
    return cluster.items(f"/api/v1/namespaces/{cluster.namespace}/pods", selector)


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
