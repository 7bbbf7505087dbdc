"""The course of `claudescale compare` on a cluster that is played: what is done when, and what is put back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.answers import ApiError
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import PrometheusAway, Sample, Track
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request
from claudescale_cli.compare import arms, fitting, play, undo
from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.fitting import FIELD_MANAGER
from claudescale_cli.compare.machine import Meter, busy_seconds, busy_words, is_here
from claudescale_cli.compare.stage import Stage
from claudescale_cli.compare.undo import Trace, put_back
from claudescale_cli.live.assistant import Told
from claudescale_cli.live.observer import Observer
from claudescale_cli.live.screen import Screen

from tests.doors.cluster_double import hpa
from tests.doors.compare_double import demo_app, patched

SPACE = "namespaces/claudescale"
APP = f"/apis/apps/v1/{SPACE}/deployments/demo-app"
SCALE = f"{APP}/scale"
SETS = f"/apis/apps/v1/{SPACE}/replicasets"
ONE_HPA = f"/apis/autoscaling/v2/{SPACE}/horizontalpodautoscalers/demo-app-hpa"
LEASES = f"/apis/claudescale.io/v1alpha1/{SPACE}/capacityleases"
KINDS = "/apis/claudescale.io/v1alpha1"
OURS = fitting.wanted_fit(30, "150m")
UP = "SuccessfulRescale: New size: 4; reason: cpu above target"
ACT, LAUNCH, END = 0.2, 1.0, 2.0  # seconds of a load that is played
pytestmark = pytest.mark.clock


class FakeRun:
    """A load whose first line comes at once, and whose summary comes at its end."""

    def __init__(self, seconds: float, *, line: dict[str, Any] | None = None) -> None:
        self.name = ""
        self.stopped = 0
        self._seconds = seconds
        self._last = {"kind": "summary"} if line is None else line

    def start(self) -> bool:
        self.name = "load-compare-1"
        return True

    def follow(self) -> Iterator[dict[str, Any]]:
        facts = {"kind": "progress", "rate": 10, "ok": 10, "failed": 0, "p99_ms": 12.0}
        yield {**facts, "second": 0}
        time.sleep(self._seconds)
        if self._last:
            yield self._last

    def results(self) -> list[Request]:
        return [Request(at=0.5, latency=0.01, code=200)]

    def stop(self) -> None:
        self.stopped += 1


class FakeCluster:
    """Objects by path. A patch of the scale, or of the workload's template, is seen by the observer."""

    namespace = "claudescale"

    def __init__(self, observer: Observer | None = None) -> None:
        self.objects: dict[str, Any] = {APP: demo_app(), ONE_HPA: hpa(), SETS: {"items": []}, KINDS: {"resources": []}}
        self.writes: list[tuple[str, Any]] = []
        self.deleted: list[tuple[str, str | None]] = []
        self.on_response: list[Any] = []
        self.fails: dict[str, list[int]] = {}  # codes that the next patches of a path get
        self._observer = observer

    def get(self, path: str) -> dict[str, Any]:
        found = self.find(path)
        if found is None:
            raise ApiError(f"{path} not found", 404)
        return found

    def find(self, path: str) -> dict[str, Any] | None:
        if path == SCALE:
            return {"spec": {"replicas": self.objects[APP]["spec"]["replicas"]}}
        return deepcopy(self.objects.get(path))

    def items(self, path: str, _query: Any = None) -> list[dict[str, Any]]:
        return deepcopy(self.objects[path]["items"])  # type: ignore[no-any-return]

    def patch(self, path: str, body: Any, *, kind: str = "merge", field_manager: str = "", **_: Any) -> dict[str, Any]:
        assert field_manager == FIELD_MANAGER
        self.writes.append((path, body))
        if self.fails.get(path):
            raise ApiError("the object has been modified", self.fails[path].pop(0))
        if path == SCALE:
            self.scale(body["spec"]["replicas"])
        elif kind == "json":
            self.objects[path] = patched(self.objects[path], body)
        else:
            self.objects[path]["spec"].update(body["spec"])
            self.objects[path].setdefault("status", {})["phase"] = "Ended"
        return dict(self.objects.get(path, {}))

    def delete(self, path: str, *, uid: str | None = None) -> None:
        self.deleted.append((path, uid))

    def scale(self, replicas: int) -> None:
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        self.objects[APP]["spec"]["replicas"] = replicas
        self.objects[APP]["status"].update(dict.fromkeys(counts, replicas))
        if self._observer is not None:
            self._observer.take("workload", deepcopy(self.objects[APP]))

    def floor(self, floor: int) -> None:
        self.objects[ONE_HPA]["spec"]["minReplicas"] = floor
        if self._observer is not None:
            self._observer.take("autoscaler", deepcopy(self.objects[ONE_HPA]))

    def fit(self) -> None:
        worker = self.objects[APP]["spec"]["template"]["spec"]["containers"][1]
        worker["env"][1]["value"] = "30"
        worker["resources"]["limits"]["cpu"] = "150m"


