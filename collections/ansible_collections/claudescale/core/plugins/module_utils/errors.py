# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What every part of the engine raises for a person to read."""

from __future__ import annotations


class ClaudeScaleError(Exception):
    """One sentence: what is wrong and what to do. Doors print it as it stands and add no traceback."""
