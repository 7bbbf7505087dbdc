# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""How a client of MCP starts our server: the entry in its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault, one_line

SERVER = "claudescale_mcp"  # the Python module that an interpreter starts
COMMAND = re.compile(r"(?:.*[/\\])?claudescale(?:\.exe)?")  # which has the server as `claudescale mcp`
ABSOLUTE = re.compile(r"/|[A-Za-z]:[/\\]|\\\\")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what Claude Code takes as a server's name
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the server is started with. Fault where a client could not start it so."""

    interpreter: str  # absolute, as a client starts it in any folder and with no PATH of ours
    kubeconfig: str  # absolute; several as in KUBECONFIG
    context: str
    namespace: str
    allow_writes: bool = False

    def __post_init__(self) -> None:
        for option, path in (("interpreter", self.interpreter), ("kubeconfig", self.kubeconfig)):
            if ABSOLUTE.match(path) is None:
                raise _unusable(option, path, "is no absolute path", "write it from the root on")
        if not self.context or self.context.startswith("-"):
            raise _unusable("context", self.context, "is no name of a context", "name one of your kubeconfig")
        if LABEL.fullmatch(self.namespace) is None:
            raise _unusable("namespace", self.namespace, "is no name of a namespace", "use a name such as claudescale")
        for option, text in self.__dict__.items():
            if isinstance(text, str) and not _is_plain(text):
                raise _unusable(option, text, "has characters that cannot be written", "use another name")

    def entry(self, *, typed: bool) -> dict[str, Any]:
        """The entry; `typed` for a client that writes how it speaks to a server."""
        # -P: a client starts servers in its working folder, and nothing is to be imported from a stranger's.
        arguments = ["-P", "-m", SERVER, "--context", self.context, "--namespace", self.namespace]
        return {
            **({"type": "stdio"} if typed else {}),
            "command": self.interpreter,
            "args": [*arguments, *(["--allow-writes"] if self.allow_writes else [])],
            "env": {"KUBECONFIG": self.kubeconfig},
        }


def check_name(name: str) -> str:
    """The name under which the server is entered; Fault where it is none."""
    if NAME.fullmatch(name) is None:
        raise _unusable("name", name, "is no name of a server", "use up to 64 letters, digits, hyphens and underscores")
    return name


def is_ours(entry: object) -> bool:
    """Whether an entry starts our server, by `python -m claudescale_mcp` or by `claudescale mcp`."""
    if not isinstance(entry, Mapping):
        return False
    command, arguments = entry.get("command"), entry.get("args")
    if not isinstance(command, str) or not isinstance(arguments, list):
        return False
    if COMMAND.fullmatch(command) is not None:
        return "mcp" in arguments
    return any(arguments[place : place + 2] == ["-m", SERVER] for place in range(len(arguments)))


def shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an entry that is ours to write; what a person added to it, perhaps a secret, is left out."""
    found = {name: entry[name] for name in ("type", "command", "args", "env") if name in entry}
    if isinstance(found.get("env"), Mapping):
        found["env"] = {name: value for name, value in found["env"].items() if name == "KUBECONFIG"}
    return found


def _is_plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return all(character.isprintable() for character in text)


def _unusable(option: str, value: str, what: str, advice: str) -> Fault:
    return Fault("ServerUnusable", f"{option} {one_line(ascii(value), 120)} {what}", advice)
