# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A long answer, line by line: a watch or a log, which another thread may end while a read waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

with contextlib.suppress(ImportError):  # said when a client is made
    from urllib3.exceptions import HTTPError


class Lines:
    """The lines of an answer, to be read once, by one thread; `unreachable` makes the error of a broken line."""

    def __init__(self, response: Any, unreachable: Callable[[Exception], Exception]) -> None:
        self._response = response
        self._unreachable = unreachable
        self._hung_up = False

    def __iter__(self) -> Iterator[str]:
        """Until the server ends the answer or hang_up(); ClusterStopped after silence or where the line is cut."""
        rest = b""
        try:
            for chunk in self._response.stream(amt=None):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            if rest and not self._hung_up:
                yield rest.decode(errors="replace")
        except (HTTPError, OSError, ValueError) as error:
            if not self._hung_up:  # else the error is our own doing
                raise self._unreachable(error) from error
        finally:
            self._response.close()

    def hang_up(self) -> None:
        """End the iteration soon, from any thread; a second call and one after the end do nothing.

        urllib3's close() from another thread waits for the read that it should end, so the socket is shut down.
        """
        self._hung_up = True
        # The answer may just have ended, or have been closed.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()
