"""`make environment` with other interpreters than ours, in a copy of the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("sh", "bash", "env", "make", "git", "dirname", "cat", "uname", "ldd", "getconf")


def interpreter(version: str) -> Path | None:
    """The real file of that Python, on PATH or among pyenv's; None where this machine has none."""
    named = [Path(found) for found in [shutil.which(f"python{version}")] if found]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for candidate in [*named, *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))]:
        done = subprocess.run(
            [candidate, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return Path(done.stdout.strip())
    return None


def copy_of_clone(folder: Path) -> Path:
    """The files that git knows or would take, in a folder of their own."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return folder


def make_environment(clone: Path, path: Path, python: Path) -> subprocess.CompletedProcess[str]:
    """`make environment` where PATH holds nothing but the given folder."""
    return subprocess.run(
        [shutil.which("make") or "make", "--no-print-directory", "environment", f"PYTHON={python}"],
        cwd=clone,
        env={**os.environ, "PATH": str(path), "HOME": str(clone / "home"), "UV_CACHE_DIR": str(clone / "uv-cache")},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def path_with(folder: Path, *pythons: Path) -> Path:
    """A PATH folder with a few system programs and just these interpreters."""
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    for python in pythons:
        (folder / python.name).symlink_to(python)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.9", "3.10"])
def test_older_python_starts_and_uv_finds_a_fitting_one(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    clone = copy_of_clone(tmp_path / "clone")
    done = make_environment(
        clone, path_with(tmp_path / "bin", python, Path(sys.base_prefix) / "bin/python3.11"), python
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version_line = subprocess.run(
        [clone / ".venv/bin/python", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert version_line.startswith("Python 3.11"), version_line
    assert make_environment(clone, tmp_path / "bin", python).stdout == ""


@pytest.mark.long
def test_no_fitting_python_is_one_clear_line(tmp_path: Path) -> None:
    python = interpreter("3.10")
    if python is None:
        pytest.skip("this machine has no Python 3.10")
    clone = copy_of_clone(tmp_path / "clone")
    done = make_environment(clone, path_with(tmp_path / "bin", python), python)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("environment:")]
    assert len(lines) == 1, done.stderr
    assert "Python 3.11, 3.12 or 3.13" in lines[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (clone / ".venv").exists()
