"""2 Load is here: the autoscaler follows it by itself, and the tools say how far it is. Nothing is leased."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader

from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.scenarios import transcripts
from claudescale_cli.scenarios.figures import answered, borne, reading
from claudescale_cli.scenarios.stage import Stage

RATE, SECONDS = 40, 85  # four pods carry it (docs/DEMO_APP.md); long enough to fill a window of figures
UP_SECONDS = 80.0
READY_SECONDS = 20.0
FULL_SECONDS = 68.0  # of load: a window of a minute, and a scrape
SENT_SECONDS = 60.0
DOWN_SECONDS = 300.0
MORE = 5
NEAR = 0.25  # of the rate, by which the figure of a minute may differ


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of the load; moments of the run."""

    began: float
    rose: bool
    counts: frozenset[int]  # of replicas, from the question about them to its answer
    back: bool


def play(stage: Stage) -> None:
    """Load, the way up, what the tools say meanwhile, and the way down."""
    base, observer = stage.ground.base, stage.observer
    name = f"scenario-2-{secrets.token_hex(3)}"
    stage.script = transcripts.reactive(WORKLOAD, name=name, replicas=MORE)
    stage.act("Load comes, and nobody had announced it")
    began = stage.now
    sending = stage.load(RATE, SECONDS)
    rose = stage.wait(lambda: observer.now.replicas > base, UP_SECONDS, "waiting for the autoscaler to follow")
    if rose:
        stage.mark(f"the autoscaler wants {observer.now.replicas}")
    stage.wait(lambda: observer.now.ready == observer.now.replicas > base, READY_SECONDS, "waiting for the new pods")
    stage.act("The conversation")
    before = stage.now
    stage.ask("state")
    counts = frozenset(one.replicas for one in stage.seen(before))
    stage.wait(lambda: (sending.sent_seconds or 0.0) > FULL_SECONDS, SECONDS, "until a minute of load can be seen")
    for key in ("quarter", "now", "status", "tried"):
        stage.ask(key)
    stage.sent(sending, SECONDS + SENT_SECONDS)
    stage.act("The load is over")
    back = stage.lowered(DOWN_SECONDS)
    _judge(stage, Course(began=began, rose=rose, counts=counts, back=back))


def _judge(stage: Stage, course: Course) -> None:
    base, seen = stage.ground.base, stage.seen(course.began)
    summary, top = stage.facts.loads[-1], max(one.replicas for one in seen)
    floors = sorted({one.floor for one in seen})
    events = [one.words for one in stage.facts.events]
    stage.act("What must be true")
    stage.check("the load was answered", borne(summary), answered(summary))
    stage.check(f"the autoscaler went from {base} to more by itself", course.rose and top > base, f"{base} → {top}")
    stage.check(
        "it says so itself, in an event",
        any("New size" in words and "above target" in words for words in events),
        "; ".join(events) or "no event was seen",
    )
    stage.check("no floor was moved: this was the autoscaler alone", floors == [base], f"floors seen: {floors}")
    told = stage.workload("state").get("replicas")
    watched = f"{told}, watched {sorted(course.counts)}"
    stage.check("the tool told the replicas that were watched", told in course.counts, watched)
    rate = reading(stage.told["now"], "request_rate")
    stage.check(
        "the tool told the load that was sent",
        rate is not None and abs(rate - RATE) <= NEAR * RATE,
        f"{rate} requests a second in the last minute, {RATE} were sent",
    )
    tried = stage.told["tried"]
    made = Reader(stage.cluster).lease(str(stage.script["tried"].arguments["name"])) is not None
    stage.check("the lease that was only tried was not made", not made and not tried["changed"], tried["outcome"])
    stage.check(f"the autoscaler came back to {base} by itself", course.back, f"{stage.observer.now.replicas} replicas")
