"""Root file systems from Debian packages, as tar files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import shell
from .steps import Results, Step

SUITE = "bookworm"
_SMALLER = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale", "info", "lintian")]


def _bootstrap(variant: str, packages: str, folder: Path, results: Results) -> None:
    command: list[str | Path] = [
        "mmdebstrap", f"--variant={variant}", f"--include={packages}", *_SMALLER,
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", SUITE, folder / "rootfs.tar",
    ]  # fmt: skip
    shell.run(shell.isolated(command))


def _step(name: str, variant: str, *packages: str) -> Step:
    together = ",".join(packages)
    return Step(f"debian-{name}", partial(_bootstrap, variant, together), (SUITE, variant, together, *_SMALLER))


# What runs systemd, kubelet and containerd: installed and configured.
node = _step(
    "node", "minbase", "adduser", "bash", "ca-certificates", "conntrack", "containernetworking-plugins", "curl",
    "dbus", "ebtables", "ethtool", "findutils", "hostname", "iproute2", "iptables", "iputils-ping", "kmod",
    "libseccomp2", "login", "lz4", "mount", "nftables", "openssh-server", "passwd", "pigz", "procps", "psmisc",
    "rsync", "runc", "socat", "sudo", "systemd", "systemd-sysv", "util-linux",
)  # fmt: skip
# The others hold one program and what it needs: unpacked only, no package manager, no maintainer scripts.
firewall = _step("firewall", "extract", "iptables", "nftables")
nginx = _step("nginx", "extract", "nginx", "dash", "coreutils")
python = _step(
    "python", "extract", "python3", "python3-pip", "python3-venv", "bash", "dash", "coreutils", "ca-certificates",
    "libc-bin",
)  # fmt: skip


def unpack(rootfs: Path, root: Path) -> None:
    """Extract without device nodes: a container gets its own."""
    root.mkdir()
    shell.run(["tar", "-xf", rootfs, "-C", root, "--numeric-owner", "--exclude=./dev"])
    (root / "dev").mkdir(exist_ok=True)
