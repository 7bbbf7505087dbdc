"""4 Announced launch: a lease before the load, held through it, ended by itself, restored exactly."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.live.seen import Seen
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import answered, borne, events, held_by, held_words, records
from claudescale_cli.scenarios.proof import check_exact, check_head
from claudescale_cli.scenarios.stage import Stage

REPLICAS = 4
AHEAD_SECONDS = 15  # from the conversation to the lease's start
LASTS_SECONDS = 80
RATE, SECONDS = 40, 40  # four pods carry it (docs/DEMO_APP.md)
HEAD_START_SECONDS = 10  # of the lease, before the load is asked for
READY_SECONDS = 45.0
SENT_SECONDS = 60.0
RAISED_SECONDS = RESTORED_SECONDS = 3.0  # from the lease's start and end, at worst
EARLY_SECONDS = 1.0  # two clocks, of which one tells whole seconds
LATE_SECONDS = 30.0
DOWN_SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of the launch; moments of the run, infinite where they did not come."""

    starts: float  # of the lease, as it was asked for
    ends: float
    raised: float
    lowered: float
    full: float  # as many pods ready as were leased
    load: float  # its first second
    back: bool


def play(stage: Stage) -> None:
    """The conversation, the wait, the launch, and what is left of it: nothing."""
    base, observer = stage.ground.base, stage.observer
    starts = _plan(stage)
    ends = starts + LASTS_SECONDS
    stage.act("The conversation, before there is any load")
    for key in ("state", "metrics", "tried"):
        stage.ask(key)
    leased = stage.lease("leased")
    if leased["outcome"] != "Created" or not leased.get("allowed"):
        raise ClaudeScaleError(f"the lease was not accepted: {leased['explanation']}")
    stage.act("Before the launch")
    patience = starts + LATE_SECONDS - stage.now
    stage.wait(lambda: observer.now.floor == REPLICAS, patience, "waiting for the lease's start")
    stage.mark(f"the floor is {observer.now.floor}")
    stage.wait(lambda: observer.now.ready >= REPLICAS, READY_SECONDS, "waiting for the new pods")
    stage.mark(f"{observer.now.ready} pods are ready")
    stage.wait(lambda: stage.now > starts + HEAD_START_SECONDS, LASTS_SECONDS, "waiting for the launch")
    stage.act("The launch")
    sending = stage.load(RATE, SECONDS)
    stage.wait(lambda: sending.began is not None, SENT_SECONDS, "waiting for the first requests")
    stage.ask("held")
    stage.sent(sending, SECONDS + SENT_SECONDS)
    stage.act("After the launch")
    patience = ends + LATE_SECONDS - stage.now
    stage.wait(lambda: observer.now.floor == base, patience, "the lease goes on until its end")
    stage.mark(f"the floor is {observer.now.floor}")
    back = stage.lowered(DOWN_SECONDS)
    stage.ask("after")
    raised = _first(stage, lambda one: one.floor == REPLICAS)
    course = Course(
        starts=starts,
        ends=ends,
        raised=raised,
        lowered=_first(stage, lambda one: one.floor == base, raised),
        full=_first(stage, lambda one: one.ready >= REPLICAS),
        load=(sending.began or math.inf) - stage.began,
        back=back,
    )
    _judge_lease(stage, course)
    _judge_load(stage, course)


def _plan(stage: Stage) -> float:
    """Set the transcript; the moment at which the lease starts."""
    now, wall = stage.now, stage.clock.now()
    begins = math.ceil(wall) + AHEAD_SECONDS
    stage.script = transcripts.launch(
        WORKLOAD,
        name=f"scenario-4-{secrets.token_hex(3)}",
        replicas=REPLICAS,
        start=moments.to_the_second(begins),
        end=moments.to_the_second(begins + LASTS_SECONDS),
    )
    return now + begins - wall


def _judge_lease(stage: Stage, course: Course) -> None:
    base, told = stage.ground.base, stage.told
    late, over = course.raised - course.starts, course.lowered - course.ends
    stage.act("What must be true")
    stage.check(
        "it was tried first, and allowed", told["tried"]["outcome"] == "WouldBeCreated", told["tried"]["explanation"]
    )
    stage.check("nothing moved before its start", late >= -EARLY_SECONDS, f"the floor rose {late:+.1f} s from it")
    stage.check(f"the floor stood within {RAISED_SECONDS:.0f} s", late <= RAISED_SECONDS, f"after {late:.1f} s")
    name = stage.script["leased"].arguments["name"]
    held = stage.workload("held")
    stage.check(
        "the tool showed the floor, and who holds it", held_by(held) == (REPLICAS, base, [name]), held_words(held)
    )
    stage.check(
        f"the base stood again within {RESTORED_SECONDS:.0f} s of its end",
        -EARLY_SECONDS <= over <= RESTORED_SECONDS,
        f"the floor came down {over:+.1f} s from it",
    )
    check_exact(stage)
    causes = [one.get("cause") for one in records(told["after"], "LeaseEnded")]
    stage.check("it ended by itself: it is on record so", causes == ["Expired"], events(told["after"]))
    check_head(stage, told["leased"].get("record"))


def _judge_load(stage: Stage, course: Course) -> None:
    summary, lead = stage.facts.loads[-1], course.load - course.full
    stage.check(f"{REPLICAS} pods were ready before the first request", lead > 0, f"{lead:.0f} s before it")
    until = min(course.load + SECONDS, course.lowered)
    ready = [one.ready for one in stage.seen(course.load, until)] if math.isfinite(course.load) else [0]
    stage.check(
        f"never fewer than {REPLICAS} were ready while it lasted", min(ready) >= REPLICAS, f"at least {min(ready)}"
    )
    left = course.ends - course.load - SECONDS
    stage.check("the load was over before the lease", left >= 0, f"{left:.0f} s before its end")
    stage.check("the load was answered", borne(summary), answered(summary))
    words = f"the autoscaler lowered the replicas to {stage.ground.base} by itself"
    stage.check(words, course.back, f"{stage.observer.now.replicas} replicas")


def _first(stage: Stage, holds: Callable[[Seen], bool], after: float = -math.inf) -> float:
    """When something was first seen after a moment."""
    found = (one.at - stage.began for one in stage.observer.seen if holds(one) and one.at - stage.began > after)
    return next(found, math.inf)
