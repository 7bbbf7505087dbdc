"""A server as a client starts it from a configuration: a command, and an environment that has next to nothing."""

from __future__ import annotations

from typing import Any

from tests.doors.mcp_double import Process


class Started(Process):
    """Also says what it has."""

    def tools(self) -> dict[str, Any]:
        """What it lists, by name."""
        return {tool["name"]: tool for tool in self.request("tools/list")["tools"]}
