"""5 Incident analysis: a pod that crashes and metrics that are out; what is told, and that nothing scales down blindly.

To show the last of these, something must be there that would be scaled down: a lease ends in the outage, and its pods
stay. When the metrics are back, the same pods go within seconds.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.run import load_image

from claudescale_cli.common import plain
from claudescale_cli.live.conditions import WORKLOAD, Missing
from claudescale_cli.live.connection import Answer
from claudescale_cli.scenarios import crash, outage, transcripts
from claudescale_cli.scenarios.figures import components, events, reading, records
from claudescale_cli.scenarios.proof import check_exact
from claudescale_cli.scenarios.stage import Stage
from claudescale_cli.scenarios.undo import FIELD_MANAGER

REPLICAS = 3
LEASE_SECONDS = 45
READY_SECONDS = 40.0
CRASHES = 3  # restarts until it is plain that it crashes again and again
CRASH_SECONDS = 90.0
BLIND_SECONDS = 45.0  # for the autoscaler to notice; it looks every 15 s
END_SECONDS = 60.0
HELD_SECONDS = 45.0  # three looks of the autoscaler; with metrics, one is enough
BACK_SECONDS = 60.0
DOWN_SECONDS = 180.0
ASK_SECONDS = 20.0
AWAY = ("metrics-server", "prometheus")


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of it; moments of the run."""

    crashed: int
    blind: str  # the autoscaler's own words, "" where it said nothing
    ended: bool
    held_from: float
    held_until: float
    back: bool
    sighted: float | None  # when its metrics were back
    lowered: float | None


def needs(cluster: ClusterClient) -> None:
    """Missing where the person may not do what the incident takes."""
    for way in outage.ways(cluster):
        if not cluster.allowed("patch", "", "services", way.namespace, way.name):
            raise Missing(f"you may not patch Service {way.name} in namespace {way.namespace}, whose way is cut here")
    for verb in ("create", "delete"):
        if not cluster.allowed(verb, "apps", "deployments", cluster.namespace):
            raise Missing(
                f"you may not {verb} Deployments in namespace {plain(cluster.namespace)}, one of which crashes here"
            )


def play(stage: Stage) -> None:
    """Before, the incident, the conversation in its midst, and its end."""
    base, observer = stage.ground.base, stage.observer
    mark = secrets.token_hex(3)
    crashing = f"scenario-5-crash-{mark}"
    stage.script = transcripts.incident(
        WORKLOAD,
        name=f"scenario-5-{mark}",
        replicas=REPLICAS,
        seconds=LEASE_SECONDS,
        base=base,
        crashing=crashing,
    )
    stage.act("Before: a lease, so that there is something that could be scaled down")
    if not stage.lease("leased")["floor_stands"]:
        raise ClaudeScaleError(f"the lease does not stand: {stage.told['leased']['explanation']}")
    stage.wait(lambda: observer.now.ready >= REPLICAS, READY_SECONDS, "waiting for the new pod")
    stage.mark(f"floor {observer.now.floor}, {observer.now.ready} pods ready")
    stage.act("The incident")
    _crash(stage, crashing)
    ways = outage.ways(stage.cluster)
    cut = stage.now
    for way in ways:
        _cut(stage, way)
    stage.wait(lambda: _blindness(observer.hpa), BLIND_SECONDS, "waiting for the autoscaler to notice")
    blind = _blindness(observer.hpa)
    stage.mark(f"the autoscaler says: {blind}" if blind else "the autoscaler has not said that it is blind")
    ended = stage.wait(lambda: observer.now.floor == base, END_SECONDS, "waiting for the lease's end")
    stage.mark(f"the lease is over: the floor is {observer.now.floor}")
    held_from = stage.now
    stage.wait(lambda: _is_looping(stage, crashing), CRASH_SECONDS, "the pod crashes again and again")
    crashed, _ = crash.restarts(stage.cluster, crashing)
    stage.act("The conversation, in its midst")
    stage.ask("crash", until=_names_the_crash, patience=ASK_SECONDS)
    for key in ("records", "report"):
        stage.ask(key)
    stage.ask("metrics", may_fail=True)
    for key in ("status", "state", "refused"):
        stage.ask(key)
    left = held_from + HELD_SECONDS - stage.now
    stage.wait(lambda: False, left, "the autoscaler sees nothing, and so it lowers nothing")
    held_until = stage.now
    stage.act("The way to the metrics is put back")
    for way in ways:
        outage.mend(stage.cluster, way)
        stage.mark(f"the way to {way.words} is back")
    stage.shade(cut, "no metrics")
    back = stage.wait(lambda: not _blindness(observer.hpa), BACK_SECONDS, "waiting for the autoscaler to see again")
    sighted = stage.now if back else None
    if back:
        stage.mark("the autoscaler sees its metrics again")
    lowered = stage.now if stage.lowered(DOWN_SECONDS) else None
    stage.ask("status after", until=lambda heard: not _away(heard.facts), patience=BACK_SECONDS)
    stage.ask("restarts", may_fail=True)
    stage.ask("after")
    course = Course(
        crashed=crashed, blind=blind, ended=ended, held_from=held_from, held_until=held_until, back=back,
        sighted=sighted, lowered=lowered,
    )  # fmt: skip
    _judge_told(stage, course)
    _judge_course(stage, course)


