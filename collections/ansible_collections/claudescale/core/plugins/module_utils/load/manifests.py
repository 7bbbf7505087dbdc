# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The Job that sends a plan's load, and the Service by which Prometheus finds it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LABEL, LoadPlan, Segment

TAIL_SECONDS = 40  # after the last segment: answers under way, results, the last scrape, the pod's end
START_SECONDS = 60  # for the Job's pod to be scheduled and started
KEEP_SECONDS = 600  # a finished Job without a name and its log stay so long
GRACE_SECONDS = 20  # of the pod: requests are waited for, then results and summary are written
END = "claudescale.io/load-end"  # annotation of the pod: says why the load is to end early
SERVICE = "claudescale-load"  # one for all loads, so that there is one load at a time
PATH = "/work"
METRICS_PORT = 8082
RUNNER = "ansible_collections.claudescale.core.images.load_runner"
VARIABLE = "LOAD_PLAN"
# What the pod security standard `restricted` wants of a container of our image, and of its pod.
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def job_manifest(
    plan: LoadPlan, *, name: str, image: str, namespace: str, service: str = "demo-app", keep: bool = False
) -> dict[str, Any]:
    """The Job that sends the plan's load to the service, and ends by itself whatever happens to who started it.

    With `keep` it stays when it is over, until somebody deletes it; else for KEEP_SECONDS.
    """
    labels = _labels(plan.profile)
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "Never",  # it was loaded into the node; nobody else's of that name may run
        "command": ["python3", "-m", RUNNER],
        "env": [
            {"name": VARIABLE, "value": _written(plan, f"http://{service}.{namespace}.svc{PATH}")},
            {"name": "METRICS_PORT", "value": str(METRICS_PORT)},
            {"name": "LOAD_END", "value": "/etc/claudescale/end"},
        ],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "resources": {
            # More than it uses: where CPU is short, a generator that waits for it would measure itself.
            "requests": {"cpu": "150m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "384Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "end", "mountPath": "/etc/claudescale", "readOnly": True}],
    }
    told = {"path": "end", "fieldRef": {"fieldPath": f"metadata.annotations['{END}']"}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": [{"name": "end", "downwardAPI": {"items": [told]}}],
    }
    spec = {
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",  # else a pod that is killed gets a successor, which begins from the start
        "activeDeadlineSeconds": START_SECONDS + plan.seconds + TAIL_SECONDS,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec if keep else {**spec, "ttlSecondsAfterFinished": KEEP_SECONDS},
    }


def service_manifest(job: Mapping[str, Any]) -> dict[str, Any]:
    """The Service by which Prometheus finds the pod of a Job that was created; it goes with the Job."""
    meta = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": SERVICE,
            "namespace": meta["namespace"],
            "labels": meta["labels"],
            "annotations": {"prometheus.io/scrape": "true"},
            "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None",
            "selector": {"batch.kubernetes.io/job-name": meta["name"]},
            "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}],
        },
    }


def plan_in(job: Mapping[str, Any]) -> LoadPlan | None:
    """The plan that a Job sends; None where it is no load's Job."""
    try:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        raw = json.loads(next(one["value"] for one in container["env"] if one["name"] == VARIABLE))
        segments = tuple(Segment(rate=one["rate"], seconds=one["seconds"]) for one in raw["segments"])
        return LoadPlan(profile=raw["profile"], segments=segments, until_scaled=raw["untilScaled"])
    except (KeyError, TypeError, ValueError, StopIteration):
        return None


def _written(plan: LoadPlan, target: str) -> str:
    segments = [{"rate": segment.rate, "seconds": segment.seconds} for segment in plan.segments]
    facts = {"profile": plan.profile, "untilScaled": plan.until_scaled, "target": target, "segments": segments}
    return json.dumps(facts, separators=(",", ":"))


def _labels(profile: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "load",
        "app.kubernetes.io/instance": profile,
        "app.kubernetes.io/component": "load",
        "app.kubernetes.io/part-of": "claudescale",
        "app.kubernetes.io/managed-by": "claudescale",
        LABEL: profile,
    }
