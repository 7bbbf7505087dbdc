"""What a scenario touched, and how it is put back: last first, each thing said, none in the way of another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door, is_over, phase_of
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

from claudescale_cli.common import plain
from claudescale_cli.live.ending import LATE_SECONDS, OVER_SECONDS, end
from claudescale_cli.scenarios.facts import Returned

FIELD_MANAGER = "claudescale-scenario"


@dataclass(frozen=True, kw_only=True)
class Undoing:
    """How one thing is put back: `how` says what was done, in words; `remedy` is for a person where that fails."""

    what: str
    how: Callable[[], str]
    remedy: str


class Undo:
    """Noted before it is touched; what is back is forgotten."""

    def __init__(self) -> None:
        self._noted: list[Undoing] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was touched, or all of it is back."""
        return not self._noted

    def note(self, what: str, how: Callable[[], str], remedy: str) -> None:
        """Note how something is put back that is about to be touched."""
        self._noted.append(Undoing(what=what, how=how, remedy=remedy))

    def put_back(self, say: Callable[[Returned], None]) -> None:
        """Put everything back, the last first. It may be interrupted and called again: what is back is not repeated."""
        while self._noted:
            say(_tried(self._noted[-1]))
            self._noted.pop()


def _tried(one: Undoing) -> Returned:
    try:
        return Returned(words=plain(one.how()), done=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the rest is to be put back, too
        return Returned(words=_failed(one, error), done=False)


def _failed(one: Undoing, error: Exception) -> str:
    why = plain(one_line(str(error) or type(error).__name__, 200))
    return f"{one.what} could not be put back ({why}): {one.remedy}"


def lease_is_over(cluster: ClusterClient, name: str) -> str:
    """See that a lease is over, and end it where it is not. ClaudeScaleError where nobody ends it."""
    reader = Reader(cluster)
    found = reader.lease(name)
    if found is None:
        time.sleep(LATE_SECONDS)  # a request that was under way has arrived by then
        found = reader.lease(name)
    if found is None:
        return f"lease {name} was never made"
    if is_over(found):
        return f"lease {name} is over ({phase_of(found)})"
    if end(Door(cluster, FIELD_MANAGER), name, OVER_SECONDS):
        return f"lease {name} is ended, before its time"
    raise ClaudeScaleError("it is told to end, and the controller has not done it yet")
