"""How the parts of an installation are, from what was read of them; one that hangs takes the others nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import checkup, health
from ansible_collections.claudescale.core.plugins.module_utils.asking.findings import (
    MISSED,
    Finding,
    Health,
    Miss,
    Part,
)
from ansible_collections.claudescale.core.plugins.module_utils.asking.health import Readings, status
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

from tests.engine.http_double import FOR_EVER, Asked, HttpDouble, Reply, http_double, refused_address

NOW = 1767225600.0  # 2026-01-01T00:00:00Z
FIRST = chain.genesis(namespace="space", uid="u", time=moments.text(NOW), actor="c")


def node(name: str = "one", *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    return {
        "metadata": {"name": name},
        "status": {
            "conditions": conditions,
            "nodeInfo": {"kubeletVersion": "v1.34.0"},
            "capacity": {"cpu": "2", "memory": "4028Ki"},
        },
    }


def pod(reason: str | None = None, restarts: int = 0) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False" if reason else "True"}]
    if reason:
        conditions.append({"type": "PodScheduled", "status": "False", "reason": reason})
    statuses = [{"ready": not reason, "restartCount": restarts}]
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{}]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": statuses},
    }


def hpa(kind: str = "ScalingActive", state: str = "True", reason: str = "ValidMetricFound") -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo"}
    return {
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": ref, "minReplicas": 2, "maxReplicas": 5},
        "status": {"currentReplicas": 3, "conditions": [{"type": kind, "status": state, "reason": reason}]},
    }


def lease(age: float, phase: str | None = None) -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo"}
    spec = {"workloadRef": ref, "replicas": 4, "durationSeconds": 60, "reason": "r", "requestedBy": "p"}
    meta = {"name": "l", "uid": "l", "creationTimestamp": moments.text(NOW - age)}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase} if phase else {}}


def targets(**counts: str) -> dict[str, Any]:
    """up1="3": three targets whose `up` is 1."""
    found = [{"metric": {"up": name.removeprefix("up")}, "value": [NOW, count]} for name, count in counts.items()]
    return {"status": "success", "data": {"result": found}}


def sample(age: float) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "timestamp": moments.text(NOW - age)}


CONTROLLER = {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
WELL = Readings(
    nodes=[node()],
    pods=[pod(restarts=2), pod()],
    services=[{"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}],
    autoscalers=[hpa()],
    targets=targets(up1="3"),
    samples=[sample(50.0), sample(10.0)],
    controller=CONTROLLER,
    leases=[lease(100.0, "Active"), lease(100.0, "Ended"), lease(1.0)],
    records=[chain.to_object(FIRST, "space")],
)


def found(part: Part, **more: Any) -> Finding:
    whole = status(replace(WELL, **more), namespace="space", now=NOW)
    return next(one for one in whole.findings if one.part is part)


def test_all_is_well() -> None:
    whole = status(WELL, namespace="space", now=NOW)
    assert [one.part for one in whole.findings] == list(Part)
    assert {one.health for one in whole.findings} == {whole.overall} == {Health.WELL}
    assert [one.advice for one in whole.findings] == [None] * len(Part)
    assert {one.part.value: dict(one.numbers) for one in whole.findings} == {
        "nodes": {"count": 1, "ready": 1},
        "pods": {"count": 2, "ready": 2, "restarts": 2},
        "services": {"count": 1},
        "autoscalers": {"count": 1, "blind": 0},
        "prometheus": {"targets_up": 3, "targets_down": 0},
        "metrics-server": {"pods_sampled": 2, "sample_age_seconds": 10},
        "controller": {"ready": 1, "wanted": 1, "leases_open": 2, "leases_unanswered": 0},
        "records": {"count": 1},
    }
    assert whole.head == str(FIRST.head)
    assert (whole.nodes[0].version, whole.nodes[0].cpu, whole.nodes[0].memory) == ("v1.34.0", "2", "4028Ki")
    assert (whole.services[0].type, whole.services[0].ports) == ("ClusterIP", (80,))
    assert (whole.autoscalers[0].floor, whole.autoscalers[0].maximum, whole.autoscalers[0].current) == (2, 5, 3)


BAD: list[Any] = [
    pytest.param(Part.NODES, {"nodes": [node(), node("two", ready=False)]}, Health.DEGRADED, "not all are ready",
                 {"count": 2, "ready": 1}, id="node"),
    pytest.param(Part.NODES, {"nodes": [node(ready=False)]}, Health.AWAY, "none is ready", {"count": 1, "ready": 0},
                 id="no-node"),
    pytest.param(Part.NODES, {"nodes": [{"metadata": {"name": "new"}}]}, Health.AWAY, "none is ready", None,
                 id="node-without-status"),
    pytest.param(Part.PODS, {"pods": [pod(), pod("Unschedulable")]}, Health.DEGRADED, "some are not ready",
                 {"count": 2, "ready": 1, "restarts": 0}, id="pod"),
    pytest.param(Part.AUTOSCALERS, {"autoscalers": [hpa(), hpa(state="False", reason="FailedGetResourceMetric")]},
                 Health.DEGRADED, "some cannot read", {"count": 2, "blind": 1}, id="autoscaler"),
    pytest.param(Part.AUTOSCALERS, {"autoscalers": [hpa("AbleToScale", "False", "FailedGetScale")]}, Health.DEGRADED,
                 "some cannot read", None, id="autoscaler-cannot-write"),
    pytest.param(Part.PROMETHEUS, {"targets": targets(up1="3", up0="1")}, Health.DEGRADED, "it answers, and not all",
                 {"targets_up": 3, "targets_down": 1}, id="targets"),
    pytest.param(Part.PROMETHEUS, {"targets": targets()}, Health.DEGRADED, "it answers, and has no target",
                 {"targets_up": 0, "targets_down": 0}, id="no-targets"),
    pytest.param(Part.PROMETHEUS, {"targets": Miss.SILENT}, Health.AWAY, "it does not answer", {}, id="silent"),
    pytest.param(Part.PROMETHEUS, {"targets": Miss.REFUSED}, Health.AWAY, "it does not answer", {}, id="refused"),
    pytest.param(Part.PROMETHEUS, {"targets": Miss.ABSENT}, Health.AWAY, "it is not there", {}, id="no-prometheus"),
    pytest.param(Part.PROMETHEUS, {"targets": {"data": {"result": [{"metric": {}, "value": [0, "x"]}]}}},
                 Health.UNKNOWN, "what was answered cannot be read", {}, id="prometheus-talks-nonsense"),
    pytest.param(Part.METRICS_SERVER, {"samples": [sample(61.0)]}, Health.DEGRADED, "its newest sample is old",
                 {"pods_sampled": 1, "sample_age_seconds": 61}, id="old-sample"),
    pytest.param(Part.METRICS_SERVER, {"samples": []}, Health.DEGRADED, "it answers, and has no sample",
                 {"pods_sampled": 0}, id="no-sample"),
    pytest.param(Part.METRICS_SERVER, {"samples": [{"timestamp": "now"}]}, Health.DEGRADED, "it answers, and has no",
                 {"pods_sampled": 1}, id="sample-without-time"),
    pytest.param(Part.METRICS_SERVER, {"samples": [], "pods": []}, Health.WELL, "it answers, and there are no pods",
                 {"pods_sampled": 0}, id="nothing-to-sample"),
    pytest.param(Part.METRICS_SERVER, {"samples": Miss.REFUSED}, Health.AWAY, "it does not answer", {}, id="503"),
    pytest.param(Part.METRICS_SERVER, {"samples": Miss.ABSENT}, Health.AWAY, "it is not there", {}, id="no-metrics"),
    pytest.param(Part.CONTROLLER, {"controller": {"spec": {}}}, Health.AWAY, "it does not run",
                 {"ready": 0, "wanted": 1, "leases_open": 2, "leases_unanswered": 0}, id="controller-away"),
    pytest.param(Part.CONTROLLER, {"leases": [lease(6.0)]}, Health.DEGRADED, "it runs, and leases wait",
                 {"ready": 1, "wanted": 1, "leases_open": 1, "leases_unanswered": 1}, id="controller-stuck"),
    pytest.param(Part.CONTROLLER, {"controller": Miss.ABSENT}, Health.UNKNOWN, "it is not deployed",
                 {"leases_open": 2, "leases_unanswered": 0}, id="controller-elsewhere"),
    pytest.param(Part.CONTROLLER, {"controller": Miss.ABSENT, "leases": [lease(6.0)]}, Health.AWAY, "it does not run",
                 None, id="controller-nowhere"),
    pytest.param(Part.CONTROLLER, {"leases": Miss.SILENT}, Health.UNKNOWN, "it runs; whether leases wait",
                 {"ready": 1, "wanted": 1}, id="leases-not-known"),
    pytest.param(Part.CONTROLLER, {"leases": Miss.ABSENT}, Health.AWAY, "the kinds of claudescale.io are not", {},
                 id="no-kinds"),
    pytest.param(Part.RECORDS, {"records": []}, Health.AWAY, "there are none", {}, id="no-records"),
    pytest.param(Part.RECORDS, {"records": [{}]}, Health.DEGRADED, "the last ones are no whole chain", {}, id="broken"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "more", "state", "words", "numbers"), BAD)
def test_what_is_not_well_is_said_with_advice(
    part: Part, more: dict[str, Any], state: Health, words: str, numbers: dict[str, int] | None
) -> None:
    one = found(part, **more)
    assert one.health is state
    assert one.explanation.startswith(words)
    assert (one.advice is None) is (state is Health.WELL)
    assert numbers is None or dict(one.numbers) == numbers


def test_an_autoscaler_that_people_switched_off_is_well() -> None:
    assert found(Part.AUTOSCALERS, autoscalers=[hpa(state="False", reason="ScalingDisabled")]).health is Health.WELL


@pytest.mark.parametrize("miss", list(Miss))
@pytest.mark.parametrize("name", list(Readings.__dataclass_fields__))
def test_every_part_may_be_missing(name: str, miss: Miss) -> None:
    whole = status(replace(WELL, **{name: miss}), namespace="space", now=NOW)
    bad = [one for one in whole.findings if one.health is not Health.WELL]
    assert len(bad) == 1
    assert bad[0].advice
    assert whole.overall in (Health.DEGRADED, Health.UNKNOWN)
    assert miss in MISSED


def test_lists_are_cut_and_the_worst_nodes_come_first() -> None:
    nodes = [node(f"n{number}", ready=number != 7) for number in range(9)]
    whole = status(replace(WELL, nodes=nodes, autoscalers=[hpa()] * 9), namespace="space", now=NOW)
    assert [one.name for one in whole.nodes] == ["n7", "n0", "n1", "n2"]
    assert len(whole.autoscalers) == health.AUTOSCALERS_SHOWN
    assert whole.findings[0].numbers["count"] == 9


# Reading


@pytest.fixture
def double() -> Iterator[HttpDouble]:
    with http_double(lambda asked: Reply(body={"items": []})) as made:
        yield made


@pytest.mark.clock
def test_what_hangs_takes_the_others_nothing(double: HttpDouble) -> None:
    def script(asked: Asked) -> Reply:
        slow = "/proxy/" in asked.path or "metrics.k8s.io" in asked.path
        if asked.path.endswith("/services"):  # a byte now and then: no silence, and no answer
            return Reply(stream=[b"{", *([0.05, b" "] * 200)])
        return Reply(body={"items": [], "metadata": {}}, hold=FOR_EVER if slow else 0.0)

    double.script = script
    began = time.monotonic()
    read = checkup.readings(Reader(double.client()), seconds=0.5)
    assert time.monotonic() - began < 1.5
    assert (read.targets, read.samples, read.services) == (Miss.SILENT, Miss.SILENT, Miss.SILENT)
    assert (read.nodes, read.pods, read.autoscalers, read.leases) == ([], [], [], [])


ANSWERS: list[Any] = [
    (403, Miss.FORBIDDEN), (404, Miss.ABSENT), (503, Miss.REFUSED), (500, Miss.REFUSED), (429, Miss.REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("code", "miss"), ANSWERS)
def test_a_refusal_is_of_its_part_only(double: HttpDouble, code: int, miss: Miss) -> None:
    def script(asked: Asked) -> Reply:
        bad = "/proxy/" in asked.path or asked.path == "/api/v1/nodes"
        return Reply(status=code if bad else 200, body={"items": []})

    double.script = script
    read = checkup.readings(Reader(double.client()))
    assert (read.targets, read.nodes, read.pods) == (miss, miss, [])


def test_nonsense_is_no_answer(double: HttpDouble) -> None:
    double.script = lambda asked: Reply(body=b"<html>" if "/proxy/" in asked.path else {"items": []})
    assert checkup.readings(Reader(double.client())).targets is Miss.UNREADABLE


def test_prometheus_is_asked_one_question_at_its_one_address(double: HttpDouble) -> None:
    checkup.readings(Reader(double.client()))
    (asked,) = [one for one in double.asked if "/proxy/" in one.path]
    assert asked.path == "/api/v1/namespaces/space/services/prometheus:9090/proxy/api/v1/query"
    assert asked.query == {"query": checkup.TARGETS}
    assert {one.method for one in double.asked} == {"GET"}


def test_no_cluster_is_no_answer_at_all(double: HttpDouble) -> None:
    client = double.client()
    client.configuration.host = refused_address()
    with pytest.raises(ClusterStopped):
        checkup.readings(Reader(client))
    double.script = lambda asked: Reply(status=401, body={})
    with pytest.raises(ApiError):
        checkup.readings(Reader(double.client()))


def test_a_mistake_of_ours_is_not_hidden() -> None:
    future: Future[Any] = Future()
    future.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        checkup._part(future, until=0.0)
