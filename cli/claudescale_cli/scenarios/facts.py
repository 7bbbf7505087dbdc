"""Everything that a run of a scenario asked, heard, saw and judged, for its report. Pure: times come from outside.

Moments are seconds since the run began. What the cluster and the tools say is data of others: it comes in through
clean(), which takes out what moves a cursor or hides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from claudescale_cli.common import plain

PNG = "image/png"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a tool and its answer; `seconds` until that came."""

    at: float
    tool: str
    arguments: Mapping[str, Any]
    why: str
    seconds: float
    is_error: bool
    text: str
    facts: Mapping[str, Any]
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """What must be true, and whether it was; `detail` has the values that were seen."""

    at: float
    words: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment that the plot shows."""

    at: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time that the plot shades."""

    at: float
    until: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Pods:
    """From this moment on: replicas as they are wanted, pods ready, and the autoscaler's floor."""

    at: float
    replicas: int
    ready: int
    floor: int


@dataclass(frozen=True, kw_only=True)
class Second:
    """One second of load: requests per second wanted, answered and failed; latencies in ms, None without answers."""

    at: float
    rate: int
    ok: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Returned:
    """One thing that was put back, or was not."""

    words: str
    done: bool


@dataclass(kw_only=True)
class Facts:
    """One run. `began` is Unix time; `incomplete`: why it did not come to its end, "" where it did."""

    number: int
    name: str
    title: str
    context: str
    namespace: str
    began: float
    language: str
    said: str
    prompt_name: str
    prompt: str = ""
    server: str = ""
    person: str = ""
    seconds: float = 0.0
    incomplete: str = "it goes on"
    calls: list[Call] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    pods: list[Pods] = field(default_factory=list)
    events: list[Mark] = field(default_factory=list)
    load: list[Second] = field(default_factory=list)
    loads: list[Mapping[str, Any]] = field(default_factory=list)  # each load's summary
    put_back: list[Returned] = field(default_factory=list)

    @property
    def failed(self) -> list[Check]:
        """The checks that did not hold."""
        return [check for check in self.checks if not check.passed]

    @property
    def passed(self) -> bool:
        """Whether it came to its end, with every check held and everything put back."""
        return not self.incomplete and bool(self.checks) and not self.failed and all(one.done for one in self.put_back)

    def to_object(self, clock: str) -> dict[str, Any]:
        """All of it as JSON; `clock` is `began` in words."""
        return {
            "scenario": {"number": self.number, "name": self.name, "title": self.title},
            "context": self.context,
            "namespace": self.namespace,
            "began": clock,
            "seconds": _ms(self.seconds),
            "complete": not self.incomplete,
            "incomplete_because": self.incomplete or None,
            "passed": self.passed,
            "person": self.person,
            "server": self.server,
            "said": self.said,
            "language": self.language,
            "prompt": {"name": self.prompt_name, "text": self.prompt},
            "calls": [_call(call) for call in self.calls],
            "observations": {
                "pods": [_moment(one) for one in self.pods],
                "events": [_moment(one) for one in self.events],
                "marks": [_moment(one) for one in self.marks],
                "spans": [{**_moment(one), "until": _ms(one.until)} for one in self.spans],
                "load": [_moment(one) for one in self.load],
                "loads": [dict(one) for one in self.loads],
            },
            "checks": [_moment(check) for check in self.checks],
            "put_back": [{"words": one.words, "done": one.done} for one in self.put_back],
        }


def clean(value: Any) -> Any:
    """A value of others with nothing in its texts that moves a cursor or hides; lines stay lines."""
    if isinstance(value, str):
        return "\n".join(plain(line) for line in value.splitlines())
    if isinstance(value, Mapping):
        return {plain(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [clean(item) for item in value]
    return value


def asked(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call as it is written down."""
    return f"{tool}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _call(call: Call) -> dict[str, Any]:
    return {
        "seconds_since_began": _ms(call.at),
        "tool": call.tool,
        "arguments": dict(call.arguments),
        "why": call.why,
        "answered_after_seconds": _ms(call.seconds),
        "is_error": call.is_error,
        "text": call.text,
        "answer": dict(call.facts),
        "images": [
            {"type": PNG, "bytes": len(image), "sha256": hashlib.sha256(image).hexdigest()} for image in call.images
        ],
    }


def _moment(one: Check | Mark | Span | Pods | Second) -> dict[str, Any]:
    found = dict(vars(one))
    return {"seconds_since_began": _ms(found.pop("at")), **found}


def _ms(seconds: float) -> float:
    return round(seconds, 3)
