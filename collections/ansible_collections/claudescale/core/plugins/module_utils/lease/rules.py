# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""May this lease be? Each rule is one small function of facts that were fetched before; RULES is the ordered checklist.

Every rule that can speak does, with the numbers that it compared, so that an answer tells all that is wrong at once.
The first refusal gives the decision its code. Another rule is one more function and its line in RULES.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    Autoscaler,
    Lease,
    Mode,
    Policy,
    Workload,
)

ALLOWED = "Allowed"
NO_AUTOSCALER = "NoAutoscaler"
SEVERAL_AUTOSCALERS = "SeveralAutoscalers"
MANAGED_BY_KEDA = "ManagedByKeda"
AUTOSCALER_DISABLED = "AutoscalerDisabled"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a decision is made from, already fetched. `earlier` counts the accepted leases before this one."""

    lease: Lease
    now: float
    policy: Policy | None
    workload: Workload | None
    autoscalers: tuple[Autoscaler, ...]
    base: int | None  # the floor without any lease; None without exactly one autoscaler
    earlier: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one rule says: PascalCase code, one sentence, and the numbers compared where it compared some."""

    rule: str
    passed: bool
    code: str
    message: str
    asked: int | None = None
    limit: int | None = None

    def to_object(self) -> dict[str, Any]:
        """As an entry of status.decision.rules."""
        numbers = {"asked": self.asked, "limit": self.limit}
        return {
            "rule": self.rule,
            "passed": self.passed,
            "code": self.code,
            "message": self.message,
            **{name: number for name, number in numbers.items() if number is not None},
        }


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Allowed or refused, with every rule that spoke."""

    verdicts: tuple[Verdict, ...]
    observed: bool  # the policy only observes: nothing is done either way
    time: float

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        """What spoke against it, in the order of the checklist."""
        return tuple(verdict for verdict in self.verdicts if not verdict.passed)

    @property
    def allowed(self) -> bool:
        """Whether nothing spoke against it."""
        return not self.refusals

    @property
    def code(self) -> str:
        """The first refusal's code, else Allowed."""
        return self.refusals[0].code if self.refusals else ALLOWED

    @property
    def message(self) -> str:
        """All refusals, else that there is none, for people."""
        if self.allowed:
            return f"none of {len(self.verdicts)} rules is against it"
        return "; ".join(verdict.message for verdict in self.refusals)

    def to_object(self) -> dict[str, Any]:
        """As status.decision, which the record holds too."""
        return {
            "allowed": self.allowed,
            "code": self.code,
            "message": self.message,
            "time": moments.text(self.time),
            "rules": [verdict.to_object() for verdict in self.verdicts],
        }


def decide(facts: Facts) -> Decision:
    """Ask every rule."""
    verdicts = tuple(verdict for rule in RULES if (verdict := rule(facts)) is not None)
    observed = facts.policy is not None and facts.policy.mode is Mode.OBSERVE
    return Decision(verdicts=verdicts, observed=observed, time=facts.now)


def _policy(facts: Facts) -> Verdict:
    name = facts.lease.workload.policy_name
    if facts.policy is None:
        return Verdict(
            rule="Policy",
            passed=False,
            code="NoPolicy",
            message=f"there is no ScalingPolicy {name}: without one nothing may be asked for {facts.lease.workload}",
        )
    return Verdict(
        rule="Policy", passed=True, code="PolicyFound", message=f"policy {name} is in mode {facts.policy.mode.value}"
    )


def _time(facts: Facts) -> Verdict:
    lease = facts.lease
    # By its creation: a lease that nobody looked at in time was asked for in time.
    if lease.end <= lease.created:
        late = int(lease.created - lease.end)
        message = f"its end was {late} s before it was asked for: ask for a time that is still to come"
        return Verdict(rule="Time", passed=False, code="AlreadyOver", message=message)
    if lease.end <= lease.start:
        message = "its end is not after its start: ask for an end that comes after the start"
        return Verdict(rule="Time", passed=False, code="EndBeforeStart", message=message)
    return Verdict(rule="Time", passed=True, code="TimeToCome", message="its end comes after its creation")