class FakePrometheus:
    """One node of two cores, at half of them; its samples are a second older than the grid's times."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    def query(self, _promql: str) -> list[Sample]:
        return [Sample(labels={"node": "n"}, value=2.0, time=0.0)]

    def tracks(self, promql: str, *, start: float, end: float, step: float) -> list[Track]:
        if self.away:
            raise PrometheusAway("Prometheus does not answer")
        grid = [start + part * step for part in range(int((end - start) / step) + 1)]
        older = {at: at - 1.0 for at in grid}
        value: Callable[[float], float] = (lambda at: at) if promql.startswith("timestamp") else (lambda at: at - start)
        return [Track(labels={"node": "n"}, points=tuple((at, value(older[at])) for at in grid))]


class Played:
    """A stage on which everything takes parts of a second."""

    def __init__(self, design: Design) -> None:
        self.observer = Observer("demo-app", "demo-app-hpa")
        self.observer.news = Impatient()
        self.cluster = FakeCluster(self.observer)
        self.cluster.fit()
        self.observer.take("autoscaler", deepcopy(self.cluster.objects[ONE_HPA]), old=True)
        self.observer.take("workload", deepcopy(self.cluster.objects[APP]), old=True)
        self.run = FakeRun(float(design.end) + 0.05)
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"outcome": "Created", "allowed": True}
        self.stage = Stage(
            cluster=self.cluster,  # type: ignore[arg-type]
            screen=Screen(),
            assistant=self,  # type: ignore[arg-type]
            observer=self.observer,
            prometheus=FakePrometheus(),  # type: ignore[arg-type]
            trace=Trace(autoscaler="demo-app-hpa", base=2, asked=5, ours=OURS),
            design=design,
            clock=self,  # type: ignore[arg-type]
            base=2,
        )

    def now(self) -> float:
        return time.time()

    def call(self, tool: str, **wish: Any) -> Told:
        self.asked.append({"tool": tool, **wish})
        if self.answer["outcome"] == "Created":
            spec = {"requestedBy": "system:serviceaccount:claudescale:claudescale-sa"}
            self.observer.take("leases", {"metadata": {"name": wish["name"]}, "spec": spec})
            threading.Timer(0.15, lambda: (self.cluster.floor(5), self.cluster.scale(5))).start()
            threading.Timer(END - ACT + 0.1, lambda: self.cluster.floor(2)).start()
        return Told(text="told", facts=self.answer)

    def event(self, words: str) -> None:
        reason, _, message = words.partition(": ")
        found = {"metadata": {"uid": str(time.monotonic())}, "reason": reason, "message": message}
        self.observer.take("events", found)


QUICK = {
    "START_SECONDS": 2.0, "SUMMARY_SECONDS": 0.5, "FLOOR_SECONDS": 0.5, "CALM_SECONDS": 0.4, "BASE_SECONDS": 0.5,
    "SEEN_SECONDS": 0.5, "CPU_BEYOND": 20.0, "STALE_SECONDS": 0.0,
}  # fmt: skip


class Impatient(queue.Queue[Any]):
    """News that are looked at more often, because everything here takes parts of a second."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return super().get(block, None if timeout is None else min(timeout, 0.02))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(arms, "ROOM", 0.1)
    quick: Any = {"warmup": 0, "calm_rate": 1, "launch_rate": 10, "act": ACT, "launch": LAUNCH, "end": END}
    found = Played(Design(**quick))
    monkeypatch.setattr(play, "LoadRun", lambda _cluster, _plan: found.run)
    monkeypatch.setattr(play, "load_plan", lambda _design: None)
    for name, seconds in QUICK.items():
        monkeypatch.setattr(play, name, seconds)
    return found


