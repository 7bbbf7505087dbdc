"""A proxy before the real API server that writes down who asked for what: the person, the account, or nobody.

It ends TLS, because a person's certificate is seen by nobody else, and shows the API server the same credentials that
it was shown. It may be closed, fall silent, or refuse tokens, as an API server that is away, that hangs, and whose
tokens expire.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from tests.certificates import server_side

PERSON, ACCOUNT, NOBODY = "person", "account", "nobody"
SILENCE_SECONDS = 60.0
HOP_BY_HOP = {"host", "connection", "transfer-encoding", "content-length", "date", "server", "keep-alive"}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One request. `status`: what was answered, 0 where nothing was."""

    who: str
    method: str
    path: str  # without its query
    status: int


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # a look at everything connects many times at once

    def handle_error(self, *_: object) -> None:
        """A client hung up."""


class AuditingProxy:
    """`person` is a client with the kubeconfig's credentials for the real API server; the files go into `folder`."""

    def __init__(self, person: ClusterClient, folder: Path) -> None:
        self.person = person
        self.folder = folder
        self.heard: list[Heard] = []
        self.tokens: set[str] = set()  # of the account, as they came
        self.revoked: set[str] = set()
        self.refuses_person = False
        self.silent = False
        self.woken = threading.Event()
        self.port = 0
        self._there = urlsplit(str(person.configuration.host))
        self._tls = self._server_side()
        self._open: set[socket.socket] = set()
        self._server: _Listener | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig(self, context: str, url: str = "") -> str:
        """A kubeconfig with the person's own credentials that leads here, or to another address."""
        configuration = self.person.configuration
        if configuration.cert_file:
            user = {
                "client-certificate-data": _encoded(Path(configuration.cert_file).read_bytes()),
                "client-key-data": _encoded(Path(configuration.key_file).read_bytes()),
            }
        else:
            user = {"token": self.person.authorization().removeprefix("Bearer ")}
        authority = _encoded((self.folder / "tls.pem").read_bytes())
        cluster = {"server": url or self.url, "certificate-authority-data": authority}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }
        return json.dumps(whole)

    def listen(self) -> None:
        """Be there, at the same port as before."""
        self.woken.clear()
        self._server = _Listener(("127.0.0.1", self.port), self._handler())
        # The handshake is the handler's: a client that is slow with it stops nobody else.
        self._server.socket = self._tls.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and cut those that are open."""
        self.woken.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def fall_silent(self) -> None:
        self.woken.clear()
        self.silent = True

    def speak(self) -> None:
        self.silent = False
        self.woken.set()

    def revoke(self) -> None:
        """The account's tokens that were seen are accepted no more."""
        self.revoked |= self.tokens

    def paths(self, who: str) -> set[tuple[str, str]]:
        return {(one.method, one.path) for one in list(self.heard) if one.who == who}

    def _server_side(self) -> ssl.SSLContext:
        context = server_side(self.folder)
        certificate = self.person.configuration.cert_file
        if certificate:
            # Whoever signed it, this one certificate is known.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(certificate)
        return context

    def _to_the_server(self, who: str) -> http.client.HTTPSConnection:
        configuration = self.person.configuration
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if who == PERSON and configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        return http.client.HTTPSConnection(self._there.hostname or "", self._there.port, timeout=40, context=tls)

    def _who(self, connection: ssl.SSLSocket, authorization: str) -> str:
        """A certificate counts first: with one, a token beside it would be the person's, too."""
        if connection.getpeercert():
            return PERSON
        if not authorization:
            return NOBODY
        if not self.person.configuration.cert_file and authorization == self.person.authorization():
            return PERSON
        self.tokens.add(authorization)
        return ACCOUNT

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        made = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self) -> None:
                made._open.add(self.connection)
                try:
                    with contextlib.suppress(OSError):
                        super().handle()
                finally:
                    made._open.discard(self.connection)

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                authorization = self.headers.get("Authorization", "")
                who = made._who(self.connection, authorization)
                status = 0
                try:
                    if made.silent:
                        made.woken.wait(SILENCE_SECONDS)
                        self.close_connection = True
                    elif authorization in made.revoked or (who == PERSON and made.refuses_person):
                        said = {"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}
                        status = self.answer(401, [("Content-Type", "application/json")], json.dumps(said).encode())
                    else:
                        status = self.forward(who, body)
                finally:
                    made.heard.append(Heard(who=who, method=self.command, path=urlsplit(self.path).path, status=status))

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 - the standard library's names

            def forward(self, who: str, body: bytes) -> int:
                there = made._to_the_server(who)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
                    there.request(self.command, self.path, body or None, headers)
                    found = there.getresponse()
                    return self.answer(found.status, found.getheaders(), found.read())
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                    return 0
                finally:
                    there.close()

            def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> int:
                self.send_response_only(status)
                for name, value in headers:
                    # The server's own date passes: clocks are set by it.
                    if name.lower() not in HOP_BY_HOP or name.lower() == "date":
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return status

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def auditing_proxy(person: ClusterClient, folder: Path) -> Iterator[AuditingProxy]:
    """A proxy that listens; closed at the end."""
    made = AuditingProxy(person, folder)
    made.listen()
    try:
        yield made
    finally:
        made.close()


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
