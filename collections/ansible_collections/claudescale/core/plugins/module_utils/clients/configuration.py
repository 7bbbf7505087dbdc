# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Our server in a client's configuration: added, brought up to date, taken out; everything else stays, to the byte.

A note of ours in the configuration's `_meta` tells people what happens here, and lists what we had to make for our
entry. With it, taking the entry out leaves the very text from before; without it, an empty object may stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.clients.entry import check_name, is_ours, shown
from ansible_collections.claudescale.core.plugins.module_utils.clients.json_edit import Draft
from ansible_collections.claudescale.core.plugins.module_utils.clients.json_text import BOM, Value
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

SERVERS = "mcpServers"
META = "_meta"
OURS = "claudescale"  # our key in _meta, whatever the server's name
NOTE = "ClaudeScale adds its own server to mcpServers and never overwrites another one; what it made goes with it."
FILE = "file"  # in the note's list: there was no file
CONTENT = "content"  # the file was empty


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One member that changed; None where it was not there, or is not there any more."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Edited:
    """The configuration as it is to be; text is None where there is to be no file."""

    text: str | None
    differences: tuple[Difference, ...] = ()
    remarks: tuple[str, ...] = ()


def add(text: str | None, name: str, entry: Mapping[str, Any], *, source: str) -> Edited:
    """The configuration with our server; text is None where there is no file, source is what a person calls it.

    Fault where the text is no JSON object, and where the name stands for another server.
    """
    made = []
    if text is None:
        made, begun = [FILE], "{}\n"
    elif _is_empty(text):
        made, begun = [CONTENT], f"{_mark(text)}{{}}\n"
    else:
        begun = text
    work = _Work(Draft(begun, source), check_name(name))
    made += work.put_entry(entry)
    work.put_note(made)
    return work.edited(work.draft.text)


def remove(text: str | None, name: str, *, source: str) -> Edited:
    """The configuration without our server. Fault where the text is no JSON object; empty is as good as absent."""
    check_name(name)
    if text is None or _is_empty(text):
        return Edited(text=text)
    work = _Work(Draft(text, source), name)
    work.drop_entry()
    made = [] if work.others_of_ours() else work.drop_note()
    for empty in (SERVERS, META):
        if empty in made:
            work.drop_if_empty(empty)
    if not work.draft.root.members and FILE in made:
        return work.edited(None)
    if not work.draft.root.members and CONTENT in made:
        return work.edited(_mark(text))
    return work.edited(work.draft.text)


def _is_empty(text: str) -> bool:
    return not text.removeprefix(BOM).strip()


def _mark(text: str) -> str:
    return BOM if text.startswith(BOM) else ""


class _Work:
    """A draft with what was changed in it."""

    def __init__(self, draft: Draft, name: str) -> None:
        self.draft = draft
        self.name = name
        self.differences: list[Difference] = []
        self.remarks: list[str] = []

    def edited(self, text: str | None) -> Edited:
        """What came of it."""
        return Edited(text=text, differences=tuple(self.differences), remarks=tuple(self.remarks))

    def put_entry(self, entry: Mapping[str, Any]) -> list[str]:
        """Add our entry, or bring it up to date; what was made for it. Fault where its name is another server's."""
        path = (SERVERS, self.name)
        found = self.draft.find(*path)
        if self._servers() is None:
            self.draft.put((SERVERS,), {self.name: entry})
            self._changed(path, None, entry)
            return [SERVERS]
        if found is None:
            self._put(path, None, entry)
        elif is_ours(self.draft.loaded(found)):
            self._merge(path, entry)
        else:
            raise self._taken(found)
        return []

    def drop_entry(self) -> None:
        """Take our entry out; another server of its name stays, with a remark."""
        self._servers()
        path = (SERVERS, self.name)
        found = self.draft.find(*path)
        if found is None:
            return
        entry = self.draft.loaded(found)
        if is_ours(entry):
            self.draft.drop(path)
            self._changed(path, shown(entry), None)
        else:
            self.remarks.append(f"{'.'.join(path)} of {self.draft.source} is another server than ours, and stays")

    def others_of_ours(self) -> bool:
        """Whether a server of ours is left, under whatever name."""
        found = self._servers()
        members = (found.members or ()) if found is not None else ()
        return any(is_ours(self.draft.loaded(member.value)) for member in members)

    def put_note(self, made: list[str]) -> None:
        """Have our note, with what was made now beside what was made before; a remark where it has no place."""
        meta = self.draft.find(META)
        if meta is not None and meta.members is None:
            self.remarks.append(f"{META} of {self.draft.source} is no object, so that our note is not in it")
            return
        path = (META, OURS)
        found = self.draft.find(*path)
        if meta is None:
            note = {"note": NOTE, "made": [*made, META]}
            self.draft.put((META,), {OURS: note})
            self._changed(path, None, note)
        elif found is None:
            self._put(path, None, {"note": NOTE, "made": made})
        elif _is_note(self.draft.loaded(found)):
            before = self.draft.loaded(found)["made"]
            self._merge(path, {"note": NOTE, "made": [*before, *(one for one in made if one not in before)]})
        else:
            self.remarks.append(f"{'.'.join(path)} of {self.draft.source} is no note of ours, and stays")

    def drop_note(self) -> list[str]:
        """Take our note out; what it says that we made."""
        path = (META, OURS)
        found = self.draft.find(*path)
        note = self.draft.loaded(found) if found is not None else None
        if note is None or not _is_note(note):
            return []
        self.draft.drop(path)
        self._changed(path, note, None)
        return list(note["made"])

    def drop_if_empty(self, name: str) -> None:
        """Take an object at the top out that holds nothing."""
        found = self.draft.find(name)
        if found is not None and found.members == ():
            self.draft.drop((name,))

    def _servers(self) -> Value | None:
        """The object of all servers; None where there is none."""
        found = self.draft.find(SERVERS)
        if found is not None and found.members is None:
            raise self.draft.flaw(found, f"no object as the value of {SERVERS}")
        return found

    def _merge(self, path: tuple[str, ...], wanted: Mapping[str, Any]) -> None:
        """Bring the members that are ours up to date; what a person added beside them stays."""
        for name, value in wanted.items():
            below = (*path, name)
            found = self.draft.find(*below)
            if isinstance(value, Mapping) and found is not None and found.members is not None:
                self._merge(below, value)
                continue
            before = self.draft.loaded(found) if found is not None else None
            if before != value:
                self._put(below, before, value)

    def _put(self, path: tuple[str, ...], before: Any, after: Any) -> None:
        self.draft.put(path, after)
        self._changed(path, before, after)

    def _changed(self, path: tuple[str, ...], before: Any, after: Any) -> None:
        self.differences.append(Difference(path=".".join(path), before=before, after=after))

    def _taken(self, found: Value) -> Fault:
        line = self.draft.text.count("\n", 0, found.start) + 1
        return Fault(
            "NameTaken",
            f"line {line} of {self.draft.source} has another server than ours under the name {self.name}",
            "rename that one, or give ours another name; nothing was changed",
        )


def _is_note(found: Any) -> bool:
    if not isinstance(found, Mapping) or not isinstance(found.get("note"), str):
        return False
    made = found.get("made")
    return isinstance(made, list) and all(isinstance(one, str) for one in made)
