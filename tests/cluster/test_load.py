"""Load on the real cluster: the autoscaler goes up and comes back, Prometheus tells idle from load."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from tests.support import Cluster, Made, run

pytestmark = pytest.mark.cluster

UP_SECONDS = 180
BACK_SECONDS = 420
IDLE_SECONDS = 90
SPACE = 'namespace="claudescale"'
DEMO = f'{SPACE}, pod=~"demo-app-.*"'
LATENCY = f"sum by (le) (rate(demo_app_request_duration_seconds_bucket{{{SPACE}}}[1m]))"
QUERIES = {
    "requests per second": f"sum(rate(demo_app_requests_total{{{SPACE}}}[1m]))",
    "CPU cores": f'sum(rate(container_cpu_usage_seconds_total{{{DEMO}, container!=""}}[1m]))',
    "memory bytes": f'sum(container_memory_working_set_bytes{{{DEMO}, container!=""}})',
    "median latency": f"histogram_quantile(0.5, {LATENCY})",
    "p99 latency": f"histogram_quantile(0.99, {LATENCY})",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a watch event of the autoscaler said, seconds after the watch began."""

    seconds: float
    current: int
    wanted: int


@dataclass(kw_only=True)
class Seen:
    """What was seen around one load; `loaded` is the look at which the most requests came."""

    idle: dict[str, float]
    loaded: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    load: Made


def samples(cluster: Cluster, promql: str) -> list[tuple[dict[str, str], float]]:
    path = f"/api/v1/namespaces/claudescale/services/prometheus:9090/proxy/api/v1/query?query={quote(promql)}"
    result = json.loads(cluster.kubectl("get", "--raw", path))["data"]["result"]
    return [(entry["metric"], float(entry["value"][1])) for entry in result]


def figures(cluster: Cluster) -> dict[str, float]:
    found = {name: samples(cluster, promql) for name, promql in QUERIES.items()}
    return {name: entries[0][1] if entries else math.nan for name, entries in found.items()}


def idle(cluster: Cluster) -> dict[str, float]:
    """The figures once what others sent has left their window of a minute."""
    deadline = time.monotonic() + IDLE_SECONDS
    while True:
        now = figures(cluster)
        if now["requests per second"] < 1:
            return now
        assert time.monotonic() < deadline, f"the cluster does not come to rest: {now}"
        time.sleep(3)


@contextmanager
def watched(cluster: Cluster, events: list[Event]) -> Iterator[float]:
    """Note, and print, each watch event that changes the autoscaler's numbers; yields the clock's start."""
    began = time.monotonic()
    template = r'jsonpath={.status.currentReplicas} {.status.desiredReplicas}{"\n"}'
    process = subprocess.Popen(
        ["kubectl", "--context", cluster.context, "get", "hpa", "demo-app-hpa", "--watch", "-o", template],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment,
    )  # fmt: skip

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                current, wanted = (int(word) for word in line.split())
                if not events or (events[-1].current, events[-1].wanted) != (current, wanted):
                    events.append(Event(seconds=time.monotonic() - began, current=current, wanted=wanted))
                    print(f"watch event after {events[-1].seconds:.0f} s: wants {wanted}, has {current}", flush=True)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield began
    finally:
        process.terminate()
        process.wait()
        reader.join()


@contextmanager
def repeated(what: Callable[[], None], seconds: float) -> Iterator[None]:
    leaving = threading.Event()

    def work() -> None:
        while not leaving.wait(seconds):
            what()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


@pytest.fixture(scope="module")
def seen(cluster: Cluster) -> Seen:
    """One stress-until-scale, from an idle cluster up and back."""
    verified = cluster.make("verify-prometheus")
    assert verified.code == 0, verified.text
    found = Seen(idle=idle(cluster), load=verified)

    def look() -> None:
        try:
            now = figures(cluster)
        except AssertionError:
            return  # one look more or less; without any, the tests below fail
        if now["requests per second"] > found.loaded.get("requests per second", 0):
            found.loaded = now

    with watched(cluster, found.events), repeated(look, 5):
        found.load = cluster.make("load", "PROFILE=stress-until-scale", timeout=UP_SECONDS + BACK_SECONDS + 60)
    return found


