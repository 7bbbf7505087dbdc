"""`tests/kit/run [--profile NAME] -- COMMAND ...`, `--status`, `--down-if-last`, `--clean`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from . import decide, layout, packages, preload, programs, traces
from .daemon import Daemon, docker, docker_has_image
from .decide import Choice
from .errors import KitError
from .paths import Paths
from .steps import Store


def say(text: str) -> None:
    """One line for the person at the terminal; standard output belongs to the command."""
    print(f"kit: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock; the kernel lets go of it however this process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(waiting.format(pid=file.read().strip() or "unknown"))
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _join_users(paths: Paths) -> None:
    """Hold a shared lock until the command ends: whoever wants to stop the daemon finds it held."""
    paths.kit.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(paths.kit / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)


def _profiles(paths: Paths) -> list[str]:
    return sorted(path.parent.name for path in paths.minikube.glob("profiles/*/config.json"))


def _users_minikube(environment: dict[str, str]) -> Path:
    home = Path(environment.get("MINIKUBE_HOME") or Path(environment.get("HOME") or "~").expanduser())
    return home if home.name == ".minikube" else home / ".minikube"


def _choose(paths: Paths, profile: str, environment: dict[str, str], existing: bool) -> Choice:
    """The choice of an existing profile, or a new one; none is made for what only works on an existing one."""
    kept = decide.read(paths.choices, profile)
    if kept is None and decide.profile_exists(paths.minikube, profile):
        kept = Choice(True, paths.docker_host)
    home = paths.minikube if kept is not None and kept.kit else _users_minikube(environment)
    if kept is not None and not decide.profile_exists(home, profile):
        kept = None
    if kept is None and existing:
        return Choice(False)
    if kept is None and environment.get("DOCKER_HOST") == paths.docker_host:
        return Choice(True, paths.docker_host)
    decision = decide.decide(environment.get("CLAUDESCALE_KIT", ""), kept, lambda: decide.probe(environment))
    if decision.reason:
        say(decision.reason)
    if kept is not None:
        return kept
    # Where a daemon answers the kit builds for that one and starts none beside it.
    own = decision.kit and not decide.daemon_answers(environment)
    return Choice(decision.kit, paths.docker_host if own else "")


def _load_images(choice: Choice, store: Store) -> None:
    """The images that the Docker daemon itself needs; a cluster's own come with minikube's preload."""
    for step in layout.IN_DAEMON:
        name = layout.reference(store, step)
        if not docker_has_image(choice.docker_host, name):
            say(f"loading {name}")
            docker(choice.docker_host, "image", "load", "--input", store.path(step) / "image.tar")


def _prepare(paths: Paths, choice: Choice) -> None:
    """Everything that a command with the kit relies on."""
    with _locked(paths.kit / "lock", "another run (process {pid}) prepares the kit: waiting for it"):
        store = Store(paths.steps, say)
        daemon = Daemon(paths, say)
        if store.missing(layout.ALL) or not daemon.answers():
            packages.ensure(say, paths.logs / "apt.log")
        if store.missing(layout.ALL):
            say(f"building into {paths.kit}; an interrupted build goes on where it was")
            seconds = store.make(layout.ALL)
            say(f"built in {seconds:.0f} s")
        store.forget_all_but(layout.ALL)
        layout.project(paths, store)
        if choice.docker_host:
            daemon.start(store.path(programs.runc_wrapper) / "runc-wrapper")
        _load_images(choice, store)


def _run(paths: Paths, profile: str, command: Sequence[str], environment: dict[str, str], existing: bool) -> NoReturn:
    choice = _choose(paths, profile, environment, existing)
    if choice.kit:
        _join_users(paths)
        _prepare(paths, choice)
        environment = layout.environment(paths, environment, choice.docker_host)
        if not choice.images:
            choice = dataclasses.replace(choice, images=preload.tarball.key)
        elif choice.images != preload.tarball.key:
            say("its images have changed since this profile was created: to have them, run `make down` and `make up`")
    if not existing:
        decide.record(paths.choices, profile, choice)
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise KitError(f"There is no program {command[0]}.")
    # Python ignores it, and what is ignored stays so in the command.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execve(program, list(command), environment)


def _down_if_last(paths: Paths) -> None:
    if not traces.remembered(paths.kit):
        return
    with _locked(paths.kit / "lock", "another run (process {pid}) prepares the kit: waiting for it"):
        left = _profiles(paths)
        if left:
            say(f"profile {', '.join(left)} is still there: the Docker daemon stays")
            return
        with (paths.kit / "users.lock").open("a", encoding="ascii") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another command still works with the kit: the Docker daemon stays")
                return
            Daemon(paths, say).stop()
    say("no profile left: the Docker daemon and everything it made on this host are gone")


def _clean(paths: Paths) -> None:
    left = _profiles(paths)
    if left:
        raise KitError(f"The kit is in use by profile {', '.join(left)}: run `make down` first (with its PROFILE).")
    if not paths.kit.is_dir():
        say("there is nothing to delete")
        return
    _down_if_last(paths)
    if Daemon(paths, say).answers():
        raise KitError("Another command still works with the kit: end it, then run the same again.")
    shutil.rmtree(paths.kit)
    shutil.rmtree(paths.choices, ignore_errors=True)
    say(f"{paths.kit} is deleted")


def _status(paths: Paths) -> None:
    store = Store(paths.steps, say)
    missing = store.missing(layout.ALL)
    print(f"cache     {paths.kit}")
    print(f"steps     {len(layout.ALL) - len(missing)} of {len(layout.ALL)} built")
    print(f"missing   {' '.join(step.name for step in missing) or 'none'}")
    print(f"daemon    {'answers on ' + paths.docker_host if Daemon(paths, say).answers() else 'does not run'}")
    print(f"profiles  {' '.join(_profiles(paths)) or 'none'}")


def main(arguments: Sequence[str]) -> int:
    """Return the exit code; a command that is run replaces this process instead."""
    parser = argparse.ArgumentParser(prog="tests/kit/run", description="run a command with the kit, where it is needed")
    parser.add_argument("--profile", default="claudescale", help="the minikube profile that the command works with")
    parser.add_argument(
        "--existing",
        action="store_true",
        help="build nothing for a profile that does not exist: there is no use for it",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--status", action="store_true", help="what is built and what runs")
    what.add_argument("--down-if-last", action="store_true", help="stop the Docker daemon where no profile is left")
    what.add_argument("--clean", action="store_true", help="delete the cache")
    what.add_argument("command", nargs="*", metavar="-- COMMAND", default=[])
    given = parser.parse_args(arguments)
    environment = dict(os.environ)
    paths = Paths.from_environment(environment)
    # Debian's tools for administrators, which a plain user's PATH lacks, and where go.dev's archive goes.
    os.environ["PATH"] = os.pathsep.join(
        [os.environ.get("PATH", os.defpath), "/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if given.status:
            _status(paths)
        elif given.down_if_last:
            _down_if_last(paths)
        elif given.clean:
            _clean(paths)
        else:
            _run(paths, given.profile, given.command, environment, given.existing)
    except KitError as error:
        say(str(error))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where it was")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
