"""The sentences about a lease: codes and numbers in, words out. No text of anybody else gets into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.scaling import Course, Ruling

# The rules' refusal codes: (what is wrong, what to do). {limit} is the number that the rule compared with.
REFUSALS: dict[str, tuple[str, str]] = {
    "NoPolicy": (
        "nothing may be asked for this workload, because no policy speaks of it",
        "tell the person that it needs a ScalingPolicy; do not try other workloads in its place",
    ),
    "AlreadyOver": ("its end is in the past", "ask for a time that is still to come"),
    "EndBeforeStart": ("its end is not after its start", "ask for an end that comes after the start"),
    "WorkloadNotFound": ("there is no such workload in this namespace", "look for its name with get_current_state"),
    "NoAutoscaler": (
        "the workload has no autoscaler, so there is no floor to raise",
        "tell the person; a lease is not possible without a HorizontalPodAutoscaler",
    ),
    "SeveralAutoscalers": ("several autoscalers own the workload's count", "tell the person to leave one of them"),
    "ManagedByKeda": ("the autoscaler belongs to KEDA, which writes its own floor", "tell the person"),
    "AutoscalerDisabled": (
        "the workload is at 0 replicas, which switches its autoscaler off",
        "tell the person: only people bring it to 1 again",
    ),
    "BelowPolicyMinimum": ("fewer replicas than the policy allows", "ask for at least {limit}"),
    "AbovePolicyMaximum": (
        "more replicas than the policy allows",
        "ask for at most {limit}, or tell the person who owns the policy",
    ),
    "AboveAutoscalerMaximum": (
        "more replicas than the autoscaler's maximum",
        "ask for at most {limit}, or tell the person who owns the autoscaler",
    ),
    "StepTooLarge": ("too many replicas above the base", "ask for at most {limit} above base"),
    "TooLong": ("it lasts too many seconds", "ask for at most {limit} seconds"),
    "TooFarAhead": ("it starts too many seconds ahead", "ask when the start is at most {limit} seconds ahead"),
    "TooManyLeases": ("too many leases of this workload are open", "end one of yours, or wait until one is over"),
}
UNKNOWN = ("a rule refused it", "tell the person what the rule says")

# The reasons of a lease's condition FloorStands while it does not stand: (why, what to do).
WAITS: dict[str, tuple[str, str]] = {
    "NotStarted": ("it is accepted and starts later", "nothing: the floor is raised at its start"),
    "RecordsUnavailable": (
        "no record can be written, and without one nothing is raised",
        "look again with get_current_state; tell the person if it stays so",
    ),
    "Raising": ("it is accepted and its floor is being raised", "look again with get_current_state in a few seconds"),
    "AutoscalerMissing": ("the autoscaler is not there, and the lease waits for it", "tell the person"),
    "FloorContested": (
        "another manager keeps writing the floor, so the lease stopped asserting it",
        "tell the person to make that manager leave minReplicas alone",
    ),
    "FloorCapped": ("a maximum was lowered, so the floor stands under what was asked", "tell the person"),
}
# A wish for a count that became no lease: (what is wrong, what to do); the other codes are those of REFUSALS.
UNSCALED = {
    "NoAutoscaler": (
        "the workload has no autoscaler, and a lasting change of its count is not done by this server for now",
        "tell the person, who may scale it, or give it an autoscaler and a policy",
    ),
}
UNDECIDED = (
    "the controller has not answered yet, so the lease waits; nothing is lost, and it is decided when it is back",
    "do not ask again under another name; look with get_current_state, and tell the person if it stays so",
)


def refused(rules: list[Mapping[str, Any]]) -> tuple[str, str]:
    """(why, what to do) of a refusal, every rule that refused named."""
    refusals = [rule for rule in rules if not rule["passed"]]
    why = "; ".join(f"{_words(rule)[0]}{_numbers(rule)}" for rule in refusals)
    advice = "; ".join(
        dict.fromkeys(_words(rule)[1].format(limit=rule.get("limit", "what it says")) for rule in refusals)
    )
    return why or UNKNOWN[0], advice or UNKNOWN[1]


def as_lease(seconds: int | None, *, dry_run: bool) -> str:
    """That a wish for a count is a lease, by the policy's default for so many seconds (None: it was there already)."""
    lasts = f"a lease of the policy's default of {seconds} s" if seconds is not None else "a lease"
    return f"an autoscaler owns the count, so this {'would become' if dry_run else 'is'} {lasts}"


def unscaled(ruling: Ruling, asked: int) -> tuple[str, str]:
    """(what stands, what to do) of a wish for a count that became no lease."""
    if ruling.course is Course.UNCHANGED:
        why = f"it has {ruling.present} replicas already; its autoscaler may lower them to its floor of {ruling.floor}"
        return f"nothing was changed: {why}", "nothing; to keep at least so many for a while, use lease_capacity"
    if ruling.code == "ScalingDown":
        return _down(ruling, asked)
    why, advice = UNSCALED.get(ruling.code) or REFUSALS[ruling.code]
    return f"refused: {why}", advice


def _down(ruling: Ruling, asked: int) -> tuple[str, str]:
    why = (
        f"refused: the count of {ruling.present} is its autoscaler's to lower, which does so by itself when load falls,"
        f" down to its floor of {ruling.floor}"
    )
    if ruling.base is not None and asked < ruling.base:
        return why, f"tell the person, who may lower minReplicas: {ruling.base} is what people configured"
    if ruling.held_by and ruling.floor is not None and asked < ruling.floor:
        return (
            why,
            "end_lease, if a lease of yours holds the floor and is not needed any more; get_current_state shows them",
        )
    return why, "nothing: where the load is yours, lower it, and the count follows"


def waits(reason: str | None) -> tuple[str, str]:
    """(why, what to do) of an accepted lease whose floor does not stand."""
    return WAITS.get(reason or "", WAITS["Raising"])


def _words(rule: Mapping[str, Any]) -> tuple[str, str]:
    return REFUSALS.get(rule["code"], UNKNOWN)


def _numbers(rule: Mapping[str, Any]) -> str:
    if "asked" not in rule or "limit" not in rule:
        return ""
    bound = "least" if rule["code"] == "BelowPolicyMinimum" else "most"
    return f" ({rule['asked']} asked, {rule['limit']} at {bound})"
