"""The model's line to the tools: one real server over stdio for as long as a scenario lasts, as a client keeps it.

It lives on an event loop in a thread of its own, because the scenario waits, watches and can be interrupted meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import Options
from claudescale_cli.live.connection import CALL_SECONDS, Answer, Connection, connected
from claudescale_cli.mcp import server_arguments

Result = TypeVar("Result")

ANSWER_SECONDS = CALL_SECONDS + 5.0  # the connection's own bound comes first
CLOSE_SECONDS = 10.0


class Session:
    """One server that runs between enter and exit. ClaudeScaleError where it does not start, or gives no answer."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._ready: Future[Connection] = Future()
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

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """A tool's answer, an error of the tool included."""
        return self._wait(self._ready.result(0).call(tool, arguments))

    def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        """A prompt as the server renders it."""
        return self._wait(self._ready.result(0).prompt(name, arguments))

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
            self._ready.set_result(connection)
            await self._closing.wait()
