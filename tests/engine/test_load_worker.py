"""The demo worker: what a request costs, what it refuses, and how it comes and goes."""

from __future__ import annotations

import json
import re
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from ansible_collections.claudescale.core.images.worker import Settings, Worker, read_settings

BAD_SETTINGS = [
    pytest.param({"WORK_CPU_MS": "five"}, "WORK_CPU_MS is 'five', which is no number", id="word"),
    pytest.param({"WORK_CPU_MS": "-1"}, "WORK_CPU_MS is -1, allowed is 0 to 1000", id="minus"),
    pytest.param({"WARMUP_SECONDS": "601"}, "WARMUP_SECONDS is 601, allowed is 0 to 600", id="late"),
    pytest.param({"QUEUE_LIMIT": "0"}, "QUEUE_LIMIT is 0, allowed is 1 to 1000", id="no-queue"),
    pytest.param({"DRAIN_SECONDS": "nan"}, "DRAIN_SECONDS is nan, allowed is 0 to 60", id="nan"),
    pytest.param({"PORT": "70000"}, "PORT is 70000, allowed is 1 to 65535", id="port"),
]


@pytest.mark.parametrize(("environment", "message"), BAD_SETTINGS)
def test_bad_setting(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=next(iter(environment))) as refused:
        read_settings(environment)
    assert str(refused.value) == message


def test_defaults_and_empty_values() -> None:
    expected = Settings(port=8081, work_cpu_ms=5, warmup_seconds=0, queue_limit=64, drain_seconds=3)
    assert read_settings({}) == read_settings({"WORK_CPU_MS": ""}) == expected


@contextmanager
def serving(
    *, work_cpu_ms: float = 5, warmup_seconds: float = 0, queue_limit: int = 8, drain_seconds: float = 0
) -> Iterator[Worker]:
    settings = Settings(
        port=0,
        work_cpu_ms=work_cpu_ms,
        warmup_seconds=warmup_seconds,
        queue_limit=queue_limit,
        drain_seconds=drain_seconds,
    )
    worker = Worker(settings, host="127.0.0.1")
    thread = threading.Thread(target=worker.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.shutdown()
        worker.server_close()
        thread.join(timeout=5)


def ask(worker: Worker, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.server_port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(worker: Worker, name: str) -> float:
    line = next(line for line in ask(worker, "/metrics")[1].splitlines() if line.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("cost", [2.0, 10.0])
def test_a_request_costs_what_is_set(cost: float) -> None:
    with serving(work_cpu_ms=cost) as worker:
        answers = [json.loads(ask(worker, "/work?x=1")[1]) for _ in range(15)]
    assert all(answer["cpu_ms"] >= cost for answer in answers)
    assert statistics.median(answer["cpu_ms"] for answer in answers) <= cost * 1.1 + 0.3
    assert {answer["pod"] for answer in answers} == {worker.hostname}


def test_requests_beyond_the_queue_are_refused_at_once() -> None:
    with serving(work_cpu_ms=300, queue_limit=2) as worker, ThreadPoolExecutor(12) as pool:
        before = threading.active_count()
        answers = list(pool.map(lambda _: ask(worker, "/work"), range(12)))
        codes = sorted(code for code, _ in answers)
        assert set(codes) == {200, 503}
        assert codes.count(200) < 12 / 2
        assert ask(worker, "/healthz") == (200, "ok\n")
        assert metric(worker, 'demo_app_requests_total{code="200"}') == codes.count(200)
        assert metric(worker, 'demo_app_requests_total{code="503"}') == codes.count(503)
        assert threading.active_count() <= before + 12 + 3


@pytest.mark.clock
def test_probes_are_answered_while_the_queue_is_full() -> None:
    with serving(work_cpu_ms=400, queue_limit=2) as worker, ThreadPoolExecutor(2) as pool:
        working = [pool.submit(ask, worker, "/work") for _ in range(2)]
        time.sleep(0.1)
        began = time.monotonic()
        assert ask(worker, "/healthz")[0] == 200
        assert time.monotonic() - began < 0.4
        assert metric(worker, "demo_app_requests_in_worker") == 2
        assert [future.result()[0] for future in working] == [200, 200]


@pytest.mark.clock
def test_the_duration_counts_waiting() -> None:
    with serving(work_cpu_ms=60) as worker, ThreadPoolExecutor(3) as pool:
        assert [code for code, _ in pool.map(lambda _: ask(worker, "/work"), range(3))] == [200] * 3
        assert metric(worker, "demo_app_request_duration_seconds_count") == 3
        # one after the other: 60 + 120 + 180 ms, less where the requests came a little apart
        assert metric(worker, "demo_app_request_duration_seconds_sum") >= 0.28


@pytest.mark.clock
def test_ready_after_the_warm_up() -> None:
    with serving(warmup_seconds=0.6) as worker:
        assert ask(worker, "/readyz") == (503, "not ready\n")
        assert ask(worker, "/healthz")[0] == 200
        time.sleep(0.6)
        assert ask(worker, "/readyz") == (200, "ready\n")


@pytest.mark.clock
def test_draining_answers_what_is_under_way_and_then_listens_no_more() -> None:
    with serving(work_cpu_ms=150, drain_seconds=0.3) as worker, ThreadPoolExecutor(4) as pool:
        working = [pool.submit(ask, worker, "/work") for _ in range(3)]
        time.sleep(0.05)
        leaving = pool.submit(worker.drain)
        time.sleep(0.1)
        assert ask(worker, "/readyz")[0] == 503
        leaving.result(timeout=10)
        assert [future.result()[0] for future in working] == [200] * 3
        with pytest.raises(urllib.error.URLError):
            ask(worker, "/healthz")


def test_the_histogram_is_finest_where_an_idle_worker_answers() -> None:
    with serving(work_cpu_ms=20) as worker:
        assert ask(worker, "/work")[0] == 200
        bucket = "demo_app_request_duration_seconds_bucket"
        assert metric(worker, f'{bucket}{{le="0.02"}}') == 0
        assert metric(worker, f'{bucket}{{le="20.0"}}') == 1
        text = ask(worker, "/metrics")[1]
    bounds = re.findall(rf'{bucket}{{le="([0-9.]+)"}}', text)
    assert [float(bound) for bound in bounds][:4] == [0.02, 0.024, 0.03, 0.04]


def test_other_paths() -> None:
    with serving() as worker:
        assert ask(worker, "/")[0] == 404
        assert metric(worker, "demo_app_work_cpu_seconds") == 0.005
