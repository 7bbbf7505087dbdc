"""minikube's preload tarball: containerd's store with every image in it, so that a start loads none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import images, programs, shell
from .errors import KitError
from .paths import SOURCE
from .steps import Results, Step

NAME = f"preloaded-images-k8s-v18-{programs.KUBERNETES}-containerd-overlay2-amd64.tar.lz4"
_SCRIPT = SOURCE / "files/make-preload.sh"


def _addon_digest() -> str:
    """The digest by which minikube's addon names metrics-server."""
    addons = programs.module_folder("minikube", "k8s.io/minikube") / "pkg/minikube/assets/addons.go"
    wanted = images.METRICS_SERVER.partition("/")[2]
    found = re.search(re.escape(wanted) + "@(sha256:[0-9a-f]{64})", addons.read_text(encoding="utf-8"))
    if found is None:
        raise KitError(f"minikube's addon no longer asks for {wanted}: the kit must be adapted to this version.")
    return found.group(1)


def _build(folder: Path, results: Results) -> None:
    work = folder / "work"
    work.mkdir()
    tag = f"{images.METRICS_SERVER.rpartition(':')[0]}@{_addon_digest()}"
    archives = [results.path(image) / "image.tar" for image in images.IN_NODE]
    containerd, ctr = (results.path(step) / step.name for step in (programs.containerd, programs.ctr))
    shell.run(
        shell.isolated(
            ["sh", "-eu", _SCRIPT, containerd, ctr, work, folder / NAME, images.METRICS_SERVER, tag, *archives]
        )
    )
    shutil.rmtree(work)


tarball = Step(
    "preload",
    _build,
    (NAME, _SCRIPT, programs.GO / "minikube/go.mod"),
    (programs.containerd, programs.ctr, *images.IN_NODE),
)
