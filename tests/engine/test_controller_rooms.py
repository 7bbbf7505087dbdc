"""What the controller's parts bear: objects and records that cannot be read, deadlines, and changes in any order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import reconcile
from ansible_collections.claudescale.core.plugins.module_utils.controller.cache import Cache
from ansible_collections.claudescale.core.plugins.module_utils.controller.journal import Journal, RecordUnavailable
from ansible_collections.claudescale.core.plugins.module_utils.controller.metrics import Metrics
from ansible_collections.claudescale.core.plugins.module_utils.controller.queue import WorkQueue
from ansible_collections.claudescale.core.plugins.module_utils.controller.space import Space
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from prometheus_client import CollectorRegistry

from tests.engine.lease_driver import policy_object

DEMO = WorkloadRef(kind="Deployment", name="demo-app")


def lease(name: str, version: int = 1, **spec: Any) -> dict[str, Any]:
    usual = {
        "workloadRef": DEMO.to_object(),
        "replicas": 4,
        "durationSeconds": 60,
        "reason": "a test",
        "requestedBy": "somebody",
    }
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**meta, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {**usual, **spec}}


@pytest.fixture
def space() -> Space:
    return Space(cast(ClusterClient, None), "claudescale", lambda _workload: None)


UNREADABLE = [
    {"endTime": "2026-12-24T20:00:00+24:00", "durationSeconds": None},
    {"startTime": "9999-12-31T23:59:59Z"},
    {"workloadRef": {**DEMO.to_object(), "name": "../../version"}},
]


@pytest.mark.parametrize("spec", UNREADABLE, ids=["time", "end-beyond-writing", "name"])
def test_a_lease_that_cannot_be_read_takes_the_others_nothing(space: Space, spec: dict[str, Any]) -> None:
    space.leases.replace([lease("bad", **spec), lease("good")])
    assert space.leases.listed.is_set()
    assert [found.name for found in space.all_leases()] == ["good"]
    space.leases.event("DELETED", lease("bad", 2, **spec))
    assert [found.name for found in space.leases_of(DEMO)] == ["good"]


def test_a_lease_is_indexed_as_the_cache_has_it(space: Space) -> None:
    space.leases.put(lease("one", 5, replicas=3))
    space.leases.put(lease("one", 4, replicas=2))  # late news
    assert [found.replicas for found in space.leases_of(DEMO)] == [3]
    space.leases.event("DELETED", lease("one", 6))
    assert space.leases_of(DEMO) == []


def test_news_of_an_object_that_was_made_anew_stays() -> None:
    cache = Cache(lambda _old, _new: None)
    cache.put({"metadata": {"name": "one", "uid": "second", "resourceVersion": "9"}})
    cache.remove({"metadata": {"name": "one", "uid": "first", "resourceVersion": "8"}})
    assert cache.get("one") is not None


class Records:
    """The records of a namespace, as the API server would give them."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = {item["metadata"]["name"]: item for item in items}
        self.asked = 0

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        yield from self.items.values()

    def find(self, path: str) -> dict[str, Any] | None:
        self.asked += 1
        assert self.asked < 50, "asks for ever"
        return self.items.get(path.rsplit("/", 1)[1])


def some_chain(length: int) -> list[dict[str, Any]]:
    record = chain.genesis(namespace="claudescale", uid="uid", time=moments.text(0.0), actor="claudescale-controller")
    found = [record]
    fields = {"time": moments.text(1.0), "event": "Told", "actor": "a", "door": "d", "outcome": "Succeeded"}
    while len(found) < length:
        found.append(chain.next_record(found[-1].head, fields))
    return [chain.to_object(one, "claudescale") for one in found]


def journal_of(items: list[dict[str, Any]], known: int) -> tuple[Journal, Records]:
    """A journal that has read so many of the records."""
    records = Records(items[:known])
    journal = Journal(cast(ClusterClient, records), "claudescale")
    journal.load(0.0)
    records.items = {item["metadata"]["name"]: item for item in items}
    return journal, records


def test_a_journal_reads_on_after_a_record_that_is_broken() -> None:
    items = some_chain(4)
    items[2]["spec"]["actor"] = "somebody else"
    journal, _ = journal_of(items, 1)
    journal.catch_up()
    assert journal.head == chain.from_object(items[3]).head
    assert journal.broken is not None and "record-0000000002" in journal.broken


def test_a_record_without_a_place_is_no_endless_loop() -> None:
    items = some_chain(3)
    items[2]["spec"]["hash"] = "none"
    journal, records = journal_of(items, 2)
    with pytest.raises(RecordUnavailable, match="record-0000000002 cannot be read"):
        journal.catch_up()
    assert records.asked == 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_due_comes_before_what_waits() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("waits")
    queue.add_at(99.0, "due")
    queue.add_at(200.0, "later")
    assert queue.is_pressing()
    assert [queue.take(), queue.take()] == ["due", "waits"]
    clock.now = 200.0
    assert queue.take() == "later"


