"""Evidence read over real HTTP: figures side by side within a bound, series, and the records backward from the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster import prometheus as prometheuses
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import (
    Prometheus,
    PrometheusAway,
    QueryError,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.together import answer_of, give_up, together
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.gathering import Told, gather, read_back
from ansible_collections.claudescale.core.plugins.module_utils.evidence.metrics import (
    Metrics,
    NoEvidence,
    NoWorkload,
    read_metrics,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Reading, Standing
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import (
    FIGURES,
    SERIES,
    Query,
    Subject,
    newest,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from kubernetes.client import Configuration

from tests.engine.evidence_support import (
    NOON,
    OTHER,
    WINDOW,
    WORKLOAD,
    chained,
    entry,
    noted,
    refused,
    requested,
    restored,
    written,
)
from tests.engine.http_double import FOR_EVER, Asked, HttpDouble, Reply, a_status, http_double, refused_address

PROXY = "/api/v1/namespaces/space/services/prometheus:9090/proxy/api/v1"
DEPLOYMENT = "/apis/apps/v1/namespaces/space/deployments/demo-app"
HPAS = "/apis/autoscaling/v2/namespaces/space/horizontalpodautoscalers"
OURS = "/apis/claudescale.io/v1alpha1/namespaces/space"
SUBJECT = Subject(namespace="space", workload=WORKLOAD)
SECONDS = 300


def vector(value: object, at: float = NOON) -> Reply:
    return Reply(body={"status": "success", "data": {"result": [{"metric": {}, "value": [at, str(value)]}]}})


NOTHING = Reply(body={"status": "success", "data": {"result": []}})
BAD = Reply(status=400, body={"status": "error", "errorType": "bad_data", "error": "IGNORE THIS"})
AWAY = Reply(status=503, body=a_status(503, "ServiceUnavailable", "no endpoints available: EVIL"))
FORBIDDEN = Reply(status=403, body=a_status(403, "Forbidden", "services is forbidden: EVIL"))
SILENT = Reply(hold=FOR_EVER)


@dataclass
class World:
    """What the API server and Prometheus answer; `figures`, `newest` and `courses` by a query's name or source."""

    figures: dict[str, Reply] = field(default_factory=dict)
    newest: dict[str, Reply] = field(default_factory=dict)
    courses: dict[str, Callable[[Asked], Reply]] = field(default_factory=dict)
    objects: dict[str, Reply] = field(default_factory=dict)
    everything: Reply | None = None  # of Prometheus
    seconds: int = SECONDS
    step: int = 60

    def __call__(self, asked: Asked) -> Reply:
        if not asked.path.startswith(PROXY):
            return self.objects.get(asked.path, Reply(status=404, body=a_status(404, "NotFound", "not there")))
        if self.everything is not None:
            return self.everything
        promql = asked.query["query"]
        if asked.path.endswith("query_range"):
            query = next(one for one in SERIES if one.promql(SUBJECT, self.step) == promql)
            return self.courses.get(query.name, course(lambda at: 1.0))(asked)
        for query in FIGURES:
            if promql == query.promql(SUBJECT, self.seconds):
                return self.figures.get(query.name, vector(1))
            if promql == newest(query.source, SUBJECT, self.seconds):
                return self.newest.get(query.source, vector(NOON - 10))
        raise AssertionError(promql)


