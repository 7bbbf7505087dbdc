"""npm's kubernetes-mcp-server, pinned by npm/package-lock.json and installed once into the cache.

It ships as one binary, in a package for each platform; the script that npx starts only finds and starts that. Here the
binary is started itself, so that nothing of node counts against it.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.mcp.programs import packages
from tests.support import Cluster

NAME = "kubernetes-mcp-server"
PACKAGE = f"{NAME}-linux-amd64"
LOCK = Path(__file__).resolve().parent / "npm"


def version() -> str:
    pinned = json.loads((LOCK / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return str(pinned[PACKAGE])


def binary() -> Path:
    """The program; AssertionError where it cannot be installed."""
    return packages(NAME, LOCK) / PACKAGE / "bin" / PACKAGE


def kubeconfig(cluster: Cluster, path: Path) -> Path:
    """The person's own way to the cluster, with its context as the current one: this server asks for no context."""
    view = cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    assert json.loads(view)["current-context"] == cluster.context
    path.touch(mode=0o600)
    path.write_text(view, encoding="utf-8")
    return path
