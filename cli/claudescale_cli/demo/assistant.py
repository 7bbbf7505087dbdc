"""The assistant's side of the demo: a real MCP client that starts the real server over stdio, as Claude does."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

from claudescale_cli.common import Options, plain
from claudescale_cli.mcp import server_arguments

TOOL_SECONDS = 40.0  # the server's own bounds are lower


@dataclass(frozen=True, kw_only=True)
class Told:
    """A tool's answer."""

    text: str
    facts: dict[str, Any]


class Assistant:
    """Calls tools, each through a server of its own that ends with the call: nothing is left running."""

    def __init__(self, options: Options) -> None:
        self._arguments = server_arguments(options)

    @property
    def command(self) -> str:
        """How the server is started."""
        return " ".join(["python", *self._arguments])

    def call(self, tool: str, **arguments: Any) -> Told:
        """A tool's answer; ClaudeScaleError where it is an error, or where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            try:
                told = asyncio.run(self._call(tool, arguments, log))
            except ClaudeScaleError:
                raise
            except Exception as error:
                said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
                why = said[-1] if said else str(error)
                raise ClaudeScaleError(
                    f"the MCP server gave no answer to {tool}: {plain(one_line(why, 300))}"
                ) from error
        return told

    async def _call(self, tool: str, arguments: dict[str, Any], log: Path) -> Told:
        os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)  # FastMCP would read anybody's .env
        # It takes a second to import, and only the demo needs it.
        from fastmcp import Client  # noqa: PLC0415
        from fastmcp.client.transports import StdioTransport  # noqa: PLC0415

        transport = StdioTransport(
            sys.executable,
            self._arguments,
            env=dict(os.environ),
            keep_alive=False,
            log_file=log,
        )
        async with Client(transport, timeout=TOOL_SECONDS, init_timeout=TOOL_SECONDS) as client:
            result = await client.call_tool(tool, arguments, raise_on_error=False)
        text = " ".join(getattr(block, "text", "") for block in result.content)
        if result.is_error:
            raise ClaudeScaleError(f"the MCP tool {tool} answers: {plain(text)}")
        return Told(text=plain(text), facts=result.structured_content or {})
