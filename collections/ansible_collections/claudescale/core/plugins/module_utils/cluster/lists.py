# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Long lists, read page by page, that may expire while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.answers import ApiError

PAGE = 500  # objects: kubectl's own
RESTARTS = 3  # of one list; continue tokens live for 5 minutes

Get = Callable[[str, Mapping[str, str]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some items of a list; `first` where it begins (again), `version` its resourceVersion."""

    items: list[dict[str, Any]]
    version: str
    first: bool


def pages(get: Get, path: str, query: Mapping[str, str], limit: int = PAGE) -> Iterator[Page]:
    """The pages of a list; after a 410 from its beginning again, which is raised the RESTARTS + 1st time."""
    token = ""
    restarts = 0
    while True:
        try:
            answer = get(path, {**query, "limit": str(limit), **({"continue": token} if token else {})})
        except ApiError as error:
            restarts += 1
            if error.status != 410 or not token or restarts > RESTARTS:
                raise
            token = ""
            continue
        meta = answer.get("metadata") or {}
        version = str(meta.get("resourceVersion") or "")
        yield Page(items=answer.get("items") or [], version=version, first=not token)
        token = meta.get("continue") or ""
        if not token:
            return


def each(found: Iterator[Page]) -> Iterator[dict[str, Any]]:
    """Each object once, as it was when it first came."""
    seen: set[str] = set()
    for page in found:
        for item in page.items:
            meta = item["metadata"]
            identity = meta.get("uid") or f"{meta.get('namespace')}/{meta['name']}"
            if identity not in seen:
                seen.add(identity)
                yield item


def whole(found: Iterator[Page]) -> tuple[list[dict[str, Any]], str]:
    """All objects as they were at one moment, and that moment's resourceVersion."""
    items: list[dict[str, Any]] = []
    version = ""
    for page in found:
        items = page.items if page.first else items + page.items
        version = page.version
    return items, version
