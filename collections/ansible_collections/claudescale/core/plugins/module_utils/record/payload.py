# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The payload of a record: the one text of its fields, and what must be in them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw, RecordBroken

VERSION = 1
GENESIS = "Genesis"
REQUIRED = ("time", "event", "actor", "door", "outcome")  # in each payload, as texts that say something
PARTS = {"workload": ("kind", "name"), "decision": ("code",)}  # texts in the objects that a payload may have
EXACT_TIME = len("2026-03-01T10:00:00.000000Z")


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, nothing escaped without need. ValueError where none is."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text.encode()  # half a surrogate pair is no text
    return text


def write(fields: Mapping[str, Any]) -> str:
    """The payload of these fields. RecordBroken where JSON has no words for one."""
    try:
        return canonical(dict(fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordBroken(Flaw.PAYLOAD_INVALID, f"the payload cannot be written: {one_line(str(error))}") from None


def read(payload: str) -> dict[str, Any]:
    """The fields of a payload; RecordBroken where this project writes no such payload."""
    try:
        fields = json.loads(payload)
        same = canonical(fields) == payload
    except (ValueError, RecursionError) as error:
        raise RecordBroken(Flaw.PAYLOAD_INVALID, f"the payload is no JSON: {one_line(str(error))}") from None
    # One text for the same fields: with a key twice, two readers could read two things.
    if not isinstance(fields, dict) or not same:
        _invalid("the payload is not an object of JSON as records are written (keys sorted, no spaces)")
    _check(fields)
    return fields


def part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in a payload; {} where there is none."""
    found = fields.get(name)
    return found if isinstance(found, dict) else {}


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0 on, and no True and no 1.0, which are equal to one."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18


def is_text(value: object) -> bool:
    """Whether it is a text that says something and has bytes; half a surrogate pair is a str and has none."""
    return isinstance(value, str) and value != "" and value.encode(errors="replace").decode() == value


def shown(value: object) -> str:
    """A value for a sentence."""
    return "absent" if value is None else one_line(repr(value), 80)


def _check(fields: Mapping[str, Any]) -> None:
    if not is_count(fields.get("version")) or fields["version"] != VERSION:
        _invalid(f"the payload's version is {shown(fields.get('version'))}, and {VERSION} is the one known here")
    if not is_count(fields.get("sequence")):
        _invalid(f"the payload's sequence is {shown(fields.get('sequence'))}")
    for name in REQUIRED:
        if not is_text(fields.get(name)):
            _invalid(f"the payload's {name} is {shown(fields.get(name))}")
    _check_time(fields["time"])
    for name, parts in PARTS.items():
        if name in fields and not _has_texts(fields[name], *parts):
            _invalid(f"the payload's {name} has no {' or no '.join(parts)}")
    # A genesis, and nothing else, begins a chain, and it names its namespace.
    first = fields["sequence"] == 0
    if (fields["event"] == GENESIS) is not first:
        _invalid(f"the payload's event is {shown(fields['event'])}: record 0, and no other, is the {GENESIS}")
    if first and not _has_texts(fields.get("namespace"), "name", "uid"):
        _invalid("the payload of the Genesis does not name its namespace with its uid")


def _check_time(time: str) -> None:
    try:
        moments.parse(time)
    except ClaudeScaleError as error:
        _invalid(f"the payload's time: {error}")
    if len(time) != EXACT_TIME or not time.endswith("Z"):
        _invalid(f"the payload's time {time} is not in UTC with six digits after the second")


def _has_texts(value: object, *names: str) -> bool:
    return isinstance(value, dict) and all(is_text(value.get(name)) for name in names)


def _invalid(what: str) -> NoReturn:
    raise RecordBroken(Flaw.PAYLOAD_INVALID, what)
