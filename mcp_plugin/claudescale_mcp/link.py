"""The way to the cluster, with the assistant's own account and nobody else's rights.

The person's kubeconfig is used for one thing: to make short-lived tokens of that account (TokenRequest), which are kept
in memory. It is read when a tool first needs the cluster, and again after the cluster was not there, so that one that
was started anew just works. What is wrong with it is said without a word of it, because it holds secrets.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.together import begin
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

Result = TypeVar("Result")
Stamp = tuple[tuple[str, int, int, int] | None, ...]

ACCOUNT = "claudescale-sa"
FIELD_MANAGER = "claudescale-mcp"
# With the client's own time to connect, 1.5 s, a cluster that accepts connections and says nothing is known in 2.7 s.
PROBE_SECONDS = 1.2
AT_ONCE_SECONDS = 0.2  # a connection that was kept and is dead fails at once; another try costs nothing
# The kubeconfig may name a program for its credentials, and that may wait for a person or for the network.
READ_SECONDS = 3.0
LOST_SECONDS = 60.0  # a reading that takes longer than this is not waited for any more
USE_SECONDS = 7.0  # for everything: an API server that has lost its store still says its version
SILENT = (
    "the API server has not answered this within {:.0f} s, although it is there: ask again in a few seconds, in the"
    " same words, because that changes nothing twice"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which cluster and namespace; kubeconfig None means KUBECONFIG, else ~/.kube/config."""

    context: str
    namespace: str
    kubeconfig: str | None = None


class Link:
    """Doors to one place. Asks nobody until it is used; safe from several threads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._found: _Way | None = None
        self._reading: _Reading | None = None
        logging.getLogger().addFilter(_keep_from_log)

    def use(self, what: Callable[[Door], Result], seconds: float = USE_SECONDS) -> Result:
        """Do something through the door; where that failed because the way was an old one, once more through a new.

        `what` may be done twice, and must be such that this changes nothing more. It may still go on, in a thread that
        nobody waits for, when the time is over. Raises what the engine raises.
        """
        began = time.monotonic()
        ends, late = began + seconds, SILENT.format(seconds)
        way, is_new = self._way(ends)
        try:
            return _awaited(begin(lambda: way.through(what)), ends, late)
        except ClaudeScaleError as error:
            if not _may_be_the_way(error):
                raise
            self._forget(way)
            if is_new or time.monotonic() >= ends:
                raise
            slow = time.monotonic() - began > AT_ONCE_SECONDS
            again, _ = self._way(ends)
            if isinstance(error, ClusterStopped) and slow and again.host == way.host:
                raise  # a second wait for the same silence would be too long
            return _awaited(begin(lambda: again.through(what)), ends, late)

    def _way(self, ends: float) -> tuple[_Way, bool]:
        with self._lock:
            if self._found is not None:
                return self._found, False
            if self._reading is None or self._reading.is_lost(self.place):
                self._reading = _Reading(self.place)
            reading = self._reading
        try:
            found = _awaited(
                reading.way,
                min(ends, time.monotonic() + READ_SECONDS),
                f"the kubeconfig is not read within {READ_SECONDS:.0f} s, perhaps because a program that it names for"
                f" credentials waits for somebody: run kubectl once with context {self.place.context}, then ask again",
            )
        except ClaudeScaleError:
            self._read(reading, None)
            raise
        self._read(reading, found)
        return found, True

    def _read(self, reading: _Reading, found: _Way | None) -> None:
        """A reading has come to its end, or is left to go on for the next call."""
        with self._lock:
            if self._reading is reading and reading.way.done():
                self._reading = None
                self._found = found

    def _forget(self, way: _Way) -> None:
        with self._lock:
            if self._found is way:
                self._found = None


class _Reading:
    """The kubeconfig while it is read, in a thread that nobody has to wait for."""

    def __init__(self, place: Place) -> None:
        self._stamp = _stamp(place)
        self._began = time.monotonic()
        self.way = begin(lambda: _Way(place))

    def is_lost(self, place: Place) -> bool:
        """Whether nothing can be hoped of it any more: it hangs, or reads what is not there any more."""
        return time.monotonic() - self._began > LOST_SECONDS or self._stamp != _stamp(place)


class _Way:
    """One reading of the kubeconfig: a door with the account's tokens, and a look without any credentials."""

    def __init__(self, place: Place) -> None:
        person = _person(place)
        self.host = str(person.configuration.host)
        self._account = person.as_account(ACCOUNT)
        self._door = Door(self._account, FIELD_MANAGER)
        self._nobody = ClusterClient.from_configuration(
            configurations.without_credentials(person.configuration), namespace=place.namespace, context=place.context
        )

    def through(self, what: Callable[[Door], Result]) -> Result:
        with contextlib.suppress(ApiError):  # an answer is all that is wanted
            self._nobody.text("/version", seconds=PROBE_SECONDS)
        self._authorize()
        return what(self._door)

    def _authorize(self) -> None:
        """Have the token that is used next, so that what is wrong with the person's credentials is told here."""
        try:
            self._account.authorization()
        except ClaudeScaleError as error:
            cause = error.__cause__
            if type(error) is not ClaudeScaleError or not isinstance(cause, configurations.UNUSABLE):
                raise
            # Of a token with a line break the cause's words are the whole header.
            raise ClaudeScaleError(
                f"the kubeconfig's credentials cannot be used ({_kind(cause)}): a line break in a token is one reason"
            ) from None


