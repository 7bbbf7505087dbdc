"""`claudescale forward` with real processes: a program in kubectl's place listens where it is told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from claudescale_cli import forward_state
from claudescale_cli.forward_state import Process

from tests.doors.cluster_double import DEMO, SPACE, ApiDouble, api_double, deployment

CONTEXT = "claudescale"
COMMAND = "from claudescale_cli.main import main; main()"

# Answers 200 to everything, and ends when it is asked for /end: a pod that goes.
FAKE_KUBECTL = """#!{python}
import http.server, sys
local = int(sys.argv[-1].split(":")[0])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end":
            import os
            os._exit(1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(sys.argv[1:]).encode())
    def log_message(self, *args): pass
http.server.HTTPServer.allow_reuse_address = True
print("Forwarding", flush=True)
http.server.HTTPServer(("127.0.0.1", local), Handler).serve_forever()
"""


class Command:
    """The installed command as a process, with a kubeconfig that leads to the double."""

    def __init__(self, environment: dict[str, str], kubeconfig: Path) -> None:
        self._environment, self._kubeconfig = environment, kubeconfig

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, "--kubeconfig", str(self._kubeconfig), *arguments],
            env=self._environment, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def api() -> Iterator[ApiDouble]:
    with api_double() as double:
        double.objects = {
            DEMO: deployment("demo-app"),
            f"/apis/apps/v1/{SPACE}/deployments/prometheus": deployment("prometheus", 1),
        }
        yield double


@pytest.fixture
def claudescale(tmp_path: Path, api: ApiDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(FAKE_KUBECTL.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    command = Command(dict(os.environ), api.kubeconfig(tmp_path))
    yield command
    command("forward", "stop")


@pytest.fixture
def ports() -> dict[str, int]:
    """Free ports for the three forwards."""
    held = [socket.socket() for _ in range(3)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    numbers = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return dict(zip(("prometheus", "grafana", "demo-app"), numbers, strict=True))


def options(ports: dict[str, int]) -> list[str]:
    return [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]


def answer(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as got:
        return str(got.read().decode())


def until(found: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError("it did not come to be")


def state() -> dict[str, Any]:
    found = forward_state.read(CONTEXT)
    assert found is not None
    return found


def child_of(name: str) -> Process | None:
    return forward_state.process_of(
        next(forward["child"] for forward in state()["forwards"] if forward["name"] == name)
    )


def test_start_again_status_and_stop(claudescale: Command, ports: dict[str, int]) -> None:
    started = claudescale("forward", "start", *options(ports))
    assert started.returncode == 0, started.stderr
    assert "grafana is not deployed here: no forward for it" in started.stdout
    assert "--context claudescale --namespace claudescale" in answer(ports["prometheus"])
    assert f"service/demo-app {ports['demo-app']}:80" in answer(ports["demo-app"])
    supervisor = state()["supervisor"]

    again = claudescale("forward", "start", *options(ports))
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "the forwards run already")
    assert state()["supervisor"] == supervisor
    shown = claudescale("forward", "status").stdout
    assert f"http://127.0.0.1:{ports['prometheus']}" in shown

    children = [child_of("prometheus"), child_of("demo-app")]
    assert claudescale("forward", "stop").stdout == "2 forwards ended\n"
    assert not any(child and child.runs() for child in children)
    assert all(forward_state.port_is_free(port) for port in ports.values())
    assert claudescale("forward", "stop").stdout == "no forwards run\n"


def test_a_forward_whose_pod_goes_is_started_again(claudescale: Command, ports: dict[str, int]) -> None:
    assert claudescale("forward", "start", *options(ports)).returncode == 0
    before, other = child_of("demo-app"), child_of("prometheus")
    with pytest.raises(OSError):
        answer(ports["demo-app"], "/end")

    def renewed() -> bool:
        facts = {forward["name"]: forward["state"] for forward in forward_state.facts(CONTEXT)}
        return facts["demo-app"] == "up" and child_of("demo-app") != before

    until(renewed)
    assert child_of("prometheus") == other
    assert answer(ports["demo-app"])


@pytest.mark.long
def test_a_forward_that_hangs_is_started_again(claudescale: Command, ports: dict[str, int]) -> None:
    assert claudescale("forward", "start", *options(ports)).returncode == 0
    before = child_of("prometheus")
    assert before is not None
    os.kill(before.pid, signal.SIGSTOP)
    until(lambda: child_of("prometheus") not in {None, before}, 25)
    until(lambda: {forward["state"] for forward in forward_state.facts(CONTEXT)} == {"up"})
    assert not before.runs()


def test_what_a_killed_supervisor_left_is_cleaned_up(claudescale: Command, ports: dict[str, int]) -> None:
    assert claudescale("forward", "start", *options(ports)).returncode == 0
    orphan = child_of("prometheus")
    os.kill(state()["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: forward_state.supervisor(state()) is None)
    assert {forward["state"] for forward in forward_state.facts(CONTEXT)} == {"ended"}
    assert orphan is not None and orphan.runs()
    assert claudescale("forward", "start", *options(ports)).returncode == 0
    assert not orphan.runs()
    assert answer(ports["prometheus"])


def test_a_busy_port_is_named_with_its_owner(claudescale: Command, ports: dict[str, int]) -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", ports["demo-app"]))
        mine.listen()
        refused = claudescale("forward", "start", *options(ports))
    program = Path(f"/proc/{os.getpid()}/comm").read_text(encoding="utf-8").strip()
    assert refused.returncode == 1
    assert refused.stderr == (
        f"port {ports['demo-app']} for demo-app is taken by pid {os.getpid()} ({program}): "
        "end it, or choose another by --port NAME=PORT\n"
    )
    assert forward_state.read(CONTEXT) is None


def test_a_foreign_process_with_the_same_id_is_never_ended(claudescale: Command, ports: dict[str, int]) -> None:
    with subprocess.Popen(["sleep", "60"]) as foreign:
        entry = {"pid": foreign.pid, "started": "1"}
        forward = {
            "name": "prometheus",
            "local_port": ports["prometheus"],
            "state": "up",
            "message": "",
            "child": entry,
        }
        forward_state.write(CONTEXT, {"supervisor": entry, "forwards": [forward]})
        assert claudescale("forward", "stop").returncode == 0
        assert foreign.poll() is None
        foreign.terminate()
    assert forward_state.read(CONTEXT) is None


def test_nothing_deployed(claudescale: Command, api: ApiDouble) -> None:
    api.objects = {}
    refused = claudescale("forward", "start")
    assert (refused.returncode, refused.stderr) == (1, "nothing to forward runs in namespace claudescale: make up\n")
