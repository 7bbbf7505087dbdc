# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Records as a file: JSON Lines, one record a line, nothing else, from the genesis on. Pure.

There is no header: the genesis says whose chain it is, and a count or a head in the same file would prove nothing.
A line has exactly one form, so a file in which any byte was changed is refused here or fails in verify.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line
from ansible_collections.claudescale.core.plugins.module_utils.record import payload

LONGEST_LINE = 2 * 2**20  # bytes; etcd takes objects of 1.5 MiB at most
TOP = {"apiVersion", "kind", "metadata", "spec"}


class ExportUnreadable(ClaudeScaleError):  # noqa: N818 - a finding, not a mistake of the program
    """The file is no export; `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"the export cannot be read in line {line}: {what}")
        self.line = line


def line(item: Mapping[str, Any]) -> bytes:
    """The line of a record's object, with its end; of the metadata only name and namespace."""
    metadata = item["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace")}
    return (payload.canonical({**{name: item[name] for name in TOP}, "metadata": kept}) + "\n").encode()


def read(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """The objects of an export, as they are read. ExportUnreadable names the first line that is none."""
    number = 0
    while written := stream.readline(LONGEST_LINE + 1):
        number += 1
        yield _item(written, number)


def _item(written: bytes, number: int) -> dict[str, Any]:
    if len(written) > LONGEST_LINE:
        raise ExportUnreadable(number, f"it is longer than {LONGEST_LINE} bytes, and no record is")
    if not written.endswith(b"\n"):
        raise ExportUnreadable(number, "it has no end, so the file was cut off or changed")
    try:
        item = json.loads(written.decode())
    except (ValueError, RecursionError) as error:
        raise ExportUnreadable(number, f"it is no JSON ({one_line(str(error), 80)})") from None
    if not isinstance(item, dict) or set(item) != TOP or not isinstance(item["metadata"], dict):
        raise ExportUnreadable(number, "it is no record")
    if set(item["metadata"]) != {"name", "namespace"}:
        raise ExportUnreadable(number, "its metadata are not a name and a namespace")
    if not _is_written_so(item, written):
        raise ExportUnreadable(number, "it is not written as records export writes it (keys sorted, no spaces)")
    return item


def _is_written_so(item: dict[str, Any], written: bytes) -> bool:
    try:
        return line(item) == written
    except (ValueError, RecursionError):
        return False