# One run


def test_the_hpa_alone_gets_the_load_and_nothing_else(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    threading.Timer((LAUNCH + END) / 2, lambda: (played.cluster.scale(4), played.event(UP))).start()
    found = play.play(played.stage, Arm.HPA, 2, 1)
    assert (found.arm, found.number, found.attempt, found.acted, found.lease) == (Arm.HPA, 2, 1, None, {})
    assert [(level.wanted, level.ready, level.floor) for level in found.levels] == [(2, 2, 2), (4, 4, 2)]
    assert found.levels[0].seconds == 0
    assert LAUNCH < found.levels[1].seconds < END
    assert [event.words for event in found.events] == [UP]
    assert found.requests == (Request(at=0.5, latency=0.01, code=200),)
    assert [body for path, body in played.cluster.writes] == [{"spec": {"replicas": 2}}]  # after the load
    said = capsys.readouterr().out
    assert "launch: 10/s, 2 pods ready" in said
    assert "replicas 2 → 4" in said
    assert "back to 2 replicas by a write to the scale: this part is not measured" in said
    assert played.run.stopped == 1
    assert (played.stage.trace.load, played.stage.trace.hot, played.stage.generator) == (None, False, None)
    assert played.asked == []


def test_the_raw_write_comes_at_its_time(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    found = play.play(played.stage, Arm.RAW, 1, 1)
    assert found.acted is not None
    assert ACT <= found.acted < LAUNCH
    assert [(level.wanted, level.floor) for level in found.levels] == [(2, 2), (5, 2)]
    assert played.cluster.writes[0] == (SCALE, {"spec": {"replicas": 5}})
    assert "raw write: 5 to the scale of demo-app, and nothing that holds them" in capsys.readouterr().out
    assert played.asked == []


def test_the_lease_is_asked_for_ahead_through_the_tool(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.time()
    found = play.play(played.stage, Arm.LEASE, 1, 1)
    (wish,) = played.asked
    assert {key: wish[key] for key in ("tool", "workload", "replicas")} == {
        "tool": "lease_capacity", "workload": "demo-app", "replicas": 5,
    }  # fmt: skip
    assert began - 1 < moments.parse(wish["start"]) <= began + LAUNCH - 0.1 + 0.5
    assert began + END - 0.1 < moments.parse(wish["end"]) < began + END + 1.5
    assert "duration_seconds" not in wish
    assert wish["reason"].startswith("claudescale compare: launch in ")
    assert found.acted == pytest.approx(found.lease["starts"], abs=0.001)
    assert found.lease["account"] == "system:serviceaccount:claudescale:claudescale-sa"
    assert (5, 5, 5) in [(level.wanted, level.ready, level.floor) for level in found.levels]
    assert [body for path, body in played.cluster.writes] == [{"spec": {"replicas": 2}}]  # after the lease
    assert played.stage.trace.leases == [wish["name"]]
    assert "the tool answers: told" in capsys.readouterr().out


def test_a_lease_that_is_not_accepted_ends_the_comparison(played: Played) -> None:
    played.answer = {"outcome": "Refused", "allowed": False}
    with pytest.raises(ClaudeScaleError, match="the lease was not accepted: told"):
        play.play(played.stage, Arm.LEASE, 1, 1)
    assert len(played.stage.trace.leases) == 1
    assert played.stage.trace.load is played.run


def test_a_lease_that_does_not_end_is_said(played: Played) -> None:
    played.cluster.floor(5)
    with pytest.raises(ClaudeScaleError, match="the floor did not come back within 0 s of the lease's end"):
        play.back(played.stage, {"name": "compare-1"})
    assert len(played.stage.problems) == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"kind": "error", "message": "no vegeta"}, "the load failed, so this run cannot be judged: no vegeta"),
        ({}, "the load failed, so this run cannot be judged: its lines ended without a summary"),
    ],
)
def test_a_generator_that_dies_is_one_sentence(played: Played, line: dict[str, Any], sentence: str) -> None:
    played.run = FakeRun(0.2, line=line)
    with pytest.raises(ClaudeScaleError) as raised:
        play.play(played.stage, Arm.HPA, 1, 1)
    assert str(raised.value) == sentence
    assert played.stage.trace.load is played.run


