"""With whose credentials the MCP server does what, where its tokens are, and what it says while nobody answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster import accounts
from claudescale_mcp.link import Place
from claudescale_mcp.server import build

from tests.doors.cluster_double import SPACE, write_kubeconfig
from tests.doors.lease_double import LEASES
from tests.doors.mcp_double import FULL, PERSON, SECRET, TOKEN, McpCluster, Stdio, mcp_cluster
from tests.doors.mcp_sweep import (
    SENTENCE,
    STOPPED,
    Call,
    Said,
    listed,
    stdio_at_once,
    stdio_calls,
    stdio_sweep,
    sweep,
    told,
)
from tests.engine.http_double import Asked, Reply, refused_address

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("short_wait")]

STOPPED_SECONDS = 3.0
READ_SECONDS = 8.0  # for whatever else is wrong
READY_SECONDS = 2.0
END_SECONDS = 2.0
BUSY = 3.0  # times as long where others use this machine, too
BARE = {"PATH": os.environ["PATH"]}
NOWHERE = Place(context="nowhere", namespace="claudescale", kubeconfig="/nonexistent")
CALLS = [call for call in listed(build(NOWHERE, allow_writes=True)) if call.reads_cluster]


def within(seconds: float, bound: float) -> bool:
    """Whether it was in time; where others use this machine, a multiple of the bound is in time, too."""
    idle = os.getloadavg()[0] < (os.cpu_count() or 1) / 2
    return seconds < bound * (1 if idle else BUSY)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Whose credentials


@dataclass
class Tokens:
    """The API server's side of TokenRequest: numbered tokens of so many seconds. `refused`: those that came in vain."""

    life: int = 600
    issued: dict[str, float] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def revoke(self) -> None:
        self.revoked |= set(self.issued)

    def instead(self, asked: Asked) -> Reply | None:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if asked.path == TOKEN:
            made = f"{SECRET}-{len(self.issued) + 1}"
            self.issued[made] = asked.at
            return Reply(status=201, body={"status": {"token": made}, "spec": {"expirationSeconds": self.life}})
        if token in self.issued and (token in self.revoked or asked.at > self.issued[token] + self.life):
            self.refused.append(token)
            return unauthorized()
        return None


def unauthorized() -> Reply:
    return Reply(status=401, body={"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"})


def check_credentials(cluster: McpCluster, person: str = PERSON) -> None:
    """The person's made tokens, nobody's asked whether somebody is there, the account's did the rest."""
    by: dict[str, set[tuple[str, str]]] = {}
    for token, method, path in cluster.who:
        by.setdefault(token, set()).add((method, path))
    assert by.pop(person, {("POST", TOKEN)}) == {("POST", TOKEN)}
    assert by.pop("", {("GET", "/version")}) == {("GET", "/version")}
    assert all(token.startswith(SECRET) for token in by), by


def all_answer(status: int) -> Callable[[Asked], Reply | None]:
    body = {"reason": "x", "message": "no"}
    return lambda asked: Reply(status=status, body=body) if asked.path not in (TOKEN, "/version") else None


def now_and_then(status: int) -> Callable[[Asked], Reply | None]:
    """Every third request of the account is refused."""
    count = 0

    def instead(asked: Asked) -> Reply | None:
        nonlocal count
        if asked.path in (TOKEN, "/version"):
            return None
        count += 1
        return Reply(status=status, body={"reason": "x", "message": "no"}) if count % 3 == 0 else None

    return instead


def hang_up(_: Asked) -> Reply:
    raise ConnectionResetError


