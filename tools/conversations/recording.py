"""What was recorded of a conversation, as a file; and what may be in none. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tools.conversations.model import ANY, Call, Conversation
from tools.conversations.places import Facts, Unfilled, filled, find

# What looks like a secret, or like a place on somebody's machine.
UNFIT = {
    "a token": re.compile(r"\beyJ[\w-]{8,}|\b(?i:bearer|basic)\s+[\w.~+/=-]{8,}"),
    "a key": re.compile(r"-----BEGIN|(?i:private[ _-]?key|client-(?:key|certificate)-data)"),
    "a password": re.compile(r"(?i:\b(?:password|passwd|secret|api[_-]?key|token)\b[\"']?\s*[:=])"),
    "a path": re.compile(r"(?<![\w.:/-])/(?:[\w.-]+/)+[\w.-]*|\b[A-Za-z]:\\\\?\w|~/"),
    "an address": re.compile(r"https?://|\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\blocalhost\b"),
}


class Unfit(Exception):  # noqa: N818 - a state of what was answered, not a mistake of the code
    """What was recorded is not what the words rely on, or has something in it that nobody may see."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image of an answer, kept beside the recording."""

    file: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One call and what came back, word for word; `at` is when it was made, `seconds` how long it took."""

    answer: str
    tool: str
    arguments: Mapping[str, Any]
    writes: bool  # whether that server had leases
    at: str
    seconds: float
    is_error: bool
    text: str
    facts: Mapping[str, Any]
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One conversation as it was played, from `began` to `ended`; moments and times are RFC 3339 in UTC."""

    name: str
    server: str  # its name and version
    began: str
    ended: str
    moments: Mapping[str, str]
    calls: Sequence[Answered] = field(default_factory=tuple)

    def facts(self, before: int | None = None) -> dict[str, Any]:
        """What words may speak of: the moments, and the answers to the first `before` calls."""
        found: dict[str, Any] = dict(self.moments)
        found.update({call.answer: facts_of(call) for call in self.calls[:before]})
        return found


def facts_of(call: Answered) -> dict[str, Any]:
    """What words may speak of in one answer."""
    return {**call.facts, "text": call.text}


def as_text(recording: Recording) -> str:
    """The file's content."""
    return json.dumps(asdict(recording), indent=2, ensure_ascii=False) + "\n"


def from_text(text: str) -> Recording:
    """The recording in a file."""
    found = json.loads(text)
    calls = [Answered(**{**call, "pictures": [Picture(**one) for one in call["pictures"]]}) for call in found["calls"]]
    return Recording(**{**found, "calls": calls})


def check(conversation: Conversation, recording: Recording) -> None:
    """Unfit where the recording is not of this conversation, or not what its words rely on."""
    made = [(call.tool, call.answer) for call in recording.calls]
    if made != [(call.tool, call.answer) for call in conversation.calls]:
        raise Unfit(f"{recording.name}: the calls are not those of the conversation: record it anew")
    for number, call in enumerate(conversation.calls):
        check_call(call, recording.calls[number], recording.facts(number))
    check_text(as_text(recording))


def check_call(call: Call, answered: Answered, before: Facts) -> None:
    """Unfit where a call was made with other arguments, or its answer is not what the words rely on."""
    if filled(call.arguments, before) != answered.arguments:
        raise Unfit(f"{call.answer}: {call.tool} was called with other arguments: record it anew")
    for path, wanted in call.holds.items():
        try:
            found = find(path, facts_of(answered))
        except Unfilled as error:
            raise Unfit(f"{call.answer}: {error} ({answered.text})") from None
        if wanted is not ANY and found != wanted:
            raise Unfit(f"{call.answer}: {path} is {found!r}, and the words rely on {wanted!r} ({answered.text})")


def check_text(text: str) -> None:
    """Unfit where a text has something that is no business of whoever reads the page."""
    for what, pattern in UNFIT.items():
        found = pattern.search(text)
        if found:
            raise Unfit(f"{found.group()[:40]!r} looks like {what}, which is to be in no recording")