def _person(place: Place) -> ClusterClient:
    """A client with the person's own credentials."""
    _said.by_kubernetes = False
    try:
        person = ClusterClient(context=place.context, namespace=place.namespace, kubeconfig=place.kubeconfig)
    except ClusterStopped:
        raise
    except ClaudeScaleError as error:
        if error.__cause__ is None:
            raise
        raise ClaudeScaleError(
            f"the kubeconfig cannot be used ({_kind(error.__cause__)}): kubectl config view says what is wrong with it"
        ) from None
    if _said.by_kubernetes and not (person.configuration.api_key or person.configuration.cert_file):
        raise ClaudeScaleError(
            "the program that the kubeconfig names for credentials gives none:"
            f" kubectl with context {place.context} says why"
        )
    return person


def _kind(cause: BaseException) -> str:
    """What went wrong, without the words of whoever said so: a kubeconfig's parser repeats what it reads."""
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    mark = getattr(cause, "problem_mark", None)
    return type(cause).__name__ + (f" in line {mark.line + 1}" if mark is not None else "")


# What kubernetes logs while it reads a kubeconfig is what the program for credentials printed.
_said = threading.local()


def _keep_from_log(record: logging.LogRecord) -> bool:
    if record.module != "kube_config":
        return True
    _said.by_kubernetes = True
    return False


def _awaited(future: Future[Result], ends: float, late: str) -> Result:
    """Its result; ClaudeScaleError with the sentence `late` where there is none at `ends`, in monotonic seconds."""
    if not wait([future], max(ends - time.monotonic(), 0.0)).done:
        raise ClaudeScaleError(late)
    return future.result()


def _stamp(place: Place) -> Stamp:
    """By what a change of the kubeconfig's files is seen; no file is opened."""
    named = place.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    found: list[tuple[str, int, int, int] | None] = []
    for part in named.split(os.pathsep):
        path = Path(part).expanduser()
        try:
            seen = path.stat()
            found.append((part, seen.st_mtime_ns, seen.st_size, seen.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)


def _may_be_the_way(error: ClaudeScaleError) -> bool:
    """Whether another reading of the kubeconfig may help: nobody answers, or somebody else does."""
    if isinstance(error, ApiError):
        return error.status == 401
    return isinstance(error, ClusterStopped) or type(error) is ClaudeScaleError
