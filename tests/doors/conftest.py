"""What the doors' tests have in common: none of them sees a person's settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from claudescale_cli import settings


@pytest.fixture(autouse=True)
def without_settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command finds no settings but those that a test gives it."""
    if not request.path.name.startswith("test_cli"):
        return
    for variable in settings.BY_VARIABLE:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
