"""What is known about the forwards of a context: targets, the supervisor's state file, processes and ports.

A process is named by its id and its start time together, so that an id that was given to another program since is
never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, kw_only=True)
class Target:
    """A service of the stack, and where it is reached on 127.0.0.1; `path` answers 200 when it works."""

    name: str
    port: int
    local_port: int
    path: str


TARGETS = (
    Target(name="prometheus", port=9090, local_port=9090, path="/-/ready"),
    Target(name="grafana", port=3000, local_port=3000, path="/api/health"),
    Target(name="demo-app", port=80, local_port=8080, path="/healthz"),
)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    started: str

    def runs(self) -> bool:
        """Whether this very process is still there."""
        return start_time(self.pid) == self.started

    def end(self, seconds: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after so many seconds; nothing where it has gone."""
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 2.0)):
            if not self.runs():
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            deadline = time.monotonic() + patience
            while self.runs() and time.monotonic() < deadline:
                time.sleep(0.05)


def start_time(pid: int) -> str | None:
    """When a process began, in the system's own words; None where there is no such process or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def this_process() -> Process:
    """The process that asks."""
    return Process(pid=os.getpid(), started=start_time(os.getpid()) or "")


def folder(context: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the state and the log of a context's forwards are."""
    base = environment.get("XDG_STATE_HOME")
    root = Path(base) / "claudescale" if base else Path.home() / ".cache" / "claudescale" / "state"
    return root / quote(context, safe="")


def read(context: str) -> dict[str, Any] | None:
    """The supervisor's last word, None where there is none: {supervisor, forwards: [{name, state, ...}]}."""
    try:
        state = json.loads((folder(context) / "forwards.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def write(context: str, state: dict[str, Any]) -> None:
    """Replace the state as a whole, readable by this user only."""
    place = folder(context)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = place / f"forwards.json.{os.getpid()}"
    new.write_text(json.dumps(state, indent=1), encoding="utf-8")
    new.replace(place / "forwards.json")


def forget(context: str) -> None:
    """No forwards are known any more."""
    (folder(context) / "forwards.json").unlink(missing_ok=True)


def process_of(entry: Mapping[str, Any] | None) -> Process | None:
    """The process that an entry {pid, started} of the state names."""
    return Process(pid=entry["pid"], started=entry["started"]) if entry else None


def supervisor(state: Mapping[str, Any] | None) -> Process | None:
    """The supervisor that a state speaks of, where it still runs."""
    process = process_of(state["supervisor"]) if state else None
    return process if process and process.runs() else None


def facts(context: str) -> list[dict[str, str]]:
    """name, state, address and message of each forward; empty where none were started."""
    state = read(context)
    if state is None:
        return []
    alive = supervisor(state) is not None
    return [
        {
            "name": forward["name"],
            "state": forward["state"] if alive else "ended",
            "address": f"http://127.0.0.1:{forward['local_port']}",
            "message": forward["message"] if alive else "its supervisor was ended: make forward starts it again",
        }
        for forward in state["forwards"]
    ]


def port_is_free(port: int) -> bool:
    """Whether 127.0.0.1:port can be listened on."""
    with socket.socket() as listener:
        # As kubectl does: the remains of closed connections are no listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_owner(port: int) -> str:
    """Who listens on a TCP port, as `pid N (program)`; `another user's program` where /proc does not tell."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f"pid {process.name} ({(process / 'comm').read_text(encoding='utf-8').strip()})"
    return "a program of another user"
