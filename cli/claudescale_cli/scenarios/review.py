"""7 Daily review: what was decided and refused since yesterday, what is planned, and the head to note down."""

from __future__ import annotations

import math
import secrets

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.plan import REPEAT_SECONDS

from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import named, not_well, records
from claudescale_cli.scenarios.proof import check_exact, check_head
from claudescale_cli.scenarios.stage import Stage

REPLICAS = 4
LATE_SECONDS = 10.0  # between the wish and the judgement
AHEAD_SECONDS = 86_400
LASTS_SECONDS = 3600


def play(stage: Stage) -> None:
    """A day with a refusal and a plan, its review, and the plan taken back."""
    mark = secrets.token_hex(3)
    begins = math.ceil(stage.clock.now()) + AHEAD_SECONDS
    stage.script = transcripts.review(
        WORKLOAD,
        refused=f"scenario-7-all-{mark}",
        planned=f"scenario-7-plan-{mark}",
        replicas=REPLICAS,
        start=moments.to_the_second(begins),
        end=moments.to_the_second(begins + LASTS_SECONDS),
    )
    stage.act("Before: a wish that is far too much, and a lease for tomorrow")
    for key in ("refused", "planned"):
        stage.lease(key)
    if not stage.told["planned"].get("allowed"):
        raise ClaudeScaleError(f"the lease for tomorrow was not accepted: {stage.told['planned']['explanation']}")
    stage.act("The conversation")
    for key in ("records", "refusals", "report", "state", "status"):
        stage.ask(key)
    open_leases = [
        one.name for one in Reader(stage.cluster).leases() if one.phase is not None and not one.phase.is_final
    ]
    stage.act("Tomorrow's lease is taken back")
    stage.ask("ended")
    _judge(stage, open_leases)


def _judge(stage: Stage, open_leases: list[str]) -> None:
    told, base = stage.told, stage.ground.base
    planned = str(stage.script["planned"].arguments["name"])
    stage.act("What must be true")
    stage.check("500 replicas were refused", told["refused"]["outcome"] == "Refused", told["refused"]["explanation"])
    _judge_refusal(stage)
    others = {one["outcome"] for one in records(told["refusals"])}
    stage.check("refusals are told, and nothing else", others == {"Refused"}, ", ".join(sorted(others)))
    asked = [one for one in records(told["records"], "LeaseRequested") if one.get("lease") == planned]
    stage.check("tomorrow's lease is on record", len(asked) == 1, f"{len(asked)} records of it among the last")
    plan = named(told["state"]["leases"], planned)
    stage.check(
        "and is told as still to come",
        (plan.get("phase"), plan.get("start")) == ("Pending", stage.script["planned"].arguments["start"]),
        f"{plan.get('phase')}, from {plan.get('start')}",
    )
    shown = sorted(one["name"] for one in told["state"]["leases"] if one.get("phase") in ("Pending", "Active"))
    missing = sorted(set(open_leases) - set(shown)) if told["state"]["pages"] == 1 else []
    stage.check(
        "no open lease is left out", planned in shown and not missing, ", ".join(missing) or f"{len(shown)} open"
    )
    cost = told["report"].get("cost") or {}
    stage.check("replica-hours of the day are told", cost.get("replica_hours"), f"{cost.get('replica_hours', 0):g}")
    bad = not_well(told["status"])
    agrees = (told["status"]["overall"] == "Well") is not bool(bad)
    stage.check("what is not well is named, part by part", agrees, "; ".join(bad) or "all is well")
    floors = sorted({one.floor for one in stage.seen(0.0)})
    stage.check("a plan for tomorrow moves no floor today", floors == [base], f"floors watched: {floors}")
    stage.check("the plan was taken back", told["ended"]["outcome"] == "Ended", told["ended"]["explanation"])
    check_exact(stage)
    check_head(stage, told["records"].get("head"))


def _judge_refusal(stage: Stage) -> None:
    """It has a record of its own, or is a repeat of one within a minute: those share one that comes later."""
    code, name = stage.told["refused"]["code"], stage.script["refused"].arguments["name"]
    alike = [
        one
        for one in records(stage.told["refusals"])
        if (one.get("code"), one.get("workload")) == (code, f"Deployment/{WORKLOAD}")
    ]
    last = alike[-1] if alike else {}
    age = stage.clock.now() - moments.parse(last["time"]) if last else math.inf
    repeats = "" if last.get("lease") == name else f", which it repeats after {age:.0f} s"
    found = f"#{last.get('sequence')} {last.get('code')}{repeats}" if last else "no record of it"
    stage.check("the refusal is on record, with its code", age < REPEAT_SECONDS + LATE_SECONDS, found)
