"""A client's connection to the real server: the process that a client would start, and its tools over stdio."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

from claudescale_cli.common import Options, plain
from claudescale_cli.mcp import server_arguments

if TYPE_CHECKING:
    from fastmcp import Client

CALL_SECONDS = 40.0  # the server's own bounds are lower
LONGEST_CAUSE = 300


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A tool as the server lists it; `wire` is the whole of it, for its tokens."""

    name: str
    schema: Mapping[str, Any]
    wire: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A tool's answer; `seconds` until it came, `images` are PNG."""

    is_error: bool
    text: str
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    images: tuple[bytes, ...] = ()


class Connection:
    """One server that runs; `ready_seconds` from its start until it was initialized."""

    def __init__(self, client: Client[Any], log: Path, ready_seconds: float) -> None:
        self.ready_seconds = ready_seconds
        self._client = client
        self._log = log

    @property
    def called(self) -> str:
        """The server's name and version; ClaudeScaleError where it does not say them."""
        about = self._client.server_info
        if about is None:
            raise ClaudeScaleError("the MCP server does not say who it is")
        return f"{about.name} {about.version}"

    async def tools(self) -> tuple[list[Listed], float]:
        """The tools that are listed, and after how many seconds."""
        began = time.monotonic()
        try:
            found = await self._client.list_tools()
        except Exception as error:
            raise self._no_answer("tools/list", error) from error
        seconds = time.monotonic() - began
        return [
            Listed(
                name=tool.name,
                schema=tool.input_schema,
                wire=tool.model_dump(mode="json", by_alias=True, exclude_none=True),
            )
            for tool in found
        ], seconds

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """A tool's answer, an error included; ClaudeScaleError where none comes, or one that is not of its schema."""
        began = time.monotonic()
        try:
            result = await self._client.call_tool_mcp(tool, dict(arguments))
        except Exception as error:
            raise self._no_answer(tool, error) from error
        return Answer(
            is_error=bool(result.is_error),
            text=" ".join(block.text for block in result.content if block.type == "text"),
            seconds=time.monotonic() - began,
            facts=result.structured_content or {},
            images=tuple(base64.b64decode(block.data) for block in result.content if block.type == "image"),
        )

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        """A prompt as the server renders it; ClaudeScaleError where none comes."""
        try:
            result = await self._client.get_prompt(name, dict(arguments))
        except Exception as error:
            raise self._no_answer(f"prompt {name}", error) from error
        return "\n".join(str(getattr(message.content, "text", "")) for message in result.messages)

    def _no_answer(self, what: str, error: Exception) -> ClaudeScaleError:
        return ClaudeScaleError(f"the MCP server gave no answer to {what}: {_cause(self._log, error)}")


def connected(options: Options) -> AbstractAsyncContextManager[Connection]:
    """The server of these options, with this environment, for as long as the block lasts: see `started`."""
    return started(sys.executable, server_arguments(options))


@asynccontextmanager
async def started(
    command: str, arguments: list[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Connection]:
    """A server for as long as the block lasts; ClaudeScaleError where it does not start. It has this environment,
    without one that of this process.
    """
    os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)  # FastMCP would read anybody's .env
    # It takes a second to import, and only those that speak to the server need it.
    from fastmcp import Client  # noqa: PLC0415
    from fastmcp.client.transports import StdioTransport  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        variables = dict(os.environ if environment is None else environment)
        transport = StdioTransport(command, arguments, env=variables, keep_alive=False, log_file=log)
        began = time.monotonic()
        try:
            client = await stack.enter_async_context(Client(transport, timeout=CALL_SECONDS, init_timeout=CALL_SECONDS))
        except Exception as error:
            raise ClaudeScaleError(f"the MCP server does not start: {_cause(log, error)}") from error
        yield Connection(client, log, time.monotonic() - began)


def workload_of(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A workload of get_current_state by its name; {} where it is not there."""
    return next((one for one in facts.get("workloads", []) if one["workload"] == name), {})


def _cause(log: Path, error: Exception) -> str:
    """What the client says, and the last line that the server wrote on standard error."""
    said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    last = f" ({said[-1]})" if said else ""
    return plain(one_line(f"{error}{last}", LONGEST_CAUSE))
