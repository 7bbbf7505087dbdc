# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""How each part of the installation is, in words and numbers of ours, with advice for what is not well. Pure.

A part that could not be read is a finding, too: it takes the others nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import state as states
from ansible_collections.claudescale.core.plugins.module_utils.cluster import overview
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease, read_leases

OLD_SAMPLE_SECONDS = 60.0  # metrics-server asks every 15 s; an older sample means that it stopped
ITSELF = ("ScalingDisabled",)  # why an autoscaler rests, where people wanted it to


class Health(StrEnum):
    """How a part is."""

    WELL = "Well"
    DEGRADED = "Degraded"
    AWAY = "Away"
    UNKNOWN = "Unknown"


class Part(StrEnum):
    """What is looked at."""

    NODES = "nodes"
    PODS = "pods"
    SERVICES = "services"
    AUTOSCALERS = "autoscalers"
    PROMETHEUS = "prometheus"
    METRICS_SERVER = "metrics-server"
    CONTROLLER = "controller"
    RECORDS = "records"


class Miss(StrEnum):
    """Why a part could not be read."""

    FORBIDDEN = "Forbidden"
    ABSENT = "Absent"
    SILENT = "Silent"
    REFUSED = "Refused"
    UNREADABLE = "Unreadable"


Items: TypeAlias = "list[dict[str, Any]] | Miss"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How one part is; advice None where nothing is to be done. The numbers are counts, or seconds by their name."""

    part: Part
    health: Health
    explanation: str
    advice: str | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)


MAKE_UP = "tell the person: make up brings it back"
AGAIN = "ask again in a few seconds"
MISSED = {
    Miss.FORBIDDEN: ("this account may not read it", "tell the person: make up brings the account's rights"),
    Miss.ABSENT: ("the API server knows no such thing", MAKE_UP),
    Miss.SILENT: ("it was not answered in time", AGAIN),
    Miss.REFUSED: ("the API server is not well", AGAIN),
    Miss.UNREADABLE: ("what was answered cannot be read", "tell the person"),
}


def _missed(part: Part, miss: Miss) -> Finding:
    explanation, advice = MISSED[miss]
    return Finding(part=part, health=Health.UNKNOWN, explanation=explanation, advice=advice)


def nodes(found: list[bool] | Miss) -> Finding:
    """The nodes, of which each is ready or not."""
    if isinstance(found, Miss):
        return _missed(Part.NODES, found)
    ready = sum(found)
    numbers = {"count": len(found), "ready": ready}
    if found and ready == len(found):
        return Finding(part=Part.NODES, health=Health.WELL, explanation="all are ready", numbers=numbers)
    return Finding(
        part=Part.NODES,
        health=Health.DEGRADED if ready else Health.AWAY,
        explanation="not all are ready" if ready else "none is ready, so no new pod can start",
        advice="tell the person: kubectl describe nodes says why, and make up starts the cluster's own",
        numbers=numbers,
    )


def pods(items: Items) -> Finding:
    """All pods of the namespace."""
    if isinstance(items, Miss):
        return _missed(Part.PODS, items)
    found = states.pods_of(items)
    restarts = sum(overview.pod_facts(item)["restarts"] for item in items)
    numbers = {"count": found.count, "ready": found.ready, "restarts": restarts}
    if all(one.reason == "Terminating" for one in found.waiting):
        return Finding(part=Part.PODS, health=Health.WELL, explanation="all that stay are ready", numbers=numbers)
    return Finding(
        part=Part.PODS,
        health=Health.DEGRADED,
        explanation="some are not ready: their reasons stand under waiting",
        advice="get_current_state says which workloads they belong to",
        numbers=numbers,
    )


def services(found: Items) -> Finding:
    """The services, which are there or not."""
    if isinstance(found, Miss):
        return _missed(Part.SERVICES, found)
    return Finding(part=Part.SERVICES, health=Health.WELL, explanation="they are there", numbers={"count": len(found)})


def autoscalers(found: Items) -> Finding:
    """The autoscalers, as far as they can act."""
    if isinstance(found, Miss):
        return _missed(Part.AUTOSCALERS, found)
    blind = sum(_is_blind(item) for item in found)
    numbers = {"count": len(found), "blind": blind}
    if not blind:
        return Finding(part=Part.AUTOSCALERS, health=Health.WELL, explanation="all can act", numbers=numbers)
    return Finding(
        part=Part.AUTOSCALERS,
        health=Health.DEGRADED,
        explanation="some cannot read their metric or write their count, so they follow no load",
        advice="look at metrics-server here; pods that have just started need a minute",
        numbers=numbers,
    )


def prometheus(found: Mapping[str, Any] | Miss) -> Finding:
    """Prometheus, by its answer to the query how many targets are up and how many are down."""
    counts = found if isinstance(found, Miss) else _targets(found)
    if counts is Miss.FORBIDDEN or counts is Miss.UNREADABLE:
        return _missed(Part.PROMETHEUS, counts)
    if isinstance(counts, Miss):
        why = "it is not there" if counts is Miss.ABSENT else "it does not answer: no metrics meanwhile"
        return Finding(part=Part.PROMETHEUS, health=Health.AWAY, explanation=why, advice=MAKE_UP)
    up, down = counts
    numbers = {"targets_up": up, "targets_down": down}
    if up and not down:
        return Finding(
            part=Part.PROMETHEUS, health=Health.WELL, explanation="it answers, and so do its targets", numbers=numbers
        )
    return Finding(
        part=Part.PROMETHEUS,
        health=Health.DEGRADED,
        explanation="it answers, and not all of its targets do" if up or down else "it answers, and has no target yet",
        advice="numbers may be missing for some pods: get_current_state says which are not ready",
        numbers=numbers,
    )


def metrics_server(found: Items, ready: int | None, now: float) -> Finding:
    """metrics-server, by its samples of the namespace's pods, of which so many are ready (None: not known)."""
    if found is Miss.FORBIDDEN or found is Miss.UNREADABLE:
        return _missed(Part.METRICS_SERVER, found)
    if isinstance(found, Miss):
        why = "it is not there" if found is Miss.ABSENT else "it does not answer"
        explanation = f"{why}: autoscalers see no CPU, and follow no load"
        return Finding(part=Part.METRICS_SERVER, health=Health.AWAY, explanation=explanation, advice=MAKE_UP)
    times = [_time(item.get("timestamp")) for item in found]
    known = [time for time in times if time is not None]
    numbers = {"pods_sampled": len(found)}
    if not known:
        if ready == 0:
            explanation = "it answers, and there are no pods to sample"
            return Finding(part=Part.METRICS_SERVER, health=Health.WELL, explanation=explanation, numbers=numbers)
        return Finding(
            part=Part.METRICS_SERVER,
            health=Health.DEGRADED,
            explanation="it answers, and has no sample of these pods yet",
            advice="pods that have just started need a minute: ask again then",
            numbers=numbers,
        )
    age = max(0.0, now - max(known))
    numbers["sample_age_seconds"] = round(age)
    if age <= OLD_SAMPLE_SECONDS:
        return Finding(
            part=Part.METRICS_SERVER, health=Health.WELL, explanation="it answers with fresh samples", numbers=numbers
        )
    return Finding(
        part=Part.METRICS_SERVER,
        health=Health.DEGRADED,
        explanation="its newest sample is old, so autoscalers act on what was",
        advice="tell the person to look at its pod in kube-system",
        numbers=numbers,
    )


