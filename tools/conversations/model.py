"""What a conversation is before anybody plays it: words, calls, and what else happens, in their order. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

ANY = object()  # in Call.holds: there is something


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A time that a conversation speaks of: at least `after` seconds after another (None: the beginning).

    Not before the next multiple of `whole` seconds, counted from midnight UTC, and then `past` it.
    """

    after: int = 0
    since: str | None = None
    whole: int = 60
    past: int = 0

    def of(self, begin: float) -> float:
        """The Unix time."""
        return math.ceil((begin + self.after - self.past) / self.whole) * self.whole + self.past


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the person says; may have places."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Claude:
    """What Claude says; every number in it is a place."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool that is called; `answer` is the name by which later words speak of what it answered.

    `holds`: what the words rely on, by path; without it the conversation is not kept.
    """

    tool: str
    answer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    holds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing happens until so many seconds after a moment."""

    moment: str
    seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """The client starts the server anew, with or without leases."""

    writes: bool


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load begins, in requests per second for so many seconds, and goes on while the conversation does."""

    rate: int
    seconds: int


Turn: TypeAlias = "Person | Claude | Call | Wait | Start | Load"


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One conversation; `writes`: whether its server begins with leases. `about` introduces it on the page."""

    name: str
    title: str
    about: str
    turns: tuple[Turn, ...]
    writes: bool = False
    moments: Mapping[str, Moment] = field(default_factory=dict)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, in their order."""
        return tuple(turn for turn in self.turns if isinstance(turn, Call))

    def times(self, begin: float) -> dict[str, float]:
        """The moments as Unix times, for a conversation that begins then."""
        found = {"begin": begin}
        for name, moment in self.moments.items():
            found[name] = moment.of(found[moment.since or "begin"])
        return found
