"""One load that takes the autoscaler from its minimum to its maximum, and everything that was seen meanwhile."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from tests.support import Cluster, Made

UP_SECONDS = 180
BACK_SECONDS = 420
IDLE_SECONDS = 90
SPACE = 'namespace="claudescale"'
DEMO = f'{SPACE}, pod=~"demo-app-.*"'
LATENCY = f"sum by (le) (rate(demo_app_request_duration_seconds_bucket{{{SPACE}}}[1m]))"
ONCE = "max by (pod, container, name)"  # a node with two trees of cgroups tells of each container twice
QUERIES = {
    "requests per second": f"sum(rate(demo_app_requests_total{{{SPACE}}}[1m]))",
    "CPU cores": f'sum({ONCE} (rate(container_cpu_usage_seconds_total{{{DEMO}, container!=""}}[1m])))',
    "memory bytes": f'sum({ONCE} (container_memory_working_set_bytes{{{DEMO}, container!=""}}))',
    "median latency": f"histogram_quantile(0.5, {LATENCY})",
    "p99 latency": f"histogram_quantile(0.99, {LATENCY})",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a watch event of the autoscaler said, seconds after the watch began."""

    seconds: float
    current: int
    wanted: int
    cpu_known: bool


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The autoscaler's watch events, and the second of the monotonic clock that they count from."""

    began: float
    events: list[Event] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the watch lasts already."""
        return time.monotonic() - self.began


@dataclass(kw_only=True)
class Seen:
    """What was seen around one load; `loaded` is the look at which the most requests came, began a watch's second."""

    idle: dict[str, float]
    began: float
    loaded: dict[str, float] = field(default_factory=dict)
    events: list[Event]
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
    cpu = "{.status.currentMetrics[*].resource.current.averageUtilization}"
    template = rf'jsonpath={{.status.currentReplicas}} {{.status.desiredReplicas}} {cpu}{{"\n"}}'
    process = subprocess.Popen(
        ["kubectl", "--context", cluster.context, "get", "hpa", "demo-app-hpa", "--watch", "-o", template],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment,
    )  # fmt: skip

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                current, wanted, *cpu = (int(word) for word in line.split())
                event = Event(seconds=time.monotonic() - began, current=current, wanted=wanted, cpu_known=bool(cpu))
                if not events or replace(event, seconds=events[-1].seconds) != events[-1]:
                    events.append(event)
                    print(f"watch event after {event.seconds:.0f} s: wants {wanted}, has {current}", flush=True)

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
