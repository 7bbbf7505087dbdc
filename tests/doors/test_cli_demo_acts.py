"""The acts of `claudescale demo` on a cluster that is played: what they say and report when reality differs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.demo import lease as demo_lease
from claudescale_cli.demo import raw as demo_raw
from claudescale_cli.demo import stage as demo_stage
from claudescale_cli.demo.course import Course, Point
from claudescale_cli.demo.stage import Stage
from claudescale_cli.demo.undo import Trace
from claudescale_cli.live.assistant import Told
from claudescale_cli.live.conditions import Ground
from claudescale_cli.live.observer import Observer
from claudescale_cli.live.screen import Screen

from tests.doors.cluster_double import hpa

RAW = Course(
    points=(Point(seconds=0, replicas=4, floor=2), Point(seconds=1, replicas=2, floor=2)), seconds=2, base=2, asked=4
)
SA = "system:serviceaccount:claudescale:claudescale-sa"


class Played:
    """A cluster of three objects, whose changes the observer is told; `later` changes something after a while."""

    namespace = "claudescale"

    def __init__(self) -> None:
        self.observer = Observer("demo-app", "demo-app-hpa")
        self.autoscaler = hpa()
        self.deployment: dict[str, Any] = {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
        self.observer.take("autoscaler", self.autoscaler, old=True)
        self.observer.take("workload", self.deployment, old=True)
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda wish: {}
        self.stage = Stage(
            cluster=self,  # type: ignore[arg-type]
            screen=Screen(),
            assistant=self,  # type: ignore[arg-type]
            ground=Ground(person="person", autoscaler="demo-app-hpa", base=2, hpa=hpa()),
            observer=self.observer,
            trace=Trace(autoscaler="demo-app-hpa", replicas=2),
        )

    def scale(self, replicas: int) -> None:
        self.deployment = {"spec": {"replicas": replicas}, "status": {"readyReplicas": replicas}}
        self.observer.take("workload", self.deployment)

    def floor(self, floor: int) -> None:
        self.autoscaler = deepcopy(self.autoscaler)
        self.autoscaler["spec"]["minReplicas"] = floor
        self.observer.take("autoscaler", self.autoscaler)

    def event(self, size: int) -> None:
        words = f"New size: {size}; reason: All metrics below target"
        found = {"metadata": {"uid": str(time.monotonic())}, "reason": "SuccessfulRescale", "message": words}
        self.observer.take("events", found)

    def lease(self, name: str, phase: str, who: str = SA) -> None:
        spec = {"requestedBy": who, "workloadRef": {"name": "demo-app"}, "durationSeconds": 1}
        status = {"phase": phase, "message": "over: its time is over"}
        self.observer.take("leases", {"metadata": {"name": name}, "spec": spec, "status": status})

    def later(self, seconds: float, *what: Callable[[], None]) -> None:
        def work() -> None:
            for one in what:
                one()

        threading.Timer(seconds, work).start()

    def call(self, _tool: str, **wish: Any) -> Told:
        return Told(text="told", facts=self.answer(wish))

    def get(self, _path: str) -> dict[str, Any]:
        return self.autoscaler


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    found = Played()
    monkeypatch.setattr(demo_raw, "write_scale", lambda _, replicas, _manager: found.scale(replicas))
    monkeypatch.setattr(demo_raw, "TAKEN_SECONDS", 1.5)
    monkeypatch.setattr(demo_raw, "EVENT_SECONDS", 0.5)
    monkeypatch.setattr(demo_raw, "LEAD", 0.3)
    for name, seconds in (("LEAD", 0.2), ("END_SECONDS", 1.0), ("DOWN_SECONDS", 1.0), ("EXACT_SECONDS", 0.3)):
        monkeypatch.setattr(demo_lease, name, seconds)
    monkeypatch.setattr(demo_lease, "lease_seconds", lambda _: (1, "for a test"))
    monkeypatch.setattr(demo_lease, "put_back", lambda _cluster, _trace, say: say("put back"))
    return found


# The raw write


def test_a_raw_write_that_is_taken_back(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.later(
        0.5, lambda: played.scale(3), lambda: played.event(3), lambda: played.scale(2), lambda: played.event(2)
    )
    found, began = demo_raw.raw_write(played.stage)
    said = capsys.readouterr().out
    assert found.back is not None and 0.4 < found.back < 1.4
    assert [point.replicas for point in found.points] == [2, 4, 3, 2]
    assert "by you, person: what kubectl scale deployment/demo-app --replicas=4 does" in said
    assert "replicas 2 → 4" in said
    assert f"=> taken back by the autoscaler: 2 replicas again after {found.back:.1f} s" in said
    assert "its own event: SuccessfulRescale: New size: 2; reason: All metrics below target" in said
    assert demo_raw.event_of(played.stage, began).startswith("SuccessfulRescale: New size: 2;")
    assert not played.stage.trace.wrote


def test_an_event_that_does_not_come_is_said(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.later(0.3, lambda: played.scale(2))
    demo_raw.raw_write(played.stage)
    assert "its own event: not seen yet, they may come late" in capsys.readouterr().out


def test_a_raw_write_that_stays_is_reported_and_put_back(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = demo_raw.raw_write(played.stage)
    said = capsys.readouterr().out
    assert found.back is None
    assert [point.replicas for point in found.points] == [2, 4]
    assert "the autoscaler has not taken it back within 2 s: the demo goes on" in said
    assert "put back to 2 by the demo itself" in said
    assert "taken back by" not in said
    assert played.deployment["spec"]["replicas"] == 2
    assert not played.stage.trace.wrote


def test_an_interruption_leaves_the_trace(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_raw, "write_scale", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo_raw.raw_write(played.stage)
    assert played.stage.trace.wrote


# The lease


def asked(played: Played, *, seconds: float = 1.0, restored: int = 2) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A controller that raises the floor at once, and restores it after so many seconds."""

    def answer(wish: dict[str, Any]) -> dict[str, Any]:
        name = wish["name"]
        played.lease(name, "Active")
        played.floor(4)
        played.scale(4)
        played.later(
            seconds, lambda: played.lease(name, "Ended"), lambda: played.floor(restored), lambda: played.scale(2)
        )
        return {"floor_stands": True, "outcome": "Created", "until": "2026-11-24T15:00:00Z", "record": "7:ab"}

    return answer


