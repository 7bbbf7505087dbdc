"""The controller's process and its health endpoint."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.controller.health import HealthServer

CONTROLLER = [sys.executable, "-m", "ansible_collections.claudescale.core.plugins.module_utils.controller"]


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_answers_by_path() -> None:
    ready = [False]
    server = HealthServer(host="127.0.0.1", port=0, ready=lambda: ready[0])
    server.start()
    try:
        assert ask(server.port, "/healthz") == (200, "ok\n")
        assert ask(server.port, "/readyz") == (503, "not ready\n")
        ready[0] = True
        assert ask(server.port, "/readyz?verbose") == (200, "ready\n")
        code, text = ask(server.port, "/metrics")
        assert code == 200
        assert "process_cpu_seconds_total" in text
        assert ask(server.port, "/")[0] == 404
    finally:
        server.close()
    with pytest.raises(urllib.error.URLError):
        ask(server.port, "/healthz")


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_the_controller_serves_until_sigterm() -> None:
    port = free_port()
    environment = {**os.environ, "CLAUDESCALE_HEALTH_PORT": str(port)}
    with subprocess.Popen(CONTROLLER, env=environment) as process:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert ask(port, "/readyz") == (200, "ready\n")
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("port", ["eighty", "-1", "99999"])
def test_a_port_that_cannot_be(port: str) -> None:
    environment = {**os.environ, "CLAUDESCALE_HEALTH_PORT": port}
    done = subprocess.run(CONTROLLER, env=environment, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert done.stderr.startswith(f"controller: CLAUDESCALE_HEALTH_PORT is {port!r}, which cannot be listened on: ")
    assert len(done.stderr.splitlines()) == 1
