"""One run of one arm: load, what the arm does ahead of the launch, the launch, and the way back to rest."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LoadPlan, plan_of
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun

from claudescale_cli.common import plain
from claudescale_cli.compare import fitting
from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.conditions import window_of
from claudescale_cli.compare.generator import Generator
from claudescale_cli.compare.machine import Meter, metered
from claudescale_cli.compare.observed import Event, Level, NodeCpu, Run
from claudescale_cli.compare.report import judged
from claudescale_cli.compare.stage import Stage
from claudescale_cli.compare.undo import Resting, deployment_path
from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.live.scale import write_scale

START_SECONDS = 90.0  # for the load's pod
SUMMARY_SECONDS = 40.0  # after the load's end: answers under way, and the results
REST_SECONDS = 300.0
CALM_SECONDS = 90.0  # for the autoscaler to see that the load is gone
STALE_SECONDS = 20.0  # so long after a load, what the autoscaler knows may be older than its launch
FLOOR_SECONDS = 15.0  # after the lease's end
BASE_SECONDS = 30.0
SEEN_SECONDS = 8.0  # for a lease that the tool speaks of to be seen by the watch
CPU_BEYOND = 30.0  # seconds around the launch window whose figures of CPU are kept
CPU_STEP = 5.0  # seconds between two of Prometheus' scrapes
PROFILE = "compare"
USED = 'container_cpu_usage_seconds_total{id="/"}'
CORES = "machine_cpu_cores"


def rest(stage: Stage, seconds: float) -> None:
    """Wait until the autoscaler has been at its base, without a reason to leave it, for so long."""
    resting = Resting(stage.rested)
    with stage.screen.waiting("waiting for rest"):
        if not stage.wait(lambda: resting(seconds), REST_SECONDS, "waiting until the autoscaler is at rest"):
            raise ClaudeScaleError(
                f"{stage.observer.autoscaler} is not at rest within {REST_SECONDS:.0f} s: claudescale status shows why"
            )


def play(stage: Stage, arm: Arm, number: int, attempt: int) -> Run:
    """The run as it was seen, judged."""
    meter = Meter()
    with metered(meter, here=stage.here):
        return _play(stage, arm, number, attempt, meter)


def _play(stage: Stage, arm: Arm, number: int, attempt: int, meter: Meter) -> Run:
    design, screen = stage.design, stage.screen
    generator = Generator(LoadRun(stage.cluster, load_plan(design)))
    stage.trace.load, stage.trace.loaded = generator.run, True
    stage.begin(generator)
    with screen.waiting("starting the load"):
        generator.start()
        stage.wait(lambda: generator.began is not None, START_SECONDS, "waiting for the load's first second")
        if generator.began is None:
            raise ClaudeScaleError(f"the load said nothing within {START_SECONDS:.0f} s")
    screen.began = generator.began
    screen.say(f"load {generator.run.name}: {design.calm_rate}/s, and {design.launch_rate}/s from {design.launch} s on")
    acted: float | None = None
    lease: dict[str, Any] = {}
    with screen.waiting("the load runs"):
        stage.wait_for(generator, design.act)
        if arm is Arm.RAW:
            acted = _write(stage, generator)
        elif arm is Arm.LEASE:
            lease = _ask(stage, generator)
            acted = lease["starts"]
        stage.wait_for(generator, design.launch, "the launch comes")
        stage.trace.hot = True
        screen.say(f"launch: {design.launch_rate}/s, {stage.observer.now.ready} pods ready")
        stage.wait_for(generator, design.end)
        screen.say("the load's end")
        stage.wait(lambda: generator.summary is not None, SUMMARY_SECONDS, "waiting for the load's results")
        if generator.summary is None:
            raise ClaudeScaleError(f"the load brought no results within {SUMMARY_SECONDS:.0f} s of its end")
    requests = generator.requests()
    generator.run.stop()
    began = generator.began
    stage.generator, stage.trace.load = None, None
    check_settings(stage)
    with screen.waiting("the way back"):
        back(stage, lease)
    zero = stage.clock.now() - (time.monotonic() - began)
    run = Run(
        arm=arm,
        number=number,
        attempt=attempt,
        began=moments.to_the_second(zero),
        requests=requests,
        levels=levels(stage, began),
        events=tuple(
            Event(seconds=round(one.at - began, 3), words=one.words)
            for one in stage.observer.rescales
            if 0 <= one.at - began <= design.end
        ),
        cpu=(
            *node_cpu(stage.prometheus, zero, design),
            *meter.between(began + design.launch - CPU_BEYOND, began + design.end + CPU_BEYOND, began),
        ),
        acted=None if acted is None else round(acted, 3),
        lease=lease,
    )
    screen.began = None
    return judged(run, design)


def load_plan(design: Design) -> LoadPlan:
    """The load of every run."""
    return plan_of(PROFILE, design.segments)


def levels(stage: Stage, began: float) -> tuple[Level, ...]:
    """What the watch showed from the load's beginning to its end."""
    found: list[Level] = []
    for one in stage.observer.seen:
        seconds = round(one.at - began, 3)
        level = Level(seconds=max(seconds, 0.0), wanted=one.replicas, ready=one.ready, floor=one.floor)
        if seconds <= 0:
            found = [level]
        elif seconds <= stage.design.end:
            found.append(level)
    return tuple(found)


