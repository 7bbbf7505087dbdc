"""Places in words and arguments, such as {state.workloads[0].replicas}, filled from what was answered. Pure.

A place is a path into the answers, and perhaps how its value is written: {launch|clock}. `[name=nodes]` is the first
item of a list whose field `name` is `nodes`, `[0]` the item at that place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

PLACE = re.compile(r"\{([^{}|]+)(?:\|([a-z]+))?\}")
STEP = re.compile(r"\.?([a-z_0-9]+)|\[([0-9]+)\]|\[([a-z_]+)=([^\]]+)\]")
UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f<>]")  # nothing of these may get into a line of the page

Facts = Mapping[str, Any]


class Unfilled(Exception):  # noqa: N818 - a state of the answer, not a mistake of the code
    """A place has no value, or one that cannot be shown."""


def fill(text: str, facts: Facts) -> str:
    """The text with its places filled; Unfilled names the first that cannot be."""
    return PLACE.sub(lambda found: shown(found.group(1), found.group(2), facts), text)


def filled(value: Any, facts: Facts) -> Any:
    """Arguments with the places in their texts filled."""
    if isinstance(value, str):
        return fill(value, facts)
    if isinstance(value, Mapping):
        return {name: filled(item, facts) for name, item in value.items()}
    return value


def literal(text: str) -> str:
    """The words without their places."""
    return PLACE.sub("", text)


def shown(path: str, form: str | None, facts: Facts) -> str:
    """The value at a path, as words show it."""
    value = find(path, facts)
    if form is not None:
        if form not in FORMS:
            raise Unfilled(f"{path} is to be written as {form}, which is none of {', '.join(FORMS)}")
        value = FORMS[form](value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unfilled(f"{path} is {value!r}, which words cannot show")
    text = value if isinstance(value, str) else f"{value:.10g}"
    if not text or UNSHOWABLE.search(text):
        raise Unfilled(f"{path} is {text!r}, which words cannot show")
    return text


def find(path: str, facts: Facts) -> Any:
    """The value at a path; Unfilled where there is none."""
    value: Any = facts
    at = 0
    while at < len(path):
        step = STEP.match(path, at)
        if step is None:
            raise Unfilled(f"{path} is no path from its character {at} on")
        name, number, field, wanted = step.groups()
        try:
            if name is not None:
                value = value[name]
            elif number is not None:
                value = value[int(number)]
            else:
                value = next(item for item in value if str(item.get(field)) == wanted)
        except (KeyError, IndexError, TypeError, AttributeError, StopIteration):
            raise Unfilled(f"{path} has no value from {step.group()} on") from None
        at = step.end()
    return value


# How a value may be written. Nothing here makes another number than the server said, but for its unit and its digits.
FORMS: dict[str, Callable[[Any], Any]] = {
    "clock": lambda time: time[11:16],  # of an RFC 3339 time in UTC
    "second": lambda time: time[11:19],
    "day": lambda time: time[:10],
    "stamp": lambda time: f"{time[:10]}-{time[11:13]}{time[14:16]}",  # for a name
    "minutes": lambda seconds: f"{seconds / 60:.3g}",
    "about": lambda number: f"{number:.3g}",
    "ms": lambda seconds: f"{seconds * 1000:.3g}",
    "percent": lambda share: f"{share * 100:.3g}",
    "count": len,
    "short": lambda head: f"{head[:20]}…",  # of SEQUENCE:HASH
}