TROUBLES: dict[str, Callable[[Asked], Reply | None]] = {
    "well": lambda _: None,
    "tokens-of-a-second": Tokens(life=1).instead,
    "401": all_answer(401),
    "401-now-and-then": now_and_then(401),
    "403": all_answer(403),
    "404": all_answer(404),
    "500": all_answer(500),
    "cut-now-and-then": lambda asked: hang_up(asked) if asked.at % 0.02 < 0.004 else None,
    "no-token": lambda asked: Reply(status=403, body={"message": "no"}) if asked.path == TOKEN else None,
    "person-refused": lambda asked: unauthorized() if asked.path == TOKEN else None,
    "no-api-server": lambda asked: Reply(body=[]) if asked.path not in (TOKEN, "/version") else None,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_person_makes_tokens_and_nothing_else(cluster: McpCluster, place: Place, trouble: str) -> None:
    cluster.instead = TROUBLES[trouble]
    server = build(place, allow_writes=True)
    for _ in range(2):
        sweep(server)
    check_credentials(cluster)
    assert (PERSON, "POST", TOKEN) in cluster.who
    assert len({path for _, _, path in cluster.who}) > 2 or trouble in ("no-token", "person-refused")


def test_another_kubeconfig_brings_another_person_to_the_same_account(tmp_path: Path) -> None:
    with mcp_cluster() as first, mcp_cluster() as second:
        server = build(first.place(tmp_path), allow_writes=True)
        sweep(server)
        kubeconfig = write_kubeconfig(tmp_path, second.http.address)
        kubeconfig.write_text(kubeconfig.read_text().replace('"t"', '"another-person"'))
        first.instead = all_answer(401)
        again = sweep(server)
        assert not [said.text for said in again if "credentials" in said.text]
        check_credentials(first)
        check_credentials(second, "another-person")
        assert ("another-person", "POST", TOKEN) in second.who
        assert PERSON not in {token for token, _, _ in second.who}


def test_the_account_is_the_assistants_and_the_namespace_the_servers(cluster: McpCluster, place: Place) -> None:
    sweep(build(place, allow_writes=True))
    assert TOKEN in {path for _, _, path in cluster.who}
    assert TOKEN.endswith(f"/{SPACE}/serviceaccounts/claudescale-sa/token")
    spaces = {path.split("/namespaces/")[1].split("/")[0] for _, _, path in cluster.who if "/namespaces/" in path}
    assert spaces == {"claudescale"}
    assert not [path for _, _, path in cluster.who if "secrets" in path or "configmaps" in path]


# Tokens


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_tokens_are_in_memory_only(cluster: McpCluster, tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    for folder in (home, scratch):
        folder.mkdir()
    kubeconfig = write_kubeconfig(home, cluster.http.address)
    kubeconfig.write_text(kubeconfig.read_text().replace('"t"', '"the-persons-own"'))
    environment = {**BARE, "HOME": str(home), "TMPDIR": str(scratch), "KUBECONFIG": str(kubeconfig)}
    with Stdio("--context", "claudescale", "--allow-writes", **environment) as server:
        stdio_sweep(server)
        assert SECRET in {token for token, _, _ in cluster.who}
        assert files_with(tmp_path, "the-persons-own") == [kubeconfig]  # so the look finds what is there
        assert files_with(tmp_path, SECRET) == []
        process = Path(f"/proc/{server.process.pid}")
        for shown in ("cmdline", "environ"):
            assert SECRET.encode() not in (process / shown).read_bytes()
        opened = [str(one.readlink()) for one in (process / "fd").iterdir()]
        assert [one for one in opened if one.startswith("/") and not one.startswith("/dev/")] == []
    assert files_with(tmp_path, SECRET) == []
    assert SECRET not in server.log
    assert SECRET not in json.dumps(server.messages)


def test_a_token_is_renewed_before_it_expires(
    cluster: McpCluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(life=5)
    monkeypatch.setattr(accounts, "FRESH", 0.2)  # at one second of five, so that a busy machine is not late
    cluster.instead = tokens.instead
    server = build(place)
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert not [said for said in told(server, CALLS[:1]) if said.error]
        time.sleep(0.1)
    assert len(tokens.issued) >= 3
    assert tokens.refused == []


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.what)
def test_a_token_that_is_refused_is_replaced_at_once(cluster: McpCluster, place: Place, call: Call) -> None:
    tokens = Tokens()
    cluster.instead = tokens.instead
    server = build(place, allow_writes=True)
    (first,) = told(server, [call])
    tokens.revoke()
    (second,) = told(server, [call])
    assert second.error == first.error
    assert "credentials" not in second.text
    assert len(tokens.issued) == 2
    assert set(tokens.refused) == {f"{SECRET}-1"}
    check_credentials(cluster)


def test_a_token_that_is_refused_in_the_middle_of_waiting(cluster: McpCluster, place: Place) -> None:
    tokens = Tokens()
    looks = 0

    def instead(asked: Asked) -> Reply | None:
        nonlocal looks
        if asked.path == f"{LEASES}/friday-launch":
            looks += 1
            if looks == 3:
                tokens.revoke()
        return tokens.instead(asked)

    cluster.server.away = True
    cluster.instead = instead
    call = Call(what="", method="tools/call", params={"name": "lease_capacity", "arguments": FULL})
    (said,) = told(build(place, allow_writes=True), [call])
    assert (said.error, said.facts["outcome"]) == (False, "Created")
    assert (looks > 3, len(tokens.issued), set(tokens.refused)) == (True, 2, {f"{SECRET}-1"})
    assert cluster.writes == [("POST", LEASES)]


def test_a_person_whose_credentials_were_renewed_goes_on(cluster: McpCluster, place: Place, tmp_path: Path) -> None:
    def instead(asked: Asked) -> Reply | None:
        expired = asked.path == TOKEN and asked.headers["authorization"] == f"Bearer {PERSON}"
        return unauthorized() if expired else None

    cluster.instead = instead
    server = build(place)
    for said in told(server, CALLS):
        assert said.error or said.call.writes, said
        assert "make up renews them" in said.text or said.call.writes
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(kubeconfig.read_text().replace('"t"', '"renewed"'))
    assert not [said.text for said in told(server, CALLS) if "credentials" in said.text]


# Nobody answers


def options(kubeconfig: Path) -> list[str]:
    return ["--context", "claudescale", "--kubeconfig", str(kubeconfig), "--allow-writes"]


@contextmanager
def silent_address() -> Iterator[str]:
    """It accepts connections, and says nothing: a paused node."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def check_sentence(said: Said, *words: str) -> None:
    """One short line that says what is wrong."""
    assert said.error, said
    assert "\n" not in said.text
    assert len(said.text) < SENTENCE
    assert "mistake of its own" not in said.text, said.text
    for word in words:
        assert word in said.text, said.text


@pytest.mark.parametrize("away", ["refused", "silent"])
def test_every_call_says_that_the_cluster_is_stopped_and_works_when_it_is_there(
    away: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with silent_address() if away == "silent" else nullcontext(refused_address()) as address:
        kubeconfig = write_kubeconfig(tmp_path, address)
        with Stdio(*options(kubeconfig), **BARE) as server:
            calls = [call for call in stdio_calls(server) if call.reads_cluster]
            for answers in (stdio_at_once(server, calls), stdio_sweep(server, calls)):
                for said in answers:
                    check_sentence(said, STOPPED)
                    assert within(said.seconds, STOPPED_SECONDS), said
                with capsys.disabled():
                    print(f"\n{away}: {len(answers)} calls, {max(one.seconds for one in answers):.2f} s at most")
            with mcp_cluster() as started:
                started.place(tmp_path)
                assert not [said.text for said in stdio_at_once(server, calls) if STOPPED in said.text]
                check_credentials(started)
    assert server.code == 0
    assert "Traceback" not in server.log


def test_an_api_server_that_says_no_more_than_its_version(
    cluster: McpCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its store is away: the look at the beginning finds somebody, and nothing comes after it."""
    kubeconfig = write_kubeconfig(tmp_path, cluster.http.address)
    with Stdio(*options(kubeconfig), **BARE) as server:
        calls = [call for call in stdio_calls(server) if call.reads_cluster]
        for silent in ((TOKEN,), ("/api", "/apis")):
            cluster.instead = lambda asked, paths=silent: Reply(hold=30.0) if asked.path.startswith(paths) else None
            answers = stdio_at_once(server, calls)
            for said in answers:
                check_sentence(said)
                assert within(said.seconds, READ_SECONDS), said
            with capsys.disabled():
                print(f"\n{silent[0]} silent: {max(one.seconds for one in answers):.2f} s at most")
        cluster.instead = lambda _: None
        assert not [said.text for said in stdio_at_once(server, calls) if said.error and not said.call.writes]
    assert server.code == 0


def test_a_prometheus_that_hangs_takes_the_other_answers_nothing(
    cluster: McpCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = write_kubeconfig(tmp_path, cluster.http.address)
    cluster.instead = lambda asked: Reply(hold=30.0) if "/services/prometheus" in asked.path else None
    with Stdio(*options(kubeconfig), **BARE) as server:
        for said in stdio_sweep(server, [call for call in stdio_calls(server) if call.reads_cluster]):
            assert within(said.seconds, READ_SECONDS), said
            if said.call.what in ("get_metrics", "generate_report"):
                assert "Prometheus" in said.text, said.text
            else:
                assert not said.error or "use another name" in said.text, said.text  # another tool took it
            with capsys.disabled():
                print(f"\nPrometheus hangs: {said.call.what}: {said.seconds:.2f} s, {said.text[:100]!r}", end="")
    assert "Traceback" not in server.log


def no_file(path: Path) -> None:
    assert not path.exists()


def hanging_program(path: Path) -> None:
    write_kubeconfig(path.parent, "http://127.0.0.1:1")
    config = json.loads(path.read_text())
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["20"]}
    config["users"][0]["user"] = {"exec": program}
    path.write_text(json.dumps(config))


BAD_KUBECONFIGS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (no_file, STOPPED),
    "empty": (lambda path: path.write_text(""), "kubeconfig"),
    "broken": (lambda path: path.write_text("clusters: [unclosed\n"), "the kubeconfig cannot be "),
    "binary": (lambda path: path.write_bytes(b"\x00\xff\xfe" * 100), "the kubeconfig cannot be "),
    "a-list": (lambda path: path.write_text("[1, 2]"), "the kubeconfig cannot be "),
    "a-folder": (lambda path: path.mkdir(), "the kubeconfig cannot be "),
    "a-pipe-that-nobody-writes-to": (os.mkfifo, "the kubeconfig is not read "),
    "a-program-that-hangs": (hanging_program, "the kubeconfig is not read "),
}


@pytest.mark.parametrize("bad", BAD_KUBECONFIGS)
def test_a_bad_kubeconfig_is_one_sentence_and_a_good_one_works_at_once(bad: str, tmp_path: Path) -> None:
    make, words = BAD_KUBECONFIGS[bad]
    kubeconfig = tmp_path / "kubeconfig"
    make(kubeconfig)
    with Stdio(*options(kubeconfig), **BARE) as server:
        assert cpu_seconds(server.process.pid) < READY_SECONDS * 1.5
        assert within(server.ready_seconds, READY_SECONDS), server.ready_seconds
        calls = [call for call in stdio_calls(server) if call.reads_cluster]
        for said in stdio_at_once(server, calls):
            check_sentence(said, words)
            assert within(said.seconds, READ_SECONDS), said
        with mcp_cluster() as started:
            kubeconfig.rmdir() if kubeconfig.is_dir() else kubeconfig.unlink(missing_ok=True)
            started.place(tmp_path)
            for said in stdio_sweep(server, calls):
                assert "kubeconfig" not in said.text
                assert STOPPED not in said.text
                assert within(said.seconds, READ_SECONDS)
            check_credentials(started)
    assert (server.code, server.rest) == (0, "")
    assert "Traceback" not in server.log


def test_a_program_that_is_only_slow_is_waited_for(cluster: McpCluster, tmp_path: Path) -> None:
    """Its answer counts for the next call, and it is not started once more meanwhile."""
    kubeconfig = write_kubeconfig(tmp_path, cluster.http.address)
    config = json.loads(kubeconfig.read_text())
    version = "client.authentication.k8s.io/v1"
    credential = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": {"token": PERSON}})
    program = f"echo started >> {tmp_path}/starts; sleep 4; echo '{credential}'"
    config["users"][0]["user"] = {"exec": {"apiVersion": version, "command": "sh", "args": ["-c", program]}}
    kubeconfig.write_text(json.dumps(config))
    with Stdio(*options(kubeconfig), **BARE) as server:
        first = server.ask("get_current_state")
        assert first.text.startswith("the kubeconfig is not read "), first
        deadline = time.monotonic() + 20
        while server.ask("get_current_state").error:
            assert time.monotonic() < deadline
    assert (tmp_path / "starts").read_text() == "started\n"
    check_credentials(cluster)


# Standard output, and the end

NOISE = """
import logging, os, subprocess, sys, warnings
from claudescale_mcp import link
use = link.Link.use
def noisy(self, *arguments):
    print("noise by print")
    sys.stdout.flush()
    print("noise that is not flushed")
    os.write(1, b"noise by write\\n")
    subprocess.run(["echo", "noise by a program"])
    warnings.warn("noise by warning")
    logging.getLogger("anybody").error("noise by log")
    return use(self, *arguments)
link.Link.use = noisy
from claudescale_mcp.__main__ import main
main()
"""


def test_noise_is_no_part_of_the_protocol(cluster: McpCluster, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, cluster.http.address)
    with Stdio(*options(kubeconfig), command=("-c", NOISE), **BARE) as server:
        assert not server.ask("get_current_state").error  # each line is read as JSON-RPC
        assert stdio_sweep(server)
    assert (server.code, server.rest) == (0, "")
    for how in ("print", "write", "a program", "warning", "log"):
        assert f"noise by {how}" in server.log


def test_a_client_that_says_nonsense_is_still_answered(cluster: McpCluster, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, cluster.http.address)
    with Stdio(*options(kubeconfig), **BARE) as server:
        for line in (
            "",
            "nonsense",
            "{}",
            "[]",
            "null",
            '{"jsonrpc": "2.0"}',
            "[" * 100_000,
            '"\\ud800"',
            "\x00\x1b[2J",
        ):
            server.process.stdin.write(line + "\n")
        server.process.stdin.flush()
        assert not server.ask("get_current_state").error
    assert server.code == 0


def begin_a_call(server: Stdio) -> None:
    server.begin("tools/call", {"name": "get_current_state", "arguments": {}})


def begin_and_wait(server: Stdio) -> None:
    begin_a_call(server)
    time.sleep(0.7)


def half_a_message(server: Stdio) -> None:
    server.process.stdin.write('{"jsonrpc": "2.0", "id": 9, "method": "tools/')
    server.process.stdin.flush()


DOING: dict[str, Callable[[Stdio], None]] = {
    "nothing": lambda _: None,
    "a-call-that-begins": begin_a_call,
    "a-call-that-waits": begin_and_wait,
    "half-a-message": half_a_message,
}


@pytest.mark.parametrize("doing", DOING)
@pytest.mark.parametrize("upstream", ["silent", "hanging-kubeconfig"])
def test_it_ends_with_its_client_whatever_it_waits_for(doing: str, upstream: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    with silent_address() as address:
        if upstream == "silent":
            write_kubeconfig(tmp_path, address)
        else:
            os.mkfifo(kubeconfig)
        with Stdio(*options(kubeconfig), **BARE) as server:
            DOING[doing](server)
            began = time.monotonic()
        assert within(time.monotonic() - began, END_SECONDS)
    assert server.code == 0
    assert "Traceback" not in server.log


CLIENT = """
import json, os, signal, subprocess, sys, time
log = open(sys.argv[1], "wb")
server = subprocess.Popen(
    [sys.executable, "-m", "claudescale_mcp", *sys.argv[2:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
)
def send(**message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\\n")
    server.stdin.flush()
info = {"name": "test", "version": "1"}
send(id=1, method="initialize", params={"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info})
server.stdout.readline()
send(method="notifications/initialized")
send(id=2, method="tools/call", params={"name": "get_current_state", "arguments": {}})
print(server.pid, flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_when_its_client_is_killed(cluster: McpCluster, tmp_path: Path) -> None:
    """In the middle of a call that would take ten seconds: somebody is there, and says nothing more."""
    cluster.instead = lambda asked: Reply(hold=30.0) if asked.path not in (TOKEN, "/version") else None
    kubeconfig, log = write_kubeconfig(tmp_path, cluster.http.address), tmp_path / "log"
    command = [sys.executable, "-c", CLIENT, str(log), *options(kubeconfig)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=BARE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        server = int(client.stdout.readline())
        while len(cluster.who) < 3:
            time.sleep(0.02)
        client.stdin.write("now\n")
        client.stdin.flush()
        assert client.wait(30) == -signal.SIGKILL
        began = time.monotonic()
        while lives(server) and time.monotonic() - began < 30:
            time.sleep(0.02)
        seconds = time.monotonic() - began
    assert within(seconds, END_SECONDS), seconds
    assert log.read_text() == ""


def lives(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
