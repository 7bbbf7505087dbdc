"""A server on loopback that says exactly what a test tells it to, cuts and silences included."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from kubernetes.client import Configuration


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived, at this monotonic time."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float

    @property
    def watches(self) -> bool:
        return self.query.get("watch") == "true"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer; with `stream`, a chunked one: bytes are sent, floats are seconds of silence.

    A stream ends properly unless it is `cut`. `hold` seconds pass before its head.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: list[bytes | float] | None = None
    cut: bool = False
    hold: float = 0.0


Script = Callable[[Asked], Reply]
FOR_EVER = 3600.0  # of silence: until the double is closed


class HttpDouble:
    """`script` makes each answer; `asked` and `connections` are what came."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self.tls = False
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def configuration(self) -> Any:
        configuration = Configuration(host=self.address)
        configuration.api_key["BearerToken"] = "Bearer person"
        return configuration

    def client(self) -> ClusterClient:
        return ClusterClient.from_configuration(self.configuration(), namespace="space")


@contextmanager
def http_double(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[HttpDouble]:
    double = HttpDouble(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else a head and its body are 40 ms apart

        def handle(self) -> None:
            double.connections += 1
            with suppress(OSError):  # the client hung up
                super().handle()

        def answer(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                method=self.command,
                path=parts.path,
                query={key: values[0] for key, values in parse_qs(parts.query).items()},
                headers={key.lower(): value for key, value in self.headers.items()},
                body=json.loads(content) if content else None,
                at=time.monotonic(),
            )
            double.asked.append(asked)
            reply = double.script(asked)
            double.closing.wait(reply.hold)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.stream is None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in reply.stream:
                if isinstance(part, float):
                    double.closing.wait(part)
                else:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if reply.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(b"0\r\n\r\n")

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    double.port = server.server_port
    if tls is not None:
        double.tls = True
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def refused_address() -> str:
    """An address on loopback where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def a_status(code: int, reason: str, message: str, **more: Any) -> dict[str, Any]:
    """A Status object as the API server sends it."""
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, **more}


def an_object(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version}}


def a_list(*names: str, version: str = "10", token: str = "") -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": version, **({"continue": token} if token else {})},
        "items": [an_object(name) for name in names],
    }


def an_event(kind: str, name: str, version: str) -> bytes:
    return json.dumps({"type": kind, "object": an_object(name, version)}).encode() + b"\n"
