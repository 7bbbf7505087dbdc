"""The real server over stdio, started by the very entry that `make claude` writes, with next to no environment."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.clients import entry
from claudescale_cli.live.connection import Connection, started


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which cluster and namespace; the kubeconfig's path is absolute."""

    context: str
    namespace: str
    kubeconfig: str


def process(place: Place, *, writes: bool) -> AbstractAsyncContextManager[Connection]:
    """A server for as long as the block lasts; ClaudeScaleError where it does not start."""
    found = entry.Server(
        interpreter=sys.executable,
        kubeconfig=place.kubeconfig,
        context=place.context,
        namespace=place.namespace,
        allow_writes=writes,
    ).entry(typed=False)
    return started(found["command"], found["args"], found["env"])
