"""What all runs of a comparison share: the cluster, what is seen of it, and how that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import scaling
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus

from claudescale_cli.common import plain
from claudescale_cli.compare.arms import Design
from claudescale_cli.compare.generator import Generator
from claudescale_cli.compare.undo import Trace
from claudescale_cli.live.assistant import Assistant
from claudescale_cli.live.observer import Observer, wait
from claudescale_cli.live.screen import Screen
from claudescale_cli.live.seen import Rescale, Seen, changed

LOAD_EVERY = 10  # seconds of a launch between two lines about its load


@dataclass(kw_only=True)
class Stage:
    """`problems` are sentences about what was promised and not kept."""

    cluster: ClusterClient
    screen: Screen
    assistant: Assistant
    observer: Observer
    prometheus: Prometheus
    trace: Trace
    design: Design
    clock: ServerClock
    base: int
    here: bool = False  # whether a node runs on this machine
    generator: Generator | None = None
    problems: list[str] = field(default_factory=list)
    _words: str = field(default="", init=False)
    _told: Seen | None = field(default=None, init=False)
    _second: int = field(default=0, init=False)  # of the load, last told

    def wait(self, until: Callable[[], bool], seconds: float, words: str = "") -> bool:
        """Tell what is seen until something holds (True) or the time is over (False); raises what fails meanwhile."""
        self._words = words
        return wait(self.observer, until, seconds, self._tell)

    def wait_for(self, generator: Generator, second: float, words: str = "") -> None:
        """Until a load is so many seconds old."""
        self.wait(lambda: generator.seconds() >= second, second - generator.seconds() + 1, words)

    def begin(self, generator: Generator) -> None:
        """A load begins: from now on its lines are told, too."""
        self.generator, self._second = generator, 0

    def rested(self) -> bool:
        """Whether the autoscaler is at its base and has no reason to leave it."""
        now = self.observer.now
        found = scaling(self.observer.hpa)
        counts = {now.replicas, now.ready, now.floor, found.current, found.wanted}
        return counts == {self.base} and self.calm()

    def calm(self) -> bool:
        """Whether the autoscaler sees no more CPU than it aims at, and knows so."""
        found = scaling(self.observer.hpa)
        return found.cpu_percent is not None and found.cpu_percent <= (found.cpu_target_percent or 0)

    def _tell(self, what: Seen | Rescale | None) -> None:
        if isinstance(what, Seen):
            changes = changed(self._told, what)
            self._told = what
            if changes:
                self.screen.say(", ".join(changes), at=what.at)
        elif isinstance(what, Rescale):
            self.screen.say(f"event of the autoscaler: {plain(what.words)}", at=what.at)
        else:
            if self.generator is not None:
                self.generator.look()
                self._tell_load(self.generator.last)
            if self._words:
                self.screen.progress(self._progress())

    def _tell_load(self, line: dict[str, Any]) -> None:
        second = line.get("second", 0)
        if second > self.design.launch and second // LOAD_EVERY > self._second // LOAD_EVERY:
            self._second = second
            failed = f", {line['failed']} failed" if line["failed"] else ""
            p99 = "" if line["p99_ms"] is None else f", p99 {line['p99_ms']:.0f} ms"
            self.screen.say(f"{line['rate']}/s wanted, {line['ok']} answered{failed}{p99}")

    def _progress(self) -> str:
        now = self.observer.now
        if self.generator is None or self.generator.began is None:
            return f"{self._words} ({now.replicas} replicas, {now.ready} ready)"
        return f"{self._words}: {now.replicas} replicas, {now.ready} ready after {self.generator.seconds():.0f} s"
