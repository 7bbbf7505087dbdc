"""Container images as docker-archive files, from a folder: no registry and no daemon."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import shell

_CREATED = "2026-01-01T00:00:00Z"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """What a Dockerfile would have said. `{content}` in the name becomes eight digits of the layer's digest."""

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = ()
    folder: str = "/"
    stop_signal: str = ""
    ports: tuple[str, ...] = field(default=())

    def config(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "User": self.user,
            "Env": [_PATH, *self.environment],
            "WorkingDir": self.folder,
            "StopSignal": self.stop_signal,
            "ExposedPorts": {port: {} for port in self.ports},
        }
        return {key: value for key, value in settings.items() if value}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write(image: Image, root: Path, folder: Path) -> str:
    """Write `image.tar` and `reference` into `folder` from the files under `root`; return the reference."""
    layer = folder / "layer.tar"
    shell.run(["tar", "--sort=name", "--mtime=@0", "--numeric-owner", "--xattrs", "-C", root, "-cf", layer, "."])
    digest = _digest(layer)
    reference = image.name.replace("{content}", digest[:8])
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _CREATED,
        "config": image.config(),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": _CREATED, "created_by": "claudescale kit"}],
    }
    encoded = json.dumps(config, sort_keys=True).encode()
    config_name = hashlib.sha256(encoded).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(folder / "image.tar", "w") as archive:
        for name, content in ((config_name, encoded), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        archive.add(layer, f"{digest}/layer.tar")
    layer.unlink()
    (folder / "reference").write_text(reference + "\n", encoding="utf-8")
    return reference
