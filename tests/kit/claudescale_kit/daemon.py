"""The kit's own Docker daemon: state, sockets and configuration apart from any other."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import shell, traces
from .decide import socket_answers
from .errors import KitError
from .paths import Paths

_CAP_SYS_RESOURCE = 24
_START_SECONDS = 60
_STOP_SECONDS = 20


def _lacks_sys_resource() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return not int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1
    return False


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            yield int(entry.name), [os.fsdecode(word) for word in words if word]


def _docker_environment(host: str) -> dict[str, str]:
    """For the docker command; no host means the user's own daemon, wherever that is."""
    return {**os.environ, **({"DOCKER_HOST": host} if host else {})}


def docker(host: str, *words: str | Path) -> str:
    """Run the docker command; raise KitError where it fails."""
    return shell.run(["docker", *words], environment=_docker_environment(host))


def docker_has_image(host: str, name: str) -> bool:
    """Whether the daemon has the image."""
    command = ["docker", "image", "inspect", name]
    done = subprocess.run(command, env=_docker_environment(host), capture_output=True, check=False)
    return done.returncode == 0


class Daemon:
    """Start, heal and stop it. The caller holds the kit's lock."""

    def __init__(self, paths: Paths, say: Callable[[str], None]) -> None:
        self._paths = paths
        self._say = say
        self._config = paths.kit / "daemon.json"
        self._log = paths.logs / "dockerd.log"
        self._pid_file = paths.run / "docker.pid"
        self._execution = paths.run / "exec"

    @property
    def _cgroup(self) -> str:
        """The one that the daemon was started with, by whichever version of this code."""
        try:
            return str(json.loads(self._config.read_text(encoding="utf-8"))["cgroup-parent"])
        except (OSError, ValueError, KeyError):
            return f"/{self._paths.run.name}"

    def answers(self) -> bool:
        return socket_answers(self._paths.socket)

    def _mine(self) -> list[int]:
        """Processes of this daemon: itself, its containerd, shims and proxies."""
        signs = (str(self._config), str(self._execution))
        return [
            pid
            for pid, words in _processes()
            if words
            and Path(words[0]).name.startswith(("dockerd", "containerd", "docker-proxy"))
            and any(word.startswith(signs) for word in words[1:])
        ]

    def _refuse_neighbours(self) -> None:
        """Two daemons in one network namespace would tear down each other's firewall rules."""
        mine = set(self._mine())
        here = Path("/proc/self/ns/net").readlink()
        for pid, words in _processes():
            if words and Path(words[0]).name == "dockerd" and pid not in mine:
                try:
                    same = Path(f"/proc/{pid}/ns/net").readlink() == here
                except OSError:
                    continue
                if same:
                    raise KitError(
                        f"Another Docker daemon (process {pid}) runs on this host: set DOCKER_HOST to its socket"
                        " so that the kit uses it, or stop it."
                    )

    def start(self, wrapper: Path) -> None:
        """Make it answer; a running one is left as it is."""
        if self.answers():
            self.fence()
            return
        if os.geteuid() != 0:
            raise KitError("The kit's Docker daemon needs root: run the same command with sudo.")
        self._refuse_neighbours()
        begin = time.monotonic()
        self._end_processes()
        traces.unmount(self._execution)
        shutil.rmtree(self._execution, ignore_errors=True)
        for stale in (self._pid_file, self._paths.socket):
            stale.unlink(missing_ok=True)
        self._paths.run.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._paths.docker_data.mkdir(parents=True, exist_ok=True)
        traces.remember(self._paths.kit)
        self._configure()
        self._launch(wrapper)
        self.fence()
        self._say(f"Docker daemon started {time.monotonic() - begin:.1f} s")

    def _configure(self) -> None:
        settings = {
            "data-root": str(self._paths.docker_data),
            "exec-root": str(self._execution),
            "pidfile": str(self._pid_file),
            "deprecated-key-path": str(self._paths.kit / "key.json"),
            "hosts": [self._paths.docker_host],
            "default-cgroupns-mode": "private",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self._paths.run.name}",
            "storage-driver": "overlay2",
            "oom-score-adjust": 0,
            "shutdown-timeout": 10,
        }
        self._config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def _launch(self, wrapper: Path) -> None:
        """In a session of its own. A `runc` before the real one in PATH serves containers and builds alike."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        if _lacks_sys_resource():
            first = self._paths.run / "bin"
            first.mkdir(exist_ok=True)
            runc = first / "runc"
            runc.unlink(missing_ok=True)
            runc.symlink_to(wrapper)
            environment["RUNC_REAL"] = shutil.which("runc") or "/usr/sbin/runc"
            environment["PATH"] = f"{first}:{environment.get('PATH', '')}"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                ["dockerd", "--config-file", str(self._config)],
                env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + _START_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > end:
                tail = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
                raise KitError(f"The kit's Docker daemon did not start (all of it: {self._log}):\n{tail}")
            time.sleep(0.1)

    def fence(self) -> None:
        """Containers may not leave this host: a look-up of the outside fails at once instead of hanging."""
        for device in traces.outer_devices():
            rule = ["DOCKER-USER", "-o", device, "-j", "REJECT"]
            if subprocess.run(["iptables", "-w", "-C", *rule], capture_output=True, check=False).returncode != 0:
                shell.run(["iptables", "-w", "-I", *rule])

    def stop(self) -> None:
        """End it and everything that it made on this host; images and the cache stay."""
        if self.answers():
            host = self._paths.docker_host
            containers = docker(host, "container", "ls", "--all", "--quiet").split()
            if containers:
                docker(host, "container", "rm", "--force", "--volumes", *containers)
            for what in ("network", "volume"):
                docker(host, what, "prune", "--force")
        self._end_processes()
        traces.remove(self._paths.kit, (self._paths.run, self._paths.docker_data), self._cgroup)
        shutil.rmtree(self._paths.run, ignore_errors=True)

    def _end_processes(self) -> None:
        """First the daemon, politely; then whatever is left of it and of its containers."""
        _signal(self._mine(), signal.SIGTERM)
        _wait(lambda: not self._mine(), _STOP_SECONDS)
        _signal([*self._mine(), *traces.processes_in(self._cgroup)], signal.SIGKILL)
        _wait(lambda: not self._mine() and not traces.processes_in(self._cgroup), 5)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.1)
