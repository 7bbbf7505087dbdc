# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Read what state.py makes a state of: lists side by side, and the last records without reading the whole chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import RECORDS_SHOWN, Objects
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

CONTENT = {
    "deployments": "/apis/apps/v1/namespaces/{}/deployments",
    "statefulsets": "/apis/apps/v1/namespaces/{}/statefulsets",
    "pods": "/api/v1/namespaces/{}/pods",
    "autoscalers": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "policies": f"/apis/{chain.API_VERSION}/namespaces/{{}}/scalingpolicies",
    "leases": f"/apis/{chain.API_VERSION}/namespaces/{{}}/capacityleases",
}
AT_ONCE = 8  # records


def gather(reader: Reader, *, near: int | None = None) -> Objects:
    """The objects of the reader's namespace. `near`: the sequence of a record that may be close to the last one.

    NotInstalled where the kinds are missing, else as the client raises. The first request is made alone: where nothing
    answers, that is known before there are eight of them.
    """
    reader.kinds_exist()

    def listed(path: str) -> list[dict[str, Any]]:
        return list(reader.client.pages(path.format(reader.namespace)))

    with ThreadPoolExecutor(len(CONTENT) + 1) as pool:
        lists = {name: pool.submit(listed, path) for name, path in CONTENT.items()}
        records = pool.submit(last_records, reader, RECORDS_SHOWN, near=near)
        return Objects(records=records.result(), **{name: found.result() for name, found in lists.items()})


def last_records(reader: Reader, count: int, *, near: int | None = None) -> list[dict[str, Any]]:
    """The last records, oldest first; [] where there are none. Their names are their sequence, so a search finds them.

    Where records are missing from the middle of the chain it may end there, which only a whole verify can tell.
    """
    last = last_record(reader, near=near)
    found = (record_at(reader, sequence) for sequence in range(max(0, last - count + 1), last + 1))
    return [item for item in found if item is not None]


def last_record(reader: Reader, *, near: int | None = None) -> int:
    """The sequence of the last record, -1 where there is none."""
    return last_sequence(lambda sequence: record_at(reader, sequence) is not None, near=near)


def record_at(reader: Reader, sequence: int) -> dict[str, Any] | None:
    """One record as the API server has it."""
    return reader.client.find(chain.record_path(reader.namespace, sequence))


def records_at(reader: Reader, sequences: Iterable[int]) -> dict[int, dict[str, Any] | None]:
    """Records by their sequence, side by side; None for one that is not there."""
    wanted = list(sequences)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(lambda sequence: record_at(reader, sequence), wanted), strict=True))


def last_sequence(exists: Callable[[int], bool], *, near: int | None = None) -> int:
    """The greatest sequence that exists where all from 0 to it do, -1 where none does; asks O(log n) times."""
    low = near if near is not None and near >= 0 and exists(near) else -1
    step = 1
    while exists(low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exists(middle) else (low, middle)
    return low
