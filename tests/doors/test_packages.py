"""What travels: the module's zip, the collection's tarball and the wheel, each tried outside the clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import bootstrap

ROOT = Path(__file__).resolve().parent.parent.parent
COLLECTION = ROOT / "collections/ansible_collections/claudescale/core"
BIN = Path(sys.executable).parent
RECAP = re.compile(r"^localhost\s*: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", re.MULTILINE)


def outside(folder: Path, **more: str) -> dict[str, str]:
    """An environment that knows nothing of the clone: no inventory, no configuration, an empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept |= {"HOME": str(home), "KUBECONFIG": str(folder / "kubeconfig"), "MINIKUBE_HOME": str(folder / "minikube")}
    return kept | more


def succeed(command: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """What the command printed, run in folder; AssertionError with all of it when it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_module_zip_holds_the_engine_and_nothing_else(tmp_path: Path) -> None:
    environment = {
        **outside(tmp_path, ANSIBLE_KEEP_REMOTE_FILES="1", ANSIBLE_REMOTE_TEMP=str(tmp_path / "remote")),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
    }
    subprocess.run(
        [BIN / "ansible", "localhost", "-m", "claudescale.core.minikube", "-a", "state=absent profile=zip", "--check"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    (wrapper,) = (tmp_path / "remote").rglob("AnsiballZ_minikube.py")
    succeed([sys.executable, wrapper, "explode"], tmp_path, environment)
    folder = wrapper.parent / "debug_dir"
    ours, others = [], []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            (ours if name.startswith("ansible_collections/") else others).append(name)
    home = "ansible_collections/claudescale/core/plugins/"
    packages = [name for name in ours if name.endswith("__init__.py")]
    code = [name.removeprefix(home) for name in ours if name not in packages]
    assert "modules/minikube.py" in code
    assert all(re.fullmatch(r"modules/minikube\.py|module_utils/[a-z_/]+\.py", name) for name in code), code
    assert all((COLLECTION / "plugins" / name).exists() for name in code), code
    assert all(name.startswith(("ansible/", "args")) for name in others), others


@pytest.mark.long
def test_tarball_plays_in_check_mode(tmp_path: Path) -> None:
    environment = outside(tmp_path)
    succeed(
        [BIN / "ansible-galaxy", "collection", "build", "--output-path", tmp_path, COLLECTION], tmp_path, environment
    )
    (tarball,) = tmp_path.glob("claudescale-core-*.tar.gz")
    collections = tmp_path / "collections"
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    succeed(
        [BIN / "ansible-galaxy", "collection", "install", "--force", "--no-deps", "-p", collections, tarball],
        tmp_path,
        environment,
    )
    import ansible_collections.kubernetes.core as kubernetes_core

    shutil.copytree(Path(kubernetes_core.__path__[0]), collections / "ansible_collections/kubernetes/core")
    text = succeed([BIN / "ansible-playbook", "claudescale.core.site", "--check"], tmp_path, environment)
    assert RECAP.search(text), text
    assert "would" in text, text


@pytest.mark.long
def test_wheel_plays_in_check_mode(tmp_path: Path) -> None:
    environment = outside(tmp_path)
    (uv,) = bootstrap.uv_program()
    succeed([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT], tmp_path, environment)
    (wheel,) = tmp_path.glob("claudescale-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    stray = [name for name in names if "__pycache__" in name or "/tests/output/" in name or name.endswith(".tar.gz")]
    assert not stray
    succeed([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], tmp_path, environment)
    python = tmp_path / "venv/bin/python"
    constraints = ["--constraint", ROOT / "constraints.txt"]
    succeed(
        [uv, "pip", "install", "--quiet", "--python", python, *constraints, f"{wheel}[ansible]"], tmp_path, environment
    )
    text = succeed([tmp_path / "venv/bin/ansible-playbook", "claudescale.core.site", "--check"], tmp_path, environment)
    assert RECAP.search(text), text
    assert "would" in text, text
    assert "--context" in succeed([tmp_path / "venv/bin/claudescale", "--help"], tmp_path, environment)
