"""`claudescale compare`: one announced launch in three ways, several times, as one table, one JSON and one picture.

However it ends, load and leases are over, Deployment, scale and autoscaler are as they were found, and what was
measured until then is in the report, which says that it is incomplete.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER

from claudescale_cli.common import Options, plain
from claudescale_cli.compare import fitting
from claudescale_cli.compare.arms import ACT, AHEAD, WINDOW, Arm, Design, order
from claudescale_cli.compare.conditions import check_workload
from claudescale_cli.compare.machine import busy_words, facts, is_here
from claudescale_cli.compare.observed import Run
from claudescale_cli.compare.outcome import outcome
from claudescale_cli.compare.picture import picture
from claudescale_cli.compare.play import CORES, USED, memory_seconds, play, rest
from claudescale_cli.compare.report import Report, from_text, to_text
from claudescale_cli.compare.stage import Stage
from claudescale_cli.compare.table import design_words, lines
from claudescale_cli.compare.undo import ROLLOUT_SECONDS, Trace, deployment_path, put_back, replica_sets
from claudescale_cli.compare.validity import REPEATS
from claudescale_cli.live.assistant import Assistant
from claudescale_cli.live.conditions import WORKLOAD, Missing, check, differences, read_autoscaler
from claudescale_cli.live.observer import Observer, observed
from claudescale_cli.live.screen import Screen
from claudescale_cli.signals import Signalled, exit_code, no_signals, signals_raise

FOLDER = Path("claudescale-compare")
JSON, PICTURE, TABLE = "comparison.json", "comparison.svg", "comparison.txt"
FIRST_REST = 15.0  # seconds: the rollout before it was a rest, too
AROUND = 85  # seconds of a run beside its load: start, results, way back and rest
BEFORE_AND_AFTER = 40  # seconds for conditions, a first rest, and the rollout of what was there before
POD_SECONDS = 7  # for a new pod to take the place of an old one, beside its warm-up
EXACT_SECONDS = 10.0


@dataclass(kw_only=True)
class Course:
    """A comparison under way: what is to be kept of it whatever happens."""

    design: Design
    seed: int
    wanted: int
    place: str
    screen: Screen
    folder: Path
    trace: Trace = field(default_factory=Trace)
    runs: list[Run] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    now: str = "before the first run"

    def report(self, why_incomplete: str = "") -> Report:
        """What there is so far."""
        return Report(
            design=self.design,
            seed=self.seed,
            wanted=self.wanted,
            runs=tuple(self.runs),
            place=self.place,
            machine=self.machine,
            why_incomplete=why_incomplete,
        )

    def keep(self, why_incomplete: str) -> None:
        """Write the JSON, so that a comparison that is killed leaves what it measured."""
        write(self.folder / JSON, to_text(self.report(why_incomplete)))


def compare(
    context: typer.Context,
    *,
    runs: Annotated[int, typer.Option(help="How often each arm is run.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Decides the order.", show_default="a new one, printed")] = None,
    warmup: Annotated[int, typer.Option(help="Seconds until a new pod is Ready.")] = 30,
    report: Annotated[Path, typer.Option(help="The folder for JSON, table and picture.")] = FOLDER,
    picture_file: Annotated[
        Path | None, typer.Option("--picture", help="Where the picture goes.", show_default="into the report's folder")
    ] = None,
    saved: Annotated[
        Path | None, typer.Option("--from", help="Print and draw this JSON again; no cluster is needed.")
    ] = None,
    objective: Annotated[float, typer.Option(help="Seconds: a slower answer counts as bad.")] = 0.5,
    rate: Annotated[int, typer.Option(help="The launch's requests per second.", hidden=True)] = 80,
    limit: Annotated[str, typer.Option(help="CPU of each worker.", hidden=True)] = "150m",
    ahead: Annotated[int, typer.Option(help="Seconds from the raw write to the launch.", hidden=True)] = AHEAD,
    window: Annotated[int, typer.Option(help="Seconds of the launch.", hidden=True)] = WINDOW,
) -> None:
    """An announced launch three times: HPA alone, a raw write to /scale, a lease. One table and one picture."""
    if saved is not None:
        _again(saved, picture_file)
        return
    options: Options = context.obj
    design = Design(
        warmup=warmup, objective=objective, launch_rate=rate, limit=limit, launch=ACT + ahead, end=ACT + ahead + window
    )
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    planned = order(runs, seed)
    drawn = picture_file or report / PICTURE
    _folders(report, drawn)
    place = plain(f"{WORKLOAD} in namespace {options.namespace} of context {options.context}")
    course = Course(design=design, seed=seed, wanted=runs, place=place, screen=Screen(), folder=report)
    cluster = options.cluster()
    try:
        with signals_raise():
            _play(options, cluster, course, planned)
    except (KeyboardInterrupt, Signalled) as ended:
        _left(cluster, course, "Interrupted", f"interrupted {course.now}")
        raise typer.Exit(exit_code(ended)) from None
    except (Exception, SystemExit) as error:  # rich leaves by SystemExit where the reader of its lines is gone
        _left(cluster, course, "This went wrong", f"{course.now}: {plain(str(error))}")
        raise
    _end(course, drawn)


def _play(options: Options, cluster: ClusterClient, course: Course, planned: list[tuple[int, Arm]]) -> None:
    """Everything from the conditions to what is put back after the last run."""
    screen, design, trace = course.screen, course.design, course.trace
    screen.line(f"{course.place}. Ctrl-C at any point puts everything back.")
    screen.step("Before")
    ground, told = check(cluster)
    trace.autoscaler, trace.base, trace.asked = ground.autoscaler, ground.base, design.asked
    found, more = check_workload(cluster)
    trace.deployment, trace.sets = found, {one["metadata"]["uid"] for one in replica_sets(cluster)}
    screen.facts([*told, *more])
    seconds = BEFORE_AND_AFTER + ground.base * (design.warmup + POD_SECONDS) + len(planned) * (design.end + AROUND)
    clock = ServerClock()
    cluster.on_response.append(clock.observe)
    observer, assistant, prometheus = Observer(WORKLOAD, ground.autoscaler), Assistant(options), Prometheus(cluster)
    nodes = cluster.items("/api/v1/nodes")
    course.machine = {"nodes": facts(nodes)}
    if not prometheus.query(CORES) or not prometheus.query(USED):
        raise Missing("Prometheus knows no CPU of the node, so no run could be valid: claudescale verify-prometheus")
    with screen.waiting("starting the MCP server"):
        _lease_is_possible(assistant, design, clock.now())
    screen.facts(
        [
            ("assistant", f"the MCP server answers over stdio: {assistant.command}"),
            ("chosen", design_words(design)),
            ("order", f"{', '.join(arm.words for _, arm in planned)} (seed {course.seed})"),
            ("time", f"about {seconds / 60:.0f} minutes, {(design.end + AROUND) / 60:.0f} more for each repeated run"),
        ]
    )
    if design.shortened:
        screen.facts([("SHORTENED", f"a launch {design.ahead} s ahead is a trial, not a comparison")])
    if busy := busy_words():
        screen.facts([("WARNING", busy)])
    stage = Stage(
        cluster=cluster,
        screen=screen,
        assistant=assistant,
        observer=observer,
        prometheus=prometheus,
        trace=trace,
        design=design,
        clock=clock,
        base=ground.base,
        here=is_here(nodes),
    )
    with observed(cluster, observer):
        _fit(stage)
        for index, (number, arm) in enumerate(planned):
            _runs_of(stage, course, number, arm, first=index == 0)
    course.problems += stage.problems
    course.now = "after the last run"
    screen.step("After")
    course.problems += put_back(cluster, trace, screen.say)
    _as_it_was(cluster, course, ground.hpa)
    trace.ours, trace.leases, trace.loaded = None, [], False


def _runs_of(stage: Stage, course: Course, number: int, arm: Arm, *, first: bool) -> None:
    """One run of an arm, repeated while it is INVALID."""
    screen = stage.screen
    for attempt in range(1, 2 + REPEATS):
        course.now = f"in run {number} of {course.wanted}, {arm.words}"
        again = f", attempt {attempt}" if attempt > 1 else ""
        screen.step(f"Run {number} of {course.wanted}: {arm.words}{again}")
        rest(stage, FIRST_REST if first and attempt == 1 else memory_seconds(stage))
        run = play(stage, arm, number, attempt)
        course.runs.append(run)
        course.keep(f"it ended after run {number} of {course.wanted}, {arm.words}")
        found = outcome(run, course.design)
        p99 = "-" if found.p99 is None else f"{found.p99:.2f} s"
        cpu = "-" if found.cpu is None else f"{100 * found.cpu:.0f} %"
        screen.line(
            f"  => {100 * found.share:.2f} % slower than {course.design.objective:g} s or failed, p99 {p99},"
            f" {found.ready_seconds:.0f} replica-seconds, CPU at {cpu} at most"
        )
        if run.valid:
            return
        screen.line(f"     INVALID: {'; '.join(run.reasons)}")


def _lease_is_possible(assistant: Assistant, design: Design, now: float) -> None:
    """A dry run of the lease, through the tool: the policy may allow less, and the server may not start."""
    told = assistant.call(
        "lease_capacity",
        name=f"compare-{secrets.token_hex(3)}",
        workload=WORKLOAD,
        replicas=design.asked,
        reason="claudescale compare: may this be asked for?",
        start=moments.to_the_second(now + design.lease_start),
        end=moments.to_the_second(now + design.end),
        dry_run=True,
    )
    if told.facts.get("outcome") != "WouldBeCreated":
        raise Missing(f"the lease of this comparison would be refused: {told.text}")


def _fit(stage: Stage) -> None:
    """Set warm-up and CPU limit, and wait for pods that have them."""
    cluster, design, screen = stage.cluster, stage.design, stage.screen
    screen.step("Settings")
    ours = fitting.wanted_fit(design.warmup, design.limit)
    stage.trace.ours = ours
    cluster.patch(
        deployment_path(cluster),
        fitting.setting(stage.trace.deployment, ours),
        kind="strategic",
        field_manager=fitting.FIELD_MANAGER,
    )
    screen.say(f"{WORKLOAD} gets {ours.words} for each worker, until this is over")
    patience = ROLLOUT_SECONDS + 2 * stage.base * design.warmup
    with screen.waiting("new pods"):
        if not stage.wait(_Rollout(cluster), patience, "waiting for pods with these settings"):
            raise ClaudeScaleError(f"the pods of {WORKLOAD} did not start within {patience:.0f} s: claudescale status")


class _Rollout:
    """Whether all pods are of the present template; asked once in a while, however often it is called."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._asked = 0.0
        self._done = False

    def __call__(self) -> bool:
        if time.monotonic() - self._asked >= 1.0:
            self._done = fitting.rolled_out(self._cluster.get(deployment_path(self._cluster)))
            self._asked = time.monotonic()
        return self._done


