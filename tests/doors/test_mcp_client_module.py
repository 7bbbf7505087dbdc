"""The module mcp_client, its role and `make claude`: what they write, and that a client can start it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args
from ansible_collections.claudescale.core.plugins.module_utils.clients import configuration
from ansible_collections.claudescale.core.plugins.module_utils.clients.configuration import NOTE
from ansible_collections.claudescale.core.plugins.modules import mcp_client

from tests.doors.mcp_double import McpCluster, Process
from tests.support import ROOT

BIN = Path(sys.executable).parent
BOM = b"\xef\xbb\xbf"
TWO = """\
{
    "globalShortcut": "Ctrl+Space",
    "mcpServers": {
        "files": {"command": "npx", "args": ["-y", "files", "/home/me"]},
        "tickets": {
            "command": "tickets",
            "env": {"TOKEN": "secret-of-another"}
        }
    },
    "scale": 1.50
}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own; nothing of a person's is seen or written."""
    for name in ("KUBECONFIG", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(sys, "platform", "linux")
    return folder


@pytest.fixture
def file(home: Path) -> Path:
    """Claude Desktop's file, which is not there; its folder is."""
    path = home / ".config" / "Claude" / "claude_desktop_config.json"
    path.parent.mkdir(parents=True)
    return path


def module(*, check: bool = False, **options: Any) -> dict[str, Any]:
    """The module in this process, through its own main()."""
    warnings._global_warnings.clear()
    printed: list[str] = []
    with (
        pytest.MonkeyPatch.context() as patch,
        patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}),
    ):
        patch.setattr("builtins.print", lambda text, *_, **__: printed.append(text))
        with pytest.raises(SystemExit):
            mcp_client.main()
    found: dict[str, Any] = json.loads(printed[-1])
    found.pop("invocation")
    found["warnings"] = [warning["event"]["msg"] for warning in found.get("warnings", [])]
    assert "Traceback" not in found["msg"]
    assert "\n" not in found["msg"]
    return found


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is below a folder: modes, times and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def ours(file: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(file.read_bytes().decode("utf-8-sig"))["mcpServers"]["claudescale"]
    return entry


def linked(file: Path) -> None:
    (file.parent.parent / "dotfiles.json").write_text(TWO)
    file.symlink_to("../dotfiles.json")


def read_only(file: Path) -> None:
    file.write_text(TWO)
    file.chmod(0o444)


def read_only_folder(file: Path) -> None:
    file.write_text(TWO)
    file.parent.chmod(0o555)


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content if isinstance(content, bytes) else content.encode())


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a person has, and the refusal: its code and a part of its sentence; none where the server is added."""

    prepare: Callable[[Path], object] = lambda file: None
    reason: str | None = None
    says: str = "was added to"


CASES = {
    "absent": Case(),
    "absent-with-its-folder": Case(prepare=lambda file: file.parent.rmdir()),
    "empty": Case(prepare=text("")),
    "empty-object": Case(prepare=text("{}")),
    "two-other-servers": Case(prepare=text(TWO)),
    "link": Case(prepare=linked),
    "crlf": Case(prepare=text(TWO.replace("\n", "\r\n"))),
    "bom": Case(prepare=text(BOM + TWO.encode())),
    "bom-and-crlf-without-a-last-line-end": Case(prepare=text(BOM + TWO.rstrip().replace("\n", "\r\n").encode())),
    "comments": Case(
        prepare=text(TWO.replace('    "scale"', '    // mine\n    "scale"')),
        reason="ConfigurationBroken",
        says="line 10, column 5 of {file} has a comment, which JSON does not have",
    ),
    "trailing-comma": Case(
        prepare=text(TWO.replace("1.50", "1.50,")),
        reason="ConfigurationBroken",
        says="line 10, column 18 of {file} has a comma with nothing but }} after it",
    ),
    "cut": Case(prepare=text(TWO[:150]), reason="ConfigurationBroken", says="of {file} has "),
    "utf-16": Case(
        prepare=text(TWO.encode("utf-16")), reason="ConfigurationBroken", says="line 1 of {file} is no UTF-8 text"
    ),
    "servers-in-a-list": Case(
        prepare=text('{"mcpServers": []}'),
        reason="ConfigurationBroken",
        says="line 1, column 16 of {file} has no object as the value of mcpServers",
    ),
    "name-taken": Case(
        prepare=text(TWO.replace('"tickets": {', '"claudescale": {')),
        reason="NameTaken",
        says="line 5 of {file} has another server than ours under the name claudescale",
    ),
    "read-only": Case(
        prepare=read_only, reason="ConfigurationReadOnly", says="{file} cannot be written: it is read-only"
    ),
    "folder-without-rights": Case(
        prepare=read_only_folder,
        reason="ConfigurationReadOnly",
        says="{file} cannot be written: the folder {file.parent} is read-only",
    ),
    "a-folder-instead": Case(prepare=Path.mkdir, reason="ConfigurationUnreadable", says="{file} is no file"),
}


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.reason is None])
def test_it_is_added_once_and_taken_out_without_a_trace(file: Path, case: str) -> None:
    CASES[case].prepare(file)
    home = file.parent.parent
    before, there = tree(home), file.exists()
    content = file.read_bytes() if there else None

    would = module(check=True)
    assert tree(home) == before
    assert would["msg"] == f"Claude Desktop: server claudescale would be added to {file}"
    done = module()
    assert done["msg"] == f"Claude Desktop: server claudescale was added to {file}"
    assert (would["changed"], done["changed"], would["backup"]) == (True, True, None)
    for name in ("changed", "path", "differences", "diff", "warnings"):
        assert would[name] == done[name]
    assert done["path"] == str(file)
    assert [one["path"] for one in done["differences"]] == ["mcpServers.claudescale", "_meta.claudescale"]
    assert done["diff"]["after"]["mcpServers.claudescale"] == ours(file)
    assert "secret-of-another" not in json.dumps(done)
    assert NOTE.encode() in file.read_bytes()
    if content is None:
        assert done["backup"] is None
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    else:
        assert Path(done["backup"]).read_bytes() == content
    if not there and case == "absent-with-its-folder":
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    after = tree(home)
    for check in (True, False):
        again = module(check=check)
        assert (again["changed"], again["differences"], again["backup"]) == (False, [], None)
        assert again["msg"] == f"Claude Desktop: server claudescale is as it should be in {file}"
    assert tree(home) == after

    assert module(state="absent", check=True)["changed"]
    assert tree(home) == after
    gone = module(state="absent")
    assert gone["msg"] == f"Claude Desktop: server claudescale was taken out of {file}"
    assert (file.read_bytes() if file.exists() else None) == content
    assert file.is_symlink() == (case == "link")
    for check in (True, False):
        assert not module(state="absent", check=check)["changed"]
    ended = {name: found for name, found in tree(home).items() if not name.endswith(".bak")}
    assert {name: (found[0], found[2]) for name, found in ended.items() if name.endswith(".json")} == {
        name: (found[0], found[2]) for name, found in before.items() if name.endswith(".json")
    }


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.reason is not None])
def test_what_cannot_be_changed_is_refused_and_left_alone(file: Path, case: str) -> None:
    CASES[case].prepare(file)
    before = tree(file.parent)
    try:
        said = [module(check=check) for check in (True, False)]
        assert said[0] == said[1]
        assert said[0]["failed"]
        assert said[0]["reason"] == CASES[case].reason
        assert CASES[case].says.format(file=file) in said[0]["msg"]
        assert "secret-of-another" not in json.dumps(said)
        assert tree(file.parent) == before
    finally:
        file.parent.chmod(0o755)


def test_another_programs_change_in_between_is_taken_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(TWO)
    add = configuration.add
    late = [TWO.replace("1.50", "2.50")]

    def meanwhile(*arguments: Any, **more: Any) -> configuration.Edited:
        if late:
            file.write_text(late.pop())
        return add(*arguments, **more)

    monkeypatch.setattr(configuration, "add", meanwhile)
    assert module()["changed"]
    assert '"scale": 2.50' in file.read_text()
    assert ours(file)["command"] == sys.executable


# As Claude Code does: it takes the lock, reads, writes, and lets go; it touches nothing but what is its own.
WRITER = """
import json, os, sys, time
from pathlib import Path
path = Path(sys.argv[1])
lock = path.with_name(path.name + ".lock")
for number in range(1, 151):
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(0.001)
    found = json.loads(path.read_text())
    assert found["count"] == number - 1
    found["count"] = number
    part = path.with_name("part")
    part.write_text(json.dumps(found, indent=2))
    part.replace(path)
    lock.rmdir()
    print(number, flush=True)
    time.sleep(0.002)