def test_a_load_without_results_is_said(played: Played) -> None:
    played.run = FakeRun(30)
    with pytest.raises(ClaudeScaleError, match="the load brought no results within 0 s of its end"):
        play.play(played.stage, Arm.HPA, 1, 1)
    assert played.stage.trace.hot


def test_settings_that_somebody_changed_meanwhile_end_the_comparison(played: Played) -> None:
    play.check_settings(played.stage)
    worker = played.cluster.objects[APP]["spec"]["template"]["spec"]["containers"][1]
    worker["resources"]["limits"]["cpu"] = "400m"
    with pytest.raises(ClaudeScaleError, match=r"somebody changed demo-app meanwhile .*400m CPU.*cannot be judged"):
        play.check_settings(played.stage)


def test_an_autoscaler_that_still_sees_load_is_said(played: Played) -> None:
    played.cluster.objects[ONE_HPA] = hpa(cpu=120)
    played.observer.take("autoscaler", hpa(cpu=120))
    with pytest.raises(ClaudeScaleError, match="demo-app-hpa still sees load 0 s after its end"):
        play.back(played.stage, {})
    assert played.cluster.writes == []


def test_what_the_autoscaler_knows_of_the_time_before_the_launch_is_not_believed(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "STALE_SECONDS", 0.3)
    monkeypatch.setattr(play, "CALM_SECONDS", 2.0)
    threading.Timer(0.1, lambda: played.observer.take("autoscaler", hpa(cpu=120))).start()
    threading.Timer(0.6, lambda: played.observer.take("autoscaler", hpa())).start()
    played.cluster.scale(5)
    began = time.monotonic()
    play.back(played.stage, {})
    assert time.monotonic() - began > 0.5
    assert played.cluster.writes == [(SCALE, {"spec": {"replicas": 2}})]


def test_rest_lasts_until_the_autoscaler_has_forgotten(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "REST_SECONDS", 3.0)
    played.observer.take("autoscaler", hpa(wanted=3))
    threading.Timer(0.3, lambda: played.observer.take("autoscaler", hpa())).start()
    began = time.monotonic()
    play.rest(played.stage, 0.3)
    assert 0.6 <= time.monotonic() - began < 2.5
    played.observer.take("autoscaler", hpa(cpu=None))
    monkeypatch.setattr(play, "REST_SECONDS", 0.3)
    with pytest.raises(ClaudeScaleError, match="demo-app-hpa is not at rest within 0 s: claudescale status shows why"):
        play.rest(played.stage, 0.1)


def test_the_nodes_cpu_has_the_times_of_its_samples() -> None:
    design = Design()
    (found,) = play.node_cpu(FakePrometheus(), 1_000_000.0, design)  # type: ignore[arg-type]
    assert (found.node, found.cores) == ("n", 2.0)
    seconds = [at for at, _ in found.points]
    assert seconds[0] == design.launch - 30 - 1
    assert seconds[-1] == design.end + 30 - 1
    assert [round(used, 3) for _, used in found.points][:2] == [-1.0, 4.0]


