"""The demo's act about what people do today: a raw write to /scale."""

from __future__ import annotations

import math
import time

from claudescale_cli.common import plain
from claudescale_cli.demo.course import LEAD, Course
from claudescale_cli.demo.stage import Stage
from claudescale_cli.demo.undo import FIELD_MANAGER
from claudescale_cli.live.conditions import ASKED, WORKLOAD
from claudescale_cli.live.scale import write_scale

TAKEN_SECONDS = 240.0  # by then it has been taken back, or it is said that it has not
EVENT_SECONDS = 20.0  # a busy controller manager sends its events late
PUT_BACK_SECONDS = 30.0


def raw_write(stage: Stage) -> tuple[Course, float]:
    """The course, and the monotonic moment of the write."""
    screen, base, observer = stage.screen, stage.ground.base, stage.observer
    screen.step(f"2  A raw write to /scale, as people do it today: {ASKED} replicas, and nothing that holds them")
    screen.line(
        f"  by you, {plain(stage.ground.person)}: what kubectl scale deployment/{WORKLOAD} --replicas={ASKED} does"
    )
    stage.pause(0)
    stage.trace.wrote = True
    screen.began = began = time.monotonic()
    write_scale(stage.cluster, ASKED, FIELD_MANAGER)

    def taken_back() -> bool:
        up = any(one.at > began and one.replicas == ASKED for one in observer.seen)
        return up and observer.now.replicas == base

    with screen.waiting("the autoscaler will look at it"):
        taken = stage.wait(taken_back, TAKEN_SECONDS, "waiting for the autoscaler to take it back")
        rested = time.monotonic() + LEAD  # so that the lease's picture begins at rest
        if taken:
            stage.wait(lambda: event_of(stage, began) != "", EVENT_SECONDS, "waiting for the autoscaler's own event")
        else:
            screen.say(f"the autoscaler has not taken it back within {TAKEN_SECONDS:.0f} s: the demo goes on")
        found = stage.course(began, ASKED)
        if not taken:
            write_scale(stage.cluster, base, FIELD_MANAGER)
            stage.wait(lambda: observer.now.replicas == base, PUT_BACK_SECONDS)
            screen.say(f"put back to {base} by the demo itself")
        stage.pause(rested - time.monotonic())
        if taken:
            found = stage.course(began, ASKED)
    stage.trace.wrote = False
    stage.tell_strangers(began)
    if taken:
        screen.line(f"  => taken back by the autoscaler: {base} replicas again after {found.back:.1f} s")
        screen.line(f"     its own event: {event_of(stage, began) or 'not seen yet, they may come late'}")
    return found, began


def event_of(stage: Stage, began: float, until: float = math.inf) -> str:
    """The words of the event in which the autoscaler says that it went back to the base; "" where none was seen."""
    wanted = f"New size: {stage.ground.base};"
    return next((one.words for one in stage.observer.rescales if began < one.at < until and wanted in one.words), "")
