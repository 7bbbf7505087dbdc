"""What a decision costs of our own time, and 200 leases that end in the same second."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import reconcile
from ansible_collections.claudescale.core.plugins.module_utils.controller.loop import Controller

from tests.benchmarks.figures import STALL_FACTOR, show
from tests.cluster.reliability import add_workload, attach, check_chain, controller, lone_workload
from tests.cluster.rig import LEASES, until
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

DECISIONS = 100
OWN_AIMS = (0.05, 0.15)  # seconds: median, 99th percentile
MANY = 200
MANY_SECONDS = 15.0
READS = {"get", "find", "items", "pages", "listed"}
WRITES = {"create", "patch", "delete"}


@dataclass
class Counted:
    """What one pass asked of the API server, and for how long it waited."""

    seconds: float = 0.0
    reads: int = 0
    writes: int = 0
    inside: bool = False


@dataclass
class Passes:
    """Each pass that decided something: its own seconds, reads and writes."""

    own: list[float] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)


def counted(client: ClusterClient, now: Counted) -> None:
    """Count the worker's calls and the time in them."""

    def around(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if now.inside or threading.current_thread().name != "worker":
                return method(*args, **more)
            now.inside = True
            began = time.perf_counter()
            try:
                return method(*args, **more)
            finally:
                now.inside = False
                now.seconds += time.perf_counter() - began
                now.reads += name in READS
                now.writes += name in WRITES

        return call

    for name in READS | WRITES:
        setattr(client, name, around(name, getattr(client, name)))


def test_a_decision_costs_little_of_our_own_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    found, now = Passes(), Counted()
    real = reconcile.Pass.reconcile

    def measured(self: reconcile.Pass) -> float | None:
        before = self.space.journal.ledger.leases.keys() | set()
        now.seconds, now.reads, now.writes = 0.0, 0, 0
        began = time.perf_counter()
        answer = real(self)
        whole = time.perf_counter() - began
        decided = len(self.space.journal.ledger.leases.keys() - before)
        if decided:
            found.own.append((whole - now.seconds) / decided)
            found.reads.append(now.reads)
            found.writes.append(now.writes)
        return answer

    monkeypatch.setattr(reconcile.Pass, "reconcile", measured)
    with lone_workload(cluster) as workload:
        client = ClusterClient(
            context=cluster.context, namespace="claudescale", kubeconfig=str(cluster.kubeconfig)
        ).as_account("claudescale-controller")
        counted(client, now)
        one = Controller(client, [workload.namespace])
        worker = threading.Thread(target=one.run, name="worker")
        worker.start()
        try:
            until(lambda: one.ready, 30)
            for _ in range(DECISIONS):
                lease = workload.lease(4, 60, startTime=moments.text(time.time() + 3600))
                until(lambda name=lease: workload.phase(name) == "Pending", 10, pause=0.01)
                workload.client.patch(f"{LEASES.format(workload.namespace)}/{lease}", {"spec": {"ended": True}})
                until(lambda name=lease: workload.phase(name) == "Ended", 10, pause=0.01)
        finally:
            one.stop.set()
            worker.join(timeout=10)
    p99 = statistics.quantiles(found.own, n=100)[98]
    show("a decision, our own time", found.own)
    print(
        f"own time: median {statistics.median(found.own) * 1000:.1f} ms, 99th percentile {p99 * 1000:.1f} ms;"
        f" {statistics.median(found.reads):.0f} reads, {statistics.median(found.writes):.0f} writes a decision",
        flush=True,
    )
    assert len(found.own) >= DECISIONS
    assert statistics.median(found.own) <= STALL_FACTOR * OWN_AIMS[0]
    assert p99 <= STALL_FACTOR * OWN_AIMS[1]


def test_many_leases_end_in_the_same_second(cluster: Cluster) -> None:
    client = attach(cluster, f"rig-many-{time.time_ns():x}")
    try:
        with ThreadPoolExecutor(4) as pool:
            rig = list(pool.map(lambda _: add_workload(cluster, client), range(MANY)))
        with controller(cluster, client.namespace) as process:
            end = time.time() + 60
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda one: one.lease(4, endTime=moments.text(end)), rig))
            assert time.time() < end - 5, "the leases were not made in time"
            until(lambda: held_count(client) == MANY, max(end - time.time(), 1), pause=0.5)
            print(f"{MANY} floors stand {end - time.time():.0f} s before their end", flush=True)
            memory_before = memory_of(process.process.pid)
            time.sleep(max(end - time.time(), 0))
            until(lambda: held_count(client) == 0, 5 * MANY_SECONDS, pause=0.1)
            seconds = time.time() - end
            until(lambda: all(is_ended(item) for item in client.items(LEASES.format(client.namespace))), 60)
            told = time.time() - end
            memory = memory_of(process.process.pid)
        count = check_chain(client)
        print(f"{MANY} leases that end in the same second, {count} records:", flush=True)
        print(
            f"all restored after {seconds:.1f} s (aim {MANY_SECONDS:.0f}), all recorded after {told:.1f} s", flush=True
        )
        print(f"controller's memory: {memory_before} MiB before, {memory} MiB after", flush=True)
        assert seconds <= STALL_FACTOR * MANY_SECONDS
    finally:
        client.delete(f"/api/v1/namespaces/{client.namespace}")


def held_count(client: ClusterClient) -> int:
    """How many autoscalers have something of ours."""
    path = f"/apis/autoscaling/v2/namespaces/{client.namespace}/horizontalpodautoscalers"
    return sum(
        item["spec"]["minReplicas"] != 2 or "claudescale.io/base" in (item["metadata"].get("annotations") or {})
        for item in client.items(path)
    )


def is_ended(lease: dict[str, Any]) -> bool:
    return bool((lease.get("status") or {}).get("phase") == "Ended")


def memory_of(pid: int) -> int:
    """Resident memory in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024
