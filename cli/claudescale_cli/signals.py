"""Signals for commands that leave something behind unless they clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Signalled(BaseException):
    """A signal came: like KeyboardInterrupt, nothing but the outermost place may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def signals_raise() -> Iterator[None]:
    """SIGTERM and a closed terminal end a command as Ctrl-C does."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise Signalled(number)

    # What is ignored stays ignored: that is what nohup is for.
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def no_signals() -> Iterator[None]:
    """While something is cleaned up, which is bounded in time, a second Ctrl-C must not leave it as it is."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(ended: BaseException) -> int:
    """What a shell expects of a command that a signal ended."""
    return 128 + (ended.number if isinstance(ended, Signalled) else signal.SIGINT)
