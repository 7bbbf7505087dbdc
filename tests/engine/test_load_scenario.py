"""A load with a name: its result as often as it is asked for, what breaks off, what ends it early, what removes it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load import run as load_run
from ansible_collections.claudescale.core.plugins.module_utils.load import scenario as load_scenario
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import END
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LoadRefused, make_plan
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, pack
from ansible_collections.claudescale.core.plugins.module_utils.load.scenario import (
    AT_MAXIMUM,
    Incomplete,
    Phase,
    Scenario,
    check_name,
    remove,
)

from tests.engine.load_double import JOBS, LoadCluster, progress

HPA = "/apis/autoscaling/v2/namespaces/claudescale/horizontalpodautoscalers/demo-app-hpa"
PLAN = make_plan("steady", rate=2, seconds=10)
REQUESTS = [Request(at=(n + 1) / 2, latency=0.6 if n < 3 else 0.01, code=200) for n in range(19)]
REQUESTS.append(Request(at=10, latency=None, code=0, sent=False))
SUMMARY: dict[str, Any] = {"kind": "summary", "seconds": 10.4, "interrupted": False, "vegeta": None, "began": 1.0}


def whole(**summary: Any) -> list[str | Exception]:
    parts = [json.dumps({"kind": "results", "part": part}) for part in pack(REQUESTS)]
    return [progress(1, ok=2), progress(2, ok=1, failed=1), *parts, json.dumps(SUMMARY | summary)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(load_run, "TAIL_SECONDS", 0.05)


def scenario(cluster: LoadCluster, *, over: bool = True, **more: Any) -> Scenario:
    """A load that was started, and by then is over where that is wanted."""
    made = Scenario(cast(ClusterClient, cluster), "evening", more.pop("plan", PLAN), objective=0.5, **more)
    made.start()
    if over:
        cluster.finish("load-evening")
    return made


def test_its_result() -> None:
    told = scenario(LoadCluster(logs=[whole()])).result(changed=True)
    assert (told.phase, told.changed, told.complete, told.job) == (Phase.FINISHED, True, True, "load-evening")
    assert told.message == (
        "load evening: 20 requests in 10 s, 19 ok, 1 failed (1 could not be sent in time), 20.00 % slower than 500 ms "
        "or failed, p99 600 ms"
    )
    assert told.figures is not None
    assert (told.figures.slow, told.figures.unsent, told.figures.share) == (3, 1, 0.2)
    assert told.summary == SUMMARY


def test_its_result_again_and_with_another_objective() -> None:
    cluster = LoadCluster(logs=[whole()])
    first = scenario(cluster).result()
    again = Scenario(cast(ClusterClient, cluster), "evening", PLAN, objective=0.5)
    stands = again.start()
    assert (stands.phase, stands.changed) == (Phase.FINISHED, False)
    assert stands.message == "load evening is over: steady, up to 2/s, 20 requests in 10 s at most"
    assert again.result() == first
    other = replace(again, objective=0.7)
    other.start()
    assert (found := other.result().figures) is not None and found.slow == 0


def test_what_it_would_do() -> None:
    cluster = LoadCluster()
    made = Scenario(cast(ClusterClient, cluster), "evening", PLAN, objective=0.5)
    told = made.foretold()
    assert (told.changed, told.phase, cluster.jobs()) == (True, Phase.ABSENT, {})
    assert told.message == "would start load evening: steady, up to 2/s, 20 requests in 10 s at most"
    made.start()
    assert (made.foretold().changed, made.foretold().phase) == (False, Phase.RUNNING)
    with pytest.raises(LoadRefused, match="a load runs already"):
        Scenario(cast(ClusterClient, cluster), "other", PLAN, objective=0.5).foretold()


def test_its_news() -> None:
    lines: list[Any] = []
    scenario(LoadCluster(logs=[whole()]), news=lines.append).result()
    assert [line["second"] for line in lines] == [1, 2]


def test_a_cluster_that_goes_away_in_the_middle() -> None:
    gone: list[str | Exception] = [ClusterStopped("the cluster is stopped: make up")]
    with pytest.raises(Incomplete) as broken:
        scenario(LoadCluster(logs=[[*whole()[:2], *gone], gone]), over=False).result(changed=True)
    assert str(broken.value) == (
        "the result of load evening is incomplete: until second 2 of 10, 3 requests were answered and 1 failed, then "
        "the cluster is stopped: make up"
    )
    told = broken.value.told
    assert (told.phase, told.complete, told.seconds, told.figures, told.changed) == (Phase.FAILED, False, 2, None, True)


def test_a_generator_that_dies() -> None:
    with pytest.raises(Incomplete, match=r"then the load's pod load-x-1 ended without a summary \(Failed\)"):
        scenario(LoadCluster(logs=[whole()[:2]], phase="Failed"), over=False).result()


def test_parts_that_are_missing() -> None:
    log = [line for line in whole() if '"results"' not in str(line)]
    with pytest.raises(Incomplete, match="the load left no results"):
        scenario(LoadCluster(logs=[log])).result()


def test_a_load_that_could_not_run() -> None:
    error = json.dumps({"kind": "error", "message": "no vegeta"})
    with pytest.raises(ClaudeScaleError) as told:
        scenario(LoadCluster(logs=[[error]])).result()
    assert str(told.value) == "load evening could not run: no vegeta"


def test_a_load_that_was_ended_from_outside_is_not_complete() -> None:
    told = scenario(LoadCluster(logs=[whole(interrupted=True, ended="by a signal", seconds=4.2)])).result()
    assert (told.complete, told.phase) == (False, Phase.FINISHED)
    assert told.message.startswith(
        "load evening: incomplete, because it was ended from outside, of 10 s: 20 requests in 4 s, 19 ok, 1 failed"
    )


def test_a_failed_load_is_told() -> None:
    cluster = LoadCluster()
    made = scenario(cluster)
    cluster.finish("load-evening", "Failed")
    assert made.start().phase is Phase.FAILED


def hpa(current: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo-app-hpa"},
        "spec": {"scaleTargetRef": {"name": "demo-app"}, "minReplicas": 2, "maxReplicas": 5},
        "status": {"currentReplicas": current, "desiredReplicas": current},
    }


@pytest.mark.parametrize("current", [4, 5])
def test_a_load_until_scaled_is_asked_to_end_once_the_maximum_is_there(
    current: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_scenario, "HOLD_SECONDS", 0.0)
    cluster = LoadCluster(logs=[whole(interrupted=current == 5, ended=AT_MAXIMUM)])
    cluster.objects[HPA] = hpa(current)
    plan = make_plan("stress-until-scale", rate=2, seconds=10)
    told = scenario(cluster, plan=plan).result()
    annotation = {"metadata": {"annotations": {END: AT_MAXIMUM}}}
    assert [body for _, body in cluster.patched] == ([annotation] if current == 5 else [])
    assert told.complete


def test_it_is_removed_once() -> None:
    cluster = LoadCluster()
    scenario(cluster, over=False)
    told = remove(cast(ClusterClient, cluster), "evening", dry_run=True)
    assert (told.message, told.changed) == ("would remove running load evening", True)
    assert "load-evening" in cluster.jobs()
    told = remove(cast(ClusterClient, cluster), "evening")
    assert (told.message, told.changed, told.plan) == ("running load evening is removed", True, PLAN)
    assert cluster.deleted == [f"{JOBS}/load-evening"]
    told = remove(cast(ClusterClient, cluster), "evening")
    assert (told.message, told.changed) == ("there is no load evening in namespace claudescale", False)


def test_a_job_that_is_no_load_is_left_alone() -> None:
    cluster = LoadCluster()
    cluster.create(JOBS, {"metadata": {"name": "load-evening"}, "spec": {}})
    with pytest.raises(LoadRefused) as refused:
        remove(cast(ClusterClient, cluster), "evening")
    assert str(refused.value) == "job load-evening in namespace claudescale is no load: it is left alone"
    assert cluster.deleted == []


@pytest.mark.parametrize("name", ["", "Evening", "../x", "-x", "x-", "x" * 51, "a.b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(LoadRefused, match="is no name: use 1 to 50 lower-case letters, digits and hyphens"):
        check_name(name)
