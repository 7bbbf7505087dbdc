"""1 Health check: what the tools say of every part, beside what the person's own rights see of it."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import overview

from claudescale_cli.capacity import controller
from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import components, not_well, warnings
from claudescale_cli.scenarios.proof import check_head
from claudescale_cli.scenarios.stage import Stage


def play(stage: Stage) -> None:
    """Ask, then compare."""
    stage.script = transcripts.health_check()
    stage.act("The conversation")
    status, state = stage.ask("status"), stage.ask("state")
    stage.act("What must be true")
    bad, warned = not_well(status), warnings(state)
    stage.check("every part is well", not bad and status["overall"] == "Well", "; ".join(bad) or status["overall"])
    stage.check("nothing warns", not warned, "; ".join(warned) or "no warnings")
    _compare(stage)
    check_head(stage, status.get("head"))


def _compare(stage: Stage) -> None:
    """The tools' answers with what is seen here."""
    seen = overview(stage.cluster)
    nodes = [node["state"] == "Ready" for node in seen["nodes"]]
    numbers = components(stage.told["status"])["nodes"]["numbers"]
    stage.check(
        "the tool counts the nodes that are there",
        (numbers.get("count"), numbers.get("ready")) == (len(nodes), sum(nodes)),
        f"the tool says {numbers.get('ready')} of {numbers.get('count')}, seen {sum(nodes)} of {len(nodes)} ready",
    )
    scaler = next(one for one in seen["autoscalers"] if one["name"] == stage.ground.autoscaler)
    told = stage.workload("state").get("autoscaler") or {}
    stage.check(
        f"floor and maximum of {WORKLOAD} are the autoscaler's",
        (told.get("floor"), told.get("maximum")) == (scaler["minimum"], scaler["maximum"]),
        f"the tool says {told.get('floor')} and {told.get('maximum')},"
        f" seen {scaler['minimum']} and {scaler['maximum']}",
    )
    says, found = stage.told["state"]["controller"], controller(stage.cluster)["state"]
    stage.check(
        "the controller runs, as the tool says",
        (says, found) == ("Running", "Ready"),
        f"the tool says {says}, seen {found}",
    )
