# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Where the clients of MCP keep their configuration, on each platform."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

DESKTOP_FILE = "claude_desktop_config.json"
CODE_FILE = ".claude.json"


class Client(Enum):
    """A client whose configuration has an `mcpServers`."""

    CLAUDE_DESKTOP = "claude_desktop"
    CLAUDE_CODE = "claude_code"

    @property
    def title(self) -> str:
        """What people call it."""
        return {"claude_desktop": "Claude Desktop", "claude_code": "Claude Code"}[self.value]


def path_of(client: Client, platform: str, environment: Mapping[str, str]) -> str:
    """The client's configuration of this person; platform as in sys.platform.

    Claude Code's is that of the scope `user`, which holds in every folder. Fault where the environment tells no home.
    """
    if client is Client.CLAUDE_CODE:
        folder = environment.get("CLAUDE_CONFIG_DIR") or _home(client, platform, environment)
        return _join(platform, folder, CODE_FILE)
    if platform == "win32":
        roaming = environment.get("APPDATA") or _join(
            platform, _home(client, platform, environment), "AppData", "Roaming"
        )
        return _join(platform, roaming, "Claude", DESKTOP_FILE)
    if platform == "darwin":
        home = _home(client, platform, environment)
        return _join(platform, home, "Library", "Application Support", "Claude", DESKTOP_FILE)
    base = environment.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):  # its specification: a relative one is to be ignored
        base = _join(platform, _home(client, platform, environment), ".config")
    return _join(platform, base, "Claude", DESKTOP_FILE)


def _home(client: Client, platform: str, environment: Mapping[str, str]) -> str:
    variable = "USERPROFILE" if platform == "win32" else "HOME"
    home = environment.get(variable)
    if not home:
        raise Fault(
            "NoHome",
            f"the environment has no {variable}, which tells where {client.title} keeps its configuration",
            "set it, or name the file by its path",
        )
    return home


def _join(platform: str, folder: str, *names: str) -> str:
    separator = "\\" if platform == "win32" else "/"
    return separator.join([folder.rstrip("/\\" if platform == "win32" else "/"), *names])
