"""Debian packages that building and running need."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from . import programs, shell
from .errors import KitError

# A program or file that shows whether the package is there.
_NEEDED = {
    "docker.io": "dockerd",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "nftables": "nft",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "lz4": "lz4",
    "tar": "tar",
    "util-linux": "unshare",
    "iproute2": "ip",
}
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Names of the packages that are not there."""
    return [
        package
        for package, sign in _NEEDED.items()
        if not (Path(sign).exists() if sign.startswith("/") else shutil.which(sign))
    ]


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's way to keep a package from starting its service: docker.io would start a second daemon."""
    if _POLICY.exists():
        yield
        return
    try:
        _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def ensure(say: Callable[[str], None], log: Path) -> None:
    """Install what is missing, as root; raise KitError with the line to type otherwise."""
    wanted = missing()
    if wanted:
        command = ["apt-get", "install", "-y", "--no-install-recommends", *wanted]
        if shutil.which("apt-get") is None:
            raise KitError(f"The kit needs a Debian system with these packages: {' '.join(wanted)}.")
        if os.geteuid() != 0:
            raise KitError(f"The kit needs packages; run this first: sudo {' '.join(command)}")
        say(f"installing {' '.join(wanted)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        shell.run(["apt-get", "update", "-q"], log=log, environment=environment)
        with _no_service_starts():
            shell.run(command, log=log, environment=environment)
    if shutil.which("go") is None:
        raise KitError("The kit needs Go 1.26 or newer, and there is no `go` in PATH: install it from go.dev/dl.")
    programs.check_go()
