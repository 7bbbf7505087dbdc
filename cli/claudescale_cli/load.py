"""`claudescale load`: send load from inside the cluster, and see what the autoscaler makes of it.

Two threads read - the Job's lines, the autoscaler's watch - and the command prints from one queue. However it ends,
the Job is deleted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import Scaling, scaling
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import (
    GRACE_SECONDS,
    START_SECONDS,
    TAIL_SECONDS,
)
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import (
    HOLD_SECONDS,
    OBJECTIVE_SECONDS,
    PROFILES,
    LoadPlan,
    make_plan,
)
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Figures, figures
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun

from claudescale_cli.common import Options
from claudescale_cli.signals import Signalled, exit_code, no_signals, signals_raise

AUTOSCALER = "demo-app-hpa"
PROGRESS_EVERY = 5  # seconds between two lines of progress
BACK_SECONDS = 420.0  # HPA window 60 s, metrics 30 s and one pod per 30 s, with room
WATCH_FAILURES = 5  # in a row, a second apart, until a load ends because nobody can see the autoscaler
OBJECTIVE_MS = round(OBJECTIVE_SECONDS * 1000)
SUMMARY_SECONDS = GRACE_SECONDS - 2.0  # after the Job was told to end
PROFILE_HELP = "; ".join(f"{name}: {profile.words}" for name, profile in PROFILES.items())


class Screen:
    """The lines of one load, each with the seconds since it was started."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        self._echo = echo
        self._began = time.monotonic()
        self.scaling: Scaling | None = None
        self.full_at: float | None = None  # monotonic, when the autoscaler had its maximum
        self.summary: dict[str, Any] | None = None
        self.ended_from_outside = False
        self.damaged = ""  # why there are no results
        self.news = {"second": 0, "ok": 0, "failed": 0}  # all that the lines of progress said

    def say(self, text: str) -> None:
        """Print a line."""
        self._echo(f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:+6.0f} s  {text}")

    def take(self, source: str, what: Any) -> None:
        """Print what a reader found. ClaudeScaleError where a reader or the Job failed."""
        if source == "failed":
            raise what
        if source == "scaling":
            self._scaled(what)
        elif what["kind"] == "progress":
            self.news = {"second": what["second"], **{name: self.news[name] + what[name] for name in ("ok", "failed")}}
            if what["second"] == 1 or what["second"] % PROGRESS_EVERY == 0:
                self.say(progress_line(what))
        elif what["kind"] == "summary":
            self.summary = what
        else:
            raise ClaudeScaleError(f"the load could not run: {what['message']}")

    def _scaled(self, now: Scaling) -> None:
        before, self.scaling = self.scaling, now
        if before is None:
            self.say(f"{now.name}: {now.current} pods, {now.minimum} to {now.maximum}, {_cpu(now)}")
        elif (before.wanted, before.current) != (now.wanted, now.current):
            self.say(
                f"{now.name}: wants {before.wanted} -> {now.wanted}, has {before.current} -> {now.current}, {_cpu(now)}"
            )
        if now.current >= now.maximum and self.full_at is None:
            self.full_at = time.monotonic()
            self.say(f"{now.name}: at its maximum of {now.maximum}")


