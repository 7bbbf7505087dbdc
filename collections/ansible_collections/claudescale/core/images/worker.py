# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The demo app's worker: an HTTP server on which one request costs a known amount of CPU.

nginx forwards `/work` to it inside the demo pod. One request burns WORK_CPU_MS of its thread's CPU time, one request
at a time, so a pod's load is rate x cost and nothing else; what comes faster waits here, at most QUEUE_LIMIT requests,
and beyond that is answered 503 at once: memory is bounded. In the image it runs alone, without the engine.

Settings, from the environment:
    PORT            where it listens                                        8081
    WORK_CPU_MS     CPU milliseconds that one /work costs, 0 to 1000           5
    WARMUP_SECONDS  /readyz answers 503 until so long after the start, 0-600   0
    QUEUE_LIMIT     /work requests in the pod at once, 1 to 1000              64
    DRAIN_SECONDS   how long it goes on serving after SIGTERM, 0 to 60         3
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# The histogram's bounds, as multiples of what a request costs: fine where an idle pod answers, up to a full queue on a
# throttled CPU. The first keeps a quantile from being read between 0 and a cost that no answer falls below.
BUCKETS = (1, 1.2, 1.5, 2, 3, 5, 10, 20, 40, 70, 100, 150, 200, 300, 500, 1000)
CONNECTION_SECONDS = 5.0  # a client that sends nothing for so long is cut off
QUEUE_SECONDS = 10.0  # what a full queue takes on a throttled CPU, several times over
OTHER_CONNECTIONS = 16  # for probes and scrapes, so that a full queue never fails a liveness probe
LIMITS = {
    "PORT": (8081, 1, 65535),
    "WORK_CPU_MS": (5, 0, 1000),
    "WARMUP_SECONDS": (0, 0, 600),
    "QUEUE_LIMIT": (64, 1, 1000),
    "DRAIN_SECONDS": (3, 0, 60),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the worker behaves; every value that exists is inside its bounds."""

    port: int
    work_cpu_ms: float
    warmup_seconds: float
    queue_limit: int
    drain_seconds: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables; ValueError names the variable that is no number or out of bounds."""
    values: dict[str, float] = {}
    for name, (default, low, high) in LIMITS.items():
        text = environment.get(name) or str(default)
        try:
            values[name] = float(text)
        except ValueError:
            raise ValueError(f"{name} is {text!r}, which is no number") from None
        if not low <= values[name] <= high:
            raise ValueError(f"{name} is {text}, allowed is {low} to {high}")
    return Settings(
        port=int(values["PORT"]),
        work_cpu_ms=values["WORK_CPU_MS"],
        warmup_seconds=values["WARMUP_SECONDS"],
        queue_limit=int(values["QUEUE_LIMIT"]),
        drain_seconds=values["DRAIN_SECONDS"],
    )


def burn(until_thread_seconds: float) -> None:
    """Use CPU until this thread has used so many seconds of it since it began."""
    number = 1
    while time.thread_time() < until_thread_seconds:
        for _step in range(100):
            number = number * 1103515245 % 2147483647


class Worker(HTTPServer):
    """The server: one thread per connection, never more than the queue's limit and a few for probes.

    The registry is its own, so that several workers can live in one test process.
    """

    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, settings: Settings, host: str = "0.0.0.0") -> None:  # noqa: S104 - a container's only way to be reached
        self.settings = settings
        self.hostname = socket.gethostname()
        self.started = time.monotonic()
        self.draining = threading.Event()
        self.turn = threading.Semaphore(1)
        self.queue = threading.BoundedSemaphore(settings.queue_limit)
        self.connections = threading.BoundedSemaphore(settings.queue_limit + OTHER_CONNECTIONS)
        self.registry = CollectorRegistry()
        self.duration = Histogram(
            "demo_app_request_duration_seconds",
            "Seconds from accepting a /work request to its answer, waiting included.",
            buckets=[round(factor * max(settings.work_cpu_ms, 1) / 1000, 6) for factor in BUCKETS],
            registry=self.registry,
        )
        self.requests = Counter("demo_app_requests", "Answers to /work by HTTP code.", ["code"], registry=self.registry)
        self.waiting = Gauge("demo_app_requests_in_worker", "/work requests in the worker now.", registry=self.registry)
        self.cost = Gauge("demo_app_work_cpu_seconds", "CPU seconds that one /work costs.", registry=self.registry)
        self.cost.set(settings.work_cpu_ms / 1000)
        for code in ("200", "503"):
            self.requests.labels(code)
        super().__init__((host, settings.port), BaseHTTPRequestHandler)  # _serve names the real one

    def ready(self) -> bool:
        """Whether new requests are welcome: warmed up, and not on its way out."""
        return not self.draining.is_set() and time.monotonic() - self.started >= self.settings.warmup_seconds

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give an accepted connection its thread, or close it where all of them are taken."""
        accepted = time.monotonic()
        if not self.connections.acquire(blocking=False):
            self.requests.labels("503").inc()
            self.shutdown_request(request)
            return
        try:
            threading.Thread(target=self._serve, args=(request, client_address, accepted), daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            self.connections.release()
            self.shutdown_request(request)

    def _serve(self, request: socket.socket, client_address: Any, accepted: float) -> None:
        try:
            request.settimeout(CONNECTION_SECONDS)
            Handler(request, client_address, self, accepted)
        except OSError:
            pass  # the client went away: nobody is left to tell
        finally:
            self.shutdown_request(request)
            self.connections.release()

    def drain(self) -> None:
        """Leave as a pod should: not ready at once, serve what still comes, then what is left of the queue."""
        self.draining.set()
        time.sleep(self.settings.drain_seconds)
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + QUEUE_SECONDS
        for _slot in range(self.settings.queue_limit):
            self.queue.acquire(timeout=max(0.0, deadline - time.monotonic()))


class Handler(BaseHTTPRequestHandler):
    """One request of one connection: keep-alive would let a connection occupy a thread while it is idle."""

    server: Worker
    protocol_version = "HTTP/1.0"

    def __init__(self, request: socket.socket, client_address: Any, server: Worker, accepted: float) -> None:
        self.accepted = accepted
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        """Answer by path."""
        path = self.path.partition("?")[0]
        if path == "/work":
            self._work()
        elif path == "/healthz":
            self._answer(200, b"ok\n")
        elif path == "/readyz":
            self._answer(*((200, b"ready\n") if self.server.ready() else (503, b"not ready\n")))
        elif path == "/metrics":
            self._answer(200, generate_latest(self.server.registry), CONTENT_TYPE_LATEST)
        else:
            self._answer(404, b"not found\n")

    def _work(self) -> None:
        server = self.server
        if not server.queue.acquire(blocking=False):
            server.requests.labels("503").inc()
            self._answer(503, b"the worker's queue is full\n")
            return
        try:
            with server.waiting.track_inprogress():
                with server.turn:
                    burn(server.settings.work_cpu_ms / 1000)
                body = {"pod": server.hostname, "cpu_ms": round(time.thread_time() * 1000, 3)}
                # Counted before the answer leaves: who has the answer finds it in the metrics.
                server.duration.observe(time.monotonic() - self.accepted)
                server.requests.labels("200").inc()
                self._answer(200, json.dumps(body).encode() + b"\n", "application/json")
        finally:
            server.queue.release()

    def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """No versions for strangers."""
        return "claudescale-worker"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: hundreds of requests a second are counted, not logged."""


def main() -> int:
    """Serve until SIGTERM or SIGINT, drain, and exit 0; 2 where a setting is wrong."""
    try:
        settings = read_settings(os.environ)
    except ValueError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    # A burning thread gives the interpreter away after this long: accepting and probes wait so long at most.
    sys.setswitchinterval(0.001)
    worker = Worker(settings)
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: leaving.set())
    threading.Thread(target=worker.serve_forever, daemon=True).start()
    print(f"worker: {settings} on port {settings.port}", flush=True)
    leaving.wait()
    worker.drain()
    print("worker: drained", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
