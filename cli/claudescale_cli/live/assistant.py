"""The assistant: a real MCP client that starts the real server over stdio, as Claude does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import Options, plain
from claudescale_cli.live.connection import Answer, connected
from claudescale_cli.mcp import server_arguments


@dataclass(frozen=True, kw_only=True)
class Told:
    """A tool's answer."""

    text: str
    facts: dict[str, Any]


class Assistant:
    """Calls tools, each through a server of its own that ends with the call: nothing is left running."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def command(self) -> str:
        """How the server is started."""
        return " ".join(["python", *server_arguments(self._options)])

    def call(self, tool: str, **arguments: Any) -> Told:
        """A tool's answer; ClaudeScaleError where it is an error, or where there is none."""
        answer = asyncio.run(self._call(tool, arguments))
        if answer.is_error:
            raise ClaudeScaleError(f"the MCP tool {tool} answers: {plain(answer.text)}")
        return Told(text=plain(answer.text), facts=dict(answer.facts))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        async with connected(self._options) as connection:
            return await connection.call(tool, arguments)
