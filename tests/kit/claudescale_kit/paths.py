"""Where everything lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
CLONE = SOURCE.parent.parent


@dataclass(frozen=True)
class Paths:
    """Folders of one cache; clones that share the cache share all of them."""

    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Paths:
        base = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".cache")
        return cls(Path(base).expanduser().absolute() / "claudescale")

    @property
    def choices(self) -> Path:
        return self.cache / "profiles"

    @property
    def kit(self) -> Path:
        return self.cache / "kit"

    @property
    def steps(self) -> Path:
        return self.kit / "steps"

    @property
    def bin(self) -> Path:
        return self.kit / "bin"

    @property
    def minikube_home(self) -> Path:
        return self.kit / "home"

    @property
    def minikube(self) -> Path:
        """The folder that minikube itself makes out of MINIKUBE_HOME."""
        return self.minikube_home / ".minikube"

    @property
    def inventory(self) -> Path:
        return self.kit / "inventory"

    @property
    def logs(self) -> Path:
        return self.kit / "logs"

    @property
    def docker_data(self) -> Path:
        return self.kit / "docker"

    @property
    def run(self) -> Path:
        """Sockets and process ids: a short path, because a socket's has 107 characters at most."""
        return Path("/run") / ("claudescale-" + hashlib.sha256(os.fsencode(self.kit)).hexdigest()[:8])

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"
