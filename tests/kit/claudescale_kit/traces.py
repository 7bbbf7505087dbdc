"""What a Docker daemon and its containers leave on a host, and how to take exactly that away again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FILE = "host-before.json"
_TABLES = ("filter", "nat", "mangle", "raw")
_COMMANDS = ("iptables", "ip6tables")
# Set by dockerd, kubelet and the node's sysctl files for the whole host.
_SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_FOLDERS = ("/etc/docker", "/lib/modules", "/opt/containerd", "/run/containerd", "/run/docker", "/var/lib/docker")


def outer_devices() -> list[str]:
    """Devices that lead out of this host, by its default routes."""
    lines = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    return sorted({words[0] for words in map(str.split, lines) if words[1] == "00000000"})


def _rules(command: str, table: str) -> list[str]:
    done = subprocess.run([command, "-w", "-t", table, "-S"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _all_rules() -> dict[str, list[str]]:
    return {f"{command} {table}": _rules(command, table) for command in _COMMANDS for table in _TABLES}


def _links() -> list[str]:
    done = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=False)
    return [line.split()[1].rstrip(":").partition("@")[0] for line in done.stdout.splitlines()]


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def remembered(kit: Path) -> bool:
    """Whether a daemon was started and not taken down since."""
    return (kit / _FILE).exists()


def remember(kit: Path) -> None:
    """Note the host's state before the daemon's first start; a note of this boot is older and stays."""
    note = kit / _FILE
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    try:
        if json.loads(note.read_text(encoding="utf-8"))["boot"] == boot:
            return
    except (FileNotFoundError, ValueError, KeyError):
        pass
    state = {
        "boot": boot,
        "rules": _all_rules(),
        "links": _links(),
        "sysctls": {name: value for name in _SYSCTLS if (value := _sysctl(name)) is not None},
        "folders": [folder for folder in _FOLDERS if os.path.lexists(folder)],
    }
    unfinished = note.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(note)


def remove(kit: Path, ours: Sequence[Path], cgroup: str) -> None:
    """Undo what came since `remember`, as far as Docker or a node container made it."""
    note = kit / _FILE
    try:
        before: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    for folder in ours:
        unmount(folder)
    _remove_links(before["links"])
    _remove_rules(before["rules"])
    for top in _cgroups(cgroup):
        _remove_empty(top)
    for name, value in before["sysctls"].items():
        if _sysctl(name) != value:
            Path("/proc/sys", name).write_text(value + "\n", encoding="ascii")
    for name in _FOLDERS:
        if name not in before["folders"]:
            _remove_folder(Path(name))
    note.unlink()


def _cgroups(name: str) -> list[Path]:
    """The group's folder in each hierarchy of cgroup v1, and in v2."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob("*" + name), *root.glob(name.lstrip("/"))]


def processes_in(cgroup: str) -> set[int]:
    """All processes of containers, those included whose shim is gone."""
    found: set[int] = set()
    for top in _cgroups(cgroup):
        for path in top.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(map(int, path.read_text(encoding="ascii").split()))
    return found


def unmount(folder: Path) -> None:
    """Everything that is mounted under the folder, deepest first."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    for point in sorted(mounted, key=len, reverse=True):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def _remove_links(before: Sequence[str]) -> None:
    for name in _links():
        if name not in before and re.fullmatch(r"docker0|br-[0-9a-f]{12}", name):
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


_DOCKER_MADE = re.compile(r"(?:^| )(?:DOCKER(?:-\S+)?|docker0|br-[0-9a-f]{12})(?= |$)")


def undoing(before: Sequence[str], now: Sequence[str]) -> list[list[str]]:
    """The iptables words that take away what Docker added to one table, and restore a policy it changed."""
    new = [rule for rule in now if rule not in before]
    chains = [rule.split()[1] for rule in new if rule.startswith("-N ") and _DOCKER_MADE.search(rule)]
    rules = [rule.split()[1:] for rule in new if rule.startswith("-A ") and _made_by_docker(rule)]
    policies = [rule.split() for rule in before if rule.startswith("-P ") and rule not in now]
    return [
        *(["-D", *words] for words in rules),
        *(["-F", chain] for chain in chains),
        *(["-X", chain] for chain in chains),
        *policies,
    ]


def _made_by_docker(rule: str) -> bool:
    """Published ports of a node also have a MASQUERADE rule that names neither chain nor bridge."""
    return bool(_DOCKER_MADE.search(rule)) or (rule.startswith("-A POSTROUTING ") and rule.endswith(" -j MASQUERADE"))


def _remove_rules(before: dict[str, list[str]]) -> None:
    for where, old in before.items():
        command, table = where.split()
        for words in undoing(old, _rules(command, table)):
            subprocess.run([command, "-w", "-t", table, *words], capture_output=True, check=False)


def _remove_empty(top: Path) -> None:
    """Remove a tree of empty folders; of a cgroup the kernel's files do not count."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _remove_folder(folder: Path) -> None:
    """/lib/modules and the like are only removed empty; Docker's own run folders with what is in them."""
    if folder.parts[1] in ("run", "etc"):
        shutil.rmtree(folder, ignore_errors=True)
        return
    _remove_empty(folder)
