"""The plugin, as Claude Code itself reads, installs and starts it; without a cluster, and in a home of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.mcp.programs import Done, Programs
from tests.support import ROOT

pytestmark = pytest.mark.long

PLUGIN = ROOT / "mcp_plugin" / "claude_code"
NAME = "claudescale@claudescale"


class Claude:
    """Claude Code in one temporary home; nobody is logged in, and nothing is asked of a model."""

    def __init__(self, npm: Programs, folder: Path) -> None:
        self.npm = npm
        self.home = folder / "home"

    def ask(self, *arguments: str) -> Done:
        return self.npm.run(self.npm.command("claude", *arguments), home=self.home)

    def succeed(self, *arguments: str) -> str:
        done = self.ask(*arguments)
        assert done.code == 0, done.text
        return done.text

    def health(self, server: str) -> str:
        """The line of `claude mcp list` about a server; "" where it is not listed."""
        lines = self.succeed("mcp", "list").splitlines()
        return next((line for line in lines if line.startswith(f"{server}:")), "")


@pytest.fixture
def claude(npm: Programs, tmp_path: Path) -> Claude:
    return Claude(npm, tmp_path)


@pytest.mark.parametrize("path", [PLUGIN, ROOT], ids=["plugin", "marketplace"])
def test_it_is_valid_in_every_point(claude: Claude, path: Path) -> None:
    assert "Validation passed" in claude.succeed("plugin", "validate", "--strict", str(path))


def test_what_is_not_valid_is_refused(claude: Claude, tmp_path: Path) -> None:
    (tmp_path / ".claude-plugin").mkdir()
    (tmp_path / ".claude-plugin" / "plugin.json").write_text('{"name": "claudescale", "serverz": {}}')
    assert claude.ask("plugin", "validate", "--strict", str(tmp_path)).code != 0


def test_the_plugin_is_installed_and_its_server_connects(claude: Claude) -> None:
    claude.succeed("plugin", "marketplace", "add", str(ROOT))
    claude.succeed("plugin", "install", NAME, "--config", f"python={sys.executable}")
    assert "capacity-leases" in claude.succeed("plugin", "details", NAME)
    listed = claude.health("plugin:claudescale:claudescale")
    assert listed.endswith("✔ Connected"), listed
    assert "--allow-writes=false" in listed


def test_a_python_without_the_server_is_seen(claude: Claude) -> None:
    claude.succeed("plugin", "marketplace", "add", str(ROOT))
    claude.succeed("plugin", "install", NAME, "--config", "python=/bin/false")
    assert "Failed" in claude.health("plugin:claudescale:claudescale")


def test_the_server_that_is_added_by_hand_connects(claude: Claude, tmp_path: Path) -> None:
    """As mcp_plugin/README.md has it; the kubeconfig is not there, as before the first make up."""
    claude.succeed(
        "mcp", "add", "claudescale", "--env", f"KUBECONFIG={tmp_path / 'config'}", "--",
        sys.executable, "-m", "claudescale_mcp", "--context", "claudescale", "--namespace", "claudescale",
    )  # fmt: skip
    listed = claude.health("claudescale")
    assert listed.endswith("✔ Connected"), listed
