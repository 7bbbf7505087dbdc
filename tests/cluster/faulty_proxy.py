"""A proxy on loopback before the real API server, which refuses, cuts and falls silent as networks and busy servers do.

Faults are injected here and nowhere else: what is behind is the real thing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

SILENCE_SECONDS = 60.0


@dataclass
class Proxy:
    """`fault(method, path)` names what happens to a request: a status code as text, "cut", "silent", or None."""

    port: int = 0
    fault: Callable[[str, str], str | None] = lambda _method, _path: None
    injected: list[str] = field(default_factory=list)
    lifted: threading.Event = field(default_factory=threading.Event)
    watches: set[http.client.HTTPSConnection] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end_watches(self) -> None:
        """End the watches that are open, so that new ones meet the fault."""
        for there in list(self.watches):
            with contextlib.suppress(OSError, AttributeError):
                there.sock.shutdown(socket.SHUT_RDWR)

    def lift(self) -> None:
        self.fault = lambda _method, _path: None
        self.lifted.set()


@contextmanager
def proxy(client: ClusterClient) -> Iterator[Proxy]:
    """A proxy to the API server that the client speaks to; the caller's token is passed on."""
    made = Proxy()
    configuration = client.configuration
    target = urlsplit(configuration.host)
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = made.fault(self.command, self.path)
            if kind is not None:
                made.injected.append(f"{kind} {self.command}")
            if kind is not None and kind.isdigit():
                return self.refuse(int(kind))
            if kind == "silent":
                made.lifted.wait(SILENCE_SECONDS)
                self.close_connection = True
                return None
            return self.forward(body, cut=kind == "cut")

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 - the standard library's names

        def refuse(self, code: int) -> None:
            words = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}
            status = {"kind": "Status", "status": "Failure", "code": code, "reason": words[code], "message": "injected"}
            text = json.dumps(status).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if code == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(text)

        def forward(self, body: bytes, *, cut: bool) -> None:
            there = http.client.HTTPSConnection(target.hostname or "", target.port, timeout=40, context=tls)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                there.request(self.command, self.path, body or None, headers)
                answer = there.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                if cut:
                    # The request has been done; its answer is lost half way.
                    text = answer.read() if "watch=true" not in self.path else b'{"type":"ADDED","obj'
                    self.send_header("Content-Length", str(len(text) + 10))
                    self.end_headers()
                    self.wfile.write(text[: len(text) // 2])
                    self.close_connection = True
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if "watch=true" in self.path:
                    made.watches.add(there)
                while part := answer.read1(65536):
                    if "watch=true" in self.path and made.fault("WATCHING", self.path) == "silent":
                        made.injected.append("silent watch")
                        made.lifted.wait(SILENCE_SECONDS)
                        self.close_connection = True
                        return
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            except (OSError, http.client.HTTPException, ValueError):
                self.close_connection = True
            finally:
                made.watches.discard(there)
                there.close()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() if timestamp is None else timestamp)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.lift()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def is_write(method: str, path: str, what: str) -> bool:
    """Whether a request writes to paths that match."""
    return method in ("POST", "PATCH", "DELETE") and re.search(what, path) is not None
