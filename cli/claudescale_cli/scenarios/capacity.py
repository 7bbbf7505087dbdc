"""6 Capacity report: load, replicas, leases and their cost in the last hour, with the tool's own picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import scaling

from claudescale_cli.live.conditions import WORKLOAD, read_autoscaler
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import held_by, held_words, named, reading
from claudescale_cli.scenarios.stage import Stage

PNG = b"\x89PNG\r\n\x1a\n"
PODS = ("pods_ready", "pods_running")
ROUNDING = 1e-3  # replica-hours
GONE_SECONDS = 50.0  # for a pod that was told to go: it may take 40


def play(stage: Stage) -> None:
    """Ask, then compare."""
    stage.script = transcripts.capacity(WORKLOAD)
    stage.act("The conversation")
    converse(stage)
    stage.act("What must be true")
    _judge_report(stage)
    _judge_bounds(stage)


def converse(stage: Stage) -> None:
    """Ask everything once, and the figures until they count the pods that are watched."""
    for key in stage.script:
        if key == "metrics":
            # A pod that was told to go answers Prometheus until it is gone.
            stage.ask(key, until=lambda heard: _ready(heard.facts) == stage.observer.now.ready, patience=GONE_SECONDS)
        else:
            stage.ask(key)


def _judge_report(stage: Stage) -> None:
    report = stage.told["report"]
    images = stage.facts.calls[0].images
    size = ", ".join(f"{len(image):,} bytes" for image in images)
    stage.check("the picture came beside the text", len(images) == 1 and images[0].startswith(PNG), size or "none")
    course = next((found for name in PODS if (found := named(report["courses"], name))), {})
    stage.check(
        "the report counts pods over time", course, f"{course.get('lowest', 0):g} to {course.get('highest', 0):g} pods"
    )
    cost = report.get("cost") or {}
    hours = cost.get("counted_seconds", 0) / 3600
    low, high = (course.get(end, 0) * hours for end in ("lowest", "highest"))
    paid = cost.get("replica_hours", 0)
    stage.check(
        "its replica-hours are those of the pods that it counts",
        cost and low - ROUNDING <= paid <= high + ROUNDING,
        f"{paid} in {hours:.2f} h, which is {low:.3f} to {high:.3f} by lowest and highest",
    )
    above = cost.get("above_base", 0)
    stage.check("what leases cost is a part of it", 0 <= above <= paid, f"{above:g} replica-hours above the base")
    stage.check(
        "all records of that hour were read",
        report["records_complete"],
        f"{report['decisions_total']} kinds of decisions",
    )


def _judge_bounds(stage: Stage) -> None:
    seen = scaling(read_autoscaler(stage.cluster, stage.ground.autoscaler))
    state = stage.workload("state")
    scaler, policy = state.get("autoscaler") or {}, state.get("policy") or {}
    stage.check(
        "base and maximum are the autoscaler's",
        (held_by(state)[1], scaler.get("maximum")) == (stage.ground.base, seen.maximum),
        f"{held_words(state)}, maximum {scaler.get('maximum')}; seen {stage.ground.base} and {seen.maximum}",
    )
    stage.check(
        "the policy is beside them", policy, f"{policy.get('mode')}, up to {policy.get('max_replicas')} replicas"
    )
    ready, now = _ready(stage.told["metrics"]), stage.observer.now.ready
    stage.check(
        "the figures count the pods that are watched",
        ready == now,
        f"{'none' if ready is None else f'{ready:g}'}, watched {now}",
    )
    whole = stage.told["records"]["whole"]
    stage.check("the records that were read are whole", whole, stage.told["records"]["explanation"])


def _ready(metrics: Mapping[str, Any]) -> float | None:
    return reading(metrics, "pods_ready")