def controller(found: Mapping[str, Any] | Miss, leases: Items, now: float) -> Finding:
    """The controller, by its Deployment and by the leases that it has not answered."""
    if isinstance(found, Miss) and found is not Miss.ABSENT:
        return _missed(Part.CONTROLLER, found)
    if leases is Miss.ABSENT:
        return Finding(
            part=Part.CONTROLLER,
            health=Health.AWAY,
            explanation="the kinds of claudescale.io are not installed in this cluster",
            advice="tell the person: make up brings them",
        )
    deployment = None if isinstance(found, Miss) else found
    asked = [] if isinstance(leases, Miss) else read_leases(leases)
    numbers = _controller_numbers(deployment, asked, now)
    health, explanation, advice = _presence(states.presence(deployment, asked, now), numbers)
    if isinstance(leases, Miss):
        del numbers["leases_open"], numbers["leases_unanswered"]
        if health is Health.WELL:
            health, explanation, advice = Health.UNKNOWN, "it runs; whether leases wait for it is not known", AGAIN
    return Finding(part=Part.CONTROLLER, health=health, explanation=explanation, advice=advice, numbers=numbers)


def _presence(presence: states.Presence, numbers: Mapping[str, int]) -> tuple[Health, str, str | None]:
    if presence is states.Presence.RUNNING:
        return Health.WELL, "it runs, and no lease waits for its decision", None
    if presence is states.Presence.UNKNOWN:
        why = "it is not deployed in this namespace; it may run outside of it"
        return Health.UNKNOWN, why, "tell the person: make up deploys it"
    if numbers.get("ready"):
        why = "it runs, and leases wait for its decision for more than a few seconds"
        return Health.DEGRADED, why, "nothing is lost; tell the person to look at its log if it stays so"
    return Health.AWAY, "it does not run: leases wait and nothing is lost", MAKE_UP


def _controller_numbers(deployment: Mapping[str, Any] | None, leases: list[Lease], now: float) -> dict[str, int]:
    found = {
        "leases_open": sum(lease.phase is None or not lease.phase.is_final for lease in leases),
        "leases_unanswered": states.unanswered(leases, now),
    }
    if deployment is None:
        return found
    ready = (deployment.get("status") or {}).get("readyReplicas") or 0
    return {"ready": ready, "wanted": deployment["spec"].get("replicas", 1), **found}


def records(found: Items) -> tuple[Finding, str | None]:
    """(the chain, by its last records, oldest first; its head)."""
    if isinstance(found, Miss):
        return _missed(Part.RECORDS, found), None
    if not found:
        explanation = "there are none: the controller has never run here, and without records nothing is raised"
        return Finding(part=Part.RECORDS, health=Health.AWAY, explanation=explanation, advice=MAKE_UP), None
    records, head, whole = states.read_records(found)
    numbers = {"count": records[-1].sequence + 1} if records else {}
    if whole:
        explanation = "the last ones are whole and follow one another"
        return Finding(part=Part.RECORDS, health=Health.WELL, explanation=explanation, numbers=numbers), head
    return (
        Finding(
            part=Part.RECORDS,
            health=Health.DEGRADED,
            explanation="the last ones are no whole chain",
            advice="tell the person: claudescale records verify names the place",
            numbers=numbers,
        ),
        head,
    )


def _is_blind(item: Mapping[str, Any]) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(
        one.get("type") in ("ScalingActive", "AbleToScale")
        and one.get("status") == "False"
        and one.get("reason") not in ITSELF
        for one in conditions
    )


def _targets(answer: Mapping[str, Any]) -> tuple[int, int] | Miss:
    """(up, down) of Prometheus' answer."""
    try:
        counts = {entry["metric"]["up"]: int(float(entry["value"][1])) for entry in answer["data"]["result"]}
    except (LookupError, TypeError, ValueError, OverflowError):
        return Miss.UNREADABLE
    up = counts.pop("1", 0)
    return up, sum(counts.values())


def _time(text: object) -> float | None:
    try:
        return moments.parse(str(text))
    except ClaudeScaleError:
        return None
