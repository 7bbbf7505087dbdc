"""Calls one tool after the other, judges each answer, and keeps the rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.live.connection import Answer, Connection, Listed
from claudescale_cli.mcp_test import arguments
from claudescale_cli.mcp_test.calls import Call, tokens_of

Judge = Callable[[Answer], str | None]  # what is wrong with an answer, None where nothing is

STATE = "get_current_state"
NOT_LISTED = "the server does not list it"
LOOK_SECONDS = 0.3


def answered(answer: Answer) -> str | None:
    """An answer that is no error, with words for people."""
    if answer.is_error:
        return f"it answers: {answer.text}"
    return None if answer.text.strip() else "it has no text"


def came(*wanted: str) -> Judge:
    """An answer with one of these outcomes."""

    def judge(answer: Answer) -> str | None:
        if answer.is_error or answer.facts.get("outcome") in wanted:
            return answered(answer)
        return f"not {' or '.join(wanted)}: {answer.text}"

    return judge


def refused_with(sentence: str) -> Judge:
    """An error that says so."""

    def judge(answer: Answer) -> str | None:
        if answer.is_error and sentence in answer.text:
            return None
        return f"it ought to say that {sentence}: {answer.text}"

    return judge


@dataclass(kw_only=True)
class Caller:
    """`tools` by their names; `tell` gets a line of progress; `calls` are the rows so far."""

    connection: Connection
    tools: Mapping[str, Listed]
    tell: Callable[[str], None]
    calls: list[Call] = field(default_factory=list)

    async def call(
        self, tool: str, asked: str, given: Mapping[str, Any], judge: Judge = answered, *, patience: float = 0.0
    ) -> Answer | None:
        """Call a tool with these arguments and what else it requires; None where the answer is not as it should be.

        With `patience`, in seconds, it is called until the answer is; the last call is the row.
        """
        self.tell(f"{tool}: {asked}")
        deadline = time.monotonic() + patience
        while True:
            row, answer = await self._called(tool, asked, given, judge)
            if row.problem is None or time.monotonic() >= deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.calls.append(row)
        return answer if row.problem is None else None

    def missing(self, tool: str, why: str) -> None:
        """A row of a tool that was not called."""
        self.calls.append(Call(tool=tool, asked="", problem=why))

    async def _called(
        self, tool: str, asked: str, given: Mapping[str, Any], judge: Judge
    ) -> tuple[Call, Answer | None]:
        whole = dict(given)
        try:
            if tool not in self.tools:
                raise ClaudeScaleError(NOT_LISTED)
            whole = {**arguments.required(self.tools[tool].schema, given), **given}
            answer = await self.connection.call(tool, whole)
        except ClaudeScaleError as error:
            return Call(tool=tool, asked=asked, arguments=whole, problem=str(error)), None
        row = Call(
            tool=tool,
            asked=asked,
            arguments=whole,
            seconds=answer.seconds,
            tokens=tokens_of(answer.text) + (tokens_of(answer.facts) if answer.facts else 0),
            problem=judge(answer),
        )
        return row, answer
