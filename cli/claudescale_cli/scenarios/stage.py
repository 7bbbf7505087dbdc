"""What a scenario plays on: it asks, watches, sends load, checks and says so; all of it is noted for the report."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LABEL, make_plan

from claudescale_cli.common import plain
from claudescale_cli.live.conditions import WORKLOAD, Ground
from claudescale_cli.live.connection import Answer, workload_of
from claudescale_cli.live.observer import Observer, drain, wait
from claudescale_cli.live.screen import Screen
from claudescale_cli.live.seen import Rescale, Seen, changed
from claudescale_cli.load import progress_line, summary_lines
from claudescale_cli.scenarios import conditions
from claudescale_cli.scenarios.facts import Call, Check, Facts, Mark, Returned, Second, Span, asked, clean
from claudescale_cli.scenarios.sending import Sending
from claudescale_cli.scenarios.session import Session
from claudescale_cli.scenarios.transcripts import Transcript
from claudescale_cli.scenarios.undo import Undo, lease_is_over

LOAD_EVERY = 5  # seconds between two lines of load
PULSE_SECONDS = 5.0  # between two looks whether the cluster is there
PULSE_PATIENCE = 3  # looks in a row without an answer
PULSE_ANSWER_SECONDS = 2.0
AGAIN_SECONDS = 1.0
EXACT_SECONDS = 5.0  # for the controller to let go of what it owned


@dataclass(kw_only=True)
class Stage:
    """`began` is the monotonic second from which the report counts; `clock` is the API server's.

    `script` is what the model's part asks, by its keys; `told` what was answered, by the same.
    """

    cluster: ClusterClient
    screen: Screen
    session: Session
    ground: Ground
    observer: Observer
    facts: Facts
    undo: Undo
    clock: ServerClock
    began: float
    script: Transcript = field(default_factory=dict)
    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _acts: int = 1
    _words: str = ""
    _told: Seen | None = None
    _lines: queue.SimpleQueue[tuple[float, Mapping[str, Any]]] = field(default_factory=queue.SimpleQueue)
    _pulse: float = 0.0
    _silent: int = 0

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    # What happens

    def act(self, title: str) -> None:
        """A new act."""
        self._acts += 1
        self.screen.step(f"{self._acts}  {title}")
        self.screen.began = self.began

    def mark(self, words: str) -> None:
        """Say something whose moment the plot shows."""
        self.facts.marks.append(Mark(at=self.now, words=words))
        self.screen.say(words)

    def shade(self, began: float, words: str) -> None:
        """Let the plot shade the time from a moment until now."""
        self.facts.spans.append(Span(at=began, until=self.now, words=words))

    def check(self, words: str, passed: object, detail: object = "") -> bool:
        """Judge something; `detail` has the values that were seen."""
        found = Check(at=self.now, words=words, passed=bool(passed), detail=clean(str(detail)))
        self.facts.checks.append(found)
        self.screen.line(f"  {check_line(found)}")
        return found.passed

    # The tools

    def ask(
        self,
        key: str,
        *,
        until: Callable[[Answer], object] | None = None,
        patience: float = 0.0,
        may_fail: bool = False,
    ) -> Mapping[str, Any]:
        """What a tool tells, said and noted; with `until` it is asked again until that holds or the patience is over.

        ClaudeScaleError where the answer is an error, unless it may be; its facts are {} then.
        """
        ask = self.script[key]
        drain(self.observer, self._tell)
        deadline = time.monotonic() + patience
        self.screen.say(asked(ask.tool, ask.arguments))
        while True:
            at, heard = self.now, self.session.call(ask.tool, ask.arguments)
            if until is None or until(heard) or time.monotonic() >= deadline:
                break
            self.pause(AGAIN_SECONDS)
        text: str = clean(heard.text)
        self.told[key] = facts = clean(heard.facts)
        self.facts.calls.append(
            Call(
                at=at,
                tool=ask.tool,
                arguments=dict(ask.arguments),
                why=ask.why,
                seconds=heard.seconds,
                is_error=heard.is_error,
                text=text,
                facts=facts,
                images=heard.images,
            )
        )
        for line in text.splitlines() or ["(nothing)"]:
            self.screen.line(f"      {line}")
        drain(self.observer, self._tell)
        if heard.is_error and not may_fail:
            raise ClaudeScaleError(f"the MCP tool {ask.tool} answers: {plain(text)}")
        return self.told[key]

    def lease(self, key: str) -> Mapping[str, Any]:
        """Ask for a lease, which is over at the end, however that comes."""
        name = str(self.script[key].arguments["name"])
        remedy = f"it ends by itself, or by claudescale end {name}"
        self.undo.note(f"lease {name}", lambda: lease_is_over(self.cluster, name), remedy)
        return self.ask(key)

    def workload(self, key: str) -> Mapping[str, Any]:
        """The demo app as get_current_state told it; {} where it did not."""
        return workload_of(self.told[key], f"Deployment/{WORKLOAD}")

    # Load

    def load(self, rate: int, seconds: int) -> Sending:
        """Send load to the demo app, one rate all the time; it is ended at the end, however that comes."""
        plan = make_plan("steady", rate=rate, seconds=seconds)
        sending = Sending(self.cluster, plan, lambda at, line: self._lines.put((at, line)), self.observer.news.put)
        by_hand = f"kubectl delete jobs --selector {LABEL} --namespace {self.cluster.namespace}"
        self.undo.note("the load", sending.stop, f"it ends with its plan, or by {by_hand}")
        sending.start()
        self.mark(f"load {sending.name} is asked for: {rate} requests a second for {seconds} s")
        return sending

    def sent(self, sending: Sending, patience: float) -> Mapping[str, Any]:
        """The load's summary once it is over. ClaudeScaleError where it does not come in time."""
        if not self.wait(lambda: sending.summary is not None, patience, "the load goes on"):
            raise ClaudeScaleError(f"the load has brought no summary within {patience:.0f} s: claudescale status")
        self._tell_load()
        summary: dict[str, Any] = clean(dict(sending.summary or {}))
        self.facts.loads.append(summary)
        self.mark("the load is over")
        for line in summary_lines(summary):
            self.screen.say(plain(line))
        return summary

    # What is seen

    def wait(self, until: Callable[[], object], seconds: float, words: str = "") -> bool:
        """Tell what is seen until something holds (True) or the time is over (False).

        ClaudeScaleError where the cluster does not answer any more.
        """
        self._words = words or self._words
        with self.screen.waiting(self._words):
            return wait(self.observer, lambda: bool(until()), seconds, self._tell)

    def pause(self, seconds: float) -> None:
        """Tell what is seen for so long."""
        self.wait(lambda: False, seconds)

    def lowered(self, seconds: float) -> bool:
        """Wait until the autoscaler has brought replicas and pods back to the base."""
        base = self.ground.base

        def is_back() -> bool:
            now = self.observer.now
            return (now.replicas, now.ready, now.floor) == (base, base, base)

        back = self.wait(is_back, seconds, "nothing holds the replicas: waiting for the autoscaler to lower them")
        if back:
            self.mark(f"the autoscaler has brought the replicas back to {base}")
        return back

    def seen(self, since: float, until: float | None = None) -> list[Seen]:
        """What was seen between two moments of the run, what stood at the first included."""
        first, last = since + self.began, self.began + (self.now if until is None else until)
        before = [one for one in self.observer.seen if one.at <= first][-1:]
        return before + [one for one in self.observer.seen if first < one.at <= last]

    # The end

    def put_back(self) -> None:
        """Put back what was touched, and check that all is as it was found."""
        self.act("Putting back")
        if self.undo.is_empty:
            self.returned(Returned(words="nothing was touched", done=True))
        self.undo.put_back(self.returned)
        deadline = time.monotonic() + EXACT_SECONDS
        while (left := conditions.left_over(self.cluster, self.ground)) and time.monotonic() < deadline:
            time.sleep(0.2)
        exactly = f"{WORKLOAD}, its autoscaler and its leases are as they were found"
        self.check(exactly, not left, ", ".join(left) or f"{self.ground.base} replicas, floor {self.ground.base}")

    def returned(self, what: Returned) -> None:
        """Say and note what was put back."""
        self.facts.put_back.append(what)
        self.screen.say(what.words)

    def _tell(self, what: Seen | Rescale | None) -> None:
        self._tell_load()
        if isinstance(what, Seen):
            changes = changed(self._told, what)
            self._told = what
            if changes:
                self.screen.say(", ".join(changes), at=what.at)
        elif isinstance(what, Rescale):
            self.facts.events.append(Mark(at=what.at - self.began, words=what.words))
            self.screen.say(f"event of the autoscaler: {what.words}", at=what.at)
        else:
            self._feel_pulse()
            self.screen.progress(f"{self._words}: {self.observer.now.replicas} replicas after {self.now:.0f} s")

    def _tell_load(self) -> None:
        while not self._lines.empty():
            at, line = self._lines.get()
            self.facts.load.append(
                Second(
                    at=at - self.began,
                    rate=line["rate"],
                    ok=line["ok"],
                    failed=line["failed"],
                    p50_ms=line["p50_ms"],
                    p95_ms=line["p95_ms"],
                )
            )
            if line["second"] == 1 or line["second"] % LOAD_EVERY == 0:
                self.screen.say(progress_line(dict(line)), at=at)

    def _feel_pulse(self) -> None:
        """Watches that end are begun anew for ever: whether the cluster is there has to be asked."""
        if time.monotonic() - self._pulse < PULSE_SECONDS:
            return
        self._pulse = time.monotonic()
        try:
            self.cluster.text("/version", seconds=PULSE_ANSWER_SECONDS)
        except (ClusterStopped, ApiError) as error:
            self._silent += 1
            if self._silent >= PULSE_PATIENCE:
                raise ClaudeScaleError(f"the cluster does not answer any more ({plain(str(error))})") from error
        else:
            self._silent = 0


def check_line(found: Check) -> str:
    """A check for a person."""
    detail = f": {found.detail}" if found.detail else ""
    return f"{'passed' if found.passed else 'FAILED'}  {found.words}{detail}"
