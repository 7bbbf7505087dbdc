# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Where minikube and kubectl come from: PATH, else the download folder, else their release sites."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import cli as minikube_cli
from ansible_collections.claudescale.core.plugins.module_utils.minikube import download

MINIKUBE_SITE = "https://github.com/kubernetes/minikube/releases/download"
KUBECTL_SITE = "https://dl.k8s.io/release"
VERSION_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "minikube": ("version", "-o", "json"),
    "kubectl": ("version", "--client", "-o", "json"),
}


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program and how it came here."""

    name: str
    path: Path | None  # None: not here (check mode downloads nothing)
    source: str  # path, downloaded before, downloaded, would be downloaded, missing
    version: str | None  # None: it is missing

    @property
    def changed(self) -> bool:
        """Whether it was, or would be, downloaded in this run."""
        return self.source in ("downloaded", "would be downloaded")


@dataclass(frozen=True, kw_only=True)
class Needed:
    """A program, and where to get it when it is not on PATH."""

    name: str
    version: str
    site: str
    checksum: str | None = None

    @property
    def url(self) -> str:
        """The address of the program for this machine, as its release site spells it."""
        site = self.site.rstrip("/")
        if self.name == "minikube":
            return f"{site}/{self.version}/minikube-{download.machine()}"
        return f"{site}/{self.version}/bin/{download.machine().replace('-', '/')}/kubectl"


def default_folder(environment: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/claudescale/bin, with ~/.cache where that is not set."""
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(cache) / "claudescale" / "bin"


def find(needed: Needed, folder: Path, environment: Mapping[str, str]) -> Program:
    """The program from PATH, else from folder in the needed version, else missing."""
    found = shutil.which(needed.name, path=environment.get("PATH"))
    if found is not None:
        return Program(
            name=needed.name, path=Path(found), source="path", version=version_of(needed.name, Path(found), environment)
        )
    kept = folder / needed.name
    if os.access(kept, os.X_OK) and version_of(needed.name, kept, environment) == needed.version:
        return Program(name=needed.name, path=kept, source="downloaded before", version=needed.version)
    return Program(name=needed.name, path=None, source="missing", version=None)


def obtain(needed: Needed, folder: Path, environment: Mapping[str, str], *, check: bool, timeout: float) -> Program:
    """The program as find() has it, else downloaded into folder (not in check mode)."""
    found = find(needed, folder, environment)
    if found.path is not None:
        return found
    if check:
        return Program(name=needed.name, path=None, source="would be downloaded", version=needed.version)
    release = download.Release(name=needed.name, url=needed.url, checksum=needed.checksum)
    path = download.fetch(release, folder, timeout=timeout)
    return Program(name=needed.name, path=path, source="downloaded", version=needed.version)


def version_of(name: str, path: Path, environment: Mapping[str, str]) -> str:
    """The version that a program says it has. Fault where it does not run."""
    try:
        ran = minikube_cli.run([str(path), *VERSION_COMMANDS[name]], environment, minikube_cli.LOOK_SECONDS)
        answer = json.loads(ran.out)
        return str(answer["minikubeVersion"] if name == "minikube" else answer["clientVersion"]["gitVersion"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fault(
            "ProgramBroken", f"{path} does not tell its version ({error})", f"remove it or install {name} anew"
        ) from error
