"""What the product's own images are built from where there is no network: vegeta and a wheelhouse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import debian, programs, shell
from .paths import CLONE
from .steps import Results, Step

_IMAGES = CLONE / "collections/ansible_collections/claudescale/core/images"
REQUIREMENTS = tuple(_IMAGES / f"requirements-{image}.txt" for image in ("controller", "load"))
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_SCRIPT = """
set -eu
mount --bind /dev "$1/dev"
exec chroot "$1" python3 -m pip download --quiet --no-cache-dir --only-binary=:all: --disable-pip-version-check \
  --dest /wheels --requirement /requirements/requirements-controller.txt \
  --requirement /requirements/requirements-load.txt
"""


def _build(folder: Path, results: Results) -> None:
    """pip runs inside the root file system whose Python will install the wheels, so that they fit."""
    root = folder / "root"
    debian.unpack(results.path(debian.python) / "rootfs.tar", root)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "requirements").mkdir()
    for file in REQUIREMENTS:
        shutil.copy(file, root / "requirements")
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


folder = Step("prebuilt", _build, (_SCRIPT, *REQUIREMENTS), (debian.python, programs.vegeta))
