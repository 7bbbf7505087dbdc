"""What brings the server to Claude Desktop and Claude Code: files that agree with each other and with the server.

What npm's official tools say of the same files is in tests/mcp.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from claudescale_mcp import words
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client

from tests.doors.mcp_double import Stdio, mcp_cluster
from tests.support import ROOT
from tools import mcpb

PLUGIN = ROOT / "mcp_plugin" / "claude_code"
SKILL = PLUGIN / "skills" / "capacity-leases" / "SKILL.md"
FILLED = re.compile(r"\$\{user_config\.(\w+)\}")
NOWHERE = Place(context="nowhere", namespace="claudescale", kubeconfig="/nonexistent")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


MANIFEST = read(mcpb.MANIFEST)
PLUGIN_FILE = read(PLUGIN / ".claude-plugin" / "plugin.json")
SERVERS = read(PLUGIN / ".mcp.json")["mcpServers"]
MARKETPLACE = read(ROOT / ".claude-plugin" / "marketplace.json")


@pytest.fixture(scope="module")
def entry() -> ModuleType:
    """The program that both clients start."""
    spec = importlib.util.spec_from_file_location("claudescale_entry", mcpb.ENTRY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    """What the server lists, with writes, by name."""

    async def run() -> Any:
        async with Client(build(NOWHERE, allow_writes=True)) as client:
            return (await client.list_tools_mcp()).model_dump(mode="json", by_alias=True, exclude_none=True)

    return {tool["name"]: tool for tool in asyncio.run(run())["tools"]}


def test_versions_are_the_projects() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert MANIFEST["version"] == PLUGIN_FILE["version"] == ours["version"]
    assert MANIFEST["compatibility"]["runtimes"]["python"] == ours["requires-python"]


def test_the_marketplace_leads_to_the_plugin() -> None:
    (plugin,) = MARKETPLACE["plugins"]
    assert (ROOT / plugin["source"]).resolve() == PLUGIN
    assert plugin["name"] == PLUGIN_FILE["name"] == "claudescale"


@pytest.mark.parametrize(
    ("options", "declared"),
    [
        (MANIFEST["server"]["mcp_config"]["args"], MANIFEST["user_config"]),
        ([SERVERS["claudescale"]["command"], *SERVERS["claudescale"]["args"]], PLUGIN_FILE["userConfig"]),
    ],
    ids=["bundle", "plugin"],
)
def test_what_a_person_fills_in_is_what_the_server_gets(options: list[str], declared: dict[str, Any]) -> None:
    assert set(FILLED.findall(" ".join(options))) == set(declared)
    assert (declared["allow_writes"]["type"], declared["allow_writes"]["default"]) == ("boolean", False)
    assert [name for name, field in declared.items() if field.get("required")] == (
        ["python"] if "python" in declared else []
    )


@pytest.mark.parametrize(
    ("filled", "wanted"),
    [
        ([], []),
        (["--context=", "--namespace=", "--kubeconfig=", "--allow-writes="], []),
        (["--context=${user_config.context}", "--kubeconfig=${user_config.kubeconfig}"], []),
        (["--context=a b", "--namespace= x "], ["--context", "a b", "--namespace", "x"]),
        (["--kubeconfig=/somewhere/config"], ["--kubeconfig", "/somewhere/config"]),
        (["--kubeconfig=~/config"], ["--kubeconfig", str(Path("~/config").expanduser())]),
        (["--allow-writes=true"], ["--allow-writes"]),
        (["--allow-writes=false"], []),
        (["--allow-writes=${user_config.allow_writes}"], []),
        (["--allow-writes=TRUE"], []),
    ],
)
def test_only_what_was_filled_in_is_passed_on(entry: ModuleType, filled: list[str], wanted: list[str]) -> None:
    assert entry.options(filled) == wanted


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_it_serves(allowed: str, tools: dict[str, Any], tmp_path: Path) -> None:
    with mcp_cluster() as cluster:
        kubeconfig = f"--kubeconfig={cluster.place(tmp_path).kubeconfig}"
        options = (kubeconfig, "--context=", "--namespace=${user_config.namespace}", f"--allow-writes={allowed}")
        with Stdio(*options, command=(str(mcpb.ENTRY),), PATH="/usr/bin:/bin") as server:
            listed = {tool["name"] for tool in server.request("tools/list")["tools"]}
            told = server.ask("get_current_state")
    reads = {name for name, tool in tools.items() if tool["annotations"]["readOnlyHint"]}
    assert listed == (set(tools) if allowed == "true" else reads)
    assert told.facts["workloads_total"] >= 1, told.text
    assert (server.code, server.rest) == (0, "")


def test_another_python_says_which_one_is_meant() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", mcpb.ENTRY], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.endswith("which is .venv/bin/python there after make up")


def test_the_bundles_project_pins_what_the_clone_has() -> None:
    made = tomllib.loads(mcpb.project("claudescale-9.whl"))
    assert made["project"]["dependencies"] == ["claudescale"]
    assert made["tool"]["uv"]["sources"] == {"claudescale": {"path": "claudescale-9.whl"}}
    pins = made["tool"]["uv"]["constraint-dependencies"]
    assert any(pin.startswith("fastmcp==") for pin in pins)
    assert all("==" in pin for pin in pins)


# The skill


def skill() -> Iterator[str]:
    """What stands between backticks in it."""
    yield from re.findall(r"`([^`\n]+)`", SKILL.read_text(encoding="utf-8"))


def test_the_skill_says_when_it_is_meant() -> None:
    _, head, body = SKILL.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["name"] == SKILL.parent.name
    assert set(facts) == {"name", "description"}
    assert 100 < len(facts["description"]) < 1024
    assert len(body) < 8000


def test_the_skill_names_what_the_server_has(tools: dict[str, Any]) -> None:
    there = json.dumps(tools)
    names = {word for word in skill() if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)}
    assert {"get_current_state", "lease_capacity", "end_lease", "dry_run", "max_step_up"} <= names
    assert {name for name in names if f'"{name}"' not in there} == set()


def test_the_skill_knows_the_refusals() -> None:
    own = {"Unchanged"} | {"Pending", "Created"}  # outcomes and phases
    codes = {word for word in skill() if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)*", word)}
    assert codes - own <= set(words.REFUSALS)
    assert {"NoPolicy", "AbovePolicyMaximum", "StepTooLarge", "TooLong", "NoAutoscaler"} <= codes


# The programs of the tests


def test_the_pins_name_no_place_to_fetch_from() -> None:
    lock = read(ROOT / "tests" / "mcp" / "node" / "package-lock.json")
    wanted = read(ROOT / "tests" / "mcp" / "node" / "package.json")["dependencies"]
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert "integrity" in package or name == "", name
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted
