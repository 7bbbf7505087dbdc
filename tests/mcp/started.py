"""A server as a client starts it from a configuration: a command, and an environment that has next to nothing."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from tests.doors.mcp_double import Stdio


class Started(Stdio):
    """Stdio with another command than this Python's."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.messages: list[dict[str, Any]] = []
        self._last = -1

    def tools(self) -> dict[str, Any]:
        """What it lists, by name."""
        return {tool["name"]: tool for tool in self.request("tools/list")["tools"]}
