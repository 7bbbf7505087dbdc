# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The HTTP endpoint of a long-running process: /healthz, /readyz and /metrics, for probes and for Prometheus.

What "ready" and "alive" mean is the caller's to say; this file only answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
except ImportError:  # without it everything but /metrics is served
    generate_latest = None
    CONTENT_TYPE_LATEST = ""

CONNECTION_SECONDS = 5.0  # a client that sends nothing for so long is cut off


class HealthServer(ThreadingHTTPServer):
    """Serves until close(); OSError where the address is taken. Port 0 takes a free one, see `port`."""

    daemon_threads = True

    def __init__(
        self, *, host: str, port: int, ready: Callable[[], bool], alive: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__((host, port), _Handler)
        self.ready = ready
        self.alive = alive
        self._thread = threading.Thread(target=self.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    timeout = CONNECTION_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(*((200, b"ok\n") if self.server.alive() else (503, b"stuck\n")))
        elif path == "/readyz":
            self._answer(*((200, b"ready\n") if self.server.ready() else (503, b"not ready\n")))
        elif path == "/metrics" and generate_latest is not None:
            self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
        else:
            self._answer(404, b"not found\n")

    def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "claudescale"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Probes come every few seconds: they are no news."""
