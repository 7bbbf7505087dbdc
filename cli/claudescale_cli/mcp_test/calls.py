"""What was called and what came of it: the rows of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from claudescale_cli.common import plain, plain_table

CHARACTERS_A_TOKEN = 4
COLUMNS = ("tool", "asked", "seconds", "tokens", "result")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One row; `problem` is None where all is as it should be, seconds and tokens where there was no answer."""

    tool: str
    asked: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    tokens: int | None = None
    problem: str | None = None

    def to_object(self) -> dict[str, Any]:
        """For machines."""
        return {
            "tool": self.tool,
            "asked": self.asked,
            "arguments": dict(self.arguments),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "tokens": self.tokens,
            "ok": self.problem is None,
            "problem": self.problem,
        }


def tokens_of(value: object) -> int:
    """Tokens of a text, or of a value as compact JSON: its characters / 4."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(text) // CHARACTERS_A_TOKEN


def table_of(calls: list[Call]) -> Table:
    """The calls for people."""
    table = plain_table(*COLUMNS)
    table.columns[0].no_wrap = True
    for column in table.columns[2:4]:
        column.justify = "right"
    for call in calls:
        table.add_row(
            plain(call.tool),
            plain(call.asked),
            "" if call.seconds is None else f"{call.seconds:.2f}",
            "" if call.tokens is None else f"{call.tokens:,}",
            "ok" if call.problem is None else plain(call.problem),
        )
    return table
