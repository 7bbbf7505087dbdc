"""Child processes that never outlive this one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import KitError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For preexec_fn: a SIGKILL of this process ends the child too, so a rerun finds nobody at work."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(
    command: Sequence[str | Path],
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: str | None = None,
) -> str:
    """Run to the end; return what it printed.

    Output also goes to the end of `log`. Raises KitError with the last lines where it fails.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            check=False,
            cwd=folder,
            env=None if environment is None else dict(environment),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent,
        )
    except FileNotFoundError as error:
        raise KitError(f"The program {error.filename} is missing: install it and run the same command again.") from None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(words)}\n{done.stdout}\n")
    if done.returncode != 0:
        tail = "\n".join("    " + line for line in done.stdout.strip().splitlines()[-8:])
        where = f" (all of it: {log})" if log else ""
        program = Path(words[words.index("--") + 1 if words[0] == "unshare" else 0]).name
        raise KitError(f"{program} ended with {done.returncode}{where}:\n{tail}")
    return done.stdout


def isolated(command: Sequence[str | Path]) -> list[str | Path]:
    """The command with mounts and processes of its own: both vanish with it, however it ends."""
    return [
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL", "--", *command
    ]  # fmt: skip


def go_environment() -> dict[str, str]:
    """The caller's environment with every setting that changes a build made explicit."""
    drop = {"GOOS", "GOARCH", "GOEXPERIMENT", "GOWORK", "GOBIN", "CGO_ENABLED"}
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    environment.update(GOTOOLCHAIN="local", GOWORK="off", GOFLAGS="-buildvcs=false -mod=readonly")
    return environment
