"""The background process that keeps the forwards of one context up: `python -m claudescale_cli.forward_supervisor`.

Each forward is a child `kubectl port-forward`, which stays with one pod. When that pod goes, the child ends or its
port stops answering; either way it is started again, with growing pauses while there is nothing to reach. What is known
is written to the state file. SIGTERM ends the children, then this process, and removes the state.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claudescale_cli import forward_state
from claudescale_cli.forward_state import TARGETS, Process, Target
from claudescale_cli.kubectl import port_forward

TICK_SECONDS = 0.5
PROBE_SECONDS = 3.0  # between two looks at a forward that works
PROBE_TIMEOUT_SECONDS = 2.0
SILENT_PROBES = 2  # in a row, until a forward that worked is started again
START_SECONDS = 8.0  # that a new child has until its port answers
PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0)  # before the first, second, ... start in a row


@dataclass(kw_only=True)
class Forward:
    """One forward: its child, and what is known of it. Times are monotonic seconds."""

    target: Target
    local_port: int
    kubectl: str
    where: list[str]
    log: Path
    child: subprocess.Popen[bytes] | None = None
    process: Process | None = None
    state: str = "starting"
    message: str = ""
    failures: int = 0  # starts in a row that came to nothing
    silent: int = 0
    started: float = 0.0
    start_at: float = 0.0
    probe_at: float = 0.0
    restarts: int = field(default=-1)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.child is None:
            if now >= self.start_at:
                self._start(now)
            return
        if self.child.poll() is not None:
            self._failed(now, self._last_words())
        elif now >= self.probe_at:
            self._probe(now)

    def close(self) -> None:
        """End the child."""
        if self.child is not None:
            if self.child.poll() is None:
                self.child.terminate()
                try:
                    self.child.wait(timeout=3)
                except subprocess.TimeoutExpired:
                    self.child.kill()
            self.child.wait()
            if self.child.stdout:
                self.child.stdout.close()
        self.child = self.process = None

    def entry(self) -> dict[str, Any]:
        """What the state file says of it."""
        return {
            "name": self.target.name,
            "local_port": self.local_port,
            "state": self.state,
            "message": self.message,
            "restarts": max(self.restarts, 0),
            "child": {"pid": self.process.pid, "started": self.process.started} if self.process else None,
        }

    def _start(self, now: float) -> None:
        with self.log.open("wb") as log:
            self.child = port_forward(
                self.kubectl, self.where, self.target.name, self.local_port, self.target.port, log=log.fileno()
            )
        # kubectl says each connection on its standard output: nobody reads it, and a full pipe would stop it.
        threading.Thread(target=_swallow, args=(self.child,), daemon=True).start()
        self.process = Process(pid=self.child.pid, started=forward_state.start_time(self.child.pid) or "")
        self.restarts += 1
        self.started, self.probe_at, self.silent = now, now + TICK_SECONDS, 0

    def _probe(self, now: float) -> None:
        problem = _asked(self.local_port, self.target.path)
        if not problem:
            self.state, self.message, self.failures, self.silent = "up", "", 0, 0
            self.probe_at = now + PROBE_SECONDS
            return
        self.silent += 1
        self.probe_at = now + TICK_SECONDS
        patient = now < self.started + START_SECONDS if self.state != "up" else self.silent < SILENT_PROBES
        if not patient:
            self._failed(now, problem)

    def _failed(self, now: float, why: str) -> None:
        self.close()
        self.state, self.message = "restarting", why
        self.start_at = now + PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "kubectl port-forward ended"


def _swallow(child: subprocess.Popen[bytes]) -> None:
    if child.stdout:
        try:
            while child.stdout.read(4096):
                pass
        except ValueError:
            return  # closed meanwhile


def _asked(port: int, path: str) -> str:
    """Why nothing good answers there; empty where it does."""
    try:
        request = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with request.open(f"http://127.0.0.1:{port}{path}", timeout=PROBE_TIMEOUT_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}"
    except OSError:
        return "it does not answer"


def run(context: str, forwards: list[Forward], leaving: threading.Event) -> None:
    """Keep the forwards up until `leaving` is set, and the state file true."""
    me = forward_state.this_process()
    written: dict[str, Any] = {}
    try:
        while not leaving.is_set():
            for forward in forwards:
                forward.tick(time.monotonic())
            state = {
                "supervisor": {"pid": me.pid, "started": me.started},
                "forwards": [forward.entry() for forward in forwards],
            }
            if state != written:
                forward_state.write(context, state)
                written = state
            leaving.wait(TICK_SECONDS)
    finally:
        for forward in forwards:
            forward.close()
        forward_state.forget(context)


def main() -> int:
    """Read the arguments that `claudescale forward start` gives, and supervise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-of", required=True)
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--forward", action="append", required=True, help="NAME=LOCAL_PORT")
    parser.add_argument("where", nargs="*")
    arguments = parser.parse_args()
    ports = dict(text.split("=") for text in arguments.forward)
    place = forward_state.folder(arguments.state_of)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    forwards = [
        Forward(
            target=target,
            local_port=int(ports[target.name]),
            kubectl=arguments.kubectl,
            where=arguments.where,
            log=place / f"{target.name}.log",
        )
        for target in TARGETS
        if target.name in ports
    ]
    run(arguments.state_of, forwards, leaving)
    return 0


if __name__ == "__main__":
    sys.exit(main())
