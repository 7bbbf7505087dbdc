# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Text that others wrote (names, reasons, managers, messages), made fit to be shown. Pure.

It stays data: bounded, visible, on one line, and never a part of a sentence of ours.
"""

from __future__ import annotations

import re
import unicodedata

from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import INVISIBLE

LONGEST = 120
# CSI, OSC and the other strings that a terminal obeys, whole; of broken ones the control characters go.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
# They hide bytes behind any letter, and are marks, not one of the invisible kinds.
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
READ_AHEAD = 4  # times the length that is wanted: no more of a huge text is looked at


def clean(text: object, longest: int = LONGEST) -> str:
    """At most `longest` visible characters on one line, cut with an ellipsis. longest >= 1."""
    seen = str(text)[: longest * READ_AHEAD + 1]
    seen = SELECTORS.sub("", ESCAPES.sub("", seen))
    seen = "".join(" " if letter.isspace() else letter for letter in seen if not _is_hidden(letter))
    flat = " ".join(seen.split())
    whole = len(flat) <= longest and len(str(text)) <= longest * READ_AHEAD + 1
    return flat if whole else flat[: longest - 1].rstrip() + "…"


def clean_or_none(text: object, longest: int = LONGEST) -> str | None:
    """The same, None for what is absent or empty."""
    return clean(text, longest) if text else None


def _is_hidden(letter: str) -> bool:
    return unicodedata.category(letter) in INVISIBLE and not letter.isspace()