def test_a_prometheus_that_is_away_is_said() -> None:
    with pytest.raises(PrometheusAway):
        play.node_cpu(FakePrometheus(away=True), 1_000_000.0, Design())  # type: ignore[arg-type]


# The machine


STAT = "cpu  100 20 30 800 50 1 2 3 0 0\ncpu0 50 10 15 400 25 0 1 1 0 0\n"


def test_what_a_machine_used_is_everything_but_idle_and_waiting() -> None:
    assert busy_seconds(STAT, 100) == pytest.approx((100 + 20 + 30 + 1 + 2 + 3) / 100)
    assert busy_seconds(STAT.replace("0 0\n", "40 7\n", 1), 100) == pytest.approx(1.56)  # guests are in user already


def test_a_machine_is_looked_at_where_a_node_runs_on_it(tmp_path: Any) -> None:
    here = tmp_path / "boot_id"
    here.write_text("95a8\n")
    nodes = [{"status": {"nodeInfo": {"bootID": "other"}}}, {"status": {"nodeInfo": {"bootID": "95a8"}}}]
    assert is_here(nodes, here)
    assert not is_here(nodes[:1], here)
    assert not is_here(nodes, tmp_path / "none")


def test_a_meter_gives_what_it_saw_in_a_time() -> None:
    meter = Meter()
    assert meter.between(0, 100, 0) == ()
    meter.points = [(10.0, 1.0), (20.0, 2.0), (30.0, 3.0)]
    (found,) = meter.between(15, 30, 5.0)
    assert found.points == ((15.0, 2.0), (25.0, 3.0))
    assert found.node == "this machine"
    meter.look()
    assert meter.points[-1][1] > 0


@pytest.mark.parametrize(("load", "busy"), [(0.99, False), (1.0, True)])
def test_a_busy_machine_is_warned_about(load: float, busy: bool) -> None:
    words = busy_words(load, 2)
    assert bool(words) is busy
    assert not busy or words.startswith("this machine is busy already (load average 1.0 on 2 cores)")


# Putting back


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    for name, seconds in (("FLOOR_SECONDS", 0.3), ("CALM_SECONDS", 0.5), ("LATE_FIGURES", 0.2),
                          ("ROLLOUT_SECONDS", 0.3), ("PAUSE_SECONDS", 0.05), ("LATE_SECONDS", 0.0)):  # fmt: skip
        monkeypatch.setattr(undo, name, seconds)
    found = FakeCluster()
    found.fit()
    return found


def traced(**fields: Any) -> Trace:
    return Trace(autoscaler="demo-app-hpa", base=2, asked=5, deployment=demo_app(), **fields)


def back(cluster: FakeCluster, trace: Trace) -> tuple[list[str], list[str]]:
    said: list[str] = []
    return put_back(cluster, trace, said.append), said  # type: ignore[arg-type]


def test_everything_is_put_back(cluster: FakeCluster) -> None:
    run: Any = FakeRun(0)
    run.start()
    cluster.scale(5)
    cluster.objects[f"{LEASES}/compare-1"] = {
        "metadata": {"name": "compare-1"},
        "spec": {},
        "status": {"phase": "Active"},
    }
    cluster.objects[APP]["metadata"]["managedFields"] = [{"manager": FIELD_MANAGER, "fieldsV1": {"f:spec": {}}}]
    mine = deepcopy(cluster.objects[APP]["spec"]["template"])
    cluster.objects[SETS]["items"] = [
        {
            "metadata": {"uid": "mine", "name": "demo-app-1", "ownerReferences": [{"uid": "d"}]},
            "spec": {"replicas": 0, "template": mine},
        }
    ]
    trace = traced(ours=OURS, load=run, loaded=True, hot=True, leases=["compare-1", "compare-never-made"])
    problems, said = back(cluster, trace)
    assert problems == []
    assert said == [
        "load load-compare-1 is ended",
        "lease compare-1 is ended",
        "demo-app has its settings again: 0 s of warm-up, 400m CPU",
        "waiting until demo-app-hpa sees no load any more, or it would scale once more",
        "demo-app is scaled from 5 to 2 again, as it was found",
        "its 2 pods are as before",
    ]
    assert run.stopped == 1
    assert cluster.objects[f"{LEASES}/compare-1"]["spec"]["ended"] is True
    assert cluster.objects[APP] == demo_app()
    assert cluster.deleted == [(f"{SETS}/demo-app-1", "mine")]


