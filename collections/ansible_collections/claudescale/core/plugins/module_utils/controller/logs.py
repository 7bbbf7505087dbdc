# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Structured logs: one JSON object a line on standard output."""

from __future__ import annotations

import json
import logging
import sys

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class JsonLines(logging.Formatter):
    """time, level, logger, message, and the record's `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback goes into a field of its own."""
        line = {
            "time": moments.text(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(level: str = "INFO") -> None:
    """Send the controller's log lines to standard output; ClaudeScaleError where there is no such level."""
    if level not in LEVELS:
        raise ClaudeScaleError(f"CLAUDESCALE_LOG_LEVEL is {level!r}: write DEBUG, INFO, WARNING or ERROR")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    root = logging.getLogger("claudescale")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
