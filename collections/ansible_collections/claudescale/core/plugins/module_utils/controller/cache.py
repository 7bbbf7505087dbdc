# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The objects of one kind in one namespace, as a watch tells them. Written by the watch's thread, read by the worker.

An answer to our own write is put in at once, so that the worker never sees an older object than it wrote itself: of
two versions of an object the one with the higher resourceVersion counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]


class Cache:
    """`on_change(old, new)` is called after each change, outside the lock; None where there is no object."""

    def __init__(self, on_change: Callable[[Object | None, Object | None], None]) -> None:
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._on_change = on_change
        self.listed = threading.Event()  # the first list has been read

    def all(self) -> list[Object]:
        """Every object."""
        with self._lock:
            return list(self._objects.values())

    def get(self, name: str) -> Object | None:
        """The object of that name."""
        with self._lock:
            return self._objects.get(name)

    def put(self, item: Object) -> None:
        """An object as an event or an answer has it."""
        name = item["metadata"]["name"]
        with self._lock:
            old = self._objects.get(name)
            if old is not None and _version(old) >= _version(item):
                return
            self._objects[name] = item
        self._on_change(old, item)

    def remove(self, item: Object) -> None:
        """An object that is gone; one that was made anew under its name stays."""
        name = item["metadata"]["name"]
        with self._lock:
            old = self._objects.get(name)
            if old is None or old["metadata"]["uid"] != item["metadata"]["uid"]:
                return
            del self._objects[name]
        self._on_change(old, None)

    def replace(self, items: Iterable[Object]) -> None:
        """Everything, as a list has it."""
        found = {item["metadata"]["name"]: item for item in items}
        with self._lock:
            gone = [item for name, item in self._objects.items() if name not in found]
        for item in gone:
            self.remove(item)
        for item in found.values():
            self.put(item)
        self.listed.set()

    def event(self, kind: str, item: Object) -> None:
        """A watch's event: ADDED, MODIFIED or DELETED."""
        if kind == "DELETED":
            self.remove(item)
        else:
            self.put(item)


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])
