"""How a timing is printed and judged: median, worst, load average; a failure only far beyond the aim."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

STALL_FACTOR = 5  # a test fails on time only beyond this many times the aim


def show(name: str, seconds: Sequence[float], *, aims: tuple[float, float] | None = None) -> None:
    """Print a line; AssertionError where median or worst are beyond five times their aims (seconds)."""
    assert seconds, f"{name}: nothing was measured"
    median, worst = statistics.median(seconds), max(seconds)
    aim = "" if aims is None else f", aims {aims[0]:g} and {aims[1]:g} s"
    load = os.getloadavg()[0]
    print(
        f"{name}: n={len(seconds)}, median {median:.3f} s, worst {worst:.3f} s{aim}, load average {load:.1f}",
        flush=True,
    )
    if aims is not None:
        assert median <= STALL_FACTOR * aims[0], name
        assert worst <= STALL_FACTOR * aims[1], name
