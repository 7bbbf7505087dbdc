"""The images of Kubernetes under their official names, and the kit's own under names with a content key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import archive, debian, programs
from .archive import Image
from .steps import Results, Step

_OF_ALL = Path(archive.__file__)
# Exactly what minikube's addon asks for; its manifest names the digest too.
METRICS_SERVER = "registry.k8s.io/metrics-server/metrics-server:v0.8.1"
_ACCOUNTS = {
    "passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "nginx:x:101:101:nginx:/nonexistent:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "group": "root:x:0:\nstaff:x:50:\nnginx:x:101:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _furnish(root: Path) -> None:
    """Accounts and the folders that programs expect everywhere."""
    for name, text in _ACCOUNTS.items():
        path = root / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    for name, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700), ("run", 0o755)):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(mode)


def _of_program(program: Step, target: str, image: Image, folder: Path, results: Results) -> None:
    root = folder / "root"
    _furnish(root)
    _install(results.path(program) / program.name, root / target.lstrip("/"))
    archive.write(image, root, folder)
    shutil.rmtree(root)


def _with_program(program: Step, target: str, name: str, user: str = "") -> Step:
    image = Image(name, entrypoint=(target,), user=user)
    return Step(
        f"image-{program.name}",
        partial(_of_program, program, target, image),
        (_OF_ALL, repr(image), repr(_ACCOUNTS)),
        (program,),
    )


def _of_debian(
    rootfs: Step, change: Callable[[Path, Results], None], image: Image, folder: Path, results: Results
) -> None:
    root = folder / "root"
    debian.unpack(results.path(rootfs) / "rootfs.tar", root)
    _furnish(root)
    for name in ("var/cache/apt", "var/lib/apt", "var/lib/dpkg", "etc/apt", "etc/dpkg", "boot", "usr/share/perl5"):
        shutil.rmtree(root / name, ignore_errors=True)
    change(root, results)
    archive.write(image, root, folder)
    shutil.rmtree(root)


def _from_debian(
    name: str, rootfs: Step, change: Callable[[Path, Results], None], image: Image, after: tuple[Step, ...] = ()
) -> Step:
    build = partial(_of_debian, rootfs, change, image)
    return Step(f"image-{name}", build, (_OF_ALL, Path(__file__), repr(image)), (rootfs, *after))


def _with_kube_proxy(root: Path, results: Results) -> None:
    """The program drives iptables; the links are what Debian's alternatives would have made."""
    _install(results.path(programs.kube_proxy) / "kube-proxy", root / "usr/local/bin/kube-proxy")
    for family in ("iptables", "ip6tables"):
        for what in ("", "-save", "-restore"):
            link = root / f"usr/sbin/{family}{what}"
            link.unlink(missing_ok=True)
            link.symlink_to("xtables-nft-multi")


def _with_nginx(root: Path, results: Results) -> None:
    """As the official image: logs to the standard streams, cache and pid folders that its user may write."""
    for name in ("access.log", "error.log"):
        link = root / "var/log/nginx" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("/dev/stdout" if name.startswith("access") else "/dev/stderr")
    for name in ("var/cache/nginx", "var/lib/nginx", "run"):
        (root / name).mkdir(parents=True, exist_ok=True)
        os.chown(root / name, 101, 101)
    for name in ("modules-enabled", "sites-enabled", "sites-available"):
        shutil.rmtree(root / "etc/nginx" / name, ignore_errors=True)
    (root / "etc/nginx/conf.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/nginx/nginx.conf").write_text(
        "pid /run/nginx.pid;\nevents {}\n"
        "http { include mime.types; include conf.d/*.conf; access_log /var/log/nginx/access.log;\n"
        "  server { listen 80; root /usr/share/nginx/html; } }\n",
        encoding="ascii",
    )


def _with_python(root: Path, results: Results) -> None:
    """As the official image: `python`, and a pip that installs system-wide."""
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for mark in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        mark.unlink()
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes() for path in authorities))


_K8S = "registry.k8s.io"
kube_proxy = _from_debian(
    "kube-proxy",
    debian.firewall,
    _with_kube_proxy,
    Image(f"{_K8S}/kube-proxy:{programs.KUBERNETES}", entrypoint=("/usr/local/bin/kube-proxy",)),
    (programs.kube_proxy,),
)
metrics_server = _with_program(programs.metrics_server, "/metrics-server", METRICS_SERVER)
nginx = _from_debian(
    "nginx",
    debian.nginx,
    _with_nginx,
    Image(
        "claudescale.kit/nginx:1.22.1-{content}",
        command=("nginx", "-g", "daemon off;"),
        stop_signal="SIGQUIT",
        ports=("80/tcp",),
    ),
)
python = _from_debian(
    "python",
    debian.python,
    _with_python,
    Image("claudescale.kit/python:3.11-{content}", command=("python3",), environment=("LANG=C.UTF-8",)),
)
prometheus = _with_program(
    programs.prometheus, "/bin/prometheus", f"claudescale.kit/prometheus:{programs.PROMETHEUS}-{{content}}", "65534"
)
exporter = _with_program(
    programs.exporter,
    "/usr/bin/nginx-prometheus-exporter",
    f"claudescale.kit/nginx-prometheus-exporter:{programs.EXPORTER}-{{content}}",
    "65534",
)
IN_NODE = (
    *(
        _with_program(program, f"/usr/local/bin/{program.name}", f"{_K8S}/{program.name}:{programs.KUBERNETES}")
        for program in (programs.kube_apiserver, programs.kube_controller_manager, programs.kube_scheduler)
    ),
    kube_proxy,
    # The tags are those that kubeadm and minikube ask for; the programs inside are the nearest that can be built.
    _with_program(programs.etcd, "/usr/local/bin/etcd", f"{_K8S}/etcd:3.6.6-0"),
    _with_program(programs.coredns, "/coredns", f"{_K8S}/coredns/coredns:v1.13.1"),
    _with_program(programs.pause, "/pause", f"{_K8S}/pause:3.10.1"),
    _with_program(programs.storage_provisioner, "/storage-provisioner", "gcr.io/k8s-minikube/storage-provisioner:v5"),
    metrics_server,
    nginx,
    python,
    prometheus,
    exporter,
)
