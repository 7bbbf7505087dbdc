"""minikube's node image ("kicbase"), from Debian, the kit's containerd and minikube's own files."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import archive, debian, programs, shell
from .archive import Image
from .paths import SOURCE
from .steps import Results, Step

_SETUP = SOURCE / "files/node-setup.sh"
_CGROUPS = SOURCE / "files/only-mounted-cgroups.sh"
_IMAGE = Image(
    "claudescale.kit/node:v1.38.1-{content}",
    # legacy: or systemd mounts cgroup2 with nsdelegate, which changes the host's own mount.
    entrypoint=("/usr/local/bin/entrypoint", "/sbin/init", "systemd.legacy_systemd_cgroup_controller=1"),
    environment=("container=docker",),
    stop_signal="SIGRTMIN+3",
    ports=("22/tcp",),
)
# From minikube's deploy/kicbase: source, place, mode.
_FILES = (
    ("10-network-security.conf", "etc/sysctl.d/10-network-security.conf", 0o644),
    ("11-tcp-mtu-probing.conf", "etc/sysctl.d/11-tcp-mtu-probing.conf", 0o644),
    ("containerd.toml", "etc/containerd/config.toml", 0o644),
    ("automount/minikube-automount", "usr/sbin/minikube-automount", 0o755),
    ("automount/minikube-automount.service", "usr/lib/systemd/system/minikube-automount.service", 0o644),
    ("scheduled-stop/minikube-scheduled-stop", "var/lib/minikube/scheduled-stop/minikube-scheduled-stop", 0o755),
    ("scheduled-stop/minikube-scheduled-stop.service", "usr/lib/systemd/system/minikube-scheduled-stop.service", 0o644),
)


def _put(content: bytes, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(mode)


def _entrypoint(text: str) -> str:
    """minikube's entrypoint, with only the cgroup controllers that the host has mounted, and nft iptables.

    systemd would mount the other controllers, for the host as well.
    """
    text = programs.replaced(text, "\nvalidate_userns\n", "\nvalidate_userns\nonly_mounted_cgroups\n", "entrypoint")
    text = programs.replaced(
        text, "\nvalidate_userns() {", f"\n{_CGROUPS.read_text(encoding='utf-8')}\nvalidate_userns() {{", "entrypoint"
    )
    return programs.replaced(
        text, 'if [ "${num_legacy_lines}" -ge "${num_nft_lines}" ]; then', "if false; then", "entrypoint"
    )


def _service(text: str) -> str:
    """containerd's unit, with its Debian path and without the limits that this host may not grant."""
    text = programs.replaced(
        text, "ExecStart=/usr/local/bin/containerd", "ExecStart=/usr/bin/containerd", "containerd.service"
    )
    refused = ("LimitNPROC", "LimitCORE", "OOMScoreAdjust")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(refused))


def _build(folder: Path, results: Results) -> None:
    root = folder / "root"
    kicbase = programs.module_folder("minikube", "k8s.io/minikube") / "deploy/kicbase"
    containerd = programs.module_folder("containerd", "github.com/containerd/containerd/v2")
    debian.unpack(results.path(debian.node) / "rootfs.tar", root)
    for source, target, mode in _FILES:
        _put((kicbase / source).read_bytes(), root / target, mode)
    entrypoint = _entrypoint((kicbase / "entrypoint").read_text(encoding="utf-8"))
    _put(entrypoint.encode(), root / "usr/local/bin/entrypoint", 0o755)
    unit = _service((containerd / "containerd.service").read_text(encoding="utf-8"))
    _put(unit.encode(), root / "usr/lib/systemd/system/containerd.service", 0o644)
    for program in (programs.containerd, programs.containerd_shim, programs.ctr):
        _put((results.path(program) / program.name).read_bytes(), root / "usr/bin" / program.name, 0o755)
    _put((results.path(programs.crictl) / "crictl").read_bytes(), root / "usr/local/bin/crictl", 0o755)
    (root / "usr/sbin/runc").rename(root / "usr/sbin/runc.real")
    _put((results.path(programs.runc_wrapper) / "runc-wrapper").read_bytes(), root / "usr/sbin/runc", 0o755)
    shutil.copytree(root / "usr/lib/cni", root / "opt/cni/bin", dirs_exist_ok=True)
    shell.run(shell.isolated(["chroot", root, "/bin/bash", "-s"]), stdin=_SETUP.read_text(encoding="utf-8"))
    archive.write(_IMAGE, root, folder)
    shutil.rmtree(root)


image = Step(
    "image-node",
    _build,
    (Path(__file__), Path(archive.__file__), Path(debian.__file__), _SETUP, _CGROUPS,
     *(SOURCE / "go" / group / "go.mod" for group in ("minikube", "containerd"))),
    (debian.node, programs.containerd, programs.containerd_shim, programs.ctr, programs.crictl, programs.runc_wrapper),
)  # fmt: skip
