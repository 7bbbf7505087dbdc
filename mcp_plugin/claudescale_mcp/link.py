"""The way to the cluster, with the assistant's own account and nobody else's rights.

The person's kubeconfig is used for one thing: to make short-lived tokens of that account (TokenRequest), which are kept
in memory. It is read when a tool first needs the cluster, and again after the cluster was not there, so that one that
was started anew just works.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

Result = TypeVar("Result")

ACCOUNT = "claudescale-sa"
FIELD_MANAGER = "claudescale-mcp"
# With the client's own time to connect, 1.5 s, a cluster that accepts connections and says nothing is known in 2.7 s.
PROBE_SECONDS = 1.2
AT_ONCE_SECONDS = 0.2  # a connection that was kept and is dead fails at once; another try costs nothing


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

    def use(self, what: Callable[[Door], Result]) -> Result:
        """Do something through the door; where that failed because the way was an old one, once more through a new.

        `what` may be done twice, and must be such that this changes nothing more. Raises what the engine raises.
        """
        way, is_new = self._way()
        began = time.monotonic()
        try:
            return way.through(what)
        except ClaudeScaleError as error:
            if not _may_be_the_way(error):
                raise
            self._forget(way)
            if is_new:
                raise
            again, _ = self._way()
            slow = time.monotonic() - began > AT_ONCE_SECONDS
            if isinstance(error, ClusterStopped) and slow and again.host == way.host:
                raise  # a second wait for the same silence would be too long
            return again.through(what)

    def _way(self) -> tuple[_Way, bool]:
        with self._lock:
            if self._found is not None:
                return self._found, False
            self._found = _Way(self.place)
            return self._found, True

    def _forget(self, way: _Way) -> None:
        with self._lock:
            if self._found is way:
                self._found = None


class _Way:
    """One reading of the kubeconfig: a door with the account's tokens, and a look without any credentials."""

    def __init__(self, place: Place) -> None:
        person = ClusterClient(context=place.context, namespace=place.namespace, kubeconfig=place.kubeconfig)
        self.host = str(person.configuration.host)
        self._door = Door(person.as_account(ACCOUNT), FIELD_MANAGER)
        self._nobody = ClusterClient.from_configuration(
            configurations.without_credentials(person.configuration), namespace=place.namespace, context=place.context
        )

    def through(self, what: Callable[[Door], Result]) -> Result:
        with contextlib.suppress(ApiError):  # an answer is all that is wanted
            self._nobody.text("/version", seconds=PROBE_SECONDS)
        return what(self._door)


def _may_be_the_way(error: ClaudeScaleError) -> bool:
    """Whether another reading of the kubeconfig may help: nobody answers, or somebody else does."""
    if isinstance(error, ApiError):
        return error.status == 401
    return isinstance(error, ClusterStopped) or type(error) is ClaudeScaleError
