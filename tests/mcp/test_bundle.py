"""The bundle for Claude Desktop: npm's own tool takes it, and it starts from a folder that holds nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.mcp_double import McpCluster, mcp_cluster
from tests.mcp.programs import Done, Programs
from tests.mcp.started import Started
from tools import bootstrap, mcpb

pytestmark = pytest.mark.long

# How a client fills in a manifest is a function of the official package.
RESOLVE = """
import { readFileSync } from "node:fs";
const [library, folder, filled] = process.argv.slice(1);
const { getMcpConfigForManifest } = await import(library);
const manifest = JSON.parse(readFileSync(`${folder}/manifest.json`, "utf-8"));
console.log(JSON.stringify(await getMcpConfigForManifest({
  manifest, extensionPath: folder, systemDirs: {}, userConfig: JSON.parse(filled), pathSeparator: "/",
})));
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle; beside it the folder mcpb that it was packed from."""
    return mcpb.make(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


@pytest.fixture(scope="module")
def unpacked(npm: Programs, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extensions") / "claudescale"
    done = npm.run(npm.command("mcpb", "unpack", str(bundle), str(folder)), home=folder.parent / "home")
    assert done.code == 0, done.text
    return folder


def tool(npm: Programs, home: Path, *arguments: str) -> Done:
    """The official tool, content, and offline as all programs here."""
    done = npm.run(npm.command("mcpb", *arguments), home=home)
    assert done.code == 0, done.text
    return done


def configuration(npm: Programs, folder: Path, **filled: Any) -> dict[str, Any]:
    """The command that Claude Desktop starts, with what a person filled in."""
    library = npm.modules / "@anthropic-ai/mcpb/dist/index.js"
    done = npm.run(npm.script(RESOLVE, str(library), str(folder), json.dumps(filled)), home=folder.parent / "home")
    assert done.code == 0, done.text
    found: dict[str, Any] = json.loads(done.out)
    return found


def environment(home: Path) -> dict[str, str]:
    """uv and a Python to find, an empty home, and uv's own settings; what uv has fetched already is used."""
    (uv,) = bootstrap.uv_program()
    home.mkdir(exist_ok=True)
    places = [Path(uv).parent, Path(sys.base_prefix) / "bin", Path("/usr/bin"), Path("/bin")]
    kept = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_CERT_"))}
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    return {**kept, "PATH": os.pathsep.join(map(str, places)), "HOME": str(home), "UV_CACHE_DIR": cache}


def test_the_official_tool_takes_it(npm: Programs, bundle: Path, tmp_path: Path) -> None:
    folder = bundle.parent / "mcpb"
    assert "validation passes" in tool(npm, tmp_path / "home", "validate", str(mcpb.MANIFEST)).text
    official = tmp_path / "official.mcpb"
    tool(npm, tmp_path / "home", "pack", str(folder), str(official))
    ours, theirs = zipfile.ZipFile(bundle), zipfile.ZipFile(official)
    assert sorted(ours.namelist()) == sorted(theirs.namelist())
    assert all(ours.read(name) == theirs.read(name) for name in ours.namelist())


def test_the_official_tool_refuses_what_is_none(npm: Programs, tmp_path: Path) -> None:
    bad = json.loads(mcpb.MANIFEST.read_text())
    bad["server"]["type"] = "snake"
    (tmp_path / "manifest.json").write_text(json.dumps(bad))
    assert npm.run(npm.command("mcpb", "validate", str(tmp_path)), home=tmp_path / "home").code != 0


def test_the_same_content_makes_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    assert mcpb.make(tmp_path).read_bytes() == bundle.read_bytes()


def test_it_starts_from_a_clean_folder(
    npm: Programs, unpacked: Path, cluster: McpCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {path.suffix for path in unpacked.iterdir()} == {".json", ".toml", ".py", ".whl"}
    untouched = configuration(npm, unpacked)
    with Started([untouched["command"], *untouched["args"]], environment(tmp_path / "home")) as server:
        reads = server.tools()
    assert (server.code, server.rest) == (0, "")
    assert reads
    assert all(tool["annotations"]["readOnlyHint"] for tool in reads.values())

    kubeconfig = str(cluster.place(tmp_path).kubeconfig)
    filled = configuration(npm, unpacked, kubeconfig=kubeconfig, allow_writes=True)
    later = {**environment(tmp_path / "home"), "UV_OFFLINE": "1"}  # only the first start fetches
    with Started([filled["command"], *filled["args"]], later) as again:
        tools = again.tools()
        told = again.ask("get_current_state", workload="demo-app")
    with capsys.disabled():
        print(f"\nbundle: first start {server.ready_seconds:.1f} s, second {again.ready_seconds:.1f} s")
    assert set(tools) > set(reads)
    assert "lease_capacity" in tools
    assert told.facts["workloads"][0]["autoscaler"]["floor"] == 2


def test_nothing_of_the_clone_is_used(unpacked: Path) -> None:
    """The server that the test above started came from the bundle's wheel."""
    program = (
        "import claudescale_mcp, importlib.metadata as m; print(claudescale_mcp.__file__, m.version('claudescale'))"
    )
    done = subprocess.run(
        [unpacked / ".venv/bin/python", "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(unpacked)), done.stdout
