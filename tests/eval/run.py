"""Play transcripts, and print what came of them, a line for each as it ends."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.eval import harm, model, score, variants
from tests.eval.harm import State
from tests.eval.score import Run, Verdict
from tests.eval.script import Called, Case, Kind, Obey, Step
from tests.eval.session import InMemory, Schemas, Session
from tests.eval.stage import Stage

Shipped = Callable[[Stage, bool], Session]  # a session with the shipped server of a stage; whether writes are on


@dataclass(frozen=True, kw_only=True)
class Result:
    """One transcript with the shipped server, and with each unsafe one that it names."""

    case: Case
    safe: Run
    unsafe: Mapping[str, Run] = field(default_factory=dict)


@dataclass
class Playing:
    """One transcript while it is played."""

    case: Case
    stage: Stage
    session: Session
    run: Run = field(default_factory=Run)
    schemas: Schemas = field(default_factory=dict)

    def play(self) -> Run:
        """From a reset stage to what is left when every lease is over."""
        began = time.monotonic()
        for deed in self.case.planted:
            self.stage.do(deed)
        self.schemas = self.session.schemas()
        before = self.stage.state()
        for step in self.case.steps:
            if isinstance(step, Step):
                told = self._call(step.tool, self._arguments(step))
                self.run.faults.extend(score.faults_of_step(step, told.told))
            elif isinstance(step, Obey):
                self._obey(step)
            else:
                now = self._judge(before)
                self.stage.do(step)
                before = before.adopting(now, self.stage.state())
        after = self._judge(before)
        floors = {
            item["metadata"]["name"]: int(item["spec"].get("minReplicas", 1))
            for place, item in after.here.items()
            if place.startswith(harm.AUTOSCALERS)
        }
        self.run.faults.extend(score.faults_of_state(self.case, floors, harm.changes(before, after)))
        self.run.harms.extend(harm.left(before, self.stage.finish(before)))
        self.run.harms.extend(harm.told(self._texts(), self.stage.secrets))
        return Run(
            calls=self.run.calls,
            harms=list(dict.fromkeys(self.run.harms)),
            faults=self.run.faults,
            seconds=time.monotonic() - began,
        )

    def _judge(self, before: State) -> State:
        """The state now, its harm noted."""
        now = self.stage.state()
        may_change = score.may_change(self.case, self.run.calls)
        self.run.harms.extend(harm.done(before, now, assistant=self.stage.assistant, may_change=may_change))
        return now

    def _arguments(self, step: Step) -> Mapping[str, Any]:
        arguments = step.arguments(self.run.calls) if callable(step.arguments) else step.arguments
        filled: Mapping[str, Any] = self.stage.filled(arguments)
        return filled

    def _call(self, tool: str, arguments: Mapping[str, Any]) -> Called:
        called = Called(tool=tool, arguments=arguments, told=self.session.ask(tool, arguments))
        self.run.calls.append(called)
        return called

    def _obey(self, step: Obey) -> None:
        orders: list[model.Order] = []
        for call in self.run.calls:
            schema = self.schemas.get(call.tool) or {}
            texts = model.everything(call.told) if step.marked else model.trusted(call.told, schema)
            orders += [order for text in texts for order in model.orders(text) if order not in orders]
        made = [self._call(tool, arguments) for tool, arguments in orders]
        self.run.faults.extend(score.faults_of_obedience(made, marked=step.marked))

    def _texts(self) -> Iterable[str]:
        return (text for call in self.run.calls for text in model.everything(call.told))


def played(case: Case, stage: Stage, server: Callable[[], Session]) -> Run:
    """Play a transcript on a stage that is reset before; what breaks in between is a fault of the run."""
    try:
        stage.reset()
        return Playing(case, stage, server()).play()
    except Exception as error:  # noqa: BLE001 - the other transcripts go on, and this one has failed
        return Run(faults=[f"{type(error).__name__}: {str(error)[:500]}"])


def with_variant(case: Case, stage: Stage, name: str) -> Run:
    """The same with an unsafe server; twice, where no harm is seen: an autoscaler may just have undone it."""

    def server() -> Session:
        return InMemory(variants.BY_NAME[name].build(stage.place, case.writes))

    unsafe = played(case, stage, server)
    return unsafe if unsafe.harms else played(case, stage, server)


def evaluate(
    stages: list[Stage], cases: Iterable[Case], shipped: Shipped, *, show: Callable[[str], None]
) -> list[Result]:
    """Play every transcript, on as many stages at once as there are; in the order of the cases."""
    cases = list(cases)
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    found: dict[str, Result] = {}
    shown = threading.Lock()

    def work(stage: Stage) -> None:
        while True:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            safe = played(case, stage, partial(shipped, stage, case.writes))
            unsafe = {name: with_variant(case, stage, name) for name in case.variants}
            with shown:
                found[case.name] = Result(case=case, safe=safe, unsafe=unsafe)
                show(line(found[case.name]))

    show(HEAD)
    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(stage,)) for stage in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results = [found[case.name] for case in cases]
    show(totals(results, time.monotonic() - began))
    return results


HEAD = f"{'kind':<9} {'case':<54} {'the shipped server':<18} an unsafe server: the harm that it did"


def line(result: Result) -> str:
    """One line of the table."""
    unsafe = "; ".join(f"{name}: {run.codes() or 'NO HARM'}" for name, run in result.unsafe.items())
    told = [f"\n    ! {fault}" for fault in result.safe.faults] + [f"\n    ! {one}" for one in result.safe.harms]
    told += [f"\n    ! {name}: {run.faults[0]}" for name, run in result.unsafe.items() if not run.harms and run.faults]
    return f"{result.case.kind:<9} {result.case.name:<54} {result.safe.verdict:<18} {unsafe}{''.join(told)}"


def totals(results: list[Result], seconds: float) -> str:
    """The lines below the table."""
    adversarial = [one for one in results if one.case.kind is not Kind.CONTROL]
    verdicts = {verdict: sum(one.safe.verdict is verdict for one in results) for verdict in Verdict}
    reached = sum(bool(run.harms) for one in results for run in one.unsafe.values())
    tried = sum(len(one.unsafe) for one in results)
    caught = {name for one in results for name, run in one.unsafe.items() if run.harms}
    kinds = ", ".join(f"{sum(one.case.kind is kind for one in results)} {kind}" for kind in Kind)
    return "\n".join(
        [
            "",
            f"{len(results)} transcripts ({kinds}), {len(adversarial)} of them adversarial, in {seconds:.0f} s",
            "the shipped server: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
            f"unsafe servers: harm in {reached} of {tried} tries, {len(caught)} of {len(variants.ALL)} caught",
        ]
    )
