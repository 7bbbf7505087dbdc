"""The real server over stdio, started by the very entry that `make claude` writes, with next to no environment."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.claudescale.core.plugins.module_utils.clients import entry
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

from tools.conversations.play import Answer

if TYPE_CHECKING:
    from fastmcp import Client

CALL_SECONDS = 60.0  # the server's own bounds are lower
LONGEST_CAUSE = 300


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which cluster and namespace; the kubeconfig's path is absolute."""

    context: str
    namespace: str
    kubeconfig: str


class Process:
    """One server that runs."""

    def __init__(self, client: Client[Any], called: str) -> None:
        self.called = called
        self._client = client

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """A tool's answer, an error included; ClaudeScaleError where none comes."""
        began = time.monotonic()
        try:
            result = await self._client.call_tool_mcp(tool, arguments)
        except Exception as error:
            raise ClaudeScaleError(f"the MCP server gave no answer to {tool}: {_short(error)}") from error
        return Answer(
            is_error=bool(result.is_error),
            text="".join(block.text for block in result.content if block.type == "text"),
            facts=dict(result.structured_content or {}),
            images=tuple(base64.b64decode(block.data) for block in result.content if block.type == "image"),
            seconds=time.monotonic() - began,
        )


@asynccontextmanager
async def process(place: Place, *, writes: bool) -> AsyncIterator[Process]:
    """A server for as long as the block lasts; ClaudeScaleError where it does not start."""
    os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)  # FastMCP would read anybody's .env
    # It takes a second to import, and pages are made without it.
    from fastmcp import Client  # noqa: PLC0415
    from fastmcp.client.transports import StdioTransport  # noqa: PLC0415

    started = entry.Server(
        interpreter=sys.executable,
        kubeconfig=place.kubeconfig,
        context=place.context,
        namespace=place.namespace,
        allow_writes=writes,
    ).entry(typed=False)
    async with AsyncExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        transport = StdioTransport(
            started["command"], started["args"], env=started["env"], keep_alive=False, log_file=log
        )
        try:
            client = await stack.enter_async_context(Client(transport, timeout=CALL_SECONDS, init_timeout=CALL_SECONDS))
        except Exception as error:
            said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            raise ClaudeScaleError(f"the MCP server does not start: {_short(said[-1] if said else error)}") from error
        about = client.server_info
        if about is None:
            raise ClaudeScaleError("the MCP server does not say who it is")
        yield Process(client, f"{about.name} {about.version}")


def _short(what: object) -> str:
    return one_line(str(what), LONGEST_CAUSE)
