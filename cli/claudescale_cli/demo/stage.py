"""What the acts of the demo share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Phase

from claudescale_cli.common import plain
from claudescale_cli.demo.course import Course, course
from claudescale_cli.demo.undo import Trace
from claudescale_cli.live.assistant import Assistant
from claudescale_cli.live.conditions import Ground
from claudescale_cli.live.observer import Observer, wait
from claudescale_cli.live.screen import Screen
from claudescale_cli.live.seen import Rescale, Seen, changed

LEASE_SECONDS = (90, 180)  # least and most
USUAL_SECONDS = 120  # where the raw write was not taken back
LONGER_SECONDS = 5  # than the raw write lasted, at least


@dataclass(kw_only=True)
class Stage:
    """`problems` are sentences about what was promised and not kept; `words`: what is waited for."""

    cluster: ClusterClient
    screen: Screen
    assistant: Assistant
    ground: Ground
    observer: Observer
    trace: Trace
    problems: list[str] = field(default_factory=list)
    words: str = ""
    _told: Seen | None = None

    def wait(self, until: Callable[[], bool], seconds: float, words: str = "") -> bool:
        """Tell what is seen until something holds (True) or the time is over (False)."""
        self.words = words or self.words
        return wait(self.observer, until, seconds, self.tell)

    def pause(self, seconds: float) -> None:
        """Tell what is seen for so long."""
        self.wait(lambda: False, seconds)

    def tell(self, what: Seen | Rescale | None) -> None:
        """Say a change, or show progress where nothing came."""
        if isinstance(what, Seen):
            changes = changed(self._told, what)
            self._told = what
            if changes and self.screen.began is not None:
                self.screen.say(", ".join(changes), at=what.at)
        elif isinstance(what, Rescale):
            self.screen.say(f"event of the autoscaler: {what.words}", at=what.at)
        elif self.screen.began is not None:
            passed = time.monotonic() - self.screen.began
            self.screen.progress(f"{self.words}: {self.observer.now.replicas} replicas after {passed:.0f} s")

    def course(self, began: float, asked: int) -> Course:
        """What was seen from `began` until now."""
        return course(self.observer.seen, began, time.monotonic(), base=self.ground.base, asked=asked)

    def tell_strangers(self, since: float) -> None:
        """Say whose leases of the same workload lived meanwhile: they are in the picture, too."""
        for name, lease in self.observer.leases.items():
            over = self.observer.over.get(name)
            other = name not in self.trace.leases and (lease.get("status") or {}).get("phase") != Phase.REFUSED
            same = lease["spec"]["workloadRef"]["name"] == self.observer.workload
            if same and other and (over is None or over > since):
                who = plain(lease["spec"]["requestedBy"])
                self.screen.line(f"  note: {who} had a lease of the same workload meanwhile ({plain(name)})")


def lease_seconds(back: float | None) -> tuple[int, str]:
    """(How long the lease is to last, why): longer than the raw write lasted, and short enough to be watched."""
    least, most = LEASE_SECONDS
    if back is None:
        return USUAL_SECONDS, "the raw write was not taken back, so this is the usual time"
    wanted = 10 * math.ceil((back + LONGER_SECONDS) / 10)
    if wanted > most:
        return most, f"shorter than the raw write lasted ({back:.0f} s), so that the demo ends"
    return max(wanted, least), f"longer than the raw write lasted ({back:.0f} s)"
