"""docs/SECURITY.md, the part about the MCP server: the tests that it names are there, and some sentences of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.mcp_double import McpCluster, Process, Stdio, mcp_cluster
from tests.doors.mcp_sweep import stdio_sweep
from tests.eval import variants
from tests.support import ROOT

PLUGIN = ROOT / "mcp_plugin" / "claude_code"
LISTENS = "0A"  # a state in /proc/net/tcp


def section() -> str:
    text = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    return text.partition("\n## The MCP server\n")[2].partition("\n## ")[0]


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


def test_every_test_that_is_named_is_there() -> None:
    items = re.findall(r"^- (`.*?)(?=\n\n|\n- |\Z)", section(), flags=re.MULTILINE | re.DOTALL)
    named = 0
    for item in items:
        part = ""
        for word in re.findall(r"`([^`]+)`", item):
            part += f"{word} "
            if not word.startswith("tests/"):
                continue
            content = (ROOT / word).read_text(encoding="utf-8")
            for test in re.findall(r"\btest_\w+(?= )", part):
                assert f"def {test}(" in content, f"{word} has no {test}"
                named += 1
            part = ""
    assert named >= 40


def test_every_unsafe_server_that_is_named_is_there() -> None:
    words = re.findall(r"(?:unsafe server)s? ((?:`[a-z-]+`(?:, | and )?)+)", " ".join(section().split()))
    named = {name for group in words for name in re.findall(r"`([a-z-]+)`", group)}
    assert len(named) >= 10
    assert named <= {variant.name for variant in variants.ALL}


def test_the_plugin_holds_what_the_page_says() -> None:
    files = {str(path.relative_to(PLUGIN)) for path in PLUGIN.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files == {
        ".claude-plugin/plugin.json", ".mcp.json", "server.py", "README.md", "skills/capacity-leases/SKILL.md",
    }  # fmt: skip


@pytest.mark.long
def test_it_speaks_to_the_api_server_and_to_nobody_else(cluster: McpCluster, tmp_path: Path) -> None:
    """And nobody can speak to it but through its standard input."""
    kubeconfig = str(cluster.place(tmp_path).kubeconfig)
    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, "--allow-writes") as server:
        stdio_sweep(server)
        found = sockets(server.process.pid)
    port = int(cluster.http.address.rpartition(":")[2])
    assert found, "so the look finds what is there"
    assert {(state == LISTENS, remote) for state, remote in found} == {(False, f"0100007F:{port:04X}")}


def sockets(process: int) -> list[tuple[str, str]]:
    """(state, remote address) of a process' sockets of the network."""
    mine = set()
    for one in Path(f"/proc/{process}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", str(one.readlink()))
        if found:
            mine.add(found.group(1))
    lines = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{process}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return [(fields[3], fields[2]) for fields in lines if fields[9] in mine]


@pytest.mark.long
def test_a_strangers_settings_are_not_read(tmp_path: Path) -> None:
    """In the folder in which a client starts it; FastMCP would read them, and refuse these."""
    (tmp_path / ".env").write_text("FASTMCP_LOG_LEVEL=LOUD\n")
    read = [sys.executable, "-P", "-c", "import fastmcp"]
    refused = subprocess.run(read, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert (refused.returncode, "log_level" in refused.stderr) == (1, True), refused.stderr
    command = [sys.executable, "-P", "-m", "claudescale_mcp"]
    with Process(command, {}, tmp_path) as server:
        assert server.request("tools/list")["tools"]
    assert (server.code, server.rest, server.log) == (0, "", "")