def test_only_the_earliest_deadline_of_a_key_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_at(150.0, "key")
    queue.add_at(120.0, "key")
    queue.add_at(130.0, "key")
    clock.now = 160.0
    assert queue.take() == "key"
    assert not queue.is_pressing()


def test_pauses_grow_and_begin_anew() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    pauses = [queue.failed("key") for _ in range(8)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.1, 5.0)
    queue.succeeded("key")
    assert queue.failed("key") == 0.1


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_no_step_of_the_clock_makes_a_pause_longer(step: float) -> None:
    clock, monotonic = Clock(), Clock()
    queue: WorkQueue[str] = WorkQueue(clock, monotonic)
    queue.add_after(0.05, "again")
    queue.failed("failed")
    clock.now += step
    monotonic.now += 1.0
    assert [queue.take(), queue.take()] == ["again", "failed"]


@pytest.mark.clock
def test_a_waiting_worker_wakes_for_news() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    threading.Timer(0.05, queue.add, ("news",)).start()
    assert queue.take() == "news"


def refused(number: int) -> dict[str, Any]:
    """A refusal that is no more than a repeat: no record speaks of it yet."""
    made = lease(f"repeat-{number}")
    decision = {
        "allowed": False,
        "code": "AbovePolicyMaximum",
        "message": "too many",
        "time": moments.text(0.0),
        "rules": [],
    }
    return {**made, "status": {"phase": "Refused", "decision": decision, "conditions": []}}


class Deleter:
    """Takes deletions, and records as they are appended."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def create(self, path: str, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        return body

    def delete(self, path: str, **_: Any) -> None:
        self.deleted.append(path.rsplit("/", 1)[1])


def test_what_a_flood_left_goes_as_soon_as_it_is_recorded_and_a_few_at_a_time() -> None:
    client = cast(ClusterClient, Deleter())
    space = Space(client, "claudescale", lambda _workload: None)
    space.leases.replace([refused(number) for number in range(130)])
    genesis = chain.genesis(namespace="claudescale", uid="uid", time=moments.text(0.0), actor="claudescale-controller")
    space.journal.ledger.add(0, genesis.hash, genesis.fields)
    metrics = Metrics(CollectorRegistry())
    now = moments.parse("2026-01-01T00:02:00Z")
    assert reconcile.do_chores(client, space, now, 900, metrics) == now, "recorded: there is more to do"
    assert space.journal.ledger.head is not None and space.journal.ledger.head.sequence == 1
    assert reconcile.do_chores(client, space, now, 900, metrics) == now
    assert len(cast(Deleter, client).deleted) == reconcile.MOST_DELETIONS


class Ahead:
    """An API server that has a policy, an autoscaler and a workload, of which no watch has told yet."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.phases: list[str] = []

    def find(self, path: str) -> dict[str, Any] | None:
        name = path.rsplit("/", 1)[1]
        meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
        return {"spec": {"replicas": 2}, **(policy_object() if name == DEMO.policy_name else {}), "metadata": meta}

    def items(self, path: str) -> list[dict[str, Any]]:
        assert path.endswith("/horizontalpodautoscalers")
        spec = {"scaleTargetRef": DEMO.to_object(), "minReplicas": 2, "maxReplicas": 5}
        return [{"metadata": {"name": "demo-app-hpa", "uid": "uid-hpa", "resourceVersion": "1"}, "spec": spec}]

    def create(self, path: str, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.records.append(body)
        return body

    def patch(self, path: str, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.phases.append(body["status"]["phase"])
        return lease("launch", 2)


def test_no_lease_is_refused_because_a_watch_is_behind() -> None:
    server = Ahead()
    client = cast(ClusterClient, server)
    space = Space(client, "claudescale", lambda _workload: None)
    space.leases.put(lease("launch", startTime="2026-01-01T00:01:00Z"))
    genesis = chain.genesis(namespace="claudescale", uid="uid", time=moments.text(0.0), actor="claudescale-controller")
    space.journal.ledger.add(0, genesis.hash, genesis.fields)
    one = reconcile.Pass(
        client=client,
        space=space,
        workload=DEMO,
        now=lambda: moments.parse("2026-01-01T00:00:10Z"),
        metrics=Metrics(CollectorRegistry()),
        told=lambda *_: None,
        pressing=lambda: False,
    )
    assert one.reconcile() == moments.parse("2026-01-01T00:01:00Z")
    assert [record["spec"]["outcome"] for record in server.records] == ["Accepted"]
    assert server.phases == ["Pending"]


@pytest.mark.parametrize("name", ["../../version?x=", "a/b", "a?watch=1", "", "A", "x" * 254])
def test_no_name_leads_a_path_elsewhere(name: str) -> None:
    with pytest.raises(ClaudeScaleError, match="no workload's name"):
        WorkloadRef(kind="Deployment", name=name).path("claudescale")