"""


def test_a_program_that_writes_all_the_time_loses_nothing_and_neither_do_we(home: Path) -> None:
    file = home / ".claude.json"
    file.write_text('{\n  "count": 0\n}')
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "1\n"
        rest = threading.Thread(target=writer.stdout.read)
        rest.start()
        entered, done = False, 0
        while writer.poll() is None:
            for state in ("present", "absent"):
                said = module(client="claude_code", state=state)
                if said.get("reason") == "ConfigurationBusy":
                    continue
                # What was done before is still there, so that there is something to be done exactly where it differs.
                assert said["changed"] == (entered != (state == "present")), said
                entered = state == "present"
                done += said["changed"]
        rest.join()
    assert writer.returncode == 0
    assert done > 1
    module(client="claude_code")
    found = json.loads(file.read_text())
    assert found.pop("count") == 150
    assert list(found) == ["mcpServers", "_meta"]
    assert not list(home.glob("*.lock"))


def test_options_make_the_entry(file: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module()
    assert ours(file) == {
        "command": sys.executable,
        "args": ["-P", "-m", "claudescale_mcp", "--context", "claudescale", "--namespace", "claudescale"],
        "env": {"KUBECONFIG": str(home / ".kube" / "config")},
    }
    monkeypatch.chdir(home)
    monkeypatch.setenv("KUBECONFIG", "relative:/absolute")
    changed = module(context="other", namespace="shop", allow_writes=True, interpreter="~/venv/bin/python")
    assert changed["msg"] == f"Claude Desktop: server claudescale was brought up to date in {file}"
    assert [one["path"].removeprefix("mcpServers.claudescale.") for one in changed["differences"]] == [
        "command", "args", "env.KUBECONFIG",
    ]  # fmt: skip
    assert ours(file) == {
        "command": str(home / "venv/bin/python"),
        "args": [
            "-P", "-m", "claudescale_mcp", "--context", "other", "--namespace", "shop", "--allow-writes",
        ],
        "env": {"KUBECONFIG": f"{home}/relative:/absolute"},
    }  # fmt: skip
    module(kubeconfig="~/k")
    assert ours(file)["env"] == {"KUBECONFIG": f"{home}/k"}


BAD = [
    ({"interpreter": "python3"}, "interpreter 'python3' is no absolute path (ServerUnusable): "),
    ({"namespace": "../x"}, "namespace '../x' is no name of a namespace (ServerUnusable): "),
    ({"context": "-x"}, "context '-x' is no name of a context (ServerUnusable): "),
    ({"name": "a.b"}, "name 'a.b' is no name of a server (ServerUnusable): "),
    ({"name": "a.b", "state": "absent"}, "name 'a.b' is no name of a server (ServerUnusable): "),
    ({"kubeconfig": "~nobody-of-this-name/k"}, "~nobody-of-this-name/k has a ~ of nobody (NoHome): "),
    ({"client": "cursor"}, "value of client must be one of: claude_desktop, claude_code, got: cursor"),
    ({"command": "x"}, " module: command. Supported parameters include: "),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_bad_options_are_one_sentence_and_change_nothing(home: Path, options: dict[str, Any], sentence: str) -> None:
    said = module(**options)
    assert said["failed"]
    assert sentence in said["msg"]
    assert tree(home) == {}


def test_claude_code_has_its_own_place_and_style(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / ".claude.json"
    waits = module(client="claude_code", create=False)
    assert (waits["changed"], waits.get("failed", False)) == (False, False)
    assert waits["msg"] == f"Claude Code: server claudescale is not added, because there is no {file}"
    assert tree(home) == {}
    file.write_text('{"numStartups": 3}')
    assert module(client="claude_code", create=False)["changed"]
    assert list(ours(file)) == ["type", "command", "args", "env"]
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "elsewhere"))
    said = module(client="claude_code")
    assert said["reason"] == "ConfigurationFolderMissing"
    (home / "elsewhere").mkdir()
    assert module(client="claude_code")["path"] == str(home / "elsewhere" / ".claude.json")


def test_where_macos_has_it_and_where_a_path_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert module()["path"] == str(home / "Library/Application Support/Claude/claude_desktop_config.json")
    assert module(path="~/a/b.json")["path"] == str(home / "a" / "b.json")


def test_what_is_not_ours_stays_with_a_warning(file: Path) -> None:
    theirs = json.dumps({"_meta": "mine", "mcpServers": {"claudescale": {"command": "x"}}})
    file.write_text(theirs)
    said = module(state="absent")
    assert (said["changed"], len(said["warnings"])) == (False, 1)
    assert said["warnings"][0] == f"mcpServers.claudescale of {file} is another server than ours, and stays"
    assert file.read_text() == theirs
    said = module(name="cs")
    assert said["warnings"] == [f"_meta of {file} is no object, so that our note is not in it"]


def started(entry: dict[str, Any], folder: Path) -> Process:
    """The server as an entry says, and nothing more: its command, its environment, in a folder of somebody else."""
    return Process([entry["command"], *entry["args"]], entry["env"], folder)


@pytest.mark.parametrize("client", ["claude_desktop", "claude_code"])
def test_the_written_entry_starts_the_server_with_an_empty_environment(
    home: Path, cluster: McpCluster, client: str
) -> None:
    kubeconfig = cluster.place(home).kubeconfig
    hostile = home / "project"
    hostile.mkdir()
    for name in ("fastmcp", "claudescale_mcp", "yaml", "json"):
        (hostile / f"{name}.py").write_text("raise SystemExit('imported from the working folder')")
    for writes in (False, True):
        said = module(client=client, kubeconfig=kubeconfig, allow_writes=writes)
        with started(ours(Path(said["path"])), hostile) as server:
            tools = {tool["name"] for tool in server.request("tools/list")["tools"]}
            assert "get_current_state" in tools
            assert ({"lease_capacity", "end_lease"} <= tools) == writes
            assert server.ask("get_current_state").error is False
        assert (server.code, server.rest, server.log) == (0, "", "")


def play(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The clone's playbook, for a person whose home this is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "CLAUDESCALE_"))}
    return subprocess.run(
        [BIN / "ansible-playbook", "playbooks/claude.yml", *options],
        cwd=ROOT, env={**kept, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "300"},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip


def test_the_playbook_enters_it_where_it_belongs_and_takes_it_out(home: Path) -> None:
    desktop, code = home / ".config/Claude/claude_desktop_config.json", home / ".claude.json"
    code.write_text('{\n  "numStartups": 3\n}')
    made = play(home, "-e", "mcp_client_allow_writes=1", "-e", "claudescale_context=mine")
    assert made.returncode == 0, made.stdout
    for title, path in (("Claude Desktop", desktop), ("Claude Code", code)):
        assert f"{title}: server claudescale was added to {path}" in made.stdout
        entry = ours(path)
        assert entry["command"] == str(BIN / "python")
        assert entry["args"][-5:] == ["--context", "mine", "--namespace", "claudescale", "--allow-writes"]
    assert "Start Claude Desktop anew" in made.stdout
    gone = play(home, "-e", "mcp_client_state=absent")
    assert gone.returncode == 0, gone.stdout
    assert not desktop.exists()
    assert code.read_text() == '{\n  "numStartups": 3\n}'
    only = play(home, "-e", "mcp_client_client=claude_desktop", "--check")
    assert f"Claude Desktop: server claudescale would be added to {desktop}" in only.stdout
    assert "make claude WRITES=1" in only.stdout
    assert not desktop.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("mcp_client_state=absent mcp_client_allow_writes=true", "which contradict each other"),
        ("mcp_client_path=/tmp/x", "mcp_client_path names one file, and mcp_client_client is auto"),
        ("mcp_client_interpreter=/nowhere/python", "/nowhere/python cannot start the MCP server"),
    ],
)
def test_settings_that_cannot_be_are_refused(home: Path, options: str, sentence: str) -> None:
    done = play(home, "-e", options)
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    with suppress(FileNotFoundError):
        assert [path.name for path in home.iterdir()] == [".ansible"]


def make(*variables: str) -> list[str]:
    """What `make claude` plays and prints, with echo in the playbook's place."""
    done = subprocess.run(
        ["make", "--no-print-directory", "claude", "PYTHON=true", "ansible=echo", *variables],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.stdout.splitlines()


def test_make_says_at_its_end_how_to_allow_leases() -> None:
    assert make() == ["playbooks/claude.yml", "to allow leases: make claude WRITES=1"]
    assert make("WRITES=0")[-1] == "to allow leases: make claude WRITES=1"
    assert make("WRITES=1", "CLIENT=both", "ARGS=--check") == [
        "--check playbooks/claude.yml -e mcp_client_allow_writes=1 -e mcp_client_client=both",
        "to take the leases away: make claude WRITES=0",
    ]
    assert make("STATE=absent") == ["playbooks/claude.yml -e mcp_client_state=absent"]
