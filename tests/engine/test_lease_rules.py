"""May this lease be: every rule with every code, its whole sentence and the numbers that it compared."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import model, rules
from hypothesis import given, settings
from hypothesis import strategies as st

THOROUGH = os.environ.get("CLAUDESCALE_THOROUGH") == "1"
NOW = 1767225600.0  # 2026-01-01T00:00:00Z
REF = model.WorkloadRef(kind="Deployment", name="demo-app")
POLICY = model.Policy(
    workload=REF, mode=model.Mode.ENFORCE, minimum=1, maximum=5, step_up=3, longest=14400, default_duration=1800,
    lead=604800, concurrent=10,
)  # fmt: skip
LEASE = model.Lease(
    name="launch", uid="1", created=NOW, workload=REF, replicas=4, start=NOW, end=NOW + 600, reason="a launch",
    requested_by="alice",
)  # fmt: skip
AUTOSCALER = model.Autoscaler(name="demo-app-hpa", uid="2", resource_version="1", workload=REF, floor=2, maximum=6)
OTHER = replace(AUTOSCALER, name="another", uid="3")
FACTS = rules.Facts(
    lease=LEASE, now=NOW, policy=POLICY, workload=model.Workload(ref=REF, uid="4", replicas=2),
    autoscalers=(AUTOSCALER,), base=2, earlier=0,
)  # fmt: skip


def facts(**changes: Any) -> rules.Facts:
    """The good facts with changes: of the facts themselves, or as lease_..., policy_..."""
    parts: dict[str, dict[str, Any]] = {"lease": {}, "policy": {}, "": {}}
    for name, value in changes.items():
        part, _, field = name.partition("_")
        parts[part if part in parts else ""][field if part in parts else name] = value
    return replace(
        FACTS, lease=replace(LEASE, **parts["lease"]), policy=replace(POLICY, **parts["policy"]), **parts[""]
    )


NO_POLICY = replace(FACTS, policy=None, workload=None, autoscalers=(), base=None)
Numbers = tuple[int | None, int | None]

# (facts, rule, code, sentence, (asked, limit))
GOOD: list[Any] = [
    pytest.param(
        facts(), "Policy", "PolicyFound", "policy deployment.demo-app is in mode Enforce", (None, None), id="policy"
    ),
    pytest.param(
        facts(policy_mode=model.Mode.OBSERVE),
        "Policy",
        "PolicyFound",
        "policy deployment.demo-app is in mode Observe",
        (None, None),
        id="policy-observes",
    ),
    pytest.param(facts(), "Time", "TimeToCome", "its end comes after its creation", (None, None), id="time"),
    pytest.param(facts(), "Workload", "WorkloadFound", "Deployment/demo-app is there", (None, None), id="workload"),
    pytest.param(
        facts(),
        "Autoscaler",
        "AutoscalerFound",
        "autoscaler demo-app-hpa owns the count",
        (None, None),
        id="autoscaler",
    ),
    pytest.param(
        facts(lease_replicas=1),
        "Minimum",
        "WithinMinimum",
        "replicas by policy: 1 asked, 1 at least",
        (1, 1),
        id="at-the-minimum",
    ),
    pytest.param(
        facts(lease_replicas=5),
        "Maximum",
        "WithinMaximum",
        "replicas by policy: 5 asked, 5 at most",
        (5, 5),
        id="at-the-maximum",
    ),
    pytest.param(
        facts(lease_replicas=6),
        "AutoscalerMaximum",
        "WithinAutoscalerMaximum",
        "replicas by the autoscaler's maximum: 6 asked, 6 at most",
        (6, 6),
        id="at-the-autoscaler's-maximum",
    ),
    pytest.param(
        facts(lease_replicas=5),
        "Step",
        "WithinStep",
        "replicas above the base of 2: 3 asked, 3 at most",
        (3, 3),
        id="one-whole-step",
    ),
    pytest.param(
        facts(lease_replicas=1),
        "Step",
        "WithinStep",
        "replicas above the base of 2: 0 asked, 3 at most",
        (0, 3),
        id="under-the-base",
    ),
    pytest.param(
        facts(lease_end=NOW + 14400),
        "Duration",
        "WithinDuration",
        "seconds it lasts: 14400 asked, 14400 at most",
        (14400, 14400),
        id="as-long-as-may-be",
    ),
    pytest.param(
        facts(lease_start=NOW + 0.1, lease_end=NOW + 14400.1),
        "Duration",
        "WithinDuration",
        "seconds it lasts: 14400 asked, 14400 at most",
        (14400, 14400),
        id="fractions-make-it-no-longer",
    ),
    pytest.param(
        facts(lease_start=NOW + 604800, lease_end=NOW + 604860),
        "Lead",
        "WithinLead",
        "seconds from its creation to its start: 604800 asked, 604800 at most",
        (604800, 604800),
        id="as-far-ahead-as-may-be",
    ),
    pytest.param(
        facts(lease_start=NOW + 604800, lease_end=NOW + 604860, now=NOW + 604700),
        "Lead",
        "WithinLead",
        "seconds from its creation to its start: 604800 asked, 604800 at most",
        (604800, 604800),
        id="lead-counts-from-creation",
    ),
    pytest.param(
        facts(earlier=9),
        "Concurrent",
        "WithinConcurrent",
        "leases of Deployment/demo-app that are accepted and not over: 10 asked, 10 at most",
        (10, 10),
        id="the-last-one",
    ),
]

BAD: list[Any] = [
    pytest.param(
        NO_POLICY,
        "Policy",
        "NoPolicy",
        "there is no ScalingPolicy deployment.demo-app: without one nothing may be asked for Deployment/demo-app",
        (None, None),
        id="no-policy",
    ),
    pytest.param(
        facts(lease_end=NOW - 90, lease_start=NOW - 600),
        "Time",
        "AlreadyOver",
        "its end was 90 s before it was asked for: ask for a time that is still to come",
        (None, None),
        id="over",
    ),
    pytest.param(
        facts(lease_end=NOW),
        "Time",
        "AlreadyOver",
        "its end was 0 s before it was asked for: ask for a time that is still to come",
        (None, None),
        id="over-just-now",
    ),
    pytest.param(
        facts(lease_start=NOW + 60, lease_end=NOW + 30),
        "Time",
        "EndBeforeStart",
        "its end is not after its start: ask for an end that comes after the start",
        (None, None),
        id="end-before-start",
    ),
    pytest.param(
        facts(lease_start=NOW + 60, lease_end=NOW + 60),
        "Time",
        "EndBeforeStart",
        "its end is not after its start: ask for an end that comes after the start",
        (None, None),
        id="no-time",
    ),
    pytest.param(
        facts(workload=None),
        "Workload",
        "WorkloadNotFound",
        "there is no Deployment/demo-app in this namespace",
        (None, None),
        id="no-workload",
    ),
    pytest.param(
        facts(autoscalers=(), base=None),
        "Autoscaler",
        "NoAutoscaler",
        "Deployment/demo-app has no HorizontalPodAutoscaler: a lease raises an autoscaler's floor, so there is "
        "nothing to raise",
        (None, None),
        id="no-autoscaler",
    ),
    pytest.param(
        facts(autoscalers=(AUTOSCALER, OTHER), base=None),
        "Autoscaler",
        "SeveralAutoscalers",
        "Deployment/demo-app has 2 autoscalers (another, demo-app-hpa): leave one of them",
        (None, None),
        id="two-autoscalers",
    ),
    pytest.param(
        facts(autoscalers=(replace(AUTOSCALER, by_keda=True),)),
        "Autoscaler",
        "ManagedByKeda",
        "autoscaler demo-app-hpa belongs to a KEDA ScaledObject, which would write its own floor back",
        (None, None),
        id="keda",
    ),
    pytest.param(
        facts(workload=model.Workload(ref=REF, uid="4", replicas=0)),
        "Autoscaler",
        "AutoscalerDisabled",
        "Deployment/demo-app is at 0 replicas, which switches its autoscaler off: bring it to 1 first",
        (None, None),
        id="disabled-by-zero",
    ),
    pytest.param(
        facts(policy_minimum=5),
        "Minimum",
        "BelowPolicyMinimum",
        "replicas by policy: 4 asked, 5 at least",
        (4, 5),
        id="under-the-minimum",
    ),
    pytest.param(
        facts(lease_replicas=6, policy_step_up=9),
        "Maximum",
        "AbovePolicyMaximum",
        "replicas by policy: 6 asked, 5 at most",
        (6, 5),
        id="above-the-maximum",
    ),
    pytest.param(
        facts(lease_replicas=7, policy_maximum=9, policy_step_up=9),
        "AutoscalerMaximum",
        "AboveAutoscalerMaximum",
        "replicas by the autoscaler's maximum: 7 asked, 6 at most",
        (7, 6),
        id="above-the-autoscaler's-maximum",
    ),
    pytest.param(
        facts(lease_replicas=5, base=1),
        "Step",
        "StepTooLarge",
        "replicas above the base of 1: 4 asked, 3 at most",
        (4, 3),
        id="more-than-a-step",
    ),
    pytest.param(
        facts(lease_end=NOW + 14401),
        "Duration",
        "TooLong",
        "seconds it lasts: 14401 asked, 14400 at most",
        (14401, 14400),
        id="too-long",
    ),
    pytest.param(
        facts(lease_end=NOW + 14400.04),
        "Duration",
        "TooLong",
        "seconds it lasts: 14401 asked, 14400 at most",
        (14401, 14400),
        id="too-long-by-a-fraction",
    ),
    pytest.param(
        facts(lease_start=NOW + 604801, lease_end=NOW + 604860),
        "Lead",
        "TooFarAhead",
        "seconds from its creation to its start: 604801 asked, 604800 at most",
        (604801, 604800),
        id="too-far-ahead",
    ),
    pytest.param(
        facts(earlier=10),
        "Concurrent",
        "TooManyLeases",
        "leases of Deployment/demo-app that are accepted and not over: 11 asked, 10 at most",
        (11, 10),
        id="one-too-many",
    ),
]


def verdict(given_facts: rules.Facts, rule: str) -> rules.Verdict:
    """What one rule says; each speaks once at most."""
    (found,) = [verdict for verdict in rules.decide(given_facts).verdicts if verdict.rule == rule]
    return found


@pytest.mark.parametrize(("given_facts", "rule", "code", "message", "numbers"), GOOD)
def test_passes(given_facts: rules.Facts, rule: str, code: str, message: str, numbers: Numbers) -> None:
    asked, limit = numbers
    assert verdict(given_facts, rule) == rules.Verdict(
        rule=rule, passed=True, code=code, message=message, asked=asked, limit=limit
    )


@pytest.mark.parametrize(("given_facts", "rule", "code", "message", "numbers"), BAD)
def test_refuses(given_facts: rules.Facts, rule: str, code: str, message: str, numbers: Numbers) -> None:
    asked, limit = numbers
    refused = rules.Verdict(rule=rule, passed=False, code=code, message=message, asked=asked, limit=limit)
    assert verdict(given_facts, rule) == refused
    decision = rules.decide(given_facts)
    assert decision.refusals == (refused,)  # nothing else is wrong in a row
    told = decision.to_object()
    assert (told["allowed"], told["code"], told["message"]) == (False, code, message)
    assert told["time"] == moments.text(given_facts.now)
    entry = {"rule": rule, "passed": False, "code": code, "message": message}
    assert refused.to_object() in told["rules"]
    assert refused.to_object() == entry | ({} if asked is None else {"asked": asked, "limit": limit})


def test_every_rule_and_code_has_its_rows() -> None:
    spoken = {verdict.rule for verdict in rules.decide(FACTS).verdicts}
    assert {row.values[1] for row in GOOD} == spoken
    assert {row.values[1] for row in BAD} == spoken
    assert len(rules.RULES) == len(spoken)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = facts(lease_replicas=500, lease_end=NOW + 99999, earlier=10, autoscalers=(AUTOSCALER, OTHER))
    decision = rules.decide(wrong)
    assert decision.code == "SeveralAutoscalers"  # the first of the checklist
    assert [refusal.code for refusal in decision.refusals] == [
        "SeveralAutoscalers", "AbovePolicyMaximum", "StepTooLarge", "TooLong", "TooManyLeases"]  # fmt: skip
    assert decision.message == (
        "Deployment/demo-app has 2 autoscalers (another, demo-app-hpa): leave one of them; "
        "replicas by policy: 500 asked, 5 at most; replicas above the base of 2: 498 asked, 3 at most; "
        "seconds it lasts: 99999 asked, 14400 at most; "
        "leases of Deployment/demo-app that are accepted and not over: 11 asked, 10 at most"
    )


def test_what_cannot_be_compared_is_not_said() -> None:
    assert [verdict.rule for verdict in rules.decide(NO_POLICY).verdicts] == ["Policy", "Time"]
    silent = [verdict.rule for verdict in rules.decide(facts(autoscalers=(), base=None)).verdicts]
    assert "Step" not in silent
    assert "AutoscalerMaximum" not in silent


def test_a_lease_asked_for_in_time_is_not_late_because_nobody_looked() -> None:
    late = rules.decide(facts(now=NOW + 10000))
    assert late.allowed
    assert late.message == "none of 11 rules is against it"


def test_observing_is_said_beside_the_decision() -> None:
    assert [rules.decide(facts(policy_mode=mode)).observed for mode in model.Mode] == [False, True]
    assert not rules.decide(NO_POLICY).observed


def is_allowed(given_facts: rules.Facts) -> bool:
    """The rules once more, plainly."""
    lease, policy = given_facts.lease, given_facts.policy
    if policy is None or given_facts.workload is None or len(given_facts.autoscalers) != 1:
        return False
    autoscaler = given_facts.autoscalers[0]
    return (
        given_facts.workload.replicas > 0
        and not autoscaler.by_keda
        and policy.minimum <= lease.replicas <= min(policy.maximum, autoscaler.maximum)
        and (given_facts.base is None or lease.replicas <= given_facts.base + policy.step_up)
        and max(lease.created, lease.start) < lease.end <= lease.start + policy.longest
        and lease.start <= lease.created + policy.lead
        and given_facts.earlier < policy.concurrent
    )


SMALL = st.integers(1, 8)
SECONDS = st.sampled_from((0, 0.5, 1, 59, 60, 61, 600, 601, 14400, 14400.25, 604800, 604801))
POLICIES = st.builds(
    model.Policy, workload=st.just(REF), mode=st.sampled_from(model.Mode), minimum=SMALL, maximum=SMALL, step_up=SMALL,
    longest=st.sampled_from((60, 600, 14400)), default_duration=st.just(60), lead=st.sampled_from((0, 60, 604800)),
    concurrent=SMALL,
)  # fmt: skip
LEASES = st.builds(
    lambda replicas, lead, lasts: replace(LEASE, replicas=replicas, start=NOW + lead, end=NOW + lead + lasts),
    SMALL, SECONDS, SECONDS,
)  # fmt: skip
AUTOSCALERS = st.builds(
    lambda name, maximum, keda: replace(AUTOSCALER, name=name, maximum=maximum, by_keda=keda),
    st.sampled_from(("x", "y")), SMALL, st.sampled_from((False, False, False, True)),
)  # fmt: skip
GENERATED = st.builds(
    rules.Facts, lease=LEASES, now=SECONDS.map(lambda seconds: NOW + seconds),
    policy=st.one_of(POLICIES, POLICIES, POLICIES, st.none()),
    workload=st.sampled_from((None, 0, 1, 2, 3)).map(
        lambda count: None if count is None else model.Workload(ref=REF, uid="4", replicas=count)),
    autoscalers=st.sampled_from((0, 1, 1, 1, 1, 2)).flatmap(
        lambda count: st.lists(AUTOSCALERS, min_size=count, max_size=count).map(tuple)),
    base=st.none() | SMALL, earlier=st.integers(0, 8),
)  # fmt: skip


@settings(deadline=None, max_examples=5000 if THOROUGH else 200)
@given(GENERATED)
def test_a_decision_is_what_the_plain_rules_say(given_facts: rules.Facts) -> None:
    decision = rules.decide(given_facts)
    assert decision.allowed is is_allowed(given_facts)
    assert (decision.code == rules.ALLOWED) is decision.allowed
    assert decision.to_object()["allowed"] is decision.allowed
    for verdict in decision.verdicts:
        if verdict.asked is not None and verdict.limit is not None:  # the numbers say the same as the verdict
            held = verdict.asked >= verdict.limit if verdict.rule == "Minimum" else verdict.asked <= verdict.limit
            assert held is verdict.passed
