# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What every part of the engine raises for a person to read."""

from __future__ import annotations

LONGEST_DETAIL = 300  # characters of somebody else's message that still make a readable sentence


class ClaudeScaleError(Exception):
    """One sentence: what is wrong and what to do. Doors print it as it stands and add no traceback."""


class Fault(ClaudeScaleError):  # noqa: N818 - a fault may be the host's or the user's, not only an error
    """One thing that is wrong, with a code to look up and its remedy; the exception's text is the whole sentence."""

    def __init__(self, code: str, what: str, advice: str, *, exit_code: int | None = None) -> None:
        self.code = code  # PascalCase where it is ours, minikube's own where it is minikube's
        self.what = one_line(what)
        self.advice = one_line(advice)
        self.exit_code = exit_code  # None: no program was involved
        shown = code if exit_code is None else f"{code}, exit {exit_code}"
        super().__init__(f"{self.what} ({shown}): {self.advice}.")


def one_line(text: str, longest: int = LONGEST_DETAIL) -> str:
    """The text without line breaks and closing full stop, cut with an ellipsis beyond `longest` characters."""
    flat = " ".join(text.split()).rstrip(". ")
    return flat if len(flat) <= longest else flat[: longest - 1].rstrip() + "…"
