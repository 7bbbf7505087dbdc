"""The controller's process and its health endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_a_worker_that_does_not_move_is_stuck() -> None:
    server = HealthServer(host="127.0.0.1", port=0, ready=lambda: True, alive=lambda: False)
    server.start()
    try:
        assert ask(server.port, "/healthz") == (503, "stuck\n")
    finally:
        server.close()


NAMESPACES = {"CLAUDESCALE_NAMESPACES": "claudescale"}
NUMBER = "write a whole number from 0 to"
EMPTY = "CLAUDESCALE_NAMESPACES is empty: name the namespaces to look after, comma-separated"
BAD = [
    ({}, EMPTY),
    ({"CLAUDESCALE_NAMESPACES": " , "}, EMPTY),
    ({"CLAUDESCALE_HEALTH_PORT": "eighty"}, f"CLAUDESCALE_HEALTH_PORT is 'eighty': {NUMBER} 65535"),
    ({"CLAUDESCALE_HEALTH_PORT": "-1"}, f"CLAUDESCALE_HEALTH_PORT is '-1': {NUMBER} 65535"),
    ({"CLAUDESCALE_HEALTH_PORT": "99999"}, f"CLAUDESCALE_HEALTH_PORT is '99999': {NUMBER} 65535"),
    (
        {"CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED": "a day"},
        f"CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED is 'a day': {NUMBER} 31536000",
    ),
    ({"CLAUDESCALE_LOG_LEVEL": "loud"}, "CLAUDESCALE_LOG_LEVEL is 'loud': write DEBUG, INFO, WARNING or ERROR"),
]


@pytest.mark.parametrize(("settings", "sentence"), BAD)
def test_a_setting_that_cannot_be_is_one_sentence(settings: dict[str, str], sentence: str) -> None:
    settings = settings if sentence == EMPTY else NAMESPACES | settings
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLAUDESCALE_")}
    done = subprocess.run(CONTROLLER, env=kept | settings, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (2, f"controller: {sentence}\n")


def test_outside_of_a_pod_it_says_so() -> None:
    done = subprocess.run(
        CONTROLLER, env={**os.environ, **NAMESPACES}, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert done.stderr.startswith("controller: ")
    assert len(done.stderr.splitlines()) == 1
