"""Running a load's Job, with a cluster that answers from a script: what is followed, refused, and cleaned up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load import run as load_run
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import make_plan

SPACE = "namespaces/claudescale"
PODS = f"/api/v1/{SPACE}/pods"
JOBS = f"/apis/batch/v1/{SPACE}/jobs"
RUNNING = {"metadata": {"name": "load-x-1"}, "status": {"phase": "Running"}}
SUMMARY = {"kind": "summary", "ok": 3}


def progress(second: int) -> str:
    return json.dumps({"kind": "progress", "second": second})


@dataclass
class Scripted:
    """A cluster with at most one pod; `logs` are the answers to successive requests for its log."""

    pods: list[dict[str, Any]] = field(default_factory=lambda: [RUNNING])
    logs: list[list[str | Exception]] = field(default_factory=list)
    phase: str | None = "Running"
    mute: bool = False  # creates what it is asked to, and never says so
    created: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    context: str = "c"
    namespace: str = "claudescale"

    def items(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [] if path == JOBS or self.deleted else self.pods

    def find(self, path: str) -> dict[str, Any] | None:
        if path.endswith("/deployments/demo-app"):
            worker = {"name": "worker", "image": "claudescale/load:7"}
            return {"spec": {"template": {"spec": {"containers": [{"name": "nginx", "image": "n"}, worker]}}}}
        return {"status": {"phase": self.phase}} if self.phase else None

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.created.append(body)
        if self.mute:
            raise ClusterStopped("no answer")
        return body

    def delete(self, path: str) -> None:
        self.deleted.append(path)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        assert path == f"{PODS}/load-x-1/log"
        for line in self.logs.pop(0) if self.logs else []:
            if isinstance(line, Exception):
                raise line
            yield line


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "POLL_SECONDS", 0.001)


def started(cluster: Scripted) -> load_run.LoadRun:
    run = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    run.start()
    return run


def test_the_image_is_the_workers() -> None:
    cluster = Scripted()
    started(cluster)
    assert cluster.created[0]["metadata"]["name"].startswith("load-steady-")
    assert cluster.created[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "claudescale/load:7"


def test_lines_come_once_over_broken_connections() -> None:
    gone = ClusterStopped("the line is dead")
    cluster = Scripted(
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


def test_a_pod_that_ends_without_a_summary() -> None:
    cluster = Scripted(logs=[[progress(1)]], phase="Failed")
    run = started(cluster)
    with pytest.raises(ClaudeScaleError) as refused:
        list(run.follow())
    assert str(refused.value) == "the load's pod load-x-1 ended without a summary (Failed)"


def test_a_line_that_stays_dead() -> None:
    dead: list[list[str | Exception]] = [[ClusterStopped("the line is dead")]] * 20
    with pytest.raises(ClusterStopped, match="the line is dead"):
        list(started(Scripted(logs=dead)).follow())


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
    cluster = Scripted(pods=[{"metadata": {"name": "load-x-1"}, "status": status}])
    run = started(cluster)
    with pytest.raises(ClaudeScaleError) as refused:
        list(run.follow())
    assert str(refused.value) == message


def test_stop_deletes_the_job_and_may_come_at_any_time() -> None:
    cluster = Scripted()
    idle = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    idle.stop()
    assert cluster.deleted == []
    run = started(cluster)
    run.stop()
    run.stop()
    assert cluster.deleted == [f"{JOBS}/{run.name}"] * 2


def test_a_job_whose_creation_was_never_answered_is_deleted() -> None:
    cluster = Scripted(mute=True)
    run = load_run.LoadRun(cast(ClusterClient, cluster), make_plan("steady"))
    with pytest.raises(ClusterStopped):
        run.start()
    run.stop()
    assert cluster.deleted == [f"{JOBS}/{cluster.created[0]['metadata']['name']}"]