def test_a_lease_that_holds(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = asked(played)
    found = demo_lease.lease(played.stage, RAW)
    said = capsys.readouterr().out
    assert (found.exact, found.account, found.record, found.seconds) == (True, SA, "7:ab", 1)
    assert found.course.held(1)
    assert played.stage.problems == []
    assert "floor 4, 4 pods ready" in said
    assert "restored exactly: minReplicas 2, no annotation" in said
    assert "=> It held 4 to its end, then let go by itself." in said
    assert played.stage.trace.leases == [next(iter(played.observer.leases))]


def test_a_floor_that_stays_is_a_problem(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = asked(played, restored=3)
    found = demo_lease.lease(played.stage, RAW)
    assert not found.exact
    assert played.stage.problems == [
        "demo-app-hpa was not restored exactly: spec.minReplicas",
        "the lease did not hold to its end",
    ]
    assert "=> The floor did not come back within" in capsys.readouterr().out


def test_replicas_that_drop_are_a_problem(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = asked(played)
    played.later(0.5, lambda: played.scale(3), lambda: played.scale(4))
    demo_lease.lease(played.stage, RAW)
    assert played.stage.problems == ["the lease did not hold to its end"]
    assert "=> It did not hold: fewer than 4 after " in capsys.readouterr().out


def test_a_lease_that_does_not_stand_ends_the_demo(played: Played) -> None:
    def answer(wish: dict[str, Any]) -> dict[str, Any]:
        played.lease(wish["name"], "Refused")
        return {"floor_stands": False, "outcome": "Refused"}

    played.answer = answer
    with pytest.raises(ClaudeScaleError, match="the lease does not stand: told"):
        demo_lease.lease(played.stage, RAW)
    assert len(played.stage.trace.leases) == 1


def test_somebody_elses_lease_is_named(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.lease("theirs", "Active", who="somebody")
    played.lease("theirs-refused", "Refused", who="somebody")
    played.stage.tell_strangers(0)
    assert capsys.readouterr().out == "  note: somebody had a lease of the same workload meanwhile (theirs)\n"
    played.lease("theirs", "Ended", who="somebody")
    played.stage.tell_strangers(time.monotonic())
    assert capsys.readouterr().out == ""


# The refusal


def test_a_refusal_shows_every_rule(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    rules = [
        {"rule": "Policy", "passed": True, "message": "in mode Enforce"},
        {"rule": "Maximum", "passed": False, "message": "by policy\x1b[2J", "asked": 500, "limit": 5},
    ]  # fmt: skip
    played.answer = lambda wish: {"outcome": "Refused", "rules": rules, "decided_by": "controller"}
    demo_lease.refusal(played.stage)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["rule", "passed", "asked", "limit", "by", "the", "controller"] in lines
    assert ["Policy", "yes", "in", "mode", "Enforce"] in lines
    assert ["Maximum", "no", "500", "5", "by", "policy"] in lines
    assert played.stage.problems == []


def test_500_replicas_that_are_not_refused_are_a_problem(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = lambda wish: {"outcome": "Created", "rules": [], "decided_by": "controller"}
    demo_lease.refusal(played.stage)
    assert played.stage.problems == ["500 replicas were not refused"]
    assert "put back" in capsys.readouterr().out


def test_progress_is_said_now_and_then_without_a_terminal(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("claudescale_cli.live.screen.PROGRESS_EVERY", 0.4)
    played.stage.screen.began = time.monotonic()
    with played.stage.screen.waiting("..."):
        played.stage.wait(lambda: False, 1.0, "waiting for a test")
    said = capsys.readouterr().out
    assert 1 <= said.count("... waiting for a test: 2 replicas after") <= 3
    assert demo_stage.changed(None, played.observer.now) == []
