# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""List and watch that survives: what a controller builds on. It reads only and decides nothing.

One thread reads from the API server; the caller's thread waits for its news and calls back. So a stop is obeyed in
time whatever the reading thread waits for (a connection, the head of an answer, the next event), and no callback comes
after follow() returned. A reading thread that is left in the middle of a request ends with that request's time-out.

What goes wrong is told to `on_error`, then there is a pause, then the next attempt: from the last resourceVersion
where that may still be good, else by a new list.
"""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster import answers
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.streams import Lines
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

LEAST_PAUSE = 0.2  # seconds after a failure; twice as long after each further one
MOST_PAUSE = 5.0
MOST_RETRY_AFTER = 30.0  # an answer may ask for more patience than that, but leases wait
STOP_SECONDS = 0.25  # how often the waiting caller looks at `stop`
LEAVE_SECONDS = 0.3  # for the reading thread to end, before it is left to its time-outs
NEWS = 1000  # events that wait for a slow caller; more stay in the connection
EARLY_SECONDS = 1.0  # a watch that ends sooner, without an event, is a failure: it would be asked for without pause


def follow(
    client: ClusterClient,
    path: str,
    *,
    on_list: Callable[[list[dict[str, Any]]], None],
    on_event: Callable[[str, dict[str, Any]], None],
    stop: threading.Event,
    on_error: Callable[[ClaudeScaleError], None] = lambda _error: None,
    query: Mapping[str, str] | None = None,
    server_seconds: int = 20,
    silence_seconds: float = 30.0,
    resync_seconds: float = 300.0,
) -> None:
    """Call on_list with all objects of a list's path, then on_event with each change, until `stop` is set.

    on_list comes again (and replaces everything) after resync_seconds, a second later at most while the server answers,
    and wherever events may have been missed. on_event's type is ADDED, MODIFIED or DELETED; the changes of one object
    come in their order. The server ends each watch after server_seconds; silence_seconds without a byte mean a dead
    line, so they must be more.

    Callbacks run in the caller's thread, one at a time; what they raise ends follow() and is raised from it.
    Returns within 1 s of the stop.
    """
    reader = _Reader(
        client,
        path,
        dict(query or {}),
        server_seconds=server_seconds,
        silence_seconds=silence_seconds,
        resync_seconds=resync_seconds,
    )
    calls: dict[str, Callable[..., None]] = {"list": on_list, "event": on_event, "error": on_error}
    thread = threading.Thread(target=reader.run, name=f"follow {path}", daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            try:
                kind, facts = reader.news.get(timeout=STOP_SECONDS)
            except queue.Empty:
                continue
            if kind == "broken":
                raise facts[0]
            calls[kind](*facts)
    finally:
        reader.end()
        thread.join(timeout=LEAVE_SECONDS)


class _Reader:
    """What the reading thread does and knows. `news` are ("list" | "event" | "error" | "broken", arguments)."""

    def __init__(
        self,
        client: ClusterClient,
        path: str,
        query: dict[str, str],
        *,
        server_seconds: int,
        silence_seconds: float,
        resync_seconds: float,
    ) -> None:
        self._client = client
        self._path = path
        self._query = query
        self._server_seconds = server_seconds
        self._silence_seconds = silence_seconds
        self._resync_seconds = resync_seconds
        self.news: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(NEWS)
        self._version = ""  # of the last list, event or bookmark; "" where a list must come first
        self._listed = 0.0  # monotonic
        self._failures = 0  # since the last sign of a good watch
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stream: Lines | None = None

    def run(self) -> None:
        """Until end(); an error that is nobody's answer is a fault of ours and ends the follower too."""
        try:
            while not self._ended.is_set():
                self._attempt()
        except Exception as error:  # noqa: BLE001 - raised again where follow() was called
            self._tell("broken", error)

    def end(self) -> None:
        """Let run() return as soon as it can; from any thread."""
        with self._lock:
            self._ended.set()
            if self._stream is not None:
                self._stream.hang_up()

    def _attempt(self) -> None:
        try:
            if not self._version or self._until_resync() <= 0:
                self._list()
            self._watch()
        except ClaudeScaleError as error:
            if self._ended.is_set():
                return
            self._tell("error", error)
            self._failures += 1
            # One failure alone leaves a version that can be watched from. Two may be another cluster.
            if self._failures > 1 or _outdated(error):
                self._version = ""
            self._ended.wait(pause(self._failures, getattr(error, "retry_after", None)))

    def _list(self) -> None:
        items, version = self._client.listed(self._path, self._query)
        if not version:
            raise ClaudeScaleError(f"the list at {self._path} has no resourceVersion, so it cannot be watched")
        self._version = version
        self._listed = time.monotonic()
        self._tell("list", items)

    def _watch(self) -> None:
        seconds = max(1, min(self._server_seconds, int(self._until_resync())))
        wanted = {
            **self._query,
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        started = time.monotonic()
        stream = self._client.stream(self._path, wanted, silence=self._silence_seconds)
        with self._lock:
            self._stream = stream
            if self._ended.is_set():
                stream.hang_up()
        lines = 0
        try:
            for line in stream:
                kind, found = _event(line)
                if kind != "BOOKMARK":
                    self._tell("event", kind, found)
                self._version = found["metadata"]["resourceVersion"]
                self._failures = 0
                lines += 1
                # A proxy may keep up what the server was told to end; lists must come all the same.
                if self._ended.is_set() or time.monotonic() - started > seconds + self._silence_seconds:
                    return
        finally:
            with self._lock:
                self._stream = None
            stream.hang_up()
        if not lines and time.monotonic() - started < min(EARLY_SECONDS, seconds):
            raise answers.ClusterStopped(f"the watch of {self._path} ended as soon as it began")
        self._failures = 0

    def _until_resync(self) -> float:
        return self._listed + self._resync_seconds - time.monotonic()

    def _tell(self, kind: str, *facts: Any) -> None:
        while not self._ended.is_set():
            try:
                return self.news.put((kind, facts), timeout=STOP_SECONDS)
            except queue.Full:
                continue
        return None


def pause(failures: int, retry_after: float | None = None) -> float:
    """Seconds to wait after so many failures in a row (1 or more): LEAST_PAUSE to MOST_PAUSE, more where asked to."""
    longest = min(MOST_PAUSE, LEAST_PAUSE * 2.0 ** min(failures, 10))
    seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that followers do not come at once: no secret
    return max(seconds, min(retry_after or 0.0, MOST_RETRY_AFTER))


def _outdated(error: ClaudeScaleError) -> bool:
    """Whether what was read before may no longer be true: the version expired, or the kind or the right was gone."""
    return isinstance(error, answers.ApiError) and error.status < 500 and error.status != 429


def _event(line: str) -> tuple[str, dict[str, Any]]:
    try:
        event = json.loads(line)
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            raise answers.watch_refusal(found)
        if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"} or not found["metadata"]["resourceVersion"]:
            raise ValueError
    except (ValueError, LookupError, TypeError) as error:
        # A line that was cut ends here too.
        raise answers.ClusterStopped(f"the watch sent what is no event: {one_line(line, 100)}") from error
    return kind, found
