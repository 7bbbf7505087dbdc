"""A way to the real API server that can be cut: bytes are passed on as they come, TLS included."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.support import Cluster


@dataclass
class Relay:
    """`kubeconfig` leads through it until cut(); then nothing answers there any more."""

    kubeconfig: Path
    listener: socket.socket
    target: tuple[str, int]
    open: list[socket.socket] = field(default_factory=list)

    def serve(self) -> None:
        while True:
            try:
                here, _ = self.listener.accept()
                there = socket.create_connection(self.target)
            except OSError:
                return
            self.open += [here, there]
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def cut(self) -> None:
        # shutdown wakes whoever waits in accept() or recv(), which close() alone does not
        for one in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(cluster: Cluster, folder: Path) -> Iterator[Relay]:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    (context,) = (one["context"] for one in config["contexts"] if one["name"] == cluster.context)
    (entry,) = (one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    server = urlsplit(entry["server"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        entry["server"] = f"https://127.0.0.1:{listener.getsockname()[1]}"
        entry["tls-server-name"] = server.hostname
        path = folder / "config-by-relay"
        path.write_text(yaml.safe_dump(config))
        made = Relay(kubeconfig=path, listener=listener, target=(str(server.hostname), server.port or 443))
        threading.Thread(target=made.serve, daemon=True).start()
        try:
            yield made
        finally:
            made.cut()
