"""Programs from Go modules: one module folder with its go.sum per group, one step per program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import shell
from .errors import KitError
from .paths import SOURCE
from .steps import Results, Step

GO = SOURCE / "go"
OLDEST_GO = (1, 26)
KUBERNETES = "v1.35.1"
MINIKUBE = "v1.38.1"
CONTAINERD = "2.3.7"
PROMETHEUS = "3.16.0"
EXPORTER = "1.5.1"

_KUBERNETES_STAMP = " ".join(
    f"-X {package}"
    for package in (
        f"k8s.io/component-base/version.gitVersion={KUBERNETES}",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=35",
        f"k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    )
)
# Without the storage provisioner's stamp the addon's manifest has an empty tag and a start takes two minutes.
_MINIKUBE_STAMP = (
    f"-X k8s.io/minikube/pkg/version.version={MINIKUBE} -X k8s.io/minikube/pkg/version.isoVersion=v1.38.0"
    " -X k8s.io/minikube/pkg/version.storageProvisionerVersion=v5"
)


@dataclass(frozen=True)
class Program:
    """`package` of the Go module in `go/<group>`, linked with `stamp`."""

    name: str
    group: str
    package: str
    stamp: str = ""
    tags: str = ""
    cgo: bool = False

    def build(self, folder: Path, results: Results) -> None:
        environment = shell.go_environment()
        environment["CGO_ENABLED"] = "1" if self.cgo else "0"
        command: list[str | Path] = [
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            f"-s -w {self.stamp}".strip(),
            "-o",
            folder / self.name,
        ]
        if self.tags:
            command[3:3] = ["-tags", self.tags]
        shell.run([*command, self.package], environment=environment, folder=GO / self.group)


def _step(program: Program) -> Step:
    group = GO / program.group
    return Step(
        name=program.name,
        build=program.build,
        facts=(repr(program), *(group / name for name in ("go.mod", "go.sum")), *sorted(group.glob("*.go"))),
    )


def _kubernetes(name: str) -> Step:
    return _step(Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_STAMP))


def _containerd(name: str) -> Step:
    stamp = f"-X github.com/containerd/containerd/v2/version.Version={CONTAINERD}"
    return _step(Program(name, "containerd", f"github.com/containerd/containerd/v2/cmd/{name}", stamp))


def _prometheus(name: str) -> Step:
    package = f"github.com/prometheus/prometheus/cmd/{name}"
    stamp = f"-X github.com/prometheus/common/version.Version={PROMETHEUS}"
    # Only the service discovery that is used: the clouds' clients are most of the build otherwise.
    return _step(Program(name, "prometheus", package, stamp, tags="remove_all_sd,enable_kubernetes_sd"))


def module_folder(group: str, module: str) -> Path:
    """The module's source in Go's module cache, downloaded where it is not there yet."""
    environment = shell.go_environment()
    folder = GO / group
    shell.run(["go", "mod", "download", module], environment=environment, folder=folder)
    found = shell.run(["go", "list", "-m", "-f", "{{.Dir}}", module], environment=environment, folder=folder)
    return Path(found.strip().splitlines()[-1])


def replaced(text: str, old: str, new: str, where: str) -> str:
    if text.count(old) != 1:
        raise KitError(
            f"{where} is not what the kit knows: it must be adapted to this version ({old!r} not found once)."
        )
    return text.replace(old, new)


def _storage_provisioner(folder: Path, results: Results) -> None:
    """Built from an overlay: 1.38.1's own dies at its start because its lock's type is gone from client-go."""
    source = module_folder("minikube", "k8s.io/minikube")
    work = folder / "source"
    (work / "storage").mkdir(parents=True)
    (work / "cmd").mkdir()
    for name in ("go.mod", "go.sum"):
        (work / name).write_bytes((GO / "minikube" / name).read_bytes())
    module = "claudescale.io/kit/minikube"
    provisioner = (source / "pkg/storage/storage_provisioner.go").read_text(encoding="utf-8")
    (work / "storage/storage_provisioner.go").write_text(
        replaced(
            provisioner,
            "serverVersion.GitVersion)\n",
            "serverVersion.GitVersion, controller.LeaderElection(false))\n",
            "minikube's storage provisioner",
        ),
        encoding="utf-8",
    )
    main = (source / "cmd/storage-provisioner/main.go").read_text(encoding="utf-8")
    (work / "cmd/main.go").write_text(
        replaced(main, '"k8s.io/minikube/pkg/storage"', f'"{module}/storage"', "minikube's storage provisioner"),
        encoding="utf-8",
    )
    environment = shell.go_environment()
    environment["CGO_ENABLED"] = "0"
    shell.run(
        ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", folder / "storage-provisioner", "./cmd"],
        environment=environment,
        folder=work,
    )


def _pause(folder: Path, results: Results) -> None:
    shell.run(["gcc", "-Os", "-static", "-o", folder / "pause", SOURCE / "files/pause.c"])


kubeadm, kubelet, kubectl, kube_apiserver, kube_controller_manager, kube_scheduler, kube_proxy = map(
    _kubernetes,
    ("kubeadm", "kubelet", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
)
containerd, containerd_shim, ctr = map(_containerd, ("containerd", "containerd-shim-runc-v2", "ctr"))
etcd = _step(Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"))
coredns = _step(Program("coredns", "coredns", "github.com/coredns/coredns"))
metrics_server = _step(Program("metrics-server", "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"))
crictl = _step(
    Program(
        "crictl",
        "cri-tools",
        "github.com/kubernetes-sigs/cri-tools/cmd/crictl",
        "-X github.com/kubernetes-sigs/cri-tools/pkg/version.Version=v1.30.0",
    )
)
minikube = _step(
    Program("minikube", "minikube", "k8s.io/minikube/cmd/minikube", _MINIKUBE_STAMP, tags="libvirt_dlopen", cgo=True)
)
storage_provisioner = Step(
    "storage-provisioner", _storage_provisioner, (GO / "minikube/go.mod", GO / "minikube/go.sum")
)
prometheus, promtool = map(_prometheus, ("prometheus", "promtool"))
exporter = _step(
    Program(
        "nginx-prometheus-exporter",
        "nginx-exporter",
        "github.com/nginx/nginx-prometheus-exporter",
        f"-X github.com/prometheus/common/version.Version={EXPORTER}",
    )
)
vegeta = _step(Program("vegeta", "vegeta", "github.com/tsenart/vegeta/v12"))
runc_wrapper = _step(Program("runc-wrapper", "runc-wrapper", "."))
pause = Step("pause", _pause, (SOURCE / "files/pause.c",))


def check_go() -> None:
    """Raise KitError where no Go of the right age is there."""
    text = shell.run(["go", "version"], environment=shell.go_environment())
    found = re.search(r"go(\d+)\.(\d+)", text)
    if found is None or tuple(map(int, found.groups())) < OLDEST_GO:
        raise KitError(f"The kit needs Go {'.'.join(map(str, OLDEST_GO))} or newer, and found: {text.strip()}.")
