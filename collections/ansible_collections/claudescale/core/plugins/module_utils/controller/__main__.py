# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The controller's process: `python -m ansible_collections.claudescale.core.plugins.module_utils.controller`.

Runs until SIGTERM or SIGINT. Settings, from the environment:
    CLAUDESCALE_NAMESPACES                    the attached namespaces, comma-separated      the pod's own
    CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED    how long finished leases stay                 900
    CLAUDESCALE_HEALTH_PORT                   where /healthz, /readyz and /metrics answer   8080
    CLAUDESCALE_LOG_LEVEL                     DEBUG, INFO, WARNING or ERROR                 INFO
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import logs
from ansible_collections.claudescale.core.plugins.module_utils.controller.health import HealthServer
from ansible_collections.claudescale.core.plugins.module_utils.controller.loop import DEFAULT_TTL_SECONDS, Controller
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_PORT = 8080
YEAR_SECONDS = 365 * 86_400


def main(environment: Mapping[str, str]) -> int:
    """Run until a signal asks to leave: 0 then, 2 with one line where a setting is wrong or no cluster is around."""
    try:
        own = OWN_NAMESPACE.read_text(encoding="utf-8").strip() if OWN_NAMESPACE.exists() else ""
        namespaces = names(environment.get("CLAUDESCALE_NAMESPACES") or own)
        ttl = number(environment, "CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED", DEFAULT_TTL_SECONDS, most=YEAR_SECONDS)
        port = number(environment, "CLAUDESCALE_HEALTH_PORT", DEFAULT_PORT, most=65535)
        logs.set_up(environment.get("CLAUDESCALE_LOG_LEVEL") or "INFO")
        client = ClusterClient.in_cluster(namespace=own or namespaces[0])
        return serve(Controller(client, namespaces, ttl=ttl), port)
    except ClaudeScaleError as error:
        sys.stderr.write(f"controller: {error}\n")
        return 2


def serve(controller: Controller, port: int | None) -> int:
    """Run a controller with its health endpoint (None: without) until SIGTERM or SIGINT."""
    health = None
    if port is not None:
        try:
            # All addresses: kubelet and Prometheus ask from outside the pod's network namespace.
            health = HealthServer(
                host="0.0.0.0",  # noqa: S104
                port=port,
                ready=lambda: controller.ready and not controller.stop.is_set(),
                alive=lambda: controller.alive,
            )
        except (OverflowError, OSError) as error:
            raise ClaudeScaleError(f"port {port} for health and metrics cannot be listened on: {error}") from error
        health.start()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_args: controller.stop.set())
    worker = threading.Thread(target=controller.run, name="worker")
    worker.start()
    # The main thread waits in short steps: a signal handler runs only between them.
    while worker.is_alive():
        worker.join(timeout=0.2)
    if health is not None:
        health.close()
    return 0


def names(text: str) -> list[str]:
    """The names of a comma-separated list; ClaudeScaleError where there is none."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ClaudeScaleError("CLAUDESCALE_NAMESPACES is empty: name the namespaces to look after, comma-separated")
    return found


def number(environment: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """A setting that is a whole number; ClaudeScaleError names it where it is none."""
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ClaudeScaleError(f"{name} is {text!r}: write a whole number from 0 to {most}")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
