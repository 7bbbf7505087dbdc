# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The controller's process: `python -m ansible_collections.claudescale.core.plugins.module_utils.controller`.

It has no work yet and serves its health endpoint until SIGTERM or SIGINT.

Settings, from the environment:
    CLAUDESCALE_HEALTH_PORT   where /healthz, /readyz and /metrics answer   8080
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from ansible_collections.claudescale.core.plugins.module_utils.controller.health import HealthServer

DEFAULT_PORT = 8080


def main() -> int:
    """Run until a signal asks to leave: 0 then, 2 where the port is wrong or taken."""
    text = os.environ.get("CLAUDESCALE_HEALTH_PORT") or str(DEFAULT_PORT)
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_args: leaving.set())
    try:
        # All addresses: kubelet and Prometheus ask from outside the pod's network namespace.
        health = HealthServer(host="0.0.0.0", port=int(text), ready=lambda: not leaving.is_set())  # noqa: S104
    except (ValueError, OverflowError, OSError) as error:
        sys.stderr.write(f"controller: CLAUDESCALE_HEALTH_PORT is {text!r}, which cannot be listened on: {error}\n")
        return 2
    health.start()
    leaving.wait()
    health.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
