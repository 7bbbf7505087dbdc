# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What to do with a profile: condition and wanted state are looked up in a table, settings are compared. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Plan,
    Request,
    Settings,
    Step,
    Wanted,
    version_key,
)

# A half-made profile never held anybody's data: it is deleted. A paused one is unpaused before it is stopped, because
# a stop of paused containers waits for its time-out.
STEPS: Mapping[tuple[Condition, Wanted], tuple[Step, ...]] = {
    (Condition.ABSENT, Wanted.STARTED): (Step.START,),
    (Condition.HALF_MADE, Wanted.STARTED): (Step.DELETE, Step.START),
    (Condition.INTERRUPTED, Wanted.STARTED): (Step.START,),
    (Condition.RUNNING, Wanted.STARTED): (),
    (Condition.STOPPED, Wanted.STARTED): (Step.START,),
    (Condition.PAUSED, Wanted.STARTED): (Step.UNPAUSE,),
    (Condition.MISCONFIGURED, Wanted.STARTED): (Step.UPDATE_CONTEXT,),
    (Condition.GONE, Wanted.STARTED): (Step.START,),
    (Condition.BROKEN, Wanted.STARTED): (Step.START,),
    (Condition.ABSENT, Wanted.STOPPED): (),
    (Condition.HALF_MADE, Wanted.STOPPED): (Step.DELETE,),
    (Condition.INTERRUPTED, Wanted.STOPPED): (Step.STOP,),
    (Condition.RUNNING, Wanted.STOPPED): (Step.STOP,),
    (Condition.STOPPED, Wanted.STOPPED): (),
    (Condition.PAUSED, Wanted.STOPPED): (Step.UNPAUSE, Step.STOP),
    (Condition.MISCONFIGURED, Wanted.STOPPED): (Step.STOP,),
    (Condition.GONE, Wanted.STOPPED): (),
    (Condition.BROKEN, Wanted.STOPPED): (Step.STOP,),
    (Condition.ABSENT, Wanted.ABSENT): (),
    (Condition.HALF_MADE, Wanted.ABSENT): (Step.DELETE,),
    (Condition.INTERRUPTED, Wanted.ABSENT): (Step.DELETE,),
    (Condition.RUNNING, Wanted.ABSENT): (Step.DELETE,),
    (Condition.STOPPED, Wanted.ABSENT): (Step.DELETE,),
    (Condition.PAUSED, Wanted.ABSENT): (Step.DELETE,),
    (Condition.MISCONFIGURED, Wanted.ABSENT): (Step.DELETE,),
    (Condition.GONE, Wanted.ABSENT): (Step.DELETE,),
    (Condition.BROKEN, Wanted.ABSENT): (Step.DELETE,),
}

REPAIRS: Mapping[Condition, str] = {
    Condition.HALF_MADE: "the first start of {profile} had never been finished: what was left of it is removed",
    Condition.INTERRUPTED: "the last start of {profile} had been interrupted: it is started again",
    Condition.PAUSED: "{profile} was paused: it is unpaused",
    Condition.MISCONFIGURED: "minikube's kubeconfig entry of {profile} was missing or stale: it is written anew",
    Condition.GONE: "the container of {profile} was gone: it is made again",
    Condition.BROKEN: "{profile} was running only in parts: it is started again",
}
KILLED = "{profile} had stopped without being asked to (killed, or the host restarted): it is started again"


def decide(request: Request, observed: Observed) -> Plan:
    """The steps from what was seen to what is wanted, or the refusal; the same for check mode and for real."""
    settings = observed.settings if observed.condition is not Condition.HALF_MADE else None
    started = request.wanted is Wanted.STARTED
    if started and settings is not None:
        refusal = next(_dangers(request, settings), None)
        if refusal is not None:
            return Plan(refusal=refusal)
    steps = STEPS[observed.condition, request.wanted]
    addons: tuple[str, ...] = ()
    if started:
        enabled = settings.addons if settings is not None else frozenset[str]()
        addons = tuple(name for name in dict.fromkeys(request.addons) if name not in enabled)
        if settings is not None:
            if _is_upgrade(request, settings) and Step.START not in steps:
                steps = (*steps, Step.START)
            if addons:
                steps = (*steps, Step.ENABLE_ADDONS)
    return Plan(
        steps=steps,
        addons=addons,
        warnings=tuple(_unchangeable(request, settings)) if started and settings is not None else (),
        repairs=tuple(_repairs(request, observed, steps)),
    )


def _repairs(request: Request, observed: Observed, steps: tuple[Step, ...]) -> Iterator[str]:
    if request.wanted is Wanted.STARTED and observed.condition is Condition.STOPPED and observed.left_running:
        yield KILLED.format(profile=request.profile)
    elif (
        steps
        and observed.condition in REPAIRS
        and (
            request.wanted is Wanted.STARTED
            or (request.wanted is Wanted.STOPPED and observed.condition is Condition.HALF_MADE)
        )
    ):
        yield REPAIRS[observed.condition].format(profile=request.profile)


def _is_upgrade(request: Request, settings: Settings) -> bool:
    return version_key(request.kubernetes_version) > version_key(settings.kubernetes_version)


def _dangers(request: Request, settings: Settings) -> Iterator[Fault]:
    """Changes that would damage or replace the cluster; minikube lets one of them through and breaks the profile."""
    remedy = "delete it first (state: absent, its data is lost) or set {option} to {current}"
    if settings.driver != request.driver:
        yield Fault(
            "GUEST_DRIVER_MISMATCH",
            f"profile {request.profile} was made with the driver {settings.driver}, {request.driver} is wanted",
            remedy.format(option="driver", current=settings.driver),
        )
    if settings.container_runtime != request.container_runtime:
        yield Fault(
            "RUNTIME_CHANGE",
            f"profile {request.profile} runs on {settings.container_runtime}, {request.container_runtime} is wanted, "
            "and minikube would damage it",
            remedy.format(option="container_runtime", current=settings.container_runtime),
        )
    if version_key(request.kubernetes_version) < version_key(settings.kubernetes_version):
        yield Fault(
            "K8S_DOWNGRADE_UNSUPPORTED",
            f"profile {request.profile} has Kubernetes {settings.kubernetes_version}, "
            f"{request.kubernetes_version} is wanted, and Kubernetes cannot go back",
            remedy.format(option="kubernetes_version", current=settings.kubernetes_version),
        )


def _unchangeable(request: Request, settings: Settings) -> Iterator[str]:
    """What minikube silently ignores on an existing profile, each with the remedy."""
    differences: tuple[tuple[str, object, object], ...] = (
        ("memory_mb", request.memory_mb, settings.memory_mb),
        ("cpus", request.cpus, settings.cpus),
        ("base_image", request.base_image or settings.base_image, settings.base_image),
        ("cni", request.cni or settings.cni, settings.cni or request.cni),
    )
    for name, wanted, current in differences:
        if wanted != current:
            yield (
                f"{name} of profile {request.profile} stays {current}, {wanted} is wanted: minikube cannot change it "
                f"on an existing profile; state: absent and then started makes it anew (its data is lost)"
            )
