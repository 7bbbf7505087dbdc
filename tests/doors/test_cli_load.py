"""`claudescale load` from start to end, against an API server on loopback: what it prints, and what it leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.load import run as load_run
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, figures, pack
from claudescale_cli import load as cli_load
from claudescale_cli.load import figure_lines, incomplete_line

from tests.doors.command import ended
from tests.doors.load_module import LoadServer, load_server
from tests.engine.load_double import JOBS, progress

VEGETA = {"requests": 19, "success": 18 / 19, "p50_ms": 9.0, "p95_ms": 598.0, "p99_ms": 598.0, "max_ms": 598.0}
REQUESTS = [Request(at=(n + 1) / 2, latency=0.6 if n < 3 else 0.01, code=200) for n in range(19)]
REQUESTS.append(Request(at=10, latency=None, code=0, sent=False))
LATENCIES = {"p50_ms": 10.0, "p95_ms": 600.0, "p99_ms": 600.0, "max_ms": 600.0}
SUMMARY = {
    "kind": "summary", "seconds": 10.4, "planned": 20, "sent": 19, "ok": 19, "failed": 1, "unsent": 1, **LATENCIES,
    "delay_p99_ms": 2.0, "delay_max_ms": 30.4, "codes": {"200": 19}, "errors": {"not sent when it was due": 1},
    "interrupted": False, "ended": "", "vegeta": VEGETA, "began": 1.0,
}  # fmt: skip


def second(number: int, ok: int, failed: int = 0) -> str:
    return json.dumps({**json.loads(progress(number, ok, failed)), "rate": 2, **LATENCIES})


def whole(**summary: Any) -> list[str | float]:
    parts = [json.dumps({"kind": "results", "part": part}) for part in pack(REQUESTS)]
    return [second(1, 2), second(2, 1, 1), *parts, json.dumps({**SUMMARY, **summary})]


@pytest.fixture
def server() -> Iterator[LoadServer]:
    with load_server() as made:
        made.log = whole()
        yield made


Call = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def load(
    server: LoadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """(Exit code, lines without their times, error)."""
    monkeypatch.setattr(load_run, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(cli_load, "SUMMARY_SECONDS", 0.2)

    def call(*arguments: str) -> tuple[int, list[str], str]:
        place = ("--context", "claudescale", "--kubeconfig", str(server.kubeconfig(tmp_path)))
        code = ended(monkeypatch, *place, "load", *arguments)
        out, error = capfd.readouterr()
        assert "Traceback" not in error
        return code, [re.sub(r"^[0-9:]{8} +\+\d+ s  ", "", line) for line in out.splitlines()], error.strip()

    return call


def test_a_whole_load(server: LoadServer, load: Call) -> None:
    code, lines, error = load("--rate", "2", "--duration", "10", "--objective", "50")
    assert (code, error) == (0, "")
    assert re.fullmatch(r"load-steady-\w{6}: steady, up to 2/s, 20 requests in 10 s at most", lines[0])
    assert lines[1:] == [
        "   2/s wanted,    2 ok, p50 10 ms, p95 600 ms, p99 600 ms",
        "20 requests in 10 s: 19 ok, 1 failed (1 could not be sent)",
        "latency p50 10 ms, p95 600 ms, p99 600 ms, max 600 ms",
        "1 x not sent when it was due",
        "20.00 % slower than 50 ms or failed: 3 and 1 of 20",
        "vegeta report: 19 requests, 94.74 % success, latency p50 9 ms, p95 598 ms, p99 598 ms, max 598 ms",
        "from due to sent, which vegeta does not count: p99 2 ms, max 30 ms",
    ]
    assert server.cluster.jobs() == {}


def test_a_load_that_was_ended_from_outside(server: LoadServer, load: Call) -> None:
    server.log = whole(interrupted=True, ended="by a signal", seconds=4.2)
    code, lines, error = load("--rate", "2", "--duration", "10")
    assert (code, error) == (1, "the load is incomplete: it was ended from outside after 4 of 10 s")
    assert "20 requests in 4 s, ended early of 20 planned: 19 ok, 1 failed (1 could not be sent)" in lines
    assert server.cluster.jobs() == {}


def test_a_generator_that_dies(server: LoadServer, load: Call) -> None:
    server.log, server.cluster.phase = whole()[:2], "Failed"
    code, lines, error = load("--rate", "2", "--duration", "10")
    assert code == 1
    assert error == "the load's pod load-x-1 ended without a summary (Failed): what came of the load is not complete"
    assert lines[-1] == (
        "incomplete: until second 2 of 10, 3 requests were answered and 1 failed; of what came then nothing is known"
    )
    assert server.cluster.jobs() == {}


def test_a_cluster_that_goes_away(server: LoadServer, load: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "RECONNECTS", 0)
    server.log, server.cut = whole()[:2], True
    server.refused = {f"DELETE {JOBS}"}
    code, lines, error = load("--rate", "2", "--duration", "10")
    assert code == 1
    assert lines[-1].startswith("incomplete: until second 2 of 10, ")
    (name,) = server.cluster.jobs()
    assert error.endswith(
        f"whether {name} is ended is not known: it ends by its plan, 110 s after it was started at the latest"
    )


def test_results_that_are_not_all_there_are_an_error_beside_the_summary(server: LoadServer, load: Call) -> None:
    server.log = [line for line in whole() if '"results"' not in str(line)]
    code, lines, error = load("--rate", "2", "--duration", "10")
    assert (code, error) == (1, "the load left no results: it is not over, or its generator was ended")
    assert "20 requests in 10 s: 19 ok, 1 failed (1 could not be sent)" in lines
    assert server.cluster.jobs() == {}


def test_lines_of_figures_without_a_report_and_without_a_request_that_was_sent() -> None:
    found = figures(REQUESTS[-1:], objective=0.5)
    assert figure_lines({**SUMMARY, "sent": 0, "vegeta": None}, found, 0.5) == [
        "100.00 % slower than 500 ms or failed: 0 and 1 of 1",
        "vegeta report: it gave none",
    ]
    assert incomplete_line({"second": 3, "ok": 4, "failed": 5}, 60).startswith("incomplete: until second 3 of 60, 4 ")
