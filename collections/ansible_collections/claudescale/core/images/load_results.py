# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Every request of a load, packed into lines of the log. Pure.

The engine's load/results.py packs the same way, and unpacks: a test holds the two together. Three columns of numbers
(steps from one due time to the next and latencies, in ticks of a tenth of a millisecond; codes) are laid byte plane by
byte plane, deflated, written as base64 and cut: what is alike stands together.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

NOT_SENT = 0xFFFF  # stands for the code of a request that was not sent in time
CHUNK = 12_000  # characters: container runtimes split lines at 16 KiB


def pack(due: Sequence[int], waits: Sequence[int], codes: Sequence[int]) -> list[str]:
    """The parts of the log.

    `due`: ascending ticks. `waits`: 0 without an answer, else the latency's ticks and 1. `codes`: HTTP codes, 0 without
    an answer, NOT_SENT.
    """
    steps = [*due[:1], *(after - before for before, after in pairwise(due))]
    body = _planes(steps, 4, "I") + _planes(waits, 4, "I") + _planes(codes, 2, "H")
    text = base64.b64encode(zlib.compress(struct.pack("<I", len(due)) + body, 9)).decode()
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    return [f"{number}/{len(pieces)}:{piece}" for number, piece in enumerate(pieces, 1)]


def _planes(numbers: Sequence[int], size: int, kind: str) -> bytes:
    data = struct.pack(f"<{len(numbers)}{kind}", *numbers)
    return b"".join(data[place::size] for place in range(size))
