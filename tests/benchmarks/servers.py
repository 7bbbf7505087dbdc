"""MCP servers as processes, measured from outside: start, memory, tokens, and seconds for each question."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claudescale_cli.mcp_test.calls import tokens_of

from tests.doors.mcp_double import Process, Told

STARTS = 5
ROUNDS = 100
MEMORY_CALLS = 50

Call = tuple[str, dict[str, Any]]  # a tool and its arguments


class Server(Process):
    """Any MCP server over stdio, whatever program it is."""

    def ask(self, tool: str, /, **arguments: Any) -> Told:
        began = time.monotonic()
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        return Told(
            error=bool(result.get("isError")),
            text="".join(block.get("text", "") for block in result["content"]),
            facts=result.get("structuredContent") or {},
            seconds=time.monotonic() - began,
        )

    @property
    def memory(self) -> int:
        """Resident memory in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


@dataclass
class Asked:
    """One call of a question, each time it was made; `last` is its last answer."""

    call: Call
    seconds: list[float] = field(default_factory=list)
    last: Told | None = None

    @property
    def tokens(self) -> int:
        return tokens(self.last) if self.last is not None else 0


@dataclass(kw_only=True)
class Figures:
    """What was measured of one server; memory in MiB after its start and after MEMORY_CALLS calls."""

    name: str
    starts: list[float] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)
    asked: list[Asked] = field(default_factory=list)

    @property
    def list_tokens(self) -> int:
        return tokens_of(self.tools)

    @property
    def whole(self) -> list[float]:
        """Seconds of the whole question, round by round."""
        return [sum(each) for each in zip(*(one.seconds for one in self.asked), strict=True)]

    @property
    def tokens(self) -> int:
        """Of the whole question's answer."""
        return sum(one.tokens for one in self.asked)


def tokens(told: Told) -> int:
    """Of an answer as it came: its text, and its structured content where it has one."""
    return tokens_of(told.text) + (tokens_of(told.facts) if told.facts else 0)


def measured(name: str, command: Sequence[str], environment: Mapping[str, str], question: Sequence[Call]) -> Figures:
    """Start a server STARTS times, and ask the last one the question ROUNDS times, back to back."""
    found = Figures(name=name, asked=[Asked(call=call) for call in question])
    for _ in range(STARTS - 1):
        with Server(command, environment) as server:
            found.starts.append(server.ready_seconds)
    with Server(command, environment) as server:
        found.starts.append(server.ready_seconds)
        found.memory = (server.memory, 0)
        found.tools = server.request("tools/list", {})["tools"]
        calls = 0
        for _ in range(ROUNDS):
            for one in found.asked:
                tool, arguments = one.call
                one.last = server.ask(tool, **arguments)
                assert not one.last.error, (name, tool, one.last.text)
                one.seconds.append(one.last.seconds)
                calls += 1
                if calls == MEMORY_CALLS:
                    found.memory = (found.memory[0], server.memory)
    print(f"{name} is measured: {ROUNDS} rounds of {len(question)}", flush=True)
    return found


def p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]
