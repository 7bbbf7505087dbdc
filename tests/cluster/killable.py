"""The controller as a process of the host, for faults: it may die at a call, look through a proxy, have a wrong clock.

    python -m tests.cluster.killable --context C --kubeconfig F --namespaces N [--kill-at I --when before|after]
        [--calls FILE] [--proxy URL] [--clock-offset SECONDS]

Every public method of the client is wrapped, whatever its name, so that no call of the worker can be forgotten. With
--calls each of them is written to a file, one a line. It is killed by SIGKILL: nothing of it can run afterwards.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.controller import logs
from ansible_collections.claudescale.core.plugins.module_utils.controller.__main__ import serve
from ansible_collections.claudescale.core.plugins.module_utils.controller.loop import Controller

WORKER = "worker"
NOT_CALLS = {"in_cluster", "from_configuration", "as_account", "authorization"}


class Killer:
    """Counts the worker's calls, and kills the process before or after one of them (the first is 1)."""

    def __init__(self, at: int, when: str, calls: Path | None) -> None:
        self.at = at
        self.when = when
        self.calls = calls
        self.count = 0
        self.inside = False  # a method of the client may use another one: that is one call

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(path: str = "", *args: Any, **more: Any) -> Any:
            if threading.current_thread().name != WORKER or self.inside:
                return method(path, *args, **more) if path else method(*args, **more)
            self.count += 1
            mine = self.count
            if self.calls is not None:
                with self.calls.open("a", encoding="utf-8") as file:
                    file.write(f"{name} {shape(path)}\n")
            if mine == self.at and self.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            self.inside = True
            try:
                answer = method(path, *args, **more) if path else method(*args, **more)
                if inspect.isgenerator(answer):
                    answer = iter(list(answer))
            finally:
                self.inside = False
            if mine == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    def wrap(self, client: ClusterClient) -> None:
        for name, method in inspect.getmembers(client, inspect.ismethod):
            if not name.startswith("_") and name not in NOT_CALLS:
                setattr(client, name, self.around(name, method))


def shape(path: str) -> str:
    """A path with every name replaced, so that calls of one kind look alike."""
    short = re.sub(r"^/(api|apis)/([^/]+/)?v\d\w*/namespaces/[^/]+/?", "", path)
    parts = short.split("/")
    return "/".join("NAME" if place == 1 else part for place, part in enumerate(parts)) or "namespace"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", required=True)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespaces", required=True)
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--when", choices=["before", "after"], default="before")
    parser.add_argument("--calls", type=Path)
    parser.add_argument("--proxy")
    parser.add_argument("--clock-offset", type=float, default=0.0)
    options = parser.parse_args()
    logs.set_up()
    namespaces = options.namespaces.split(",")
    person = ClusterClient(context=options.context, namespace="claudescale", kubeconfig=options.kubeconfig)
    client = person.as_account("claudescale-controller")
    if options.proxy:
        client.configuration.host = options.proxy
    Killer(options.kill_at, options.when, options.calls).wrap(client)
    clock = ServerClock(wall=lambda: time.time() + options.clock_offset)
    return serve(Controller(client, namespaces, clock=clock), None)


if __name__ == "__main__":
    raise SystemExit(main())
