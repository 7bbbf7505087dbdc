# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Every request of a load: kept in the lines of its Job's log, and what they say together. Pure.

A request is what a user would have met. It begins when it is due by the plan, whether or not the generator was ready,
so its latency holds everything that the user waited for. One that could not be sent in time is a failure.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

TICKS = 10_000  # in a second: times are kept to a tenth of a millisecond
NOT_SENT = 0xFFFF  # stands for the code of a request that was not sent in time
MOST_REQUESTS = 1_000_000  # beyond what the bounds of a plan allow: what claims more is damaged
CHUNK = 12_000  # characters: container runtimes split lines at 16 KiB
COLUMNS = ((4, "I"), (4, "I"), (2, "H"))  # due, latency, code: bytes of a number, and its format
_PART = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*):([A-Za-z0-9+/]*={0,2})")


class ResultsDamaged(ClaudeScaleError):  # noqa: N818 - what was read is damaged or not complete, and the text says how
    """The parts of a load's results do not make a whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One planned request.

    `at`: when it was due, in seconds after the load began. `latency`: seconds from then until it was answered, None
    where no answer came or it was not sent in time. `code`: the HTTP code, 0 without an answer. `sent`: whether the
    generator sent it in time.
    """

    at: float
    latency: float | None
    code: int
    sent: bool = True

    @property
    def ok(self) -> bool:
        """Whether it was answered, and not with an error."""
        return 200 <= self.code < 400


def pack(requests: Iterable[Request]) -> list[str]:
    """The requests, in the order of their times, as parts of a log: ASCII, at most CHUNK characters and a number each.

    The same requests make the same parts. Times are rounded to a tenth of a millisecond.
    """
    ordered = sorted(requests, key=lambda request: request.at)
    due = [round(request.at * TICKS) for request in ordered]
    waits = [0 if request.latency is None else round(request.latency * TICKS) + 1 for request in ordered]
    codes = [request.code if request.sent else NOT_SENT for request in ordered]
    steps = [*due[:1], *(after - before for before, after in pairwise(due))]
    body = b"".join(
        _planes(column, size, kind) for column, (size, kind) in zip((steps, waits, codes), COLUMNS, strict=True)
    )
    text = base64.b64encode(zlib.compress(struct.pack("<I", len(ordered)) + body, 9)).decode()
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    return [f"{number}/{len(pieces)}:{piece}" for number, piece in enumerate(pieces, 1)]


def unpack(chunks: Iterable[str]) -> list[Request]:
    """The requests from their parts, in any order; a part may come twice.

    ResultsDamaged where one is missing or wrong.
    """
    text = "".join(_parts(chunks))
    try:
        inflating = zlib.decompressobj()
        body = inflating.decompress(base64.b64decode(text, validate=True), 4 + MOST_REQUESTS * 10)
    except (zlib.error, binascii.Error) as error:
        raise ResultsDamaged(f"the load's results are damaged ({error}): run the load again") from error
    count = struct.unpack_from("<I", body)[0] if len(body) >= 4 else MOST_REQUESTS
    if not inflating.eof or len(body) != 4 + count * sum(column[0] for column in COLUMNS):
        raise ResultsDamaged("the load's results are damaged (their length is wrong): run the load again")
    columns, start = [], 4
    for size, kind in COLUMNS:
        columns.append(_numbers(body[start : start + count * size], size, kind))
        start += count * size
    steps, waits, codes = columns
    return [
        Request(
            at=due / TICKS,
            latency=None if wait == 0 else (wait - 1) / TICKS,
            code=0 if code == NOT_SENT else code,
            sent=code != NOT_SENT,
        )
        for due, wait, code in zip(accumulate(steps), waits, codes, strict=True)
    ]


def _planes(numbers: Sequence[int], size: int, kind: str) -> bytes:
    """First the lowest byte of each number, then the next: what is alike stands together, and packs well."""
    data = struct.pack(f"<{len(numbers)}{kind}", *numbers)
    return b"".join(data[place::size] for place in range(size))


def _numbers(planes: bytes, size: int, kind: str) -> tuple[int, ...]:
    count = len(planes) // size
    data = bytearray(len(planes))
    for place in range(size):
        data[place::size] = planes[place * count : (place + 1) * count]
    return struct.unpack(f"<{count}{kind}", data)


def _parts(chunks: Iterable[str]) -> list[str]:
    found: dict[int, str] = {}
    totals = set()
    for chunk in chunks:
        part = _PART.fullmatch(chunk)
        if part is None or found.setdefault(int(part[1]), part[3]) != part[3]:
            raise ResultsDamaged("the load's results are damaged (a part is none): run the load again")
        totals.add(int(part[2]))
    if not totals:
        raise ResultsDamaged("the load left no results: it is not over, or its generator was ended")
    total = max(totals)
    if len(totals) > 1 or max(found) > total:
        raise ResultsDamaged("the load's results are damaged (parts of two loads): run the load again")
    if len(found) < total:
        raise ResultsDamaged(f"the load's results are incomplete: {len(found)} of {total} parts were found")
    return [found[number] for number in range(1, total + 1)]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What requests say together.

    planned = sent + unsent, and failed holds unsent. `slow` are those answered well, but later than the objective.
    `share` is slow and failed together, of planned: 0 to 1, and 0 where nothing was planned. p50, p95, p99 and max are
    seconds, of those answered well (a quick refusal is no quick answer); None where there is none.
    """

    planned: int
    sent: int
    ok: int
    failed: int
    unsent: int
    slow: int
    share: float
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


def figures(
    requests: Iterable[Request],
    *,
    planned: int | None = None,
    objective: float,
    window: tuple[float, float] | None = None,
) -> Figures:
    """The figures of the requests that were due in the window.

    `objective` and `window` are in seconds. The window is open at its start and closed at its end, as a segment is: at
    10 per second, the first request is due at 0.1 s, and the tenth at 1 s. `planned` is how many were due in it: what
    is missing from the requests, because the load ended early or was cut off, is added as not sent and failed. None:
    as many as there are.
    """
    if window is not None:
        requests = (request for request in requests if window[0] < request.at <= window[1])
    due = list(requests)
    wanted = max(len(due), 0 if planned is None else planned)
    sent = sum(request.sent for request in due)
    latencies = sorted(request.latency for request in due if request.ok and request.latency is not None)
    ok = len(latencies)
    slow = sum(latency > objective for latency in latencies)
    return Figures(
        planned=wanted,
        sent=sent,
        ok=ok,
        failed=wanted - ok,
        unsent=wanted - sent,
        slow=slow,
        share=(slow + wanted - ok) / wanted if wanted else 0.0,
        p50=percentile(latencies, 50),
        p95=percentile(latencies, 95),
        p99=percentile(latencies, 99),
        max=latencies[-1] if latencies else None,
    )


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of ascending values: the smallest that `percent` % of them do not exceed."""
    if not ordered:
        return None
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1]
