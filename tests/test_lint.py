"""Every linter of tools/lint.sh, as one test each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("part", ["ruff", "mypy", "yamllint", "shellcheck", "ansible-lint", "changelog", "sanity"])
def test_linter_is_content(part: str) -> None:
    done = subprocess.run(
        [ROOT / "tools/lint.sh", part], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
