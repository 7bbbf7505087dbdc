"""Checks that several scenarios make: of the chain of records, and of an autoscaler that was let go."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

from claudescale_cli.live.conditions import differences, read_autoscaler
from claudescale_cli.records import verified
from claudescale_cli.scenarios.stage import Stage

EXACT_SECONDS = 5.0  # for the controller's second write


def check_head(stage: Stage, head: str | None) -> None:
    """Check that the whole chain is whole, and that a head which a tool named is in it."""
    result, _ = verified(stage.cluster, chain.parse_head(head) if head else None)
    good = f"{result.count} records are whole, {head} is in them"
    stage.check(
        "the chain of records is whole, and the head that the tool named is in it",
        head and not result.broken,
        str(result.broken) if result.broken else good,
    )


def check_exact(stage: Stage) -> None:
    """Check that the autoscaler is exactly what it was, as soon as it is, or after some seconds."""
    deadline = stage.now + EXACT_SECONDS
    while left := differences(stage.ground.hpa, read_autoscaler(stage.cluster, stage.ground.autoscaler), CONTROLLER):
        if stage.now > deadline:
            break
        stage.pause(0.3)
    good = f"minReplicas {stage.ground.base}, no annotation, no entry of {CONTROLLER}"
    stage.check("the autoscaler was restored exactly", not left, ", ".join(left) or good)
