"""`claudescale compare` as it is typed: what it refuses, repeats, keeps and reports; and a saved comparison again."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Sample
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.common import Options
from claudescale_cli.compare import command
from claudescale_cli.compare.arms import Arm
from claudescale_cli.compare.conditions import check_workload, window_of
from claudescale_cli.compare.report import from_text, to_text
from claudescale_cli.compare.stage import Stage
from claudescale_cli.live.assistant import Told
from claudescale_cli.live.conditions import Ground, Missing
from claudescale_cli.signals import Signalled

from tests.doors.cluster_double import hpa
from tests.doors.command import ended
from tests.doors.compare_double import DESIGN, cpu, demo_app, report, run
from tests.support import ROOT

CONTEXT = ("--context", "nowhere", "--kubeconfig", "/nonexistent")


def compare(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return ended(monkeypatch, *CONTEXT, "compare", *arguments)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--runs", "0"], "0 runs are out of bounds: 1 to 10 are allowed"),
        (["--warmup", "500"], "a warm-up of 500 s is out of bounds: 0 to 120 are allowed"),
        (["--objective", "0"], "an objective of 0 s is none: give seconds above 0"),
        (["--picture", "nowhere/x.svg"],
         "there is no folder nowhere for the picture: name another place by --picture"),
        (["--report", "nowhere/deep"],
         "the folder nowhere/deep cannot be made (No such file or directory): name another one by --report"),
        (["--from", "nowhere.json"], "nowhere.json cannot be read: name a comparison.json by --from"),
        (["--rate", "5"], "a launch of 5/s is none after 10/s: it must be more, and both above 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_changes_nothing(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Options, "cluster", lambda _: pytest.fail("the cluster was asked"))
    assert compare(monkeypatch, *arguments) == 1
    assert capsys.readouterr().err == f"{sentence}\n"
    assert not list(tmp_path.rglob("*.json"))


def test_a_cluster_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compare(monkeypatch) == 1
    assert capsys.readouterr().err == "the cluster is stopped: make up (no context nowhere here)\n"


# The conditions


class Cluster:
    """The workload, its jobs, and whether one may change it."""

    namespace = "claudescale"

    def __init__(self) -> None:
        self.app = demo_app()
        self.jobs: list[dict[str, Any]] = []
        self.may = True
        self.on_response: list[Any] = []

    def get(self, _path: str) -> dict[str, Any]:
        return self.app

    def items(self, path: str, _query: Any = None) -> list[dict[str, Any]]:
        if path == "/api/v1/nodes":
            info = {"kubeletVersion": "v1.35.1", "bootID": "elsewhere"}
            return [{"status": {"capacity": {"cpu": "2", "memory": "4Gi"}, "nodeInfo": info}}]
        return self.jobs if path.endswith("/jobs") else []

    def allowed(self, *_: str) -> bool:
        return self.may


def entry() -> dict[str, Any]:
    return {"manager": "claudescale-compare", "operation": "Update", "fieldsV1": {}}


REFUSED = [
    pytest.param(lambda one: one.app["metadata"]["managedFields"].append(entry()),
                 "demo-app still has the settings of a comparison that was killed (0 s of warm-up, 400m CPU): "
                 "make up mends it", id="killed"),
    pytest.param(lambda one: one.app["status"].update(updatedReplicas=1),
                 "the pods of demo-app are still changing: wait until its rollout is over", id="rollout"),
    pytest.param(lambda one: setattr(one, "may", False),
                 "you may not change the Deployment demo-app, whose pods get a warm-up and a CPU limit", id="rights"),
    pytest.param(lambda one: one.jobs.append({"metadata": {"name": "load-steady-1"}, "status": {"active": 1}}),
                 "a load runs already (load-steady-1): end it where it was started", id="load"),
    pytest.param(lambda one: one.app["spec"]["template"]["spec"]["containers"].pop(),
                 "demo-app has no container worker, so it is not the demo app: make up brings it", id="other-app"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_condition_that_does_not_hold_is_one_sentence(change: Callable[[Cluster], None], sentence: str) -> None:
    found = Cluster()
    change(found)
    with pytest.raises(ClaudeScaleError) as raised:
        check_workload(found)  # type: ignore[arg-type]
    assert str(raised.value) == sentence


def test_a_load_that_is_over_hinders_nothing() -> None:
    found = Cluster()
    over = {"conditions": [{"type": "Complete", "status": "True"}]}
    found.jobs.append({"metadata": {"name": "load-steady-1"}, "status": over})
    deployment, told = check_workload(found)  # type: ignore[arg-type]
    assert deployment is found.app
    assert told == [("workload", "demo-app has 0 s of warm-up, 400m CPU for each worker")]


def test_how_long_an_autoscaler_remembers() -> None:
    found = hpa()
    assert window_of(found) == 300
    found["spec"]["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    assert window_of(found) == 60


# The whole course, with runs that are given


class Scripted:
    """What each run is to be; noted is what was asked for, and what was put back."""

    def __init__(self) -> None:
        self.runs: dict[tuple[Arm, int], Any] = {}
        self.played: list[tuple[Arm, int, int]] = []
        self.rests: list[float] = []
        self.put_back = 0
        self.answer = {"outcome": "WouldBeCreated"}
        self.wishes: list[dict[str, Any]] = []

    def play(self, stage: Stage, arm: Arm, number: int, attempt: int) -> Any:
        stage.trace.loaded = True
        self.played.append((arm, number, attempt))
        found = self.runs.get((arm, attempt), run)
        if isinstance(found, BaseException):
            raise found
        return found(arm, number, attempt)

    def rest(self, _stage: Stage, seconds: float) -> None:
        self.rests.append(seconds)

    def back(self, _cluster: Any, _trace: Any, say: Callable[[str], None]) -> list[str]:
        self.put_back += 1
        say("all is put back")
        return []

    def call(self, tool: str, **wish: Any) -> Told:
        self.wishes.append({"tool": tool, **wish})
        return Told(text="told", facts=self.answer)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scripted:
    found = Scripted()
    cluster = Cluster()
    ground = Ground(person="person", autoscaler="demo-app-hpa", base=2, hpa=hpa())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Options, "cluster", lambda _: cluster)
    for name, value in {
        "Design": lambda **_: DESIGN,
        "check": lambda _: (ground, [("you", "person")]),
        "Assistant": lambda _: found,
        "Prometheus": lambda _: Prometheus(),
        "observed": lambda *_: nullcontext(),
        "_fit": lambda _: None,
        "memory_seconds": lambda _: 60.0,
        "rest": found.rest,
        "play": found.play,
        "put_back": found.back,
        "read_autoscaler": lambda *_: hpa(),
        "EXACT_SECONDS": 0.0,
    }.items():
        monkeypatch.setattr(command, name, value)
    monkeypatch.setattr(Scripted, "command", "python -m claudescale_mcp", raising=False)
    return found


class Prometheus:
    known = True

    def query(self, _promql: str) -> list[Sample]:
        return [Sample(labels={}, value=2.0, time=0.0)] if self.known else []


def test_a_comparison_ends_with_table_json_and_picture(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(monkeypatch, "--runs", "2", "--seed", "5") == 0
    said = capsys.readouterr().out
    assert "(seed 5)" in said
    assert scripted.played == [(arm, number, 1) for number, arm in command.order(2, 5)]
    assert scripted.rests == [command.FIRST_REST, *[60.0] * 5]
    assert scripted.put_back == 1
    kept = from_text((tmp_path / "claudescale-compare" / "comparison.json").read_text())
    assert (kept.seed, kept.wanted, len(kept.runs), kept.why_incomplete) == (5, 2, 6, "")
    table = (tmp_path / "claudescale-compare" / "comparison.txt").read_text()
    assert table in said
    assert "valid runs                     2 of 2" in table
    assert (tmp_path / "claudescale-compare" / "comparison.svg").read_text().startswith("<?xml")
    assert "demo-app-hpa is exactly as it was found" in said
    (wish,) = scripted.wishes
    assert (wish["tool"], wish["replicas"], wish["dry_run"]) == ("lease_capacity", 5, True)


def test_an_invalid_run_is_repeated_twice_at_most(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def busy(arm: Arm, number: int, attempt: int) -> Any:
        return run(arm, number, attempt, cpu=(cpu(0.9),))

    scripted.runs = {(Arm.RAW, 1): busy, **{(Arm.HPA, attempt): busy for attempt in (1, 2, 3)}}
    assert compare(monkeypatch) == 1
    said = capsys.readouterr()
    assert [one for one in scripted.played if one[0] is Arm.RAW] == [(Arm.RAW, 1, 1), (Arm.RAW, 1, 2)]
    assert [one for one in scripted.played if one[0] is Arm.HPA] == [(Arm.HPA, 1, attempt) for attempt in (1, 2, 3)]
    assert said.err == "not all was as it should be: no run of HPA alone was valid\n"
    (row,) = [line for line in said.out.splitlines() if line.startswith("valid runs ")]
    assert " ".join(row.split()) == "valid runs 0 of 3 1 of 2 1 of 1"
    assert said.out.count("INVALID: HPA alone, run 1, attempt") == 3
    assert (tmp_path / "claudescale-compare" / "comparison.svg").exists()


@pytest.mark.parametrize(
    ("raised", "code", "title"),
    [
        (KeyboardInterrupt(), 130, "Interrupted: putting things back"),
        (Signalled(signal.SIGTERM), 143, "Interrupted: putting things back"),
        (ClaudeScaleError("the load failed"), 1, "This went wrong: putting things back"),
    ],
)
def test_what_ends_early_is_put_back_and_says_that_it_is_incomplete(
    scripted: Scripted, raised: BaseException, code: int, title: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    last = command.order(1, 5)[-1][1]
    scripted.runs = {(last, 1): raised}
    assert compare(monkeypatch, "--seed", "5") == code
    said = capsys.readouterr()
    assert scripted.put_back == 1
    assert title in said.out
    assert "all is put back" in said.out
    folder = tmp_path / "claudescale-compare"
    kept = from_text((folder / "comparison.json").read_text())
    assert len(kept.runs) == 2
    assert kept.why_incomplete.endswith(f"in run 1 of 1, {last.words}" if code != 1 else ": the load failed")
    assert "the report is INCOMPLETE (" in said.out
    assert not (folder / "comparison.svg").exists()
    assert said.err == ("the load failed\n" if code == 1 else "")


def test_every_run_is_kept_when_it_is_over(scripted: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    def look(*_: Any) -> None:
        found = tmp_path / "claudescale-compare" / "comparison.json"
        seen.append(len(json.loads(found.read_text())["runs"]) if found.exists() else 0)

    monkeypatch.setattr(command, "rest", look)
    assert compare(monkeypatch) == 0
    assert seen == [0, 1, 2]


def test_a_lease_that_policy_would_refuse_is_said_before_anything(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.answer = {"outcome": "WouldBeRefused"}
    assert compare(monkeypatch) == 1
    said = capsys.readouterr()
    assert said.err == "the lease of this comparison would be refused: told\n"
    assert said.out.endswith("This went wrong: putting things back\n  nothing was touched\n")
    assert (scripted.played, scripted.put_back) == ([], 0)


def test_a_node_whose_cpu_nobody_knows_is_said_before_anything(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Prometheus, "known", False)
    assert compare(monkeypatch) == 1
    assert capsys.readouterr().err.startswith("Prometheus knows no CPU of the node, so no run could be valid")
    assert scripted.played == []


def test_an_autoscaler_that_is_not_as_it_was_is_a_problem(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = hpa()
    other["spec"]["minReplicas"] = 5
    monkeypatch.setattr(command, "read_autoscaler", lambda *_: other)
    assert compare(monkeypatch) == 1
    assert "demo-app-hpa was not restored exactly: spec.minReplicas" in capsys.readouterr().err


def test_a_condition_of_the_demo_is_one_of_the_comparison_too(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: Any) -> None:
        raise Missing("there is no policy for demo-app")

    monkeypatch.setattr(command, "check", missing)
    assert compare(monkeypatch) == 1
    assert capsys.readouterr().err == "there is no policy for demo-app\n"
    assert scripted.put_back == 0


# A saved comparison


def test_a_saved_comparison_is_printed_and_drawn_without_a_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Options, "cluster", lambda _: pytest.fail("the cluster was asked"))
    saved = tmp_path / "saved.json"
    saved.write_text(to_text(report(why_incomplete="interrupted")))
    assert compare(monkeypatch, "--from", str(saved)) == 0
    said = capsys.readouterr().out
    assert "valid runs" in said
    assert "INCOMPLETE: interrupted" in said
    assert (tmp_path / "saved.svg").exists()
    assert compare(monkeypatch, "--from", str(saved), "--picture", str(tmp_path / "other.svg")) == 0
    assert (tmp_path / "other.svg").read_text() == (tmp_path / "saved.svg").read_text()


def test_a_recorded_comparison_says_what_the_page_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = ROOT / "docs" / "comparison" / "warmup-30.json"
    assert compare(monkeypatch, "--from", str(recorded), "--picture", str(tmp_path / "x.svg")) == 0
    table = capsys.readouterr().out.partition("\n\npicture: ")[0]
    assert table.count("3 of 3") >= 3
    assert table in (ROOT / "docs" / "HPA_VS_CLAUDESCALE.md").read_text(encoding="utf-8")
