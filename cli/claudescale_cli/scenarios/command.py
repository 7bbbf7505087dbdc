"""`claudescale scenario`: one of the seven, or all of them one after the other, each with its report.

However it ends, what it touched is put back and said, and a report is left; one that is not whole says why.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import Options, plain
from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.live.observer import Observer, observed
from claudescale_cli.live.screen import Screen
from claudescale_cli.scenarios import catalogue, conditions, report
from claudescale_cli.scenarios.catalogue import EVERYTHING, LANGUAGES, Scenario
from claudescale_cli.scenarios.facts import Facts, Pods, Returned, clean
from claudescale_cli.scenarios.session import Session
from claudescale_cli.scenarios.stage import Stage
from claudescale_cli.scenarios.undo import Undo
from claudescale_cli.signals import Signalled, exit_code, no_signals, signals_raise

FOLDER = Path("claudescale-scenarios")
WHICH = ", ".join(f"{one.number} {one.name}" for one in catalogue.ALL)


def scenario(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="NAME|NUMBER|all", help=f"Which: {WHICH}, or {EVERYTHING}.")],
    folder: Annotated[
        Path, typer.Option("--report", help="The folder of the reports; made where it is not there.")
    ] = FOLDER,
    language: Annotated[str, typer.Option(help=f"What the person speaks: {', '.join(LANGUAGES)}.")] = "en",
) -> None:
    """Play a scenario through the MCP tools, unattended, on demo-app: it says what happens, and leaves a report."""
    options: Options = context.obj
    scenarios = catalogue.chosen(which)
    catalogue.language(language)
    report.prepare(folder)
    failed: list[str] = []
    for place, one in enumerate(scenarios):
        run = Run(options=options, scenario=one, language=language)
        try:
            run.play()
        finally:
            run.leave_report(folder)
        if run.signalled is not None:
            raise typer.Exit(exit_code(run.signalled))
        if run.facts.incomplete:
            rest = ", ".join(f"{other.number}" for other in scenarios[place + 1 :])
            raise ClaudeScaleError(f"{run.facts.incomplete}{f' (not played: {rest})' if rest else ''}")
        if not run.facts.passed:
            failed.append(run.verdict())
    if failed:
        raise ClaudeScaleError(f"not all was as it should be: {'; '.join(failed)}")


@dataclass(kw_only=True)
class Run:
    """One scenario, played once. `signalled`: what ended it, None where nothing did."""

    options: Options
    scenario: Scenario
    language: str
    signalled: BaseException | None = None

    def __post_init__(self) -> None:
        """Begin to count."""
        one = self.scenario
        self.began = time.monotonic()
        self.screen = Screen()
        self.undo = Undo()
        self._cluster: ClusterClient | None = None
        self._observer: Observer | None = None
        self.facts = Facts(
            number=one.number,
            name=one.name,
            title=one.title,
            context=plain(self.options.context),
            namespace=plain(self.options.namespace),
            began=time.time(),
            language=LANGUAGES[self.language],
            said=one.said[self.language],
            prompt_name=one.prompt,
        )

    def play(self) -> None:
        """All of it; what is wrong is noted. Raises what nobody foresaw, when everything is put back."""
        try:
            with signals_raise():
                self._play()
            self.facts.incomplete = ""
        except (KeyboardInterrupt, Signalled) as signalled:
            self.signalled = signalled
            self._ended("it was interrupted", "Interrupted")
        except ClaudeScaleError as error:
            self._ended(plain(str(error)), "This went wrong")
        except (Exception, SystemExit) as error:  # rich leaves by SystemExit where the reader of its lines is gone
            self._ended(f"of a mistake of its own ({type(error).__name__})", "This went wrong")
            raise

    def leave_report(self, folder: Path) -> None:
        """Write the report and say where it is; a second Ctrl-C does not disturb it."""
        with no_signals():
            self.facts.seconds = time.monotonic() - self.began
            if self._observer is not None:
                self.facts.pods = [
                    Pods(at=max(one.at - self.began, 0.0), replicas=one.replicas, ready=one.ready, floor=one.floor)
                    for one in self._observer.seen
                ]
            file = report.write(self.facts, folder, self.scenario.file)
            passed, all_of_them = len(self.facts.checks) - len(self.facts.failed), len(self.facts.checks)
            whole = ", incomplete" if self.facts.incomplete else ""
            self.screen.line(f"\n{passed} of {all_of_them} checks passed, {self.facts.seconds:.0f} s{whole}")
            self.screen.line(f"report: {file}")

    def verdict(self) -> str:
        """What was not as it should be."""
        wrong = [check.words for check in self.facts.failed]
        wrong += [one.words for one in self.facts.put_back if not one.done]
        return f"scenario {self.scenario.number}: {', '.join(wrong)}"

    def _play(self) -> None:
        one, facts, screen = self.scenario, self.facts, self.screen
        screen.step(f"Scenario {one.number} of {len(catalogue.ALL)}: {one.title}")
        screen.line(f"  a person says: {facts.said}")
        screen.step("1  Before")
        clock = ServerClock()
        cluster = self._cluster = self.options.cluster()
        cluster.on_response.append(clock.observe)
        if one.acts:
            ground, lines = conditions.at_rest(cluster, screen)
        else:
            ground, lines = conditions.found(cluster)
        one.needs(cluster)
        self.began, facts.began = time.monotonic(), time.time()  # what was waited for is not part of it
        screen.facts(lines)
        facts.person = plain(ground.person)
        observer = Observer(WORKLOAD, ground.autoscaler)
        with observed(cluster, observer), Session(self.options) as session:
            self._observer = observer
            facts.server = plain(session.command)
            screen.facts([("assistant", f"the MCP server answers over stdio: {session.command}")])
            given = {**one.arguments, "language": facts.language}
            facts.prompt = clean(session.prompt(one.prompt, given))
            stage = Stage(
                cluster=cluster,
                screen=screen,
                session=session,
                ground=ground,
                observer=observer,
                facts=facts,
                undo=self.undo,
                clock=clock,
                began=self.began,
            )
            one.play(stage)
            if one.acts:
                stage.put_back()

    def _ended(self, why: str, title: str) -> None:
        """It does not come to its end: put everything back and say so; a second Ctrl-C does not disturb it."""
        with no_signals():
            self.facts.incomplete = why
            self.screen.step(f"{title}: putting things back")
            if self.undo.is_empty and not self.facts.put_back:
                self._returned(Returned(words="nothing was touched", done=True))
                return
            self.undo.put_back(self._returned)
            self._say_replicas()

    def _returned(self, what: Returned) -> None:
        self.facts.put_back.append(what)
        self.screen.say(what.words)

    def _say_replicas(self) -> None:
        """The count is the autoscaler's, which takes its time: what it is now, and what it will be."""
        try:
            words = conditions.replicas_words(self._cluster) if self._cluster is not None else ""
        except ClaudeScaleError as error:
            words = f"how many replicas there are cannot be seen ({plain(str(error))})"
        if words:
            self.screen.say(words)
