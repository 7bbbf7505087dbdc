# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What a load is: a profile becomes segments of a constant rate, and segments become a Job. Pure.

The arrival rate is open: requests come when they are due, as users do. What runs the Job is run.py, what sends
the requests is the load runner in the image.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

MAX_RATE = 500  # requests per second; beyond it, a small cluster measures the load generator
MIN_SECONDS = 10
MAX_SECONDS = 1800
TAIL_SECONDS = 15  # after the last segment: answers under way, the summary, the pod's end
START_SECONDS = 60  # for the Job's pod to be scheduled and started
KEEP_SECONDS = 600  # a finished Job and its log stay so long
LABEL = "claudescale.io/load"
PATH = "/work"


class LoadRefused(ClaudeScaleError):  # noqa: N818 - a refusal, with its reason as text
    """The load that was asked for is outside the bounds, or nothing that is known."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A constant rate (requests per second) for some seconds; both whole and at least 1."""

    rate: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """A profile at a rate for a duration, as segments; `until_scaled` ends early once the autoscaler is at its top."""

    profile: str
    segments: tuple[Segment, ...]
    until_scaled: bool = False

    @property
    def seconds(self) -> int:
        """How long it lasts at most."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def requests(self) -> int:
        """How many requests it sends at most."""
        return sum(segment.rate * segment.seconds for segment in self.segments)

    @property
    def peak(self) -> int:
        """The highest rate, requests per second."""
        return max(segment.rate for segment in self.segments)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A shape of load, with the rate (requests per second) and duration (seconds) it has by default."""

    words: str
    rate: int
    seconds: int
    shape: Callable[[int, int], tuple[Segment, ...]]
    until_scaled: bool = False


def _steps(rates: list[int], seconds: int) -> tuple[Segment, ...]:
    """Spread the seconds over the rates as evenly as whole seconds allow; the remainder goes to the last."""
    each, more = divmod(seconds, len(rates))
    spread = [each] * (len(rates) - 1) + [each + more]
    return tuple(Segment(rate=rate, seconds=length) for rate, length in zip(rates, spread, strict=True))


def _steady(rate: int, seconds: int) -> tuple[Segment, ...]:
    return (Segment(rate=rate, seconds=seconds),)


def _ramp(rate: int, seconds: int) -> tuple[Segment, ...]:
    return _steps([max(1, rate * step // 10) for step in range(1, 11)], seconds)


def _spike(rate: int, seconds: int) -> tuple[Segment, ...]:
    calm = max(1, rate // 4)
    return _steps([calm, rate, calm], seconds)


def _stress(rate: int, seconds: int) -> tuple[Segment, ...]:
    # Soon at the rate, because an autoscaler looks at what was; then slowly on, in case that was not enough.
    quarters = [2, 3, 4, 4, 5, 5, 6, 6, 8, 8]
    return _steps([max(1, rate * quarter // 4) for quarter in quarters], seconds)


# Defaults: measured on two cores with 5 ms of CPU per request, see docs/DEMO_APP.md.
PROFILES = {
    "steady": Profile(words="one rate all the time", rate=20, seconds=120, shape=_steady),
    "ramp": Profile(words="ten even steps up to the rate", rate=60, seconds=200, shape=_ramp),
    "spike": Profile(words="a quarter of the rate, the rate, a quarter again", rate=60, seconds=180, shape=_spike),
    "stress-until-scale": Profile(
        words="from half the rate up to double, ends when the autoscaler is at its maximum",
        rate=50,
        seconds=210,
        shape=_stress,
        until_scaled=True,
    ),
}


def make_plan(profile: str, *, rate: int | None = None, seconds: int | None = None) -> LoadPlan:
    """The plan of a profile; LoadRefused names the value that is unknown or out of bounds, and what is allowed."""
    chosen = PROFILES.get(profile)
    if chosen is None:
        raise LoadRefused(f"there is no load profile {profile!r}: it is one of {', '.join(PROFILES)}")
    rate = chosen.rate if rate is None else rate
    seconds = chosen.seconds if seconds is None else seconds
    if not 1 <= rate <= MAX_RATE:
        raise LoadRefused(f"a rate of {rate} requests per second is out of bounds: 1 to {MAX_RATE} are allowed")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise LoadRefused(f"a duration of {seconds} s is out of bounds: {MIN_SECONDS} to {MAX_SECONDS} are allowed")
    plan = LoadPlan(profile=profile, segments=chosen.shape(rate, seconds), until_scaled=chosen.until_scaled)
    if plan.peak > MAX_RATE:
        raise LoadRefused(
            f"{profile} at {rate} requests per second rises to {plan.peak}, and {MAX_RATE} are allowed: "
            f"ask for {rate * MAX_RATE // plan.peak} at most"
        )
    return plan


def job_manifest(plan: LoadPlan, *, name: str, image: str, namespace: str, service: str = "demo-app") -> dict[str, Any]:
    """The Job that sends the plan's load to the service, and ends by itself whatever happens to who started it."""
    labels = {
        "app.kubernetes.io/name": "load",
        "app.kubernetes.io/instance": plan.profile,
        "app.kubernetes.io/component": "load",
        "app.kubernetes.io/part-of": "claudescale",
        "app.kubernetes.io/managed-by": "claudescale",
        LABEL: plan.profile,
    }
    wanted = {
        "target": f"http://{service}.{namespace}.svc{PATH}",
        "segments": [{"rate": segment.rate, "seconds": segment.seconds} for segment in plan.segments],
    }
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "Never",  # it was loaded into the node; nobody else's of that name may run
        "command": ["python3", "/opt/claudescale/load_runner.py"],
        "env": [{"name": "LOAD_PLAN", "value": json.dumps(wanted, separators=(",", ":"))}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": START_SECONDS + plan.seconds + TAIL_SECONDS,
            "ttlSecondsAfterFinished": KEEP_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
