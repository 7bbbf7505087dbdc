"""How a transcript's calls reach a server: the shipped one as a process over stdio, an unsafe one in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from fastmcp import Client, FastMCP

from tests.doors.mcp_double import Stdio, Told, ask
from tests.eval.stage import Stage

Schemas = Mapping[str, Mapping[str, Any]]  # a tool's output schema by the tool's name


class Session(Protocol):
    """One client of one server."""

    def schemas(self) -> Schemas:
        """The output schemas of the tools that are listed."""

    def ask(self, tool: str, arguments: Mapping[str, Any]) -> Told:
        """One call."""


class InMemory:
    """A server in this process."""

    def __init__(self, server: FastMCP) -> None:
        self.server = server

    def schemas(self) -> Schemas:
        return asyncio.run(self._schemas())

    def ask(self, tool: str, arguments: Mapping[str, Any]) -> Told:
        return ask(self.server, tool, **arguments)

    async def _schemas(self) -> Schemas:
        async with Client(self.server) as client:
            listed = [tool.model_dump(mode="json", by_alias=True) for tool in await client.list_tools()]
        return {tool["name"]: tool.get("outputSchema") or {} for tool in listed}


class OverStdio:
    """A server as a client starts it."""

    def __init__(self, process: Stdio) -> None:
        self.process = process

    def schemas(self) -> Schemas:
        listed = self.process.request("tools/list")["tools"]
        return {tool["name"]: tool.get("outputSchema") or {} for tool in listed}

    def ask(self, tool: str, arguments: Mapping[str, Any]) -> Told:
        return self.process.ask(tool, **arguments)


class Shipped:
    """The shipped server, one process for each stage and mode, started when it is first wanted."""

    def __init__(self, stack: ExitStack, environment: dict[str, str]) -> None:
        self.stack = stack
        self.environment = environment
        self.running: dict[tuple[str, bool], Stdio] = {}
        self.lock = threading.Lock()

    def __call__(self, stage: Stage, writes: bool) -> Session:
        """A session with the server of a stage; whether it may write."""
        key = (stage.namespace, writes)
        with self.lock:
            if key not in self.running:
                place = ("--context", stage.place.context, "--namespace", stage.place.namespace)
                options = (*place, "--kubeconfig", str(stage.place.kubeconfig), *(["--allow-writes"] if writes else []))
                self.running[key] = self.stack.enter_context(
                    Stdio(*options, command=("-m", "claudescale_mcp"), **self.environment)
                )
            return OverStdio(self.running[key])

    def logs(self) -> str:
        """What the processes wrote on standard error, once they have ended."""
        return "".join(process.log for process in self.running.values())


@contextmanager
def shipped(environment: dict[str, str]) -> Iterator[Shipped]:
    """Processes of the shipped server with this environment, until the block ends."""
    with ExitStack() as stack:
        yield Shipped(stack, environment)