def test_nothing_is_touched_where_nothing_was(cluster: FakeCluster) -> None:
    cluster.objects[APP] = demo_app()
    assert not traced().touched
    assert back(cluster, traced()) == ([], [])
    assert cluster.writes == []


def test_a_scale_that_nobody_here_wrote_is_left_alone(cluster: FakeCluster) -> None:
    cluster.scale(7)
    problems, said = back(cluster, traced(loaded=True))
    assert problems == []
    assert said == ["demo-app is at 7 replicas, which is not this comparison's doing: left alone"]
    assert cluster.writes == []


def test_an_autoscaler_that_scales_late_is_waited_for(cluster: FakeCluster) -> None:
    cluster.objects[ONE_HPA] = hpa(cpu=150)

    def calm() -> None:
        cluster.scale(4)
        cluster.objects[ONE_HPA] = hpa(cpu=3)

    threading.Timer(0.15, calm).start()
    _, said = back(cluster, traced(loaded=True, hot=True))
    assert said[-1] == "demo-app is scaled from 4 to 2 again, as it was found"


def test_an_autoscaler_that_never_calms_down_is_said(cluster: FakeCluster) -> None:
    cluster.objects[ONE_HPA] = hpa(cpu=150)
    _, said = back(cluster, traced(loaded=True, hot=True))
    assert "demo-app-hpa still sees load after 0 s: it may scale once more by itself" in said


def test_settings_are_written_again_where_a_write_crossed_ours(cluster: FakeCluster) -> None:
    cluster.fails[APP] = [409, 422]
    problems, _ = back(cluster, traced(ours=OURS))
    assert problems == []
    assert fitting.fit_of(cluster.objects[APP]) == fitting.fit_of(demo_app())


def test_what_cannot_be_put_back_does_not_hinder_the_rest(cluster: FakeCluster) -> None:
    cluster.fails[APP] = [500]
    cluster.scale(5)
    problems, said = back(cluster, traced(ours=OURS, loaded=True))
    assert len(problems) == 1
    assert said[0].startswith("not all could be put back: ")
    assert "demo-app is scaled from 5 to 2 again, as it was found" in said


def test_a_floor_that_stays_is_a_problem(cluster: FakeCluster) -> None:
    cluster.floor(5)
    problems, _ = back(cluster, traced(leases=["compare-1"]))
    assert problems == ["the floor of demo-app-hpa is still up: claudescale status shows why"]


def test_a_rollout_that_does_not_end_is_a_problem(cluster: FakeCluster) -> None:
    cluster.objects[APP]["status"]["readyReplicas"] = 1
    problems, _ = back(cluster, traced(ours=OURS))
    assert problems == ["the pods of demo-app are not all back within 0 s"]


def test_settings_of_somebody_else_are_named_and_left_alone(cluster: FakeCluster) -> None:
    cluster.objects[APP]["spec"]["template"]["spec"]["containers"][1]["resources"]["limits"]["cpu"] = "1"
    problems, _ = back(cluster, traced(ours=OURS))
    assert problems == ["somebody else changed the CPU limit of demo-app meanwhile, which is left alone"]
    assert fitting.fit_of(cluster.objects[APP]).variable == {"name": "WARMUP_SECONDS", "value": "0"}
