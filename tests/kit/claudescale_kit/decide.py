"""Whether the kit is needed: once per profile, in at most three seconds."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import KitError

_REGISTRY = "https://registry.k8s.io/v2/"  # where Kubernetes' own images come from
_SECONDS = 2.5


@dataclass(frozen=True)
class Probe:
    """What answered."""

    daemon: bool
    registry: bool


@dataclass(frozen=True)
class Choice:
    """What a profile was created with.

    `docker_host` is the kit's own daemon, or empty for the user's; `images` the key of those in its node.
    """

    kit: bool
    docker_host: str = ""
    images: str = ""


@dataclass(frozen=True)
class Decision:
    """`reason` is the one line to print, empty where nothing new was decided."""

    kit: bool
    reason: str = ""


def decide(setting: str, kept: Choice | None, probe: Callable[[], Probe]) -> Decision:
    """Decide from CLAUDESCALE_KIT, the choice that an existing profile was created with, and what answers.

    Raises KitError where the setting is no 0 or 1, or would take an existing profile's ground away.
    """
    if setting not in ("", "0", "1"):
        raise KitError(f"CLAUDESCALE_KIT is {setting!r}: set it to 1 (use the kit), 0 (do not), or not at all.")
    if kept is not None:
        if setting and (setting == "1") != kept.kit:
            made = "with" if kept.kit else "without"
            raise KitError(
                f"CLAUDESCALE_KIT={setting}, but this profile's cluster was created {made} the kit:"
                " unset it, or run `make down` first."
            )
        return Decision(kept.kit)
    if setting:
        return Decision(
            setting == "1", f"CLAUDESCALE_KIT={setting}: {'using' if setting == '1' else 'not using'} the kit"
        )
    found = probe()
    if found.daemon or found.registry:
        return Decision(False)
    return Decision(
        True, "neither a Docker daemon nor a container registry answers: using the kit (CLAUDESCALE_KIT=0: not)"
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def socket_answers(path: str | os.PathLike[str], seconds: float = _SECONDS) -> bool:
    """Whether a Docker daemon answers on this socket."""
    connection = _UnixConnection(os.fspath(path), seconds)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().read().strip() == b"OK"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def daemon_answers(environment: Mapping[str, str]) -> bool:
    """Whether the Docker daemon that `docker` would talk to answers; contexts and remote hosts included."""
    host = environment.get("DOCKER_HOST", "")
    if host.startswith("unix://"):
        return socket_answers(host[len("unix://") :])
    if shutil.which("docker", path=environment.get("PATH")) is None:
        return False
    try:
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(command, env=dict(environment), capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def registry_answers(address: str = _REGISTRY) -> bool:
    """Whether a container registry answers: 401 is its usual greeting."""
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (OSError, http.client.HTTPException, ValueError):
        return False


def probe(environment: Mapping[str, str]) -> Probe:
    """Ask both at once; what has not answered after three seconds does not answer."""
    answers = {"daemon": False, "registry": False}

    def ask(name: str, question: Callable[[], bool]) -> None:
        answers[name] = question()

    threads = [
        threading.Thread(target=ask, args=("daemon", lambda: daemon_answers(environment)), daemon=True),
        threading.Thread(target=ask, args=("registry", registry_answers), daemon=True),
    ]
    end = time.monotonic() + _SECONDS + 0.4
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return Probe(**answers)


def profile_exists(minikube: Path, profile: str) -> bool:
    """Whether minikube's folder knows a cluster of this name, one whose first start failed included."""
    return (minikube / "profiles" / profile).is_dir()


def read(choices: Path, profile: str) -> Choice | None:
    """The recorded choice, or None."""
    try:
        return Choice(**json.loads((choices / f"{profile}.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def record(choices: Path, profile: str, choice: Choice) -> None:
    """Write the choice, whole or not at all."""
    choices.mkdir(parents=True, exist_ok=True)
    unfinished = choices / f".{profile}.{os.getpid()}"
    unfinished.write_text(json.dumps(asdict(choice)) + "\n", encoding="utf-8")
    unfinished.replace(choices / f"{profile}.json")
