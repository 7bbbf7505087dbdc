"""Where kubectl is, and a port-forward as a child process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError


def find_kubectl() -> str:
    """The kubectl on PATH, else the one that the project put into its cache; ClaudeScaleError without both."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claudescale" / "bin" / "kubectl"
    found = shutil.which("kubectl") or (str(cache) if os.access(cache, os.X_OK) else None)
    if found is None:
        raise ClaudeScaleError(f"there is no kubectl on PATH nor at {cache}: install it, or make up")
    return found


def port_forward(
    kubectl: str, where: Sequence[str], service: str, local_port: int | str, port: int, *, log: int
) -> subprocess.Popen[bytes]:
    """Start `kubectl port-forward` to a service on 127.0.0.1; an empty local port takes a free one.

    Its standard output is a pipe, its errors go to the file descriptor `log`.
    """
    return subprocess.Popen(
        [kubectl, *where, "port-forward", "--address", "127.0.0.1", f"service/{service}", f"{local_port}:{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
    )
