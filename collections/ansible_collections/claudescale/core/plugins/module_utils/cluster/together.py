# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Questions asked side by side, each with its own answer or error, and none waited for longer than is borne.

A thread pool would be waited for when the interpreter ends, for as long as a silent server likes; these threads are
not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

AT_ONCE = 8

Found = TypeVar("Found")
Question = tuple["Future[Any]", Callable[[], Any]]


def begin(ask: Callable[[], Found]) -> Future[Found]:
    """Ask one question; the answer to come."""
    answer: Future[Found] = Future()
    _thread(lambda: _answer(answer, ask))
    return answer


def together(questions: Mapping[str, Callable[[], Any]], *, at_once: int = AT_ONCE) -> dict[str, Future[Any]]:
    """Begin to ask, in this order; the answers to come, by the same names."""
    waiting: SimpleQueue[Question] = SimpleQueue()
    answers: dict[str, Future[Any]] = {}
    for name, ask in questions.items():
        answers[name] = Future()
        waiting.put((answers[name], ask))

    def work() -> None:
        while True:
            try:
                answer, ask = waiting.get_nowait()
            except Empty:
                return
            if answer.set_running_or_notify_cancel():
                _answer(answer, ask)

    for _number in range(min(at_once, len(answers))):
        _thread(work)
    return answers


def answer_of(answer: Future[Any], until: float) -> Any:
    """The answer, or its error raised; TimeoutError where there is none at a monotonic time: nobody asks any more."""
    try:
        return answer.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        answer.cancel()
        raise


def give_up(answers: Mapping[str, Future[Any]]) -> None:
    """Ask nothing that was not begun."""
    for answer in answers.values():
        answer.cancel()


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="claudescale-asks", daemon=True).start()


def _answer(answer: Future[Any], ask: Callable[[], Any]) -> None:
    try:
        answer.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - whoever waits raises it
        answer.set_exception(error)
