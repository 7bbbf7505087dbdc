"""Running a load's Job, with a cluster that answers from a script: what is followed, refused, and cleaned up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load import run as load_run
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import END, SERVICE
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LoadRefused, make_plan
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, ResultsDamaged, pack

from tests.engine.load_double import DEMO, JOBS, POD, PODS, SERVICES, LoadCluster, progress

SUMMARY = {"kind": "summary", "ok": 3}
REQUESTS = [Request(at=n / 10, latency=0.01, code=200) for n in range(1, 40)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "POLL_SECONDS", 0.001)


def started(cluster: LoadCluster) -> load_run.LoadRun:
    run = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    run.start()
    return run


def busy_by(name: str) -> str:
    return (
        "a load runs already: end it where it was started, or by kubectl --context c --namespace claudescale "
        f"delete job {name}"
    )


def test_the_image_is_the_workers() -> None:
    cluster = LoadCluster()
    run = started(cluster)
    assert run.name.startswith("load-steady-")
    job = cluster.jobs()[run.name]
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "claudescale/load:7"
    assert cluster.objects[f"{SERVICES}/{SERVICE}"]["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]


def test_lines_come_once_over_broken_connections() -> None:
    gone = ClusterStopped("the line is dead")
    cluster = LoadCluster(
        logs=[
            [progress(1), "vegeta's own words", progress(2), gone],
            [gone],
            [progress(1), progress(2), progress(3)],
            [progress(1), progress(2), progress(3), progress(4), json.dumps(SUMMARY), progress(5)],
        ]
    )
    said = list(started(cluster).follow())
    assert [line.get("second") for line in said] == [1, 2, 3, 4, None]
    assert said[-1] == SUMMARY


def test_results_come_before_the_summary_also_over_a_broken_connection() -> None:
    parts = [json.dumps({"kind": "results", "part": part}) for part in pack(REQUESTS)]
    cluster = LoadCluster(logs=[[progress(1), *parts, ClusterStopped("the line is dead")],
                                [progress(1), *parts, json.dumps(SUMMARY)]])  # fmt: skip
    run = started(cluster)
    with pytest.raises(ResultsDamaged, match="left no results"):
        run.results()
    list(run.follow())
    assert run.results() == REQUESTS


def test_a_pod_that_ends_without_a_summary() -> None:
    cluster = LoadCluster(logs=[[progress(1)]], phase="Failed")
    run = started(cluster)
    with pytest.raises(ClaudeScaleError) as refused:
        list(run.follow())
    assert str(refused.value) == (
        "the load's pod load-x-1 ended without a summary (Failed): what came of the load is not complete"
    )


def test_a_pod_that_is_gone_with_what_it_said() -> None:
    cluster = LoadCluster(pods=[])
    run = started(cluster)
    cluster.finish(run.name)
    with pytest.raises(ClaudeScaleError) as refused:
        list(run.follow())
    assert str(refused.value) == f"the pod of {run.name} is gone, and what it said with it: run the load again"


def test_a_line_that_stays_dead() -> None:
    dead: list[list[str | Exception]] = [[ClusterStopped("the line is dead")]] * 20
    with pytest.raises(ClusterStopped, match="the line is dead"):
        list(started(LoadCluster(logs=dead)).follow())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull"}}}]},
            "the load's pod cannot start (ErrImageNeverPull)",
            id="image",
        ),
        pytest.param(
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "Insufficient cpu",
                    }
                ],
            },
            "the load's pod did not start within 0.05 s (Unschedulable: Insufficient cpu)",
            id="cpu",
        ),
    ],
)
def test_a_pod_that_cannot_start(status: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "START_SECONDS", 0.05)
    cluster = LoadCluster(pods=[{"metadata": {"name": "load-x-1"}, "status": status}])
    run = started(cluster)
    with pytest.raises(ClaudeScaleError) as refused:
        list(run.follow())
    assert str(refused.value) == message


def test_stop_deletes_the_job_and_may_come_at_any_time() -> None:
    cluster = LoadCluster()
    idle = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    idle.stop()
    assert cluster.deleted == []
    run = started(cluster)
    run.stop()
    run.stop()
    assert cluster.deleted == [f"{JOBS}/{run.name}"] * 2


def test_a_job_whose_creation_was_never_answered_is_deleted() -> None:
    cluster = LoadCluster(mute=True)
    run = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    with pytest.raises(ClusterStopped):
        run.start()
    (name,) = cluster.jobs()
    run.stop()
    assert cluster.deleted == [f"{JOBS}/{name}"]


# One load at a time


def test_a_load_beside_another_one_is_refused_before_anything_is_created() -> None:
    cluster = LoadCluster()
    first = started(cluster)
    before = dict(cluster.objects)
    with pytest.raises(LoadRefused) as refused:
        started(cluster)
    assert str(refused.value) == busy_by(first.name)
    assert (cluster.objects, cluster.deleted) == (before, [])
    cluster.finish(first.name)
    assert started(cluster).name in cluster.jobs()


def test_without_a_demo_app_nothing_is_created() -> None:
    cluster = LoadCluster()
    del cluster.objects[DEMO]
    before = dict(cluster.objects)
    with pytest.raises(LoadRefused, match="there is no demo-app in namespace claudescale: make up"):
        started(cluster)
    assert cluster.objects == before


def meanwhile(cluster: LoadCluster, what: Callable[[], None]) -> None:
    """What happens between the look for other loads and the creation of the Job."""
    waiting = [what]

    def act(path: str) -> None:
        if path == JOBS and waiting:
            waiting.pop()()

    cluster.before_create = act


def test_of_two_that_start_in_the_same_second_one_is_refused_and_leaves_nothing() -> None:
    cluster = LoadCluster()
    first = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    meanwhile(cluster, lambda: (first.start(), None)[1])
    second = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("ramp"))
    with pytest.raises(LoadRefused) as refused:
        second.start()
    assert str(refused.value) == busy_by(first.name)
    assert list(cluster.jobs()) == [first.name]
    assert cluster.objects[f"{SERVICES}/{SERVICE}"]["metadata"]["ownerReferences"][0]["name"] == first.name
    assert (second.name, second.created) == ("", False)


@pytest.mark.parametrize("how", ["over", "gone", "replaced"])
def test_the_service_of_a_load_that_is_over_is_taken(how: str) -> None:
    cluster = LoadCluster()
    first = started(cluster)
    if how == "over":
        cluster.finish(first.name)
    else:
        del cluster.objects[f"{JOBS}/{first.name}"]  # and its Service stays for a moment
    if how == "replaced":
        cluster.create(JOBS, {"metadata": {"name": first.name, "labels": {}}})
    second = started(cluster)
    assert cluster.objects[f"{SERVICES}/{SERVICE}"]["metadata"]["ownerReferences"][0]["name"] == second.name


def test_a_service_that_somebody_else_took_in_that_moment_is_left_alone() -> None:
    cluster = LoadCluster()
    first = started(cluster)
    cluster.finish(first.name)
    taken = {"metadata": {"name": SERVICE, "ownerReferences": [{"kind": "Job", "name": "load-other", "uid": "o"}]}}

    def take(path: str) -> None:
        if path == SERVICES:
            cluster.before_create = None
            cluster.objects[f"{JOBS}/load-other"] = {"metadata": {"name": "load-other", "uid": "o"}, "spec": {}}
            cluster.delete(f"{SERVICES}/{SERVICE}")
            cluster.create(SERVICES, taken)

    cluster.before_create = take
    with pytest.raises(LoadRefused) as refused:
        started(cluster)
    assert str(refused.value) == busy_by("load-other")


def test_a_service_of_that_name_which_is_none_of_a_load() -> None:
    cluster = LoadCluster()
    cluster.create(SERVICES, {"metadata": {"name": SERVICE}})
    with pytest.raises(LoadRefused) as refused:
        started(cluster)
    assert str(refused.value) == f"service {SERVICE} is none of a load: delete it, its name is needed"
    assert cluster.jobs() == {}


# A load with a name


def named(cluster: LoadCluster, profile: str = "steady", **more: int) -> load_run.LoadRun:
    return load_run.LoadRun(cast(ClusterClient, cluster), make_plan(profile, **more), "evening")


def test_a_named_load_is_made_once_and_kept() -> None:
    cluster = LoadCluster()
    first = named(cluster)
    assert (first.start(), first.created) == (True, True)
    assert "ttlSecondsAfterFinished" not in cluster.jobs()["load-evening"]["spec"]
    before = dict(cluster.objects)
    again = named(cluster)
    assert (again.start(), again.created, again.name) == (False, False, "load-evening")
    cluster.finish("load-evening")
    assert named(cluster).start() is False
    assert cluster.objects.keys() == before.keys()


def test_another_plan_under_the_name_is_refused_with_the_remedy() -> None:
    cluster = LoadCluster()
    named(cluster).start()
    with pytest.raises(LoadRefused) as refused:
        named(cluster, rate=30).start()
    assert str(refused.value) == (
        "load evening is another one (steady: 20/s for 120 s, not steady: 30/s for 120 s): use another name, or remove "
        "it first (state absent, or kubectl --context c --namespace claudescale delete job load-evening)"
    )


def test_a_job_of_the_name_that_is_no_load() -> None:
    cluster = LoadCluster()
    cluster.create(JOBS, {"metadata": {"name": "load-evening"}, "spec": {}})
    with pytest.raises(LoadRefused, match="load evening is no load: use another name"):
        named(cluster).start()


def test_of_two_of_the_same_name_one_creates_it() -> None:
    cluster = LoadCluster()
    first = named(cluster)
    meanwhile(cluster, lambda: (first.start(), None)[1])
    second = named(cluster)
    assert second.start() is False
    assert (second.name, second.created) == ("load-evening", False)
    assert len(cluster.jobs()) == 1


def test_a_refused_creation_is_told_and_leaves_nothing() -> None:
    cluster = LoadCluster()

    def refuse(path: str) -> None:
        if path == SERVICES:
            raise ApiError("the API server answered 403: services is forbidden", 403)

    cluster.before_create = refuse
    with pytest.raises(ApiError, match="services is forbidden"):
        named(cluster).start()
    assert cluster.jobs() == {}


def test_a_load_is_asked_to_end_by_its_pod() -> None:
    cluster = LoadCluster()
    run = started(cluster)
    run.end("enough")
    assert cluster.patched == [(f"{PODS}/{POD}", {"metadata": {"annotations": {END: "enough"}}})]


def test_resting_ends_when_the_job_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = LoadCluster()
    run = started(cluster)
    monkeypatch.setattr(load_run, "TAIL_SECONDS", 0.02)
    with pytest.raises(ClaudeScaleError, match=r"is still there 0\.02 s after its summary"):
        run.rest()
    cluster.finish(run.name)
    run.rest()