def course(value: Callable[[float], float]) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        start, end, step = (float(asked.query[name]) for name in ("start", "end", "step"))
        times = [start + index * step for index in range(int((end - start) // step) + 1)]
        values = [[at, str(value(at))] for at in times]
        return Reply(body={"status": "success", "data": {"result": [{"metric": {}, "values": values}]}})

    return answer


@pytest.fixture
def world() -> World:
    return World(objects={DEPLOYMENT: Reply(body={"kind": "Deployment"})})


@pytest.fixture
def double(world: World) -> Iterator[HttpDouble]:
    with http_double(world) as double:
        yield double


@pytest.fixture
def prometheus(double: HttpDouble) -> Prometheus:
    return Prometheus(double.client())


def read(prometheus: Prometheus, workload: WorkloadRef = WORKLOAD, within: float = 5.0) -> Metrics:
    return read_metrics(prometheus, workload, seconds=SECONDS, now=NOON, within=within)


def by_name(metrics: Metrics) -> dict[str, Reading]:
    return {reading.name: reading for reading in metrics.readings}


# Prometheus itself


def test_an_instant_query_at_a_time(double: HttpDouble, prometheus: Prometheus, world: World) -> None:
    world.everything = vector(3, NOON)
    assert prometheus.value("up", at=NOON + 0.25) == 3
    assert prometheus.value("up") == 3
    assert [asked.query for asked in double.asked] == [{"query": "up", "time": f"{NOON + 0.25:.3f}"}, {"query": "up"}]


def test_tracks(double: HttpDouble, prometheus: Prometheus, world: World) -> None:
    values = [[NOON, "1"], [NOON + 15, "NaN"]]
    world.everything = Reply(body={"data": {"result": [{"metric": {"pod": "a"}, "values": values}]}})
    (track,) = prometheus.tracks("up", start=NOON, end=NOON + 20.9, step=15)
    assert track.labels == {"pod": "a"}
    assert track.points[0] == (NOON, 1.0)
    assert track.points[1][1] != track.points[1][1]
    assert double.asked[0].path == f"{PROXY}/query_range"
    assert double.asked[0].query == {"query": "up", "start": f"{NOON:.0f}", "end": f"{NOON + 20:.0f}", "step": "15"}


FAILURES = [
    pytest.param(BAD, QueryError, 1, id="refused"),
    pytest.param(FORBIDDEN, QueryError, 1, id="forbidden"),
    pytest.param(Reply(status=404, body=a_status(404, "NotFound", "no service")), PrometheusAway, 1, id="no-service"),
    pytest.param(AWAY, PrometheusAway, 3, id="no-pod"),
    pytest.param(Reply(status=503, body={"status": "error", "errorType": "timeout"}), QueryError, 3, id="its-own-503"),
    pytest.param(Reply(body=b"<html>"), PrometheusAway, 1, id="no-json"),
    pytest.param(Reply(body=[1]), PrometheusAway, 1, id="another-shape"),
    pytest.param(Reply(body={"data": {"result": [{"metric": {}}]}}), PrometheusAway, 1, id="no-value"),
]


@pytest.mark.parametrize(("reply", "wanted", "tries"), FAILURES)
def test_failures(
    double: HttpDouble, prometheus: Prometheus, world: World, reply: Reply, wanted: type[QueryError], tries: int
) -> None:
    world.everything = reply
    with pytest.raises(QueryError) as caught:
        prometheus.query("up")
    assert type(caught.value) is wanted
    assert len(double.asked) == tries
    with pytest.raises(wanted):
        prometheus.tracks("up", start=NOON, end=NOON + 60, step=15)


# Figures


def test_all_figures(double: HttpDouble, prometheus: Prometheus, world: World) -> None:
    world.figures = {query.name: vector(index + 0.5) for index, query in enumerate(FIGURES)}
    world.newest[queries.REQUESTS] = vector(NOON - 60)
    world.newest[queries.UP] = vector(NOON - 60.5)
    metrics = read(prometheus)
    assert (metrics.namespace, metrics.workload, metrics.seconds) == ("space", "Deployment/demo-app", SECONDS)
    assert metrics.time == "2026-03-01T12:00:00Z"
    for index, (query, reading) in enumerate(zip(FIGURES, metrics.readings, strict=True)):
        assert (reading.name, reading.unit, reading.value) == (query.name, query.unit, index + 0.5)
        assert reading.query == query.promql(SUBJECT, SECONDS)
        assert (reading.missing, reading.error) == (None, None)
        assert reading.stale is (query.source == queries.UP)
    assert by_name(metrics)["cpu_cores"].time == "2026-03-01T11:59:50Z"
    assert by_name(metrics)["request_rate"].time == "2026-03-01T11:59:00Z"
    asked = [one for one in double.asked if one.path == f"{PROXY}/query"]
    assert len(asked) == len(FIGURES) + len({query.source for query in FIGURES})
    assert {one.query["time"] for one in asked} == {f"{NOON:.3f}"}


@pytest.mark.clock
def test_part_of_the_figures(prometheus: Prometheus, world: World) -> None:
    world.figures = {
        "cpu_cores": BAD,
        "memory_bytes": AWAY,
        "request_rate": NOTHING,
        "latency_p95": vector("NaN"),
        "latency_p99": SILENT,
        "restarts": vector(0),
    }
    world.newest = {queries.STARTS: NOTHING, queries.UP: BAD, queries.DURATIONS: SILENT}
    started = time.monotonic()
    readings = by_name(read(prometheus, within=3.0))
    assert time.monotonic() - started < 4
    assert {name: one.error for name, one in readings.items() if one.error} == {
        "cpu_cores": "Prometheus refuses the query",
        "memory_bytes": "Prometheus does not answer",
        "latency_p99": "no answer in time",
    }
    assert {name: one.missing for name, one in readings.items() if one.missing} == {
        "request_rate": "nobody counts its requests: the demo app alone does",
        "latency_p95": "no requests came",
    }
    valued = {name: one for name, one in readings.items() if one.value is not None}
    assert set(valued) == {query.name for query in FIGURES} - {
        "cpu_cores", "memory_bytes", "latency_p99", "request_rate", "latency_p95",
    }  # fmt: skip
    assert valued["restarts"].value == 0
    # Where the age of a sample is not known, nothing may be decided by it.
    assert {name for name, one in valued.items() if one.stale} == {"restarts", "pods_ready", "latency_p50"}
    assert {name for name, one in valued.items() if one.time is None} == {"restarts", "pods_ready", "latency_p50"}
    assert not any(one.time for name, one in readings.items() if name not in valued)


NONE: list[Any] = [
    pytest.param(AWAY, "does not answer, so there are no numbers: .* make up brings it back", id="away"),
    pytest.param(FORBIDDEN, "refuses the query: .* who may ask it", id="forbidden"),
    pytest.param(BAD, "refuses the query", id="refused"),
    pytest.param(SILENT, "does not answer, so there are no numbers", id="silent"),
]


@pytest.mark.clock
@pytest.mark.parametrize(("reply", "words"), NONE)
def test_without_prometheus(prometheus: Prometheus, world: World, reply: Reply, words: str) -> None:
    world.everything = reply
    started = time.monotonic()
    with pytest.raises(NoEvidence, match=words) as caught:
        read(prometheus, within=4.0)
    assert time.monotonic() - started < 4.5
    assert "EVIL" not in str(caught.value)
    assert "IGNORE" not in str(caught.value)


def test_no_numbers_is_not_no_evidence(prometheus: Prometheus, world: World) -> None:
    world.everything = NOTHING
    assert {one.value for one in read(prometheus).readings} == {None}


def test_an_unknown_workload(prometheus: Prometheus, world: World) -> None:
    world.everything = vector(1)
    with pytest.raises(NoWorkload, match="Deployment/another is not in namespace space"):
        read(prometheus, OTHER)


@pytest.mark.parametrize("name", ["../nodes", 'x"}', "X"])
def test_what_is_no_name_is_asked_nowhere(double: HttpDouble, prometheus: Prometheus, name: str) -> None:
    with pytest.raises(ClaudeScaleError, match="is no workload's name"):
        read(prometheus, WorkloadRef(kind="Deployment", name=name))
    with pytest.raises(ClaudeScaleError, match="is no workload's name"):
        gather(prometheus, WorkloadRef(kind="Deployment", name=name), window=WINDOW, head=3)
    assert double.asked == []


@pytest.mark.clock
def test_a_stopped_cluster_is_told_at_once() -> None:
    configuration = Configuration(host=refused_address())
    client = ClusterClient.from_configuration(configuration, namespace="space", context="claudescale")
    for ask in (read, lambda found: gather(found, WORKLOAD, window=WINDOW, head=9)):
        started = time.monotonic()
        with pytest.raises(ClusterStopped, match="the cluster is stopped: make up"):
            ask(Prometheus(client))
        assert time.monotonic() - started < 2


@pytest.mark.clock
def test_a_silent_api_server_is_not_waited_for(prometheus: Prometheus, world: World) -> None:
    world.objects[DEPLOYMENT] = SILENT
    started = time.monotonic()
    with pytest.raises(NoEvidence, match="does not answer within 1 s"):
        read(prometheus, within=1.0)
    with pytest.raises(NoEvidence, match="does not answer within 1 s"):
        gather(prometheus, WORKLOAD, window=WINDOW, head=9, within=1.0)
    assert time.monotonic() - started < 3


# Side by side


def test_answers_and_errors_are_each_ones_own() -> None:
    def fails() -> None:
        raise ValueError("no")

    answers = together({"one": lambda: 1, "two": fails, "three": lambda: time.sleep(0.3)}, at_once=3)
    until = time.monotonic() + 0.1
    assert answer_of(answers["one"], until) == 1
    with pytest.raises(ValueError, match="no"):
        answer_of(answers["two"], until)
    with pytest.raises(TimeoutError):
        answer_of(answers["three"], until)
    assert answer_of(answers["three"], time.monotonic() + 5) is None


@pytest.mark.clock
def test_what_is_given_up_is_not_asked() -> None:
    asked: list[int] = []
    answers = together({"slow": lambda: time.sleep(0.3), "late": lambda: asked.append(1)}, at_once=1)
    give_up(answers)
    answer_of(answers["slow"], time.monotonic() + 5)
    time.sleep(0.05)
    assert asked == []


# A window


def an_hpa() -> dict[str, Any]:
    return {
        "metadata": {"name": "h", "uid": "h", "resourceVersion": "1"},
        "spec": {"scaleTargetRef": WORKLOAD.to_object(), "minReplicas": 2, "maxReplicas": 5},
    }


def serve(world: World, records: list[chain.Record]) -> int:
    """Serve what a report reads; the last record's sequence."""
    world.objects |= {
        HPAS: Reply(body={"items": [an_hpa()]}),
        f"{OURS}/capacityleases": Reply(body={"metadata": {}, "items": []}),
        **{f"{OURS}/scalingrecords/{record.name}": Reply(body=chain.to_object(record, "space")) for record in records},
    }
    world.seconds = int(WINDOW.seconds)
    return records[-1].sequence


def test_the_evidence_of_a_window(double: HttpDouble, prometheus: Prometheus, world: World) -> None:
    head = serve(world, chained([written(-900, 4, leases=("a",)), restored(60), refused(70)]))
    world.courses = {"request_rate": course(lambda at: at - NOON), "latency_p95": course(lambda at: float("nan"))}
    evidence = gather(prometheus, WORKLOAD, window=WINDOW, head=head)
    assert evidence.points(queries.REQUEST_RATE) == tuple((at, at - NOON) for at in WINDOW.times)
    assert evidence.points(queries.LATENCY_P95) == ()
    assert set(evidence.series) == {query.name for query in SERIES}
    assert evidence.figure(queries.RESTARTS) == 1
    assert evidence.standing == Standing(maximum=5, floor=2, base=2)
    assert [change.time - NOON for change in evidence.history.changes] == [-900, 60]
    assert len(evidence.history.decisions) == 1
    assert evidence.history.complete
    ranges = [asked.query for asked in double.asked if asked.path.endswith("query_range")]
    assert {(one["start"], one["end"], one["step"]) for one in ranges} == {(f"{NOON:.0f}", f"{NOON + 1200:.0f}", "11")}


def test_a_window_without_prometheus(prometheus: Prometheus, world: World) -> None:
    """What was decided is told all the same."""
    head = serve(world, chained([refused(70)]))
    world.everything = AWAY
    evidence = gather(prometheus, WORKLOAD, window=WINDOW, head=head)
    assert {series.error for series in evidence.series.values()} == {"Prometheus does not answer"}
    assert {figure.error for figure in evidence.figures.values()} == {"Prometheus does not answer"}
    assert len(evidence.history.decisions) == 1


@pytest.mark.clock
def test_a_silent_prometheus_is_not_waited_for(prometheus: Prometheus, world: World) -> None:
    head = serve(world, chained([refused(70)]))
    world.everything = SILENT
    started = time.monotonic()
    evidence = gather(prometheus, WORKLOAD, window=WINDOW, head=head, within=1.5)
    assert time.monotonic() - started < 2.5
    assert {series.error for series in evidence.series.values()} == {"no answer in time"}


def test_a_window_without_records(prometheus: Prometheus, world: World) -> None:
    serve(world, chained([]))
    evidence = gather(prometheus, WORKLOAD, window=WINDOW, head=-1)
    assert (evidence.history.read, evidence.history.complete) == (0, True)


def read_records(double: HttpDouble, head: int, seconds: float = 30) -> Told:
    double.asked.clear()
    return read_back(double.client(), WORKLOAD, head=head, since=NOON, until=time.monotonic() + seconds)


def test_records_are_read_as_far_back_as_needed(double: HttpDouble, world: World) -> None:
    earlier = [refused(-5000 + number) for number in range(100)]
    inside = [refused(10 + number) for number in range(20)]
    head = serve(world, chained([*earlier, written(-100, 4), *inside]))
    told = read_records(double, head)
    assert told.complete
    assert len(double.asked) == 24  # a whole number of eights
    assert len(told.records) == 24
    assert [record.sequence for record in told.records] == list(range(head - 23, head + 1))


def test_the_floor_before_the_window_is_looked_for_a_little(double: HttpDouble, world: World) -> None:
    earlier = [refused(-5000 + number) for number in range(100)]
    head = serve(world, chained([written(-6000, 4), *earlier, refused(10)]))
    told = read_records(double, head)
    assert told.complete
    assert len(double.asked) == 48  # one in the window, then the forty before it
    others = {"base": 1, "before": 1, "applied": 2, "held": True}
    head = serve(
        world, chained([*earlier, entry("FloorWritten", -1, workload=OTHER, floor=others, leases=[]), refused(10)])
    )
    read_records(double, head)
    assert len(double.asked) == 48  # another workload's floor is none


def test_a_change_that_is_noted_is_looked_behind(double: HttpDouble, world: World) -> None:
    """What others wrote says nothing of the floor before."""
    head = serve(world, chained([written(-60, 4), *[requested(-50, f"l{one}") for one in range(12)],
                                 noted("BaseChanged", -1, 3, 3, ("a",)), refused(10)]))  # fmt: skip
    assert read_records(double, head).records[0].sequence == 0


def test_at_most_500_records_are_read(double: HttpDouble, world: World) -> None:
    head = serve(world, chained([refused(10 + number / 10) for number in range(520)]))
    told = read_records(double, head)
    assert (len(double.asked), len(told.records), told.complete) == (500, 500, False)
    head = 499
    told = read_records(double, head)
    assert (len(told.records), told.complete) == (500, True)


def test_broken_and_missing_records_are_counted(double: HttpDouble, world: World) -> None:
    records = chained([refused(-1), *[refused(10 + number) for number in range(30)]])
    head = serve(world, records)
    del world.objects[f"{OURS}/scalingrecords/{records[20].name}"]
    broken = chain.to_object(records[21], "space")
    broken["spec"]["payload"] += " "
    world.objects[f"{OURS}/scalingrecords/{records[21].name}"] = Reply(body=broken)
    told = read_records(double, head)
    assert (told.unreadable, told.complete) == (2, True)
    assert {20, 21}.isdisjoint(record.sequence for record in told.records)


@pytest.mark.clock
def test_records_are_not_waited_for(double: HttpDouble, world: World) -> None:
    records = chained([refused(10 + number) for number in range(30)])
    head = serve(world, records)
    world.objects[f"{OURS}/scalingrecords/{records[20].name}"] = SILENT
    started = time.monotonic()
    told = read_records(double, head, seconds=2)
    assert time.monotonic() - started < 3
    assert ([record.sequence for record in told.records], told.complete) == (list(range(head - 7, head + 1)), False)


def test_the_proxy_is_the_one_that_a_role_may_name(double: HttpDouble, prometheus: Prometheus) -> None:
    assert prometheuses.SERVICE in PROXY
    read(prometheus)
    assert {asked.path for asked in double.asked} == {DEPLOYMENT, f"{PROXY}/query"}
    assert {asked.method for asked in double.asked} == {"GET"}


def test_a_query_is_one_of_the_table() -> None:
    assert all(isinstance(query, Query) for query in (*FIGURES, *SERIES))
    assert {query.name for query in SERIES} <= {query.name for query in FIGURES}
