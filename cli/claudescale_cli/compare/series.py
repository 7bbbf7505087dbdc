"""What a run's requests look like over time, second by second. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, percentile

QUANTILE_SECONDS = 3  # requests of so many seconds make one point: 30 at 10/s, of which a p99 is the slowest


@dataclass(frozen=True, kw_only=True)
class Load:
    """Requests that were due in each second, from second 0 on, by what came of them."""

    in_time: tuple[int, ...]
    slow: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Latencies in seconds of what was answered, by the second in which it was due; NaN where nothing was."""

    seconds: tuple[float, ...]  # the middle of each stretch
    p50: tuple[float, ...]
    p99: tuple[float, ...]


def load(requests: Sequence[Request], seconds: int, objective: float) -> Load:
    """The load of so many seconds. A request due at the end of a second belongs to it, as in a segment."""
    counts = {name: [0] * seconds for name in ("in_time", "slow", "failed")}
    for request in requests:
        second = math.ceil(request.at) - 1
        if 0 <= second < seconds:
            if not request.ok or request.latency is None:
                counts["failed"][second] += 1
            else:
                counts["slow" if request.latency > objective else "in_time"][second] += 1
    return Load(**{name: tuple(found) for name, found in counts.items()})


def latencies(requests: Sequence[Request], seconds: int) -> Latencies:
    """The quantiles of each stretch of QUANTILE_SECONDS."""
    stretches: list[list[float]] = [[] for _ in range(math.ceil(seconds / QUANTILE_SECONDS))]
    for request in requests:
        place = math.ceil(request.at / QUANTILE_SECONDS) - 1
        if request.ok and request.latency is not None and 0 <= place < len(stretches):
            stretches[place].append(request.latency)
    quantiles = {
        percent: tuple(percentile(sorted(one), percent) or math.nan for one in stretches) for percent in (50, 99)
    }
    middles = tuple((place + 0.5) * QUANTILE_SECONDS for place in range(len(stretches)))
    return Latencies(seconds=middles, p50=quantiles[50], p99=quantiles[99])