def _as_it_was(cluster: ClusterClient, course: Course, hpa: dict[str, Any]) -> None:
    """Say whether the autoscaler is exactly what it was."""
    patience = time.monotonic() + EXACT_SECONDS
    while left := differences(hpa, read_autoscaler(cluster, course.trace.autoscaler), CONTROLLER):
        if time.monotonic() > patience:
            course.problems.append(f"{course.trace.autoscaler} was not restored exactly: {', '.join(left)}")
            course.screen.say(course.problems[-1])
            return
        time.sleep(0.2)
    course.screen.say(f"{course.trace.autoscaler} is exactly as it was found")


def _left(cluster: ClusterClient, course: Course, title: str, why: str) -> None:
    """Put everything back and keep what was measured; a second Ctrl-C does not disturb it."""
    screen = course.screen
    with no_signals():
        screen.step(f"{title}: putting things back")
        screen.began = None
        if not course.trace.touched:
            screen.say("nothing was touched")
            return
        put_back(cluster, course.trace, screen.say)
        try:
            course.keep(why)
        except ClaudeScaleError as error:
            screen.say(str(error))
            return
        screen.say(f"the report is INCOMPLETE ({why}): {(course.folder / JSON).resolve()}")


def _end(course: Course, drawn: Path) -> None:
    """Table, JSON and picture; ClaudeScaleError where something is not as it should be."""
    screen, report = course.screen, course.report()
    course.problems += [
        f"no run of {arm.words} was valid" for arm in Arm if not any(run.valid for run in course.runs if run.arm is arm)
    ]
    told = lines(report.runs, report.design, seed=report.seed)
    screen.step("The comparison")
    for line in told:
        screen.line(line)
    write(course.folder / JSON, to_text(report))
    write(course.folder / TABLE, "\n".join(told) + "\n")
    write(drawn, picture(report))
    screen.line(f"\npicture: {drawn.resolve()}\nreport:  {(course.folder / JSON).resolve()}")
    if course.problems:
        raise ClaudeScaleError(f"not all was as it should be: {'; '.join(course.problems)}")


def _again(saved: Path, drawn: Path | None) -> None:
    """Table and picture of a JSON that was kept."""
    try:
        report = from_text(saved.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ClaudeScaleError(f"{saved} cannot be read: name a {JSON} by --from") from error
    screen = Screen()
    for line in lines(report.runs, report.design, seed=report.seed, why_incomplete=report.why_incomplete):
        screen.line(line)
    target = drawn or saved.with_suffix(".svg")
    write(target, picture(report))
    screen.line(f"\npicture: {target.resolve()}")


def _folders(report: Path, drawn: Path) -> None:
    """Places that can be written, known before 25 minutes have passed."""
    try:
        report.mkdir(exist_ok=True)
    except OSError as error:
        raise ClaudeScaleError(
            f"the folder {report} cannot be made ({error.strerror}): name another one by --report"
        ) from error
    if not drawn.parent.is_dir():
        raise ClaudeScaleError(f"there is no folder {drawn.parent} for the picture: name another place by --picture")


def write(file: Path, text: str) -> None:
    """Write a file of ours; ClaudeScaleError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClaudeScaleError(f"{file} cannot be written ({error.strerror}): name another place") from error