def test_every_target_is_up(cluster: Cluster) -> None:
    targets = samples(cluster, "up")
    assert {labels["job"] for labels, _ in targets} == {"prometheus", "cadvisor", "demo-app"}
    assert [labels for labels, value in targets if value != 1] == []
    assert len([1 for labels, _ in targets if labels["job"] == "demo-app"]) >= 4, "exporter and worker of two pods"


def test_the_autoscaler_goes_from_two_to_five(seen: Seen) -> None:
    assert seen.load.code == 0
    assert (seen.events[0].current, seen.events[0].wanted) == (2, 2)
    full = next(event for event in seen.events if event.current == 5)
    print(f"2 to 5 after {full.seconds - seen.events[0].seconds:.0f} s")
    assert full.seconds - seen.events[0].seconds <= UP_SECONDS
    assert "demo-app-hpa: at its maximum of 5" in seen.load.text


def test_and_back_to_two(seen: Seen) -> None:
    assert max(event.current for event in seen.events) == 5
    assert (seen.events[-1].current, seen.events[-1].wanted) == (2, 2)
    assert "demo-app-hpa: back at its minimum of 2" in seen.load.text


@pytest.mark.parametrize("name", QUERIES)
def test_idle_and_load_differ(seen: Seen, name: str) -> None:
    idle, loaded = seen.idle[name], seen.loaded[name]
    print(f"{name}: idle {idle:.4g}, load {loaded:.4g}")
    assert math.isfinite(idle) and math.isfinite(loaded)
    assert idle != loaded


def test_load_is_more_than_idle(seen: Seen) -> None:
    assert seen.loaded["requests per second"] > 10 * seen.idle["requests per second"]
    assert seen.loaded["CPU cores"] > 3 * seen.idle["CPU cores"]
    assert seen.loaded["memory bytes"] > seen.idle["memory bytes"]


def test_the_load_was_answered_and_left_nothing(cluster: Cluster, seen: Seen) -> None:
    summary = re.search(r"(\d+) requests in \d+ s.*: (\d+) ok, (\d+) failed", seen.load.text)
    assert summary, seen.load.text[-2000:]
    sent, ok, failed = (int(word) for word in summary.groups())
    assert ok + failed == sent
    assert failed <= sent / 100
    assert cluster.kubectl("get", "jobs,pods", "-l", "claudescale.io/load", "-o", "name") == ""


@pytest.fixture
def ctrl_c_works() -> Iterator[None]:
    """A background job of a shell ignores Ctrl-C, and its children with it: not these."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_leaves_nothing_running(cluster: Cluster, ctrl_c_works: None, number: signal.Signals) -> None:
    command = ["claudescale", "--context", cluster.context, "load", "steady", "--rate", "5", "--duration", "120"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if "5/s wanted" in line:
                break
        process.send_signal(number)
        rest, _ = process.communicate(timeout=60)
    print(rest)
    assert process.returncode == 128 + number
    assert "ended early" in rest
    assert cluster.kubectl("get", "jobs,pods", "-l", "claudescale.io/load", "-o", "name") == ""


def test_watch_shows_the_live_numbers(cluster: Cluster) -> None:
    command = ["claudescale", "--context", cluster.context, "watch", "--for", "5"]
    lines = run(command, cluster.environment, timeout=30).text.splitlines()
    assert lines[0].split() == ["time", "requests/s", "CPU", "target", "wanted", "ready", "bounds"]
    assert len(lines) >= 3
    for line in lines[1:]:
        assert re.fullmatch(r"[0-9:]{8} +[0-9.]+ +[0-9]+ % +50 % +[2-5] +[2-5] +2 to 5", line), line
