"""When the kit is taken."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from claudescale_kit import decide
from claudescale_kit.decide import Choice, Decision, Probe
from claudescale_kit.errors import KitError

KIT = Choice(True, "unix:///run/x")
NONE = Choice(False)


@pytest.mark.parametrize(
    ("setting", "kept", "daemon", "registry", "kit"),
    [
        ("", None, False, False, True),
        ("", None, True, False, False),
        ("", None, False, True, False),
        ("", None, True, True, False),
        ("1", None, True, True, True),
        ("0", None, False, False, False),
        ("", KIT, True, True, True),
        ("", NONE, False, False, False),
        ("1", KIT, True, True, True),
        ("0", NONE, False, False, False),
    ],
)
def test_the_table(setting: str, kept: Choice | None, daemon: bool, registry: bool, kit: bool) -> None:
    assert decide.decide(setting, kept, lambda: Probe(daemon, registry)).kit is kit


@pytest.mark.parametrize(("setting", "kept"), [("0", KIT), ("1", NONE)])
def test_a_setting_cannot_take_a_profiles_ground_away(setting: str, kept: Choice) -> None:
    with pytest.raises(KitError, match="make down"):
        decide.decide(setting, kept, lambda: Probe(False, False))


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(KitError, match="'yes'"):
        decide.decide("yes", None, lambda: Probe(False, False))


@pytest.mark.parametrize(("setting", "kept"), [("1", None), ("0", None), ("", KIT), ("", NONE)])
def test_nothing_is_asked_where_the_answer_is_known(setting: str, kept: Choice | None) -> None:
    def ask() -> Probe:
        raise AssertionError("asked")

    decide.decide(setting, kept, ask)


def test_only_a_new_decision_says_why() -> None:
    assert decide.decide("", KIT, lambda: Probe(False, False)) == Decision(True, "")
    assert "neither" in decide.decide("", None, lambda: Probe(False, False)).reason


@contextmanager
def registry(status: int) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v2/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (403, False), (404, False), (502, False)])
def test_a_registry_greets_with_200_or_401(status: int, answers: bool) -> None:
    with registry(status) as address:
        assert decide.registry_answers(address) is answers


@pytest.mark.clock
def test_what_accepts_and_stays_silent_ends_the_question_in_three_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as silent, socket.socket() as web:
        silent.bind(str(path))
        silent.listen()
        web.bind(("127.0.0.1", 0))
        web.listen()
        address = f"http://127.0.0.1:{web.getsockname()[1]}/v2/"
        asked = decide.registry_answers
        monkeypatch.setattr(decide, "registry_answers", lambda: asked(address))
        begin = time.monotonic()
        assert decide.probe({"DOCKER_HOST": f"unix://{path}"}) == Probe(False, False)
        assert time.monotonic() - begin < 3.2


def test_a_daemon_is_known_by_its_ping(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(4096).startswith(b"GET /_ping")
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=answer)
        thread.start()
        assert decide.socket_answers(path)
        thread.join()
    assert not decide.socket_answers(path)


def test_a_choice_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    assert decide.read(tmp_path, "p") is None
    decide.record(tmp_path, "p", KIT)
    assert decide.read(tmp_path, "p") == KIT
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"other": 1}'])
def test_a_broken_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)
    assert decide.read(tmp_path, "p") is None
