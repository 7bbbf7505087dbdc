# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A JSON object as text: where each name and each value stands, and where exactly it is no JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

BOM = "\ufeff"
DEEPEST = 100  # levels of objects and lists; no configuration of a person comes near
SPACE = re.compile(r"[ \t\r\n]*")
# Possessive, so that a long string costs no memory.
INSIDE = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORD = re.compile(r"true|false|null")
COMMENTS = ("//", "/*", "#")


@dataclass(frozen=True)
class Value:
    """The part of the text from `start` to before `end`; members is None for what is no object."""

    start: int
    end: int
    members: tuple[Member, ...] | None = None

    def member(self, name: str) -> Member | None:
        """The member of this name."""
        return next((one for one in self.members or () if one.name == name), None)


@dataclass(frozen=True)
class Member:
    """A name with its value; `start` is where the name's quote stands."""

    name: str
    start: int
    value: Value


def scan(text: str, source: str) -> Value:
    """The object that the text is, after a byte order mark; Fault says in which line of `source` it is none."""
    return _Scanner(text, source).document()


def flaw(text: str, at: int, source: str, what: str) -> Fault:
    """What is wrong at a place of the text, for a person to find it."""
    line = text.count("\n", 0, at) + 1
    begin = text.rfind("\n", 0, at) + 1
    column = at - begin + 1 - text.startswith(BOM, begin, at)
    return Fault(
        "ConfigurationBroken",
        f"line {line}, column {column} of {source} has {what}",
        "mend the file; nothing was changed in it",
    )


class _Scanner:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source

    def document(self) -> Value:
        start = self._skip(len(BOM) if self.text.startswith(BOM) else 0)
        if not self.text.startswith("{", start):
            raise self._unexpected(start, "{")
        value = self._object(start, depth=1)
        end = self._skip(value.end)
        if end < len(self.text):
            raise self._unexpected(end, "the end of the file")
        return value

    def _value(self, at: int, depth: int) -> Value:
        if depth > DEEPEST:
            raise self._flaw(at, f"more than {DEEPEST} objects and lists in each other")
        if self.text.startswith("{", at):
            return self._object(at, depth)
        if self.text.startswith("[", at):
            return self._array(at, depth)
        if self.text.startswith('"', at):
            return Value(at, self._string(at))
        found = NUMBER.match(self.text, at) or WORD.match(self.text, at)
        if found is None:
            raise self._unexpected(at, "a value")
        return Value(at, found.end())

    def _object(self, start: int, depth: int) -> Value:
        members: dict[str, Member] = {}
        at = self._skip(start + 1)
        if self.text.startswith("}", at):
            return Value(start, at + 1, ())
        while True:
            if not self.text.startswith('"', at):
                raise self._unexpected(at, "a name in double quotes")
            end = self._string(at)
            name: str = json.loads(self.text[at:end])
            if name in members:
                raise self._flaw(at, f"the name {_shortened(name)} for the second time in one object")
            colon = self._skip(end)
            if not self.text.startswith(":", colon):
                raise self._unexpected(colon, "a colon")
            value = self._value(self._skip(colon + 1), depth + 1)
            members[name] = Member(name, at, value)
            at, ended = self._next(value.end, "}")
            if ended:
                return Value(start, at, tuple(members.values()))

    def _array(self, start: int, depth: int) -> Value:
        at = self._skip(start + 1)
        if self.text.startswith("]", at):
            return Value(start, at + 1)
        while True:
            at, ended = self._next(self._value(at, depth + 1).end, "]")
            if ended:
                return Value(start, at)

    def _next(self, at: int, close: str) -> tuple[int, bool]:
        """Where it goes on after a member, and whether the object or list has ended there."""
        at = self._skip(at)
        if self.text.startswith(close, at):
            return at + 1, True
        if not self.text.startswith(",", at):
            raise self._unexpected(at, f"a comma or {close}")
        after = self._skip(at + 1)
        if self.text.startswith(close, after):
            raise self._flaw(at, f"a comma with nothing but {close} after it")
        return after, False

    def _string(self, start: int) -> int:
        """Where the string that begins at start has ended."""
        inside = INSIDE.match(self.text, start + 1)
        end = inside.end() if inside is not None else start + 1
        if self.text.startswith('"', end):
            return end + 1
        if self.text.startswith("\\", end):
            raise self._flaw(end, "a backslash that is no escape of JSON")
        if end == len(self.text) or self.text[end] in "\r\n":
            raise self._flaw(start, "a string that does not end in its line")
        raise self._flaw(end, f"the control character U+{ord(self.text[end]):04X} in a string")

    def _skip(self, at: int) -> int:
        found = SPACE.match(self.text, at)
        return found.end() if found is not None else at

    def _unexpected(self, at: int, wanted: str) -> Fault:
        if at == len(self.text):
            return self._flaw(at, f"the end of the file where {wanted} belongs")
        if self.text.startswith(COMMENTS, at):
            return self._flaw(at, "a comment, which JSON does not have")
        return self._flaw(at, f"{self.text[at]!a} where {wanted} belongs")

    def _flaw(self, at: int, what: str) -> Fault:
        return flaw(self.text, at, self.source, what)


def _shortened(name: str, longest: int = 40) -> str:
    shown = json.dumps(name)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
