"""What is printed while something plays: steps, lines with their moment, and progress while it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.status import Status
from rich.text import Text

from claudescale_cli.common import make_console, plain

PROGRESS_EVERY = 30.0  # seconds between two lines of progress where there is no terminal


class Screen:
    """Lines on standard output. Once an act has begun, each has the seconds since then."""

    def __init__(self) -> None:
        self.console = make_console()
        self.began: float | None = None  # monotonic
        self._status: Status | None = None
        self._told = 0.0

    @property
    def blocks(self) -> bool:
        """Whether block characters can be shown."""
        return self.console.encoding.lower().startswith("utf")

    def step(self, title: str) -> None:
        """The headline of a step."""
        self.began = None
        self.console.print(f"\n{title}", style="bold", markup=False)

    def say(self, words: str, *, at: float | None = None) -> None:
        """A line; `at` is the monotonic moment that it speaks of, where that is not now."""
        moment = time.monotonic() if at is None else at
        if self.began is None:
            self.line(f"  {words}")
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(time.time() - time.monotonic() + moment))
            self.line(f"  {clock} {moment - self.began:+7.1f} s  {words}")

    def line(self, words: str) -> None:
        """A line as it stands."""
        self.console.print(words, markup=False, soft_wrap=True)

    def facts(self, lines: list[tuple[str, str]]) -> None:
        """Nouns and what is said of them."""
        for noun, words in lines:
            self.line(f"  {noun:<12}{plain(words)}")

    def progress(self, words: str) -> None:
        """What is waited for: in place on a terminal, a line now and then elsewhere."""
        if self._status is not None:
            self._status.update(Text(words))
        elif time.monotonic() - self._told >= PROGRESS_EVERY:
            self._told = time.monotonic()
            self.say(f"... {words}")

    @contextmanager
    def waiting(self, words: str) -> Iterator[None]:
        """A block in which progress is shown."""
        self._told = time.monotonic()
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(Text(plain(words))) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
