# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What goes wrong, told to people: a code to look up, what is wrong, and what to do about it.

Every door translates a Fault into its own form (fail_json, a tool's error, an exit code); nobody shows a traceback.
"""

from __future__ import annotations

LONGEST_DETAIL = 300  # characters of somebody else's message that still make a readable sentence


class ClaudeScaleError(Exception):
    """What a person can mend; the text is one sentence: what is wrong and what to do. All of ours are of it."""


class Fault(ClaudeScaleError):  # noqa: N818 - told to people, who read "error" as our fault
    """One thing that is wrong, with its remedy; the text of the exception is the whole sentence."""

    def __init__(self, code: str, what: str, advice: str, *, exit_code: int | None = None) -> None:
        self.code = code  # PascalCase where it is ours, minikube's own where it is minikube's
        self.what = what
        self.advice = advice
        self.exit_code = exit_code  # None: no program was involved
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """What is wrong, the code in brackets, and the advice, on one line."""
        code = self.code if self.exit_code is None else f"{self.code}, exit {self.exit_code}"
        return f"{one_line(self.what)} ({code}): {one_line(self.advice)}."


def one_line(text: str, longest: int = LONGEST_DETAIL) -> str:
    """The text without line breaks and closing full stop, cut with an ellipsis beyond `longest` characters."""
    flat = " ".join(text.split()).rstrip(".")
    return flat if len(flat) <= longest else flat[: longest - 1].rstrip() + "…"