def node_cpu(prometheus: Prometheus, zero: float, design: Design) -> tuple[NodeCpu, ...]:
    """What each node used around the launch window, as cAdvisor counted it; the load began at Unix time `zero`."""
    start, end = zero + design.launch - CPU_BEYOND, zero + design.end + CPU_BEYOND
    cores = {one.labels.get("node", ""): one.value for one in prometheus.query(CORES)}
    # Prometheus gives the grid's times to what it finds for them; the samples' own times are a question of their own.
    used, times = (
        {
            one.labels.get("node", ""): dict(one.points)
            for one in prometheus.tracks(query, start=start, end=end, step=CPU_STEP)
        }
        for query in (USED, f"timestamp({USED})")
    )
    found = []
    for node, values in used.items():
        samples = {times[node][at]: value for at, value in values.items() if at in times.get(node, {})}
        points = tuple((round(at - zero, 3), round(value, 6)) for at, value in sorted(samples.items()))
        if node in cores:
            found.append(NodeCpu(node=node, cores=cores[node], points=points))
    return tuple(found)


def _write(stage: Stage, generator: Generator) -> float:
    """The raw write; the second at which it was made."""
    write_scale(stage.cluster, stage.design.asked, fitting.FIELD_MANAGER)
    second = generator.seconds()
    stage.screen.say(f"raw write: {stage.design.asked} to the scale of {WORKLOAD}, and nothing that holds them")
    return second


def _ask(stage: Stage, generator: Generator) -> dict[str, Any]:
    """The lease, by the assistant; ClaudeScaleError where it is not accepted."""
    design = stage.design
    now, second = stage.clock.now(), generator.seconds()
    start, end = math.floor(now - second + design.lease_start), math.ceil(now - second + design.end)
    name = f"compare-{secrets.token_hex(3)}"
    wish: dict[str, Any] = {
        "name": name,
        "workload": WORKLOAD,
        "replicas": design.asked,
        "reason": f"claudescale compare: launch in {design.launch - second:.0f} s",
        "start": moments.to_the_second(start),
        "end": moments.to_the_second(end),
    }
    stage.trace.leases.append(name)
    told = stage.assistant.call("lease_capacity", **wish)
    if told.facts.get("outcome") != "Created" or told.facts.get("allowed") is False:
        raise ClaudeScaleError(f"the lease was not accepted: {told.text}")
    stage.wait(lambda: name in stage.observer.created, SEEN_SECONDS)
    seen = stage.observer.leases.get(name) or {}
    account = plain(str((seen.get("spec") or {}).get("requestedBy", "")))
    stage.screen.say(
        f"lease {name} by {account}, {wish['start'][11:]} to {wish['end'][11:]}; the tool answers: {told.text}"
    )
    return {
        **wish,
        "starts": start - (now - second),
        "ends": end - (now - second),
        "account": account,
        "told": told.text,
    }


def check_settings(stage: Stage) -> None:
    """The run is about the settings that were chosen: somebody may have run make up meanwhile."""
    stands = fitting.fit_of(stage.cluster.get(deployment_path(stage.cluster)))
    if stands != stage.trace.ours:
        raise ClaudeScaleError(f"somebody changed {WORKLOAD} meanwhile ({stands.words}), so this run cannot be judged")


def back(stage: Stage, lease: dict[str, Any]) -> None:
    """The lease is over, the autoscaler sees no load, and the replicas are at base: nothing of this is measured."""
    observer, screen = stage.observer, stage.screen
    if lease and not stage.wait(lambda: observer.now.floor == stage.base, FLOOR_SECONDS, "waiting for the lease's end"):
        stage.problems.append(f"the floor did not come back within {FLOOR_SECONDS:.0f} s of the lease's end")
        raise ClaudeScaleError(stage.problems[-1])
    until = time.monotonic() + STALE_SECONDS
    if not stage.wait(
        lambda: time.monotonic() > until and stage.calm(), CALM_SECONDS, "waiting until the autoscaler sees no load"
    ):
        raise ClaudeScaleError(f"{observer.autoscaler} still sees load {CALM_SECONDS:.0f} s after its end")
    stage.trace.hot = False
    if observer.now.replicas != stage.base:
        # Its own way back takes two minutes and more, and would be the same in every arm.
        screen.say(f"back to {stage.base} replicas by a write to the scale: this part is not measured")
        write_scale(stage.cluster, stage.base, fitting.FIELD_MANAGER)
    if not stage.wait(lambda: observer.now.ready == stage.base, BASE_SECONDS, "waiting for the base"):
        raise ClaudeScaleError(f"{WORKLOAD} is not back at {stage.base} replicas: claudescale status shows why")


def memory_seconds(stage: Stage) -> float:
    """How long a rest must be until the autoscaler has forgotten the load before."""
    return float(window_of(stage.observer.hpa))