def _workload(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    if facts.workload is None:
        return Verdict(
            rule="Workload",
            passed=False,
            code="WorkloadNotFound",
            message=f"there is no {facts.lease.workload} in this namespace",
        )
    return Verdict(rule="Workload", passed=True, code="WorkloadFound", message=f"{facts.lease.workload} is there")


def obstacle(autoscalers: Sequence[Autoscaler], replicas: int) -> str | None:
    """The code of why a workload at so many replicas has no one autoscaler that a lease could go to; None if it has."""
    if not autoscalers:
        return NO_AUTOSCALER
    if len(autoscalers) > 1:
        return SEVERAL_AUTOSCALERS
    if autoscalers[0].by_keda:
        return MANAGED_BY_KEDA
    return AUTOSCALER_DISABLED if replicas == 0 else None


def _autoscaler(facts: Facts) -> Verdict | None:
    if facts.workload is None:
        return None
    found = facts.autoscalers
    code = obstacle(found, facts.workload.replicas)
    if code == NO_AUTOSCALER:
        what = "has no HorizontalPodAutoscaler: a lease raises an autoscaler's floor, so there is nothing to raise"
        return _no_autoscaler(code, f"{facts.lease.workload} {what}")
    if code == SEVERAL_AUTOSCALERS:
        names = ", ".join(sorted(autoscaler.name for autoscaler in found))
        return _no_autoscaler(
            code,
            f"{facts.lease.workload} has {len(found)} autoscalers ({names}): leave one of them",
        )
    if code == MANAGED_BY_KEDA:
        return _no_autoscaler(
            code,
            f"autoscaler {found[0].name} belongs to a KEDA ScaledObject, which would write its own floor back",
        )
    if code == AUTOSCALER_DISABLED:
        return _no_autoscaler(
            code,
            f"{facts.lease.workload} is at 0 replicas, which switches its autoscaler off: bring it to 1 first",
        )
    return Verdict(
        rule="Autoscaler", passed=True, code="AutoscalerFound", message=f"autoscaler {found[0].name} owns the count"
    )


def _no_autoscaler(code: str, message: str) -> Verdict:
    return Verdict(rule="Autoscaler", passed=False, code=code, message=message)


def _at_most(rule: str, code: str, asked: float, limit: float, what: str) -> Verdict:
    # Rounded up, so that the numbers say the same as the verdict; a float of today holds no more than microseconds.
    asked = math.ceil(round(asked, 6))
    passed = asked <= limit
    return Verdict(
        rule=rule,
        passed=passed,
        code=f"Within{rule}" if passed else code,
        message=f"{what}: {asked} asked, {limit:.0f} at most",
        asked=asked,
        limit=int(limit),
    )


def _minimum(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    asked, limit = facts.lease.replicas, facts.policy.minimum
    return Verdict(
        rule="Minimum",
        passed=asked >= limit,
        code="WithinMinimum" if asked >= limit else "BelowPolicyMinimum",
        message=f"replicas by policy: {asked} asked, {limit} at least",
        asked=asked,
        limit=limit,
    )


def _maximum(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    return _at_most("Maximum", "AbovePolicyMaximum", facts.lease.replicas, facts.policy.maximum, "replicas by policy")


def _autoscaler_maximum(facts: Facts) -> Verdict | None:
    if len(facts.autoscalers) != 1:
        return None
    limit = facts.autoscalers[0].maximum
    return _at_most(
        "AutoscalerMaximum",
        "AboveAutoscalerMaximum",
        facts.lease.replicas,
        limit,
        "replicas by the autoscaler's maximum",
    )


def _step(facts: Facts) -> Verdict | None:
    if facts.policy is None or facts.base is None:
        return None
    above = max(facts.lease.replicas - facts.base, 0)
    return _at_most("Step", "StepTooLarge", above, facts.policy.step_up, f"replicas above the base of {facts.base}")


def _duration(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    return _at_most(
        "Duration", "TooLong", facts.lease.end - facts.lease.start, facts.policy.longest, "seconds it lasts"
    )


def _lead(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    ahead = max(facts.lease.start - facts.lease.created, 0.0)
    return _at_most("Lead", "TooFarAhead", ahead, facts.policy.lead, "seconds from its creation to its start")


def _concurrent(facts: Facts) -> Verdict | None:
    if facts.policy is None:
        return None
    return _at_most(
        "Concurrent",
        "TooManyLeases",
        facts.earlier + 1,
        facts.policy.concurrent,
        f"leases of {facts.lease.workload} that are accepted and not over",
    )


RULES: tuple[Callable[[Facts], Verdict | None], ...] = (
    _policy,
    _time,
    _workload,
    _autoscaler,
    _minimum,
    _maximum,
    _autoscaler_maximum,
    _step,
    _duration,
    _lead,
    _concurrent,
)
