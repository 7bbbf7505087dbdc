# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Moments: RFC 3339 text, and seconds since the epoch. Pure: nothing here knows what time it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXAMPLE = "2026-03-01T10:00:00Z"
LONGEST_SHOWN = 50  # characters of a text that is no time
# Upper-case T and Z only, as the API server wants them; [0-9] because \d takes the digits of every script.
SHAPE = re.compile(
    r"(?P<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:(?P<second>[0-9]{2}))"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
WITHOUT_ZONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?")


def parse(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; ClaudeScaleError names what is wrong and what to write instead."""
    found = SHAPE.fullmatch(text)
    if (found and not found["zone"]) or WITHOUT_ZONE.fullmatch(text):
        raise ClaudeScaleError(
            f"{text} has no time zone: write it like {EXAMPLE} for UTC, or with an offset such as +02:00"
        )
    if not found:
        raise ClaudeScaleError(f"{_shown(text)} is no time: write it like {EXAMPLE}")
    if found["second"] == "60":
        raise ClaudeScaleError(f"{text} is a leap second, which the cluster's clock does not have: name the next one")
    try:
        whole = datetime.fromisoformat(found["seconds"] + found["zone"].replace("Z", "+00:00"))
    except ValueError as error:
        raise ClaudeScaleError(f"{text} does not exist ({one_line(str(error))}): write a time like {EXAMPLE}") from None
    # Added apart, and as a number: datetime keeps six digits, and the API server's own times may have nine.
    return (whole - EPOCH).total_seconds() + float(f"0.{found['fraction'] or 0}")


def text(seconds: float) -> str:
    """The moment in UTC, to the microsecond: 2026-03-01T10:00:00.000000Z. ClaudeScaleError outside years 1 to 9999."""
    try:
        moment = EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ClaudeScaleError(f"{seconds} seconds since 1970 is no time that can be written") from None
    # strftime writes years before 1000 with fewer digits on some systems.
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_the_second(seconds: float) -> str:
    """The moment in UTC, cut to the second: 2026-03-01T10:00:00Z. ClaudeScaleError outside years 1 to 9999."""
    return f"{text(seconds)[:19]}Z"


def _shown(text: str) -> str:
    # repr, because a line break or a control character may be what is wrong.
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…") if text else "an empty text"
