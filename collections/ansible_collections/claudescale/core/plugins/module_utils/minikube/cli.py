# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Runs the real programs: minikube for one profile, and Docker where minikube's own answer is ambiguous.

minikube never sees a person's kubeconfig: it gets a private one beside its profiles, and the engine carries the entry
over. Beside that file stands what we last did with the profile, so that a start that was killed is known as such.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault, one_line
from ansible_collections.claudescale.core.plugins.module_utils.minikube import answers
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Request,
    Settings,
)

LOOK_SECONDS = 60.0  # for commands that only look; they take 0.1-0.3 s
DELETE_SECONDS = 300.0  # minikube's own limit for a deletion
PR_SET_PDEATHSIG = 1
CREATING, STARTING, STARTED, STOPPED = "creating", "starting", "started", "stopped"
# minikube sets a node up anew only where this file differs. It is in the volume, which outlives the container, while
# half of what it describes (/etc/kubernetes, /etc/cni) is in the container.
SETUP = "/var/tmp/minikube/kubeadm.yaml"  # noqa: S108 - in the node
TO_SET_UP_ANEW = (Condition.GONE, Condition.INTERRUPTED, Condition.BROKEN)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a program ended; code None: it was stopped after its time-out."""

    code: int | None
    out: str
    err: str


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> Ran:
    """Run a program to its end, at most timeout seconds; it never outlives this process."""
    with subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # A minikube that outlived a killed play would work on the profile beside the play's rerun.
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Ran(code=None, out=out, err=err)
        except BaseException:
            process.kill()
            raise
    return Ran(code=process.returncode, out=out, err=err)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def home(environment: Mapping[str, str]) -> Path:
    """The folder of minikube, by its own rule: $MINIKUBE_HOME with .minikube at its end, else ~/.minikube."""
    named = environment.get("MINIKUBE_HOME")
    if not named:
        return Path(environment.get("HOME") or Path.home()) / ".minikube"
    folder = Path(named)
    return folder if folder.name == ".minikube" else folder / ".minikube"


@dataclass(frozen=True, kw_only=True)
class DockerFacts:
    """What Docker can give."""

    memory_mb: int
    cpus: int


@dataclass(kw_only=True)
class Minikube:
    """One profile of the real minikube."""

    profile: str
    program: Path | None  # None: not installed (yet); then only an absent profile can be seen
    environment: Mapping[str, str]
    root: bool = field(default_factory=lambda: os.geteuid() == 0)

    @property
    def folder(self) -> Path:
        """Where minikube keeps its things."""
        return home(self.environment)

    @property
    def private_kubeconfig(self) -> Path:
        """The kubeconfig that minikube itself reads and writes."""
        return self._own(".kubeconfig")

    def look(self) -> Observed:
        """What the profile is in. Fault where minikube gives no answer that can be understood."""
        exists = self._profile_folder.is_dir()
        last = self._last()
        found = self._settings()
        if self.program is None:
            if exists or last:
                raise Fault(
                    "MinikubeMissing",
                    f"profile {self.profile} exists, and there is no minikube to ask for its state",
                    "install minikube on PATH, or run state: started, which downloads it",
                )
            return Observed(condition=Condition.ABSENT)
        ran = self._run("status", "-o", "json", timeout=LOOK_SECONDS)
        if last == CREATING or (exists and ran.code == answers.EXIT_NOT_FOUND):
            return Observed(condition=Condition.HALF_MADE, settings=found)
        condition, status = answers.condition(ran.code or 0, ran.out)
        if last == STARTING and condition is not Condition.ABSENT:
            condition = Condition.INTERRUPTED
        return Observed(condition=condition, status=status, settings=found, left_running=last == STARTED)

    def docker(self) -> DockerFacts:
        """What Docker can give; Fault where it is not there or does not answer."""
        ran = self._docker("info", "--format", "{{.MemTotal}} {{.NCPU}}")
        words = ran.out.split()
        if ran.code != 0 or len(words) != 2 or not all(word.isdigit() for word in words) or words[1] == "0":
            where = self.environment.get("DOCKER_HOST") or "its default socket"
            said = one_line(ran.err.removeprefix("ERROR: "), 160) or "no answer in time"
            raise Fault(
                "PROVIDER_DOCKER_NOT_RUNNING",
                f"Docker does not answer at {where}: {said}",
                answers.ADVICE["PROVIDER_DOCKER_NOT_RUNNING"],
            )
        return DockerFacts(memory_mb=int(words[0]) // 2**20, cpus=int(words[1]))

    def known_addons(self) -> frozenset[str]:
        """The names of all addons of this minikube."""
        ran = self._done("addons", "list", "-o", "json", timeout=LOOK_SECONDS)
        try:
            return frozenset(json.loads(ran.out))
        except ValueError:
            raise answers.failure("minikube addons list", ran.code or 0, ran.out, ran.err) from None

    def start(self, request: Request, observed: Observed, addons: Sequence[str]) -> None:
        """Make or start the cluster; Fault with minikube's reason. addons count for a new one only."""
        condition = observed.condition
        self._note(CREATING if condition in (Condition.ABSENT, Condition.HALF_MADE) else STARTING)
        if condition in TO_SET_UP_ANEW and request.driver == "docker" and observed.settings is not None:
            self._forget_setup(request.base_image or observed.settings.base_image)
        # Where the address changed minikube rewrites the entry and drops embedded certificates: it gets no old entry to
        # mend, and none with embedded certificates; those are put in when the entry is carried over.
        self.private_kubeconfig.unlink(missing_ok=True)
        self._done(*start_arguments(request, condition, addons, root=self.root), timeout=request.timeout)
        self._note(STARTED)

    def stop(self, request: Request) -> None:
        """Stop the cluster, its data is kept."""
        if self._last() != STARTING:  # a stop mends no interrupted start
            self._note(STOPPED)
        self._done("stop", "--output=json", "--keep-context-active", timeout=request.timeout)

    def delete(self) -> None:
        """Remove the cluster with its data, and what we keep of it."""
        self._done("delete", "--output=json", timeout=DELETE_SECONDS)
        for suffix in (".kubeconfig", ".json"):
            self._own(suffix).unlink(missing_ok=True)

    def unpause(self, request: Request) -> None:
        """Let a paused cluster go on."""
        self._done("unpause", "--output=json", timeout=request.timeout)

    def update_context(self) -> None:
        """Have minikube write its kubeconfig anew, from nothing as in start()."""
        self.private_kubeconfig.unlink(missing_ok=True)
        self._own_folder.mkdir(parents=True, exist_ok=True)
        self._done("update-context", timeout=LOOK_SECONDS)

    def enable_addon(self, name: str, request: Request) -> None:
        """Enable one addon."""
        self._done("addons", "enable", name, timeout=request.timeout)

    @contextlib.contextmanager
    def alone(self, timeout: float) -> Iterator[None]:
        """One run at a time works on this profile; waits at most timeout seconds for another one to end."""
        path = self._own(".lock")
        descriptors: list[int] = []

        def locked() -> bool:
            descriptor = self._try_lock(path)
            descriptors.extend([descriptor] if descriptor is not None else [])
            return descriptor is not None

        self._wait(locked, timeout)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptors[0])
            with contextlib.suppress(OSError):  # they stay where there is something in them
                self._own_folder.rmdir()
                self.folder.rmdir()

    def wait_for_others(self, timeout: float) -> None:
        """Wait until no other run works on this profile, at most timeout seconds; writes nothing, no lock either."""
        self._wait(lambda: not _is_locked(self._own(".lock")), timeout)

    def _wait(self, over: Callable[[], bool], timeout: float) -> None:
        end = time.monotonic() + timeout
        while not over():
            if time.monotonic() > end:
                raise Fault(
                    "ProfileBusy",
                    f"another run has been working on profile {self.profile} for {timeout:.0f} s",
                    "wait for it to end, then run this again",
                )
            time.sleep(0.2)

    def _try_lock(self, path: Path) -> int | None:
        """A descriptor that holds the lock; None where another run holds it, or removed the file meanwhile."""
        try:
            self._own_folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Fault(
                "HOST_HOME_PERMISSION",
                f"minikube's folder {self.folder} cannot be written ({error.strerror})",
                "make it writable, or name another with MINIKUBE_HOME",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(path, descriptor):
                return descriptor
        except BlockingIOError:
            pass
        os.close(descriptor)
        return None

    def _docker(self, *arguments: str) -> Ran:
        program = shutil.which("docker", path=self.environment.get("PATH"))
        if program is None:
            raise Fault(
                "PROVIDER_DOCKER_NOT_FOUND",
                "the program docker is not on PATH",
                answers.ADVICE["PROVIDER_DOCKER_NOT_FOUND"],
            )
        return run([program, *arguments], self.environment, LOOK_SECONDS)

    def _forget_setup(self, image: str) -> None:
        """Have the next start set the node up anew; the cluster's data stays. Without a volume it does so anyway."""
        if self._docker("volume", "inspect", self.profile).code != 0:
            return
        ran = self._docker(
            *("run", "--rm", "--pull=never", "--network=none", "--entrypoint=rm"),
            *(f"--volume={self.profile}:/var", image, "-f", SETUP),
        )
        if ran.code != 0:
            raise Fault(
                "RepairFailed",
                f"the volume of profile {self.profile} could not be prepared for a new start: {ran.err}",
                "state: absent and then started makes the cluster anew (its data is lost)",
            )

    def _run(self, *arguments: str, timeout: float) -> Ran:
        if self.program is None:
            raise Fault("MinikubeMissing", "there is no minikube", "install minikube on PATH")
        ran = run([str(self.program), *arguments, f"--profile={self.profile}"], self._environment(), timeout)
        if ran.code is None:
            step = answers.last_step(ran.out)
            where = f"; its last step was: {step}" if step else ""
            raise Fault(
                "TimedOut",
                f"minikube {arguments[0]} did not end within {timeout:.0f} s{where}",
                "give it more time (option timeout) or look why it is slow, and run this again",
            )
        return ran

    def _done(self, *arguments: str, timeout: float) -> Ran:
        ran = self._run(*arguments, timeout=timeout)
        if ran.code:
            named = " ".join(word for word in arguments[:3] if not word.startswith("-"))
            raise answers.failure(f"minikube {named}", ran.code, ran.out, ran.err)
        return ran

    def _environment(self) -> dict[str, str]:
        return {
            **self.environment,
            "KUBECONFIG": str(self.private_kubeconfig),
            "MINIKUBE_IN_STYLE": "false",
            "MINIKUBE_WANTUPDATENOTIFICATION": "false",
            "LC_ALL": "C",  # its messages are shown beside ours
        }

    @property
    def _profile_folder(self) -> Path:
        return self.folder / "profiles" / self.profile

    @property
    def _own_folder(self) -> Path:
        return self.folder / "claudescale"

    def _own(self, suffix: str) -> Path:
        return self._own_folder / f"{self.profile}{suffix}"

    def _settings(self) -> Settings | None:
        try:
            return answers.settings((self._profile_folder / "config.json").read_text())
        except OSError:
            return None

    def _last(self) -> str:
        try:
            return str(json.loads(self._own(".json").read_text())["last"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _note(self, last: str) -> None:
        self._own_folder.mkdir(parents=True, exist_ok=True)
        part = self._own(".json.part")
        part.write_text(json.dumps({"last": last}))
        part.replace(self._own(".json"))


def start_arguments(request: Request, condition: Condition, addons: Sequence[str], *, root: bool) -> list[str]:
    """The command line of a start. What minikube would ignore on an existing profile is not given to it."""
    fresh = condition in (Condition.ABSENT, Condition.HALF_MADE)
    arguments = [
        "start",
        "--output=json",
        "--interactive=false",
        "--embed-certs=false",  # see start()
        "--keep-context",
        f"--driver={request.driver}",
        f"--container-runtime={request.container_runtime}",
        f"--kubernetes-version={request.kubernetes_version}",
        f"--wait={','.join(request.wait) or 'none'}",
        f"--wait-timeout={request.timeout:.0f}s",
    ]
    if fresh:
        arguments += [f"--memory={request.memory_mb}", f"--cpus={request.cpus}"]
        arguments += [f"--cni={request.cni}"] if request.cni else []
        arguments += [f"--addons={','.join(addons)}"] if addons else []
    if request.base_image and (fresh or condition is Condition.GONE):
        arguments.append(f"--base-image={request.base_image}")
    if root and request.driver != "none":
        arguments.append("--force")
    return arguments


def _is_locked(path: Path) -> bool:
    """Whether a run holds the lock; a file that a killed run left is none."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_same(path: Path, descriptor: int) -> bool:
    """Whether the lock file is still the one that was opened, and not one made after its removal."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
