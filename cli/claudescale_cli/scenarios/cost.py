"""3 Cost after load: who holds more than is needed, what is refused because the autoscaler owns it, and what helps."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import answered, borne, events, held_by, held_words, reading, records
from claudescale_cli.scenarios.proof import check_exact
from claudescale_cli.scenarios.stage import Stage

REPLICAS = 4
RATE, SECONDS = 30, 30
READY_SECONDS = 60.0
SENT_SECONDS = 60.0
QUIET_SECONDS = 65.0  # after the load, so that a figure of a minute has none of it
HELD_SECONDS = 5.0  # to see that a refusal moved nothing
FLOOR_SECONDS = 5.0
DOWN_SECONDS = 240.0
IDLE = 1.0  # requests a second


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of the lease; moments of the run."""

    ready: bool
    leased: float
    ended: float
    after_refusal: frozenset[tuple[int, int]]  # replicas and floor
    restored: bool
    back: bool


def play(stage: Stage) -> None:
    """A lease, and a load that is over before it; then the conversation about what is left."""
    base, observer = stage.ground.base, stage.observer
    name = f"scenario-3-{secrets.token_hex(3)}"
    stage.script = transcripts.cost(WORKLOAD, name=name, replicas=REPLICAS, base=base)
    stage.act("Before: capacity was leased for a load, which is over sooner than was thought")
    leased = stage.now
    if not stage.lease("leased")["floor_stands"]:
        raise ClaudeScaleError(f"the lease does not stand: {stage.told['leased']['explanation']}")
    ready = stage.wait(lambda: observer.now.ready >= REPLICAS, READY_SECONDS, "waiting for the new pods")
    stage.mark(f"floor {observer.now.floor}, {observer.now.ready} pods ready")
    stage.sent(stage.load(RATE, SECONDS), SECONDS + SENT_SECONDS)
    stage.wait(lambda: False, QUIET_SECONDS, "no load any more, and the lease goes on")
    stage.act("The conversation")
    for key in ("state", "hour", "now", "records"):
        stage.ask(key)
    before = stage.now
    stage.ask("refused")
    stage.wait(lambda: False, HELD_SECONDS, "watching whether the refusal moves anything")
    after_refusal = frozenset((one.replicas, one.floor) for one in stage.seen(before))
    stage.ask("end tried")
    ended = stage.now
    stage.ask("ended")
    restored = stage.wait(lambda: observer.now.floor == base, FLOOR_SECONDS, "waiting for the floor")
    stage.mark(f"the lease is ended: the floor is {observer.now.floor}")
    stage.ask("refused again")
    back = stage.lowered(DOWN_SECONDS)
    stage.ask("after")
    course = Course(ready=ready, leased=leased, ended=ended, after_refusal=after_refusal, restored=restored, back=back)
    _judge_before(stage, course)
    _judge_end(stage, course)


def _judge_before(stage: Stage, course: Course) -> None:
    base, summary, refused = stage.ground.base, stage.facts.loads[-1], stage.told["refused"]
    name = stage.script["leased"].arguments["name"]
    stage.act("What must be true")
    stage.check("leased pods were ready, and the load was answered", course.ready and borne(summary), answered(summary))
    state = stage.workload("state")
    stage.check(
        "the tool names who holds more than the base", held_by(state) == (REPLICAS, base, [name]), held_words(state)
    )
    rate = reading(stage.told["now"], "request_rate")
    stage.check("the tool sees that the load is over", rate is not None and rate < IDLE, f"{rate} requests a second")
    reasons = [one.get("reason") for one in records(stage.told["records"], "LeaseRequested")]
    stage.check(
        "the records say who asked, and why",
        reasons == [stage.script["leased"].arguments["reason"]],
        ", ".join(map(str, reasons)),
    )
    stage.check(
        "scaling down is refused: the count is the autoscaler's",
        (refused["outcome"], refused["code"], refused["changed"]) == ("Refused", "ScalingDown", False),
        refused["explanation"],
    )
    stage.check("the refusal says what to do instead", "end_lease" in refused["next_step"], refused["next_step"])
    moved = f"replicas and floor watched: {sorted(course.after_refusal)}"
    stage.check("the refusal moved nothing", course.after_refusal == {(REPLICAS, REPLICAS)}, moved)


def _judge_end(stage: Stage, course: Course) -> None:
    base, told = stage.ground.base, stage.told
    tried, ended, again = told["end tried"], told["ended"], told["refused again"]
    stage.check("ending it was tried first", tried["outcome"] == "WouldEnd", tried["explanation"])
    stage.check(
        "then it ended, and the base stood", ended["outcome"] == "Ended" and course.restored, ended["explanation"]
    )
    check_exact(stage)
    stage.check(
        "down was refused without a lease, too: the autoscaler does it by itself",
        again["outcome"] == ("Refused" if again["replicas_before"] > base else "Unchanged"),
        again["explanation"],
    )
    down = [one.words for one in stage.facts.events if one.at > course.ended and f"New size: {base};" in one.words]
    stage.check("and so it did", course.back and down, "; ".join(down) or "no event of it was seen")
    causes = [one.get("cause") for one in records(told["after"], "LeaseEnded")]
    stage.check("it is on record that it was ended early", causes == ["EndedEarly"], events(told["after"]))
    left = course.leased + transcripts.COST_LEASE_SECONDS - course.ended
    saved = (REPLICAS - base) * left
    stage.screen.line(f"  ended {left:.0f} s early: up to {saved:,.0f} replica-seconds above the base were not used")