def progress_line(line: dict[str, Any]) -> str:
    """One second of load in words."""
    failed = f", {line['failed']} failed" if line["failed"] else ""
    return (
        f"{line['rate']:>4}/s wanted, {line['ok']:>4} ok{failed}, "
        f"p50 {_ms(line['p50_ms'])}, p95 {_ms(line['p95_ms'])}, p99 {_ms(line['p99_ms'])}"
    )


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The whole load in words."""
    unsent = f" ({summary['unsent']} could not be sent)" if summary["unsent"] else ""
    early = f", ended early of {summary['planned']} planned" if summary["interrupted"] else ""
    counts = f"{summary['ok']} ok, {summary['failed']} failed{unsent}"
    due = summary["ok"] + summary["failed"]
    lines = [f"{due} requests in {summary['seconds']:.0f} s{early}: {counts}", f"latency {_latencies(summary)}"]
    return [*lines, *(f"{count} x {error}" for error, count in summary["errors"].items())]


def figure_lines(summary: dict[str, Any], found: Figures, objective: float) -> list[str]:
    """What the requests' times come to, with `objective` in seconds, and beside it vegeta's own report of them."""
    share = f"{100 * found.share:.2f} % slower than {objective * 1000:.0f} ms or failed"
    lines = [f"{share}: {found.slow} and {found.failed} of {found.planned}"]
    report = summary["vegeta"]
    if report is None:
        lines.append("vegeta report: it gave none")
    else:
        success = f"{report['requests']} requests, {100 * report['success']:.2f} % success"
        lines.append(f"vegeta report: {success}, latency {_latencies(report)}")
    if summary["sent"]:
        delays = f"p99 {_ms(summary['delay_p99_ms'])}, max {_ms(summary['delay_max_ms'])}"
        lines.append(f"from due to sent, which vegeta does not count: {delays}")
    return lines


def incomplete_line(news: dict[str, int], seconds: int) -> str:
    """What is known of a load whose news broke off."""
    return (
        f"incomplete: until second {news['second']} of {seconds}, {news['ok']} requests were answered and "
        f"{news['failed']} failed; of what came then nothing is known"
    )


def load(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(help=PROFILE_HELP)] = "steady",
    *,
    rate: Annotated[int | None, typer.Option(help="Requests per second.", show_default="the profile's")] = None,
    duration: Annotated[int | None, typer.Option(help="Seconds.", show_default="the profile's")] = None,
    objective: Annotated[int, typer.Option(min=1, help="Milliseconds; a slower answer counts as slow.")] = OBJECTIVE_MS,
    see_back: Annotated[
        bool | None,
        typer.Option(
            "--see-back/--no-see-back",
            help="Afterwards, watch until the autoscaler is back at its minimum.",
            show_default="with stress-until-scale",
        ),
    ] = None,
) -> None:
    """Send load to the demo app: an open arrival rate, bounded in rate and time."""
    options: Options = context.obj
    plan = make_plan(profile, rate=rate, seconds=duration)
    cluster = options.cluster()
    screen = Screen(typer.echo)
    run = LoadRun(cluster, plan)
    try:
        with signals_raise():
            _send(cluster, run, plan, screen, objective / 1000)
            if plan.until_scaled if see_back is None else see_back:
                _see_back(cluster, screen)
    except (KeyboardInterrupt, Signalled) as ended:
        typer.echo("ended: the load's Job is gone")
        raise typer.Exit(exit_code(ended)) from None
    if screen.summary is None:
        raise ClaudeScaleError("the load is incomplete: it was ended, and its summary did not come")
    if screen.damaged:
        raise ClaudeScaleError(screen.damaged)
    if screen.ended_from_outside:
        seconds = f"{screen.summary['seconds']:.0f} of {plan.seconds} s"
        raise ClaudeScaleError(f"the load is incomplete: it was ended from outside after {seconds}")
    if not screen.summary["ok"]:
        raise ClaudeScaleError("no request was answered: claudescale status shows whether the demo app runs")
    if plan.until_scaled and screen.full_at is None:
        raise ClaudeScaleError(
            f"the autoscaler did not reach its maximum within {plan.seconds} s: ask for a higher --rate"
        )


def _send(cluster: ClusterClient, run: LoadRun, plan: LoadPlan, screen: Screen, objective: float) -> None:
    news: queue.Queue[tuple[str, Any]] = queue.Queue()
    leaving = threading.Event()
    try:
        run.start()
        screen.say(
            f"{run.name}: {plan.profile}, up to {plan.peak}/s, {plan.requests} requests in {plan.seconds} s at most"
        )
        _read("job", run.follow, news)
        _read("scaling", lambda: scalings(cluster, leaving), news)
        while screen.summary is None:
            _take(news, screen, 0.5)
            if plan.until_scaled and screen.full_at and time.monotonic() > screen.full_at + HOLD_SECONDS:
                break
        screen.ended_from_outside = bool(screen.summary and screen.summary["interrupted"])
    finally:
        leaving.set()
        with no_signals():
            threading.Thread(target=_ask_for_the_end, args=(run, news), daemon=True).start()
            _until(lambda: screen.summary is not None, news, screen, SUMMARY_SECONDS if run.name else 0)
            _tell(run, plan, screen, objective)
            _stop(run, plan)


def _tell(run: LoadRun, plan: LoadPlan, screen: Screen, objective: float) -> None:
    if screen.summary is None:
        if screen.news["second"]:
            screen.say(incomplete_line(screen.news, plan.seconds))
        return
    for line in summary_lines(screen.summary):
        screen.say(line)
    try:
        found = figures(run.results(), objective=objective)
    except ClaudeScaleError as error:
        screen.damaged = str(error)
        return
    for line in figure_lines(screen.summary, found, objective):
        screen.say(line)


def _stop(run: LoadRun, plan: LoadPlan) -> None:
    try:
        run.stop()
    except ClaudeScaleError as error:
        raise ClaudeScaleError(
            f"{error}; whether {run.name} is ended is not known: it ends by its plan, "
            f"{START_SECONDS + plan.seconds + TAIL_SECONDS} s after it was started at the latest"
        ) from error


def _ask_for_the_end(run: LoadRun, news: queue.Queue[tuple[str, Any]]) -> None:
    try:
        run.stop()
    except ClaudeScaleError as error:
        news.put(("failed", error))


def _until(done: Callable[[], bool], news: queue.Queue[tuple[str, Any]], screen: Screen, seconds: float) -> None:
    """Print what comes until done() or the time is over; what fails meanwhile is no news at the end."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        try:
            _take(news, screen, 0.2)
        except ClaudeScaleError:
            return


