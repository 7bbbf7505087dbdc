"""The model's line to the tools: one real server over stdio for as long as a scenario lasts, as a client keeps it.

It lives on an event loop in a thread of its own, because the scenario waits, watches and can be interrupted meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import Options
from claudescale_cli.mcp import server_arguments
from claudescale_cli.mcp_test.connection import CALL_SECONDS, Connection, connected

Result = TypeVar("Result")

ANSWER_SECONDS = CALL_SECONDS + 5.0  # the connection's own bound comes first
CLOSE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A tool's answer; `seconds` until it came, `images` are PNG."""

    is_error: bool
    text: str
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    images: tuple[bytes, ...] = ()


class Session:
    """One server that runs between enter and exit. ClaudeScaleError where it does not start, or gives no answer."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._ready: Future[_Line] = Future()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def command(self) -> str:
        """How the server is started."""
        return " ".join(["python", *server_arguments(self._options)])

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._ready.result(ANSWER_SECONDS)
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise ClaudeScaleError(f"the MCP server has not started within {ANSWER_SECONDS:.0f} s") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server; it is gone afterwards, or its client's process is with this one."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(CLOSE_SECONDS)

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Heard:
        """A tool's answer, an error of the tool included."""
        return self._wait(self._ready.result(0).heard(tool, arguments))

    def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        """A prompt as the server renders it."""
        return self._wait(self._ready.result(0).rendered(name, arguments))

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError as error:
            raise ClaudeScaleError(f"the MCP server gave no answer within {ANSWER_SECONDS:.0f} s") from error
        finally:
            future.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - told where somebody waits for it
            if not self._ready.done():
                self._ready.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        # Enter and exit belong to one task; calls come as others.
        async with connected(self._options) as connection:
            self._ready.set_result(_Line(connection))
            await self._closing.wait()


class _Line:
    """A connection with a prompt's text, and with pictures, which the trial of the tools does not need."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection._client

    async def heard(self, tool: str, arguments: Mapping[str, Any]) -> Heard:
        began = time.monotonic()
        try:
            result = await self._client.call_tool_mcp(tool, dict(arguments))
        except Exception as error:
            raise self._connection._no_answer(tool, error) from error
        return Heard(
            is_error=bool(result.is_error),
            text=" ".join(getattr(block, "text", "") for block in result.content if block.type == "text"),
            seconds=time.monotonic() - began,
            facts=result.structured_content or {},
            images=tuple(base64.b64decode(block.data) for block in result.content if block.type == "image"),
        )

    async def rendered(self, name: str, arguments: Mapping[str, str]) -> str:
        try:
            result = await self._client.get_prompt(name, dict(arguments))
        except Exception as error:
            raise self._connection._no_answer(f"prompt {name}", error) from error
        return "\n".join(str(getattr(message.content, "text", "")) for message in result.messages)
