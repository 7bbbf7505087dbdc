"""The load of one run: its Job, the lines that it says, and the moment at which it began."""

from __future__ import annotations

import threading
import time
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun


class Generator:
    """A load that runs, read by a thread of its own. Its fields may be read at any time.

    `began` is monotonic: a line about second N comes N seconds after the beginning at the earliest, so the earliest of
    all lines tells it, to the time that a line is under way.
    """

    def __init__(self, run: LoadRun) -> None:
        self.run = run
        self.began: float | None = None
        self.last: dict[str, Any] = {}  # the last line of progress
        self.summary: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Create the Job and read what it says; LoadRefused where another load runs."""
        self.run.start()
        self._thread.start()

    def look(self) -> None:
        """Raise what went wrong: ClaudeScaleError where the load could not run or died."""
        if isinstance(self.error, ClaudeScaleError):
            raise ClaudeScaleError(f"the load failed, so this run cannot be judged: {self.error}") from self.error
        if self.error is not None:
            raise self.error

    def seconds(self) -> float:
        """Seconds since it began, negative infinity before that is known."""
        return float("-inf") if self.began is None else time.monotonic() - self.began

    def requests(self) -> tuple[Request, ...]:
        """Every request, once the summary is there; ClaudeScaleError where they are damaged."""
        return tuple(self.run.results())

    def _read(self) -> None:
        try:
            for line in self.run.follow():
                self._take(line)
            if self.summary is None:
                raise ClaudeScaleError("its lines ended without a summary")
        except BaseException as error:  # noqa: BLE001 - raised again by look()
            self.error = error

    def _take(self, line: dict[str, Any]) -> None:
        if line["kind"] == "progress":
            began = time.monotonic() - line["second"]
            self.began = began if self.began is None else min(began, self.began)
            self.last = line
        elif line["kind"] == "summary":
            self.summary = line
        else:
            raise ClaudeScaleError(str(line.get("message", "it says no reason")))
