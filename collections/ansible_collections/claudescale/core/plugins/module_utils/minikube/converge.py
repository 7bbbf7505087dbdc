# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Bring one minikube profile, and its context in a person's kubeconfig, to a wanted state.

Look, decide, do, look again: minikube gives no change signal and exits 0 too easily, so what was reached is what a
second look shows. Everything that could be refused is refused before the first step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import plan as minikube_plan
from ansible_collections.claudescale.core.plugins.module_utils.minikube.cli import Minikube
from ansible_collections.claudescale.core.plugins.module_utils.minikube.context import Context, entry
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Plan,
    Request,
    Settings,
    Shown,
    Step,
    Wanted,
    version_key,
)

ROUNDS = 3  # an interrupted restart shows only after a first repair what else is wrong
FRESH = (Condition.ABSENT, Condition.HALF_MADE)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was done, or in check mode what would be."""

    changed: bool
    message: str
    before: Shown
    after: Shown
    status: Mapping[str, Any] | None
    reachable: bool  # now: in check mode before what would be done
    kubernetes_version: str | None  # None: there is no cluster
    steps: tuple[str, ...]
    warnings: tuple[str, ...]
    backups: tuple[str, ...]


def converge(request: Request, machine: Minikube, context: Context, *, check: bool) -> Result:
    """Bring profile and context to what the request says, changing nothing in check mode; Fault where it cannot be."""
    if request.wanted is Wanted.STARTED:
        context.check_usable()
    if check:
        machine.wait_for_others(request.timeout)
        return _converge(request, machine, context, check=True)
    with machine.alone(request.timeout):
        return _converge(request, machine, context, check=False)


def _converge(request: Request, machine: Minikube, context: Context, *, check: bool) -> Result:
    observed = machine.look()
    plan = minikube_plan.decide(request, observed)
    if plan.refusal is not None:
        raise plan.refusal
    warnings = [*plan.warnings, *_check_host(request, machine, observed, plan, check=check)]
    _check_kubeconfig(request, machine, context, observed, plan)
    _check_addons(machine, plan)
    before = _shown(request, observed, context)
    if check:
        after = _expected(request, observed, plan, context)
        status = _expected_status(request, observed, plan)
        backups: list[str] = []
        steps = plan.steps
        settings = _expected_settings(request, observed)
    else:
        observed, steps = _do(request, machine, observed, plan)
        backups = _write_context(request, machine, context)
        after = _shown(request, observed, context)
        status = observed.status
        settings = observed.settings
    changed = bool(steps) or before != after or _context_differs(request, machine, context, observed, check=check)
    changed = changed or bool(backups)
    return Result(
        changed=changed,
        message=_message(request, plan, steps, after.state, changed=changed, check=check),
        before=before,
        after=after,
        status=status,
        reachable=observed.condition is Condition.RUNNING,
        kubernetes_version=settings.kubernetes_version if settings is not None and after.state != "absent" else None,
        steps=tuple(step.value for step in steps),
        warnings=(*warnings, *plan.repairs),
        backups=tuple(backups),
    )


def _check_host(request: Request, machine: Minikube, observed: Observed, plan: Plan, *, check: bool) -> list[str]:
    """Ask Docker where it is needed; as root minikube is run with --force and would not look at its limits."""
    driver = observed.settings.driver if observed.settings is not None else request.driver
    if driver != "docker" or not (plan.steps or observed.condition is Condition.GONE):
        return []
    try:
        facts = machine.docker()
    except Fault as fault:
        if check and observed.condition is Condition.ABSENT:
            return [str(fault)]
        raise
    if Step.START in plan.steps and observed.condition in FRESH:
        if request.memory_mb > facts.memory_mb:
            raise Fault(
                "RSRC_OVER_ALLOC_MEM",
                f"memory_mb is {request.memory_mb} MB, Docker has {facts.memory_mb} MB",
                "set memory_mb to less, or give Docker more memory",
            )
        if request.cpus > facts.cpus:
            raise Fault(
                "RSRC_INSUFFICIENT_CORES",
                f"cpus is {request.cpus}, Docker has {facts.cpus}",
                "set cpus to less, or give Docker more CPUs",
            )
    return []


def _check_kubeconfig(request: Request, machine: Minikube, context: Context, observed: Observed, plan: Plan) -> None:
    if request.wanted is Wanted.STARTED:
        if plan.steps or _needs_entry(request, machine, context, observed):
            context.check_writable()
    elif request.wanted is Wanted.ABSENT and context.present():
        context.check_writable()


def _check_addons(machine: Minikube, plan: Plan) -> None:
    if not plan.addons or machine.program is None:
        return
    known = machine.known_addons()
    unknown = [name for name in plan.addons if name not in known]
    if unknown:
        raise Fault(
            "MK_ADDON_ENABLE",
            f"minikube has no addon named {', '.join(unknown)}",
            "`minikube addons list` shows all; correct the option addons",
        )


def _do(request: Request, machine: Minikube, observed: Observed, plan: Plan) -> tuple[Observed, tuple[Step, ...]]:
    """Carry out the plan, and what a look after it still asks for; the last look and the steps done."""
    done: tuple[Step, ...] = ()
    for _round in range(ROUNDS):
        for step in plan.steps:
            _step(step, request, machine, observed, plan)
            done = (*done, step)
            if step is Step.DELETE:
                observed = Observed(condition=Condition.ABSENT)
        if not plan.steps:
            return observed, done
        observed = machine.look()
        plan = minikube_plan.decide(request, observed)
        if plan.refusal is not None:
            raise plan.refusal
    if plan.steps:
        raise Fault(
            "NotReached",
            f"profile {request.profile} is {observed.condition.value} after {', '.join(step.value for step in done)}",
            "run this again; `minikube logs` tells more",
        )
    return observed, done


def _step(step: Step, request: Request, machine: Minikube, observed: Observed, plan: Plan) -> None:
    if step is Step.START:
        _start(request, machine, observed, plan)
    elif step is Step.STOP:
        machine.stop(request)
    elif step is Step.DELETE:
        machine.delete()
    elif step is Step.UNPAUSE:
        machine.unpause(request)
    elif step is Step.UPDATE_CONTEXT:
        machine.update_context()
    else:
        for name in plan.addons:
            machine.enable_addon(name, request)


def _start(request: Request, machine: Minikube, observed: Observed, plan: Plan) -> None:
    try:
        machine.start(request, observed, plan.addons)
    except Fault:
        if observed.condition in FRESH:
            # Nobody's data is in it yet; what cannot be removed now is removed by the next run, which knows of it.
            with contextlib.suppress(Fault):
                machine.delete()
        raise


def _write_context(request: Request, machine: Minikube, context: Context) -> list[str]:
    if request.wanted is Wanted.STARTED:
        backups = context.put(entry(machine.private_kubeconfig, request.profile, request.namespace))
    elif request.wanted is Wanted.ABSENT:
        backups = context.remove()
    else:
        backups = []
    return [str(path) for path in backups]


def _needs_entry(request: Request, machine: Minikube, context: Context, observed: Observed) -> bool:
    """Whether the context of a running cluster is to be written; before a start nobody can know its entry."""
    if observed.condition is not Condition.RUNNING:
        return False
    return context.needs(entry(machine.private_kubeconfig, request.profile, request.namespace))


def _context_differs(request: Request, machine: Minikube, context: Context, observed: Observed, *, check: bool) -> bool:
    if not check:
        return False
    if request.wanted is Wanted.STARTED:
        return _needs_entry(request, machine, context, observed)
    return request.wanted is Wanted.ABSENT and context.present()


def _state(condition: Condition) -> str:
    return "running" if condition is Condition.RUNNING else condition.value


def _settings(request: Request, settings: Settings | None) -> dict[str, Any]:
    if settings is None:
        return {}
    return {
        "driver": settings.driver,
        "memory_mb": settings.memory_mb,
        "cpus": settings.cpus,
        "kubernetes_version": settings.kubernetes_version,
        "container_runtime": settings.container_runtime,
        "addons": sorted(name for name in request.addons if name in settings.addons),
    }


def _shown(request: Request, observed: Observed, context: Context) -> Shown:
    settings = None if observed.condition in FRESH else observed.settings
    return Shown(state=_state(observed.condition), settings=_settings(request, settings), context=context.shown())


def _expected(request: Request, observed: Observed, plan: Plan, context: Context) -> Shown:
    """What a look would show after the plan."""
    if request.wanted is Wanted.STARTED:
        settings = _settings(request, _expected_settings(request, observed))
        return Shown(state="running", settings=settings, context=context.expected())
    if request.wanted is Wanted.ABSENT:
        return Shown(state="absent", context=None)
    if not plan.steps:
        return _shown(request, observed, context)
    if Step.DELETE in plan.steps:
        return Shown(state="absent", context=context.shown())
    return Shown(state="stopped", settings=_settings(request, observed.settings), context=context.shown())


def _expected_settings(request: Request, observed: Observed) -> Settings | None:
    wanted = Settings(
        driver=request.driver,
        memory_mb=request.memory_mb,
        cpus=request.cpus,
        kubernetes_version=request.kubernetes_version,
        container_runtime=request.container_runtime,
        addons=frozenset(request.addons),
    )
    current = None if observed.condition in FRESH else observed.settings
    if request.wanted is not Wanted.STARTED:
        return current
    if current is None:
        return wanted
    newest = max(current.kubernetes_version, request.kubernetes_version, key=version_key)
    return replace(current, kubernetes_version=newest, addons=current.addons | wanted.addons)


def _expected_status(request: Request, observed: Observed, plan: Plan) -> Mapping[str, Any] | None:
    """The status object of minikube after the plan."""
    if not plan.steps:
        return observed.status
    if request.wanted is Wanted.ABSENT or (Step.DELETE in plan.steps and Step.START not in plan.steps):
        return None
    parts = "Stopped" if request.wanted is Wanted.STOPPED else "Running"
    return {
        "Name": request.profile,
        "Host": parts,
        "Kubelet": parts,
        "APIServer": parts,
        "Kubeconfig": "Stopped" if request.wanted is Wanted.STOPPED else "Configured",
        "Worker": False,
    }


def _message(request: Request, plan: Plan, steps: tuple[Step, ...], state: str, *, changed: bool, check: bool) -> str:
    """One line: what became, or would become, of the profile."""
    if not changed:
        return f"profile {request.profile} is {state}, nothing to do"
    how = f" ({', '.join(step.value for step in steps)})" if steps else " (its kubeconfig context only)"
    repairs = "".join(f"; {sentence}" for sentence in plan.repairs)
    return f"profile {request.profile} {'would be' if check else 'is'} {state}{how}{repairs}"
