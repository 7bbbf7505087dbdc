"""The command in this process, called as a person calls it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
from claudescale_cli import main as cli


@dataclass(frozen=True)
class Said:
    """How the command ended, and what it printed."""

    code: int
    out: str
    err: str

    def sentence(self, code: int = 1) -> str:
        """The one sentence of a failure, on standard error."""
        assert self.code == code
        assert "Traceback" not in self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err[:-1]


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `claudescale` with these arguments; it always says one."""
    monkeypatch.setattr(sys, "argv", ["claudescale", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("the command did not say how it ended")
