"""What the doors' tests have in common: none sees a person's settings, those of MCP share a double."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from claudescale_cli import settings
from claudescale_mcp import handlers
from claudescale_mcp.link import Place

from tests.doors.command import Said, ended
from tests.doors.mcp_double import McpCluster, mcp_cluster


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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`claudescale` with the given arguments."""

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Said:
        capfd.readouterr()
        return Said(ended(monkeypatch, *arguments), *capfd.readouterr())

    return call


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


@pytest.fixture
def place(cluster: McpCluster, tmp_path: Path) -> Place:
    return cluster.place(tmp_path)


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller's answer is there at once or never."""
    monkeypatch.setattr(handlers, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr("ansible_collections.claudescale.core.plugins.module_utils.asking.door.ANSWER_SECONDS", 0.3)