def _crash(stage: Stage, name: str) -> None:
    """Create the Deployment; it is deleted at the end, however that comes."""

    def gone() -> str:
        crash.remove(stage.cluster, name)
        return f"Deployment {name} is deleted, and its pod is gone"

    remedy = f"kubectl delete deployment {name} --namespace {stage.cluster.namespace}"
    stage.undo.note(f"Deployment {name}", gone, remedy)
    body = crash.manifest(name, load_image(stage.cluster))
    stage.cluster.create(crash.deployments(stage.cluster), body, field_manager=FIELD_MANAGER)
    stage.mark(f"Deployment {name} is made, whose container ends with an error")


def _cut(stage: Stage, way: outage.Way) -> None:
    """Cut a way; it is put back at the end, however that comes."""

    def back() -> str:
        mended = outage.mend(stage.cluster, way)
        return f"the way to {way.words} is back{'' if mended else ' already'}: Service {way.name} chooses its pods"

    key = f"{way.name} in namespace {way.namespace}"
    stage.undo.note(f"Service {key}", back, f"take {outage.SUFFIX} off the selector of Service {key}")
    outage.cut(stage.cluster, way)
    stage.mark(f"the way to {way.words} is cut: Service {way.name} chooses no pod")


def _is_looping(stage: Stage, name: str) -> bool:
    restarts, state = crash.restarts(stage.cluster, name)
    return restarts >= CRASHES and state in crash.CRASHED


def _blindness(hpa: dict[str, Any]) -> str:
    """Why the autoscaler cannot see its metric, in its own words; "" where it can."""
    for one in (hpa.get("status") or {}).get("conditions") or []:
        if one.get("type") == "ScalingActive" and one.get("status") == "False":
            return plain(f"{one.get('reason')}: {one.get('message', '')}")
    return ""


def _names_the_crash(heard: Answer) -> bool:
    return any(reason in crash.CRASHED for reasons in _waiting(heard.facts) for reason in reasons)


def _waiting(facts: Any) -> list[list[str]]:
    """For each workload that was told, what its pods wait for."""
    return [[one["reason"] for one in workload["pods"]["waiting"]] for workload in facts.get("workloads") or []]


def _away(facts: Any) -> list[str]:
    """Of the two that were cut, those that are told to be not well."""
    return [name for name in AWAY if components(facts).get(name, {}).get("state") != "Well"]


def _judge_told(stage: Stage, course: Course) -> None:
    told = stage.told
    stage.act("What must be true")
    waiting = _waiting(told["crash"])
    crashed = f"{', '.join(reason for one in waiting for reason in one)}, {course.crashed} restarts until then"
    stage.check(
        "the tool names the pod that crashes, and its state",
        waiting in [[[state]] for state in crash.CRASHED],
        crashed,
    )
    codes = [one["code"] for one in told["state"]["warnings"]]
    stage.check("the state warns that pods wait", "PodsWait" in codes, ", ".join(codes))
    for name in AWAY:
        part = components(told["status"]).get(name, {})
        words = f"{part.get('state')}: {part.get('explanation')}"
        stage.check(f"cluster_status names {name} as what is missing", part.get("state") == "Away", words)
    failed = next(call for call in stage.facts.calls if call.tool == transcripts.METRICS)
    stage.check(
        "get_metrics says that there are no numbers, and makes none up",
        failed.is_error and "Prometheus does not answer" in failed.text and not failed.facts,
        failed.text,
    )
    findings = [one["code"] for one in told["report"]["findings"]]
    stage.check(
        "the report says that it has no evidence",
        "NoEvidence" in findings and not told["report"]["courses"],
        ", ".join(findings),
    )
    refused = told["refused"]
    stage.check(
        "scaling down is refused",
        (refused["outcome"], refused["changed"]) == ("Refused", False),
        refused["explanation"],
    )
    away = _away(told["status after"])
    stage.check("afterwards, the tool sees both again", not away, ", ".join(away) or "both are well")
    restarts = reading(told["restarts"], "restarts") if told["restarts"] else None
    stage.screen.line(
        f"  restarts that get_metrics counted afterwards: {'none' if restarts is None else f'{restarts:g}'}"
    )


def _judge_course(stage: Stage, course: Course) -> None:
    base, told = stage.ground.base, stage.told
    stage.check("the autoscaler says itself that it sees nothing", course.blind, course.blind or "it said nothing")
    stage.check("the lease ended in the outage, and the base stood", course.ended, f"floor {stage.observer.now.floor}")
    held = stage.seen(course.held_from, course.held_until)
    counts, seconds = sorted({one.replicas for one in held}), course.held_until - course.held_from
    stage.check(
        f"nothing scaled down without evidence for {HELD_SECONDS:.0f} s, though the floor was {base}",
        counts == [REPLICAS] and seconds >= HELD_SECONDS,
        f"replicas watched for {seconds:.0f} s: {counts}",
    )
    after = "it never did"
    if course.lowered is not None:
        after = f"{course.lowered - course.held_until:.0f} s after the way was back"
    stage.check("with evidence, the autoscaler lowered the same pods", course.back and course.lowered, after)
    check_exact(stage)
    causes = [one.get("cause") for one in records(told["after"], "LeaseEnded")]
    stage.check(
        "what lowered the floor is on record: the lease's own end", causes == ["Expired"], events(told["after"])
    )
