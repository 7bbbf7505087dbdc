"""A tool as the official inspector's command line calls it: a new process of the server over stdio for each call."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doors.mcp_double import Told
from tests.mcp.programs import Programs

ERAS = ("legacy", "modern")  # the inspector's words for 2025-11-25 and before it, and for 2026-07-28


@dataclass(frozen=True, kw_only=True)
class Inspector:
    """`options` and `environment` are the server's."""

    npm: Programs
    home: Path
    options: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    era: str = "legacy"

    def ask(self, method: str, *options: str) -> tuple[int, dict[str, Any], str]:
        """(exit code, the result, {} without one, and what it says is wrong) of one method."""
        environment = {"PATH": os.environ["PATH"], **self.environment}
        command = self.npm.command(
            "inspector", "--cli", "--format", "json", "--quiet", "--protocol-era", self.era,
            "--method", method, *options, *[word for pair in environment.items() for word in ("-e", "=".join(pair))],
            "--", sys.executable, "-m", "claudescale_mcp", *self.options,
        )  # fmt: skip
        done = self.npm.run(command, home=self.home)
        return done.code, json.loads(done.out)["result"] if done.out else {}, done.err

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """All tools, resources or prompts."""
        code, result, wrong = self.ask(f"{kind}/list", *(("--strict",) if kind == "tools" else ()))
        assert code == 0, wrong
        found: list[dict[str, Any]] = result[kind]
        return found

    def call(self, tool: str, /, **arguments: Any) -> Told:
        """One call of a tool; AssertionError where there is no answer of the tool."""
        began = time.monotonic()
        code, result, wrong = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        assert result, wrong
        error = bool(result.get("isError"))
        assert (code != 0) == error, (code, wrong)
        return Told(
            error=error,
            text="".join(block["text"] for block in result["content"] if block["type"] == "text"),
            facts=result.get("structuredContent", {}),
            seconds=time.monotonic() - began,
        )


def needed(tool: dict[str, Any]) -> dict[str, Any]:
    """Arguments that a tool wants to have, as its schema's examples give them."""
    schema = tool["inputSchema"]
    return {name: schema["properties"][name]["examples"][0] for name in schema.get("required", [])}
