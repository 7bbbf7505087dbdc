"""What the product's own images are built from where there is no network: vegeta and a wheelhouse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import debian, programs, shell
from .paths import CLONE
from .steps import Fact, Results, Step

REQUIREMENTS = ("kubernetes>=37.0.2,<38", "prometheus_client", "PyYAML>=6")
_CONSTRAINTS = CLONE / "constraints.txt"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_SCRIPT = """
set -eu
mount --bind /dev "$1/dev"
exec chroot "$1" python3 -m pip download --quiet --no-cache-dir --only-binary=:all: --disable-pip-version-check \
  --dest /wheels --constraint /constraints.txt --requirement /requirements.txt
"""


def _build(folder: Path, results: Results) -> None:
    """pip runs inside the root file system whose Python will install the wheels, so that they fit."""
    root = folder / "root"
    debian.unpack(results.path(debian.python) / "rootfs.tar", root)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n", encoding="ascii")
    (root / "constraints.txt").write_bytes(_CONSTRAINTS.read_bytes() if _CONSTRAINTS.is_file() else b"")
    for file in (_AUTHORITIES, Path("/etc/resolv.conf"), Path("/etc/hosts"), Path("/etc/pip.conf")):
        if file.is_file():
            target = root / str(file).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    local = {"PIP_FIND_LINKS", "PIP_CERT", "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    environment = {key: value for key, value in os.environ.items() if key not in local and not key.startswith("PYTHON")}
    environment["PIP_CERT"] = str(_AUTHORITIES)
    shell.run(shell.isolated(["sh", "-c", _SCRIPT, "sh", root]), environment=environment)
    (root / "wheels").rename(folder / "wheels")
    shutil.rmtree(root)
    shutil.copy2(results.path(programs.vegeta) / "vegeta", folder / "vegeta")


def _facts() -> tuple[Fact, ...]:
    return (*REQUIREMENTS, _SCRIPT, *([_CONSTRAINTS] if _CONSTRAINTS.is_file() else []))


folder = Step("prebuilt", _build, _facts(), (debian.python, programs.vegeta))