def _see_back(cluster: ClusterClient, screen: Screen) -> None:
    news: queue.Queue[tuple[str, Any]] = queue.Queue()
    leaving = threading.Event()
    _read("scaling", lambda: scalings(cluster, leaving), news)
    deadline = time.monotonic() + BACK_SECONDS
    screen.say("watching the way back to the minimum (Ctrl-C ends it)")
    try:
        while screen.scaling is None or screen.scaling.current > screen.scaling.minimum:
            _take(news, screen, 0.5)
            if time.monotonic() > deadline:
                raise ClaudeScaleError(f"the autoscaler is not back at its minimum {BACK_SECONDS:.0f} s after the load")
    finally:
        leaving.set()
    screen.say(f"{screen.scaling.name}: back at its minimum of {screen.scaling.minimum}")


def scalings(cluster: ClusterClient, leaving: threading.Event) -> Iterator[Scaling]:
    """The autoscaler's numbers at each of its watch events; ClaudeScaleError where it cannot be watched any more."""
    path = f"/apis/autoscaling/v2/namespaces/{cluster.namespace}/horizontalpodautoscalers"
    failures = 0
    while not leaving.is_set():
        try:
            # Each watch begins with what is there: nothing is lost between two of them.
            for kind, hpa in cluster.watch(path, {"fieldSelector": f"metadata.name={AUTOSCALER}"}):
                failures = 0
                if kind != "DELETED":
                    yield scaling(hpa)
                if leaving.is_set():
                    return
        except ClaudeScaleError:
            failures += 1
            if failures > WATCH_FAILURES:
                raise
            leaving.wait(1.0)


def _read(source: str, items: Callable[[], Iterator[Any]], news: queue.Queue[tuple[str, Any]]) -> None:
    def work() -> None:
        try:
            for item in items():
                news.put((source, item))
        except ClaudeScaleError as error:
            news.put(("failed", error))

    threading.Thread(target=work, daemon=True).start()


def _take(news: queue.Queue[tuple[str, Any]], screen: Screen, seconds: float) -> None:
    try:
        source, what = news.get(timeout=seconds)
    except queue.Empty:
        return
    screen.take(source, what)


def _cpu(now: Scaling) -> str:
    value = "not known yet" if now.cpu_percent is None else f"{now.cpu_percent} %"
    return f"CPU {value}" + ("" if now.cpu_target_percent is None else f" of {now.cpu_target_percent} %")


def _latencies(said: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_ms(said[f'{name}_ms'])}" for name in ("p50", "p95", "p99", "max"))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
