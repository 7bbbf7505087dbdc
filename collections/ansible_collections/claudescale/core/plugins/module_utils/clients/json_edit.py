# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""One member of a JSON text set or taken out, in the text's own style; every other character stays."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.clients.json_text import (
    Member,
    Value,
    flaw,
    scan,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

INDENT = "  "  # of a text that has none yet; Claude's own programs write it so
MARGIN = re.compile(r"[ \t]*")


class Draft:
    """A text while it is edited; what goes in at the end of an object and is taken out again leaves no trace.

    Fault where the text is no JSON object.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._take(text)

    def find(self, *path: str) -> Value | None:
        """The value at a path of names; None where there is none."""
        value: Value | None = self.root
        for name in path:
            member = value.member(name) if value is not None else None
            value = member.value if member is not None else None
        return value

    def loaded(self, value: Value) -> Any:
        """What a value says; numbers are rounded, as nothing of ours is one, and they may be longer than any int."""
        return json.loads(self.text[value.start : value.end], parse_int=float)

    def flaw(self, value: Value, what: str) -> Fault:
        """What is wrong with a value, for a person to find it."""
        return flaw(self.text, value.start, self.source, what)

    def put(self, path: tuple[str, ...], wanted: Any) -> None:
        """Set a member of an object that is there; a new one goes behind the others."""
        parent = self._object(path[:-1])
        member = parent.member(path[-1])
        if member is not None:
            margin = self._margin(member.start)
            self._splice(member.value.start, member.value.end, self._rendered(wanted, margin))
        elif parent.members:
            self._append(parent, path[-1], wanted)
        else:
            self._fill(parent, path[-1], wanted)

    def drop(self, path: tuple[str, ...]) -> None:
        """Take a member out that is there."""
        parent = self._object(path[:-1])
        members = parent.members or ()
        place = [one.name for one in members].index(path[-1])
        if len(members) == 1:
            self._splice(parent.start, parent.end, "{}")
        elif place == 0:
            self._splice(members[0].start, members[1].start, "")
        else:
            self._splice(members[place - 1].value.end, members[place].value.end, "")

    def _append(self, parent: Value, name: str, wanted: Any) -> None:
        members = parent.members or ()
        margin = self._margin(members[-1].start)
        if margin is None:
            gap, lead = ("" if self._is_dense(members[0]) else " "), ""
        else:
            gap, lead = self._line_end, margin
        text = f",{gap}{lead}{_name(name)}{self._colon}{self._rendered(wanted, margin)}"
        self._splice(members[-1].value.end, members[-1].value.end, text)

    def _fill(self, parent: Value, name: str, wanted: Any) -> None:
        if self._unit is None:
            text = f"{{{_name(name)}{self._colon}{self._rendered(wanted, None)}}}"
        else:
            outer = self._line_margin(parent.start)
            inner = outer + self._unit
            value = self._rendered(wanted, inner)
            text = f"{{{self._line_end}{inner}{_name(name)}{self._colon}{value}{self._line_end}{outer}}}"
        self._splice(parent.start, parent.end, text)

    def _rendered(self, wanted: Any, margin: str | None) -> str:
        """The value as text; margin is that of the line in which its name stands, None within a line."""
        if margin is None:
            comma = "," if self._colon == ":" else ", "
            return json.dumps(wanted, ensure_ascii=False, separators=(comma, self._colon))
        unit = INDENT if self._unit is None else self._unit
        text = json.dumps(wanted, ensure_ascii=False, indent=unit, separators=(",", self._colon))
        return text.replace("\n", self._line_end + margin)

    def _margin(self, start: int) -> str | None:
        """What stands before a name that is the first thing in its line; None where it is not."""
        begin = self.text.rfind("\n", 0, start) + 1
        margin = self.text[begin:start]
        return margin if begin > 0 and not margin.strip(" \t") else None

    def _line_margin(self, at: int) -> str:
        found = MARGIN.match(self.text, self.text.rfind("\n", 0, at) + 1, at)
        return found.group() if found is not None else ""

    def _is_dense(self, member: Member) -> bool:
        return self.text[member.value.start - 1] == ":"

    def _object(self, path: tuple[str, ...]) -> Value:
        value = self.find(*path)
        if value is None or value.members is None:
            raise KeyError(".".join(path))
        return value

    def _splice(self, start: int, end: int, text: str) -> None:
        self._take(self.text[:start] + text + self.text[end:])

    def _take(self, text: str) -> None:
        self.text = text
        self.root = scan(text, self.source)
        first = (self.root.members or (None,))[0]
        self._line_end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
        # None: the whole text is one line.
        self._unit = INDENT if first is None else self._margin(first.start)
        self._colon = ":" if first is not None and self._is_dense(first) else ": "


def _name(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
