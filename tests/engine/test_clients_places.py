"""Where each client keeps its configuration, and what a client is given to start."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.clients.entry import Server, is_ours, shown
from ansible_collections.claudescale.core.plugins.module_utils.clients.places import Client, path_of
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

DESKTOP, CODE = Client.CLAUDE_DESKTOP, Client.CLAUDE_CODE
HOME = {"HOME": "/home/me"}
WINDOWS = {"USERPROFILE": "C:\\Users\\me", "APPDATA": "D:\\Roaming"}
PLACES = [
    (DESKTOP, "linux", HOME, "/home/me/.config/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {"HOME": "/"}, "/.config/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {**HOME, "XDG_CONFIG_HOME": "/x/"}, "/x/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {**HOME, "XDG_CONFIG_HOME": ""}, "/home/me/.config/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {**HOME, "XDG_CONFIG_HOME": "x"}, "/home/me/.config/Claude/claude_desktop_config.json"),
    (DESKTOP, "freebsd14", HOME, "/home/me/.config/Claude/claude_desktop_config.json"),
    (DESKTOP, "linux", {**HOME, "CLAUDE_CONFIG_DIR": "/c"}, "/home/me/.config/Claude/claude_desktop_config.json"),
    (
        DESKTOP, "darwin", {"HOME": "/Users/me", "XDG_CONFIG_HOME": "/x"},
        "/Users/me/Library/Application Support/Claude/claude_desktop_config.json",
    ),
    (DESKTOP, "win32", WINDOWS, "D:\\Roaming\\Claude\\claude_desktop_config.json"),
    (
        DESKTOP, "win32", {"USERPROFILE": "C:\\Users\\me\\", "HOME": "/c/me"},
        "C:\\Users\\me\\AppData\\Roaming\\Claude\\claude_desktop_config.json",
    ),
    (CODE, "linux", HOME, "/home/me/.claude.json"),
    (CODE, "linux", {**HOME, "XDG_CONFIG_HOME": "/x"}, "/home/me/.claude.json"),
    (CODE, "linux", {**HOME, "CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
    (CODE, "linux", {**HOME, "CLAUDE_CONFIG_DIR": ""}, "/home/me/.claude.json"),
    (CODE, "darwin", {"HOME": "/Users/me"}, "/Users/me/.claude.json"),
    (CODE, "win32", WINDOWS, "C:\\Users\\me\\.claude.json"),
]  # fmt: skip


@pytest.mark.parametrize(("client", "platform", "environment", "path"), PLACES)
def test_where_it_is(client: Client, platform: str, environment: dict[str, str], path: str) -> None:
    assert path_of(client, platform, environment) == path


@pytest.mark.parametrize(
    ("client", "platform", "environment", "variable"),
    [
        (DESKTOP, "linux", {"XDG_CONFIG_HOME": "x"}, "HOME"),
        (DESKTOP, "darwin", {"HOME": ""}, "HOME"),
        (DESKTOP, "win32", HOME, "USERPROFILE"),
        (CODE, "linux", {}, "HOME"),
    ],
)
def test_without_a_home_it_is_nowhere(
    client: Client, platform: str, environment: dict[str, str], variable: str
) -> None:
    with pytest.raises(Fault, match=f"the environment has no {variable}, which tells where {client.title}"):
        path_of(client, platform, environment)


SERVER: dict[str, Any] = {
    "interpreter": "/v/bin/python", "kubeconfig": "/k:/l", "context": "kind my", "namespace": "claudescale",
}  # fmt: skip


def test_the_entry_has_everything_that_the_server_needs() -> None:
    entry = Server(**SERVER).entry(typed=False)
    assert entry == {
        "command": "/v/bin/python",
        "args": ["-P", "-m", "claudescale_mcp", "--context", "kind my", "--namespace", "claudescale"],
        "env": {"KUBECONFIG": "/k:/l"},
    }
    writes = Server(**SERVER, allow_writes=True).entry(typed=True)
    assert writes == {"type": "stdio", **entry, "args": [*entry["args"], "--allow-writes"]}
    assert is_ours(entry)
    assert shown({**writes, "env": {**writes["env"], "TOKEN": "secret"}, "headers": "secret"}) == writes


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("interpreter", "python", "interpreter 'python' is no absolute path"),
        ("interpreter", "./python", "interpreter './python' is no absolute path"),
        ("kubeconfig", "", "kubeconfig '' is no absolute path"),
        ("kubeconfig", "config:/k", "kubeconfig 'config:/k' is no absolute path"),
        ("kubeconfig", "/k\n/l", r"kubeconfig '/k\\n/l' has characters that cannot be written"),
        ("interpreter", "/v/\udcff", r"interpreter '/v/\\udcff' has characters that cannot be written"),
        ("context", "", "context '' is no name of a context"),
        ("context", "--allow-writes", "context '--allow-writes' is no name of a context"),
        ("context", "a\x1b[31m", r"context 'a\\x1b\[31m' has characters that cannot be written"),
        ("namespace", "../x", "namespace '../x' is no name of a namespace"),
        ("namespace", "--allow-writes", "namespace '--allow-writes' is no name of a namespace"),
    ],
)
def test_what_a_client_could_not_start_is_refused(option: str, value: str, sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        Server(**{**SERVER, option: value})


def test_paths_of_windows_are_absolute_too() -> None:
    server = Server(**{**SERVER, "interpreter": "C:\\venv\\python.exe", "kubeconfig": "C:/Users/me/.kube/config"})
    assert server.entry(typed=False)["command"] == "C:\\venv\\python.exe"
