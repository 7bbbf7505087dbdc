"""`make compare` on the real cluster: what it reports is what another pair of eyes saw, and everything is as it was.

CLAUDESCALE_COMPARE_RUNS and CLAUDESCALE_COMPARE_WARMUP make it one of those of docs/HPA_VS_CLAUDESCALE.md, and
CLAUDESCALE_COMPARE_REPORT names a folder that keeps the report.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.load import results
from claudescale_cli.compare.arms import ACT, AHEAD, WINDOW, Arm, order

from tests.cluster.resting import REST_SECONDS, at_rest, interrupted, open_leases, servers, sighted
from tests.cluster.rig import SPACE, until
from tests.doors.compare_double import words
from tests.support import ROOT, Cluster, Made

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NEAR = 3.0  # seconds that two watches may differ by, where one of them knows the beginning to the second only
LAUNCH, END = ACT + AHEAD, ACT + AHEAD + WINDOW
RATE = 80
RUNS = int(os.environ.get("CLAUDESCALE_COMPARE_RUNS", "1"))
WARMUP = int(os.environ.get("CLAUDESCALE_COMPARE_WARMUP", "30"))
PROXY = f"/api/v1/namespaces/{SPACE}/services/prometheus:9090/proxy/api/v1/query"
FIELDS = {"wanted": "{.spec.replicas}", "ready": "{.status.readyReplicas}", "floor": "{.spec.minReplicas}"}


@dataclass
class Eyes:
    """What kubectl's watches showed: (Unix time, value), each change once."""

    wanted: list[tuple[float, int]] = field(default_factory=list)
    ready: list[tuple[float, int]] = field(default_factory=list)
    floor: list[tuple[float, int]] = field(default_factory=list)

    def at(self, name: str, moment: float) -> int:
        """A value at a time; the first one before it was watched."""
        seen: list[tuple[float, int]] = getattr(self, name)
        return ([value for at, value in seen if at <= moment] or [seen[0][1]])[-1]

    def replica_seconds(self, name: str, start: float, end: float) -> float:
        """Added up in slices of a tenth of a second."""
        return sum(self.at(name, start + part / 10) for part in range(int((end - start) * 10))) / 10


def count(text: str) -> int:
    """A field that is left out where it is 0."""
    return int(text or 0)


@contextmanager
def eyes(cluster: Cluster) -> Iterator[Eyes]:
    found = Eyes()
    with ExitStack() as stack:
        for name, template in FIELDS.items():
            what = ("hpa", "demo-app-hpa") if name == "floor" else ("deployment", "demo-app")
            into = getattr(found, name)
            stack.enter_context(sighted(cluster, into, what, template, read=count, clock=time.time))
        until(lambda: found.wanted and found.ready and found.floor, 30)
        yield found


def state(cluster: Cluster) -> dict[str, Any]:
    """What people configured and who owns it. The revision is Kubernetes' own count of rollouts."""
    hpa = cluster.get("hpa", "demo-app-hpa", "--namespace", SPACE)
    app = cluster.get("deployment", "demo-app", "--namespace", SPACE, "--show-managed-fields")
    annotations = {
        key: value
        for key, value in app["metadata"]["annotations"].items()
        if not key.endswith(".kubernetes.io/revision")
    }
    owners = {
        (one["manager"], one["operation"], one.get("subresource", "")): one["fieldsV1"]
        for one in app["metadata"]["managedFields"]
        if "kube-controller-manager" not in one["manager"]
    }
    templates = [
        one["spec"]["template"]["spec"]
        for one in cluster.get("replicasets", "--namespace", SPACE)["items"]
        if one["metadata"]["name"].startswith("demo-app-")
    ]
    return {
        "autoscaler": hpa["spec"],
        "autoscaler's annotations": hpa["metadata"].get("annotations"),
        "workload": app["spec"],
        "workload's annotations": annotations,
        "workload's owners": owners,
        "sets with a warm-up": [one for one in templates if "150m" in json.dumps(one)],
    }


def loads(cluster: Cluster) -> list[str]:
    found = cluster.get("jobs,pods", "--namespace", SPACE, "-l", "claudescale.io/load")["items"]
    return [one["metadata"]["name"] for one in found]


def prometheus(cluster: Cluster, promql: str, at: float) -> float:
    answer = json.loads(cluster.kubectl("get", "--raw", f"{PROXY}?query={quote(promql)}&time={at:.0f}"))
    return float(answer["data"]["result"][0]["value"][1])


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One `make compare`, and what others saw of it."""

    made: Made
    folder: Path
    report: dict[str, Any]
    eyes: Eyes
    events: list[dict[str, Any]]
    before: dict[str, Any]
    after: dict[str, Any]

    def runs(self, *, valid: bool = True) -> list[dict[str, Any]]:
        """The runs that count, or all of them."""
        return [run for run in self.report["runs"] if run["valid"] or not valid]

    def median(self, arm: Arm, figure: str) -> float:
        """A figure of the arm over its valid runs."""
        return statistics.median(run["figures"][figure] for run in self.runs() if run["arm"] == arm)

    def run(self, arm: Arm) -> dict[str, Any]:
        """The arm's first valid run; pytest fails where others used the machine, too."""
        found = [run for run in self.runs() if run["arm"] == arm]
        reasons = [run["reasons"] for run in self.runs(valid=False) if run["arm"] == arm]
        assert found, f"no run of {arm.words} was valid: {reasons}"
        return found[0]


@pytest.fixture(scope="module")
def compared(resting: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = Path(os.environ.get("CLAUDESCALE_COMPARE_REPORT") or tmp_path_factory.mktemp("compare"))
    before = state(resting)
    with eyes(resting) as seen:
        made = resting.make(
            "compare", f"RUNS={RUNS}", f"WARMUP={WARMUP}", "SEED=1", f"REPORT={folder}", timeout=RUNS * 4500
        )
    return Compared(
        made=made,
        folder=folder,
        report=json.loads((folder / "comparison.json").read_text(encoding="utf-8")),
        eyes=seen,
        events=resting.get("events", "--namespace", SPACE)["items"],
        before=before,
        after=state(resting),
    )


def test_it_ends_well_and_in_time(compared: Compared) -> None:
    assert compared.made.code == 0, compared.made.text
    repeats = len(compared.runs(valid=False)) - 3 * RUNS
    print(f"make compare took {compared.made.seconds / 60:.1f} minutes, {repeats} runs were repeated")
    assert compared.made.seconds < RUNS * 25 * 60 + repeats * (END + 100)
    assert compared.report["complete"]


def test_everything_is_as_it_was(compared: Compared, cluster: Cluster) -> None:
    assert compared.after == compared.before
    assert compared.before["sets with a warm-up"] == []
    until(lambda: at_rest(cluster), 60)
    assert open_leases(cluster) == []
    assert servers(cluster) == []
    assert loads(cluster) == []


def test_a_following_make_up_changes_nothing(compared: Compared, cluster: Cluster) -> None:
    made = cluster.site()
    assert made.code == 0, made.text
    assert made.changed == 0, made.changes()


def test_the_order_is_that_of_the_seed(compared: Compared) -> None:
    first = [one for one in compared.report["order"] if one["attempt"] == 1]
    assert [(one["number"], one["arm"]) for one in first] == [(number, str(arm)) for number, arm in order(RUNS, 1)]
    assert "(seed 1)" in compared.made.text


@pytest.mark.parametrize("arm", Arm)
@pytest.mark.parametrize("name", ["wanted", "floor"])
def test_replicas_and_floor_are_those_that_kubectl_watched(compared: Compared, arm: Arm, name: str) -> None:
    run = compared.run(arm)
    began = moments.parse(run["began"])
    column = {"wanted": 1, "floor": 3}[name]
    mine = [(level[0], level[column]) for level in run["levels"]]
    mine = [pair for place, pair in enumerate(mine) if place and pair[1] != mine[place - 1][1]]
    seen = [(at - began, value) for at, value in getattr(compared.eyes, name) if 0 < at - began < END]
    print(f"{arm.words}, {name}: reported {mine}, watched {[(round(at, 1), value) for at, value in seen]}")
    assert [value for _, value in mine] == [value for _, value in seen]
    assert all(abs(one[0] - other[0]) < NEAR for one, other in zip(mine, seen, strict=True))


@pytest.mark.parametrize("arm", Arm)
def test_replica_seconds_are_those_that_kubectl_watched(compared: Compared, arm: Arm) -> None:
    run = compared.run(arm)
    began = moments.parse(run["began"])
    for name in ("ready", "wanted"):
        watched = compared.eyes.replica_seconds(name, began + ACT, began + END)
        print(f"{arm.words}: {run['figures'][f'{name}_seconds']:.0f} replica-seconds {name}, watched {watched:.0f}")
        assert run["figures"][f"{name}_seconds"] == pytest.approx(watched, abs=5 * NEAR)


@pytest.mark.parametrize("arm", Arm)
def test_the_figures_follow_from_every_request(compared: Compared, arm: Arm) -> None:
    run = compared.run(arm)
    requests = results.unpack(run["requests"])
    launch = [one for one in requests if LAUNCH < one.at <= END]
    assert len(launch) == RATE * WINDOW
    assert len(requests) - len(launch) == 10 * LAUNCH
    good = [one for one in launch if one.code == 200 and one.latency is not None and one.latency <= 0.5]
    share = 1 - len(good) / (RATE * WINDOW)
    assert run["figures"]["share"] == pytest.approx(share)
    row = next(line for line in compared.made.text.splitlines() if line.startswith("slower than 0.5 s, or failed"))
    told = re.findall(r"([0-9.]+) %", row)[list(Arm).index(arm)]
    assert float(told) == pytest.approx(100 * compared.median(arm, "share"), abs=0.006)


def test_the_requests_of_the_lease_are_those_that_the_pods_counted(compared: Compared, cluster: Cluster) -> None:
    run = compared.run(Arm.LEASE)
    end = moments.parse(run["began"]) + END
    promql = f'sum(increase(demo_app_requests_total{{namespace="{SPACE}", code="200"}}[{WINDOW - 20}s]))'
    counted = prometheus(cluster, promql, end - 5)
    print(f"{counted:.0f} answers in {WINDOW - 20} s of the launch, {RATE * (WINDOW - 20)} requests were planned")
    assert counted == pytest.approx(RATE * (WINDOW - 20), rel=0.05)


def test_the_raw_write_is_undone_by_the_autoscaler_itself(compared: Compared) -> None:
    run = compared.run(Arm.RAW)
    began = moments.parse(run["began"])
    assert run["figures"]["undone"]
    own = [
        event for event in compared.events
        if event["reason"] == "SuccessfulRescale" and event["involvedObject"]["name"] == "demo-app-hpa"
    ]  # fmt: skip
    told = {f"{event['reason']}: {event['message']}" for event in own}
    assert set(run["figures"]["undone"]) <= told
    assert compared.eyes.at("wanted", began + ACT + 1.5 + NEAR) > 2
    assert compared.eyes.at("wanted", began + LAUNCH - NEAR) == 2
    assert run["figures"]["ready_at_launch"] == 2


def test_the_lease_came_through_the_tool_and_held(compared: Compared) -> None:
    run = compared.run(Arm.LEASE)
    assert run["lease"]["account"] == f"system:serviceaccount:{SPACE}:claudescale-sa"
    assert "Created, lease" in run["lease"]["told"]
    began = moments.parse(run["began"])
    assert {compared.eyes.at("ready", began + second) for second in range(LAUNCH, END - 2)} == {5}
    assert {compared.eyes.at("floor", began + second) for second in range(LAUNCH, END - 2)} == {5}
    assert run["figures"]["launch_to_ready"] == 0


def test_the_aims_are_met(compared: Compared) -> None:
    shares = {arm: compared.median(arm, "share") for arm in Arm}
    print(shares)
    assert shares[Arm.HPA] >= 0.05
    assert shares[Arm.LEASE] <= 0.005
    assert all(aim["met"] for aim in compared.report["aims"])


def test_valid_runs_had_room_on_the_node(compared: Compared, cluster: Cluster) -> None:
    for run in compared.runs():
        end = moments.parse(run["began"]) + END
        mean = f'max(rate(container_cpu_usage_seconds_total{{id="/"}}[{WINDOW - 20}s]) / on (node) machine_cpu_cores)'
        share = prometheus(cluster, mean, end - 5)
        print(f"{run['arm']}: {share:.0%} over the window, {run['figures']['cpu']:.0%} in its busiest 15 s")
        assert share < 0.85
        assert share <= run["figures"]["cpu"] + 0.02


def test_the_picture_shows_the_figures(compared: Compared) -> None:
    picture = compared.folder / "comparison.svg"
    assert f"picture: {picture}" in compared.made.text
    texts = words(picture.read_text(encoding="utf-8"))
    places = [place for place, one in enumerate(texts) if one == "slower than 0.5 s or failed"]
    shown = [texts[place - 1] for place in places]
    assert shown == [f"{100 * compared.median(arm, 'share'):.1f} %" for arm in Arm]


def test_it_can_be_drawn_again_without_the_cluster(compared: Compared, tmp_path: Path) -> None:
    again = tmp_path / "again.svg"
    done = subprocess.run(
        ["claudescale", "--context", "nowhere", "--kubeconfig", "/nonexistent", "compare",
         "--from", str(compared.folder / "comparison.json"), "--picture", str(again)],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin"},
    )  # fmt: skip
    assert again.read_text() == (compared.folder / "comparison.svg").read_text()
    assert (compared.folder / "comparison.txt").read_text() in done.stdout


def seed_of(arm: Arm) -> int:
    """A seed with which an arm comes first."""
    return next(seed for seed in range(100) if order(1, seed)[0][1] is arm)


@pytest.mark.parametrize(
    ("arm", "number", "line"),
    [
        pytest.param(Arm.HPA, signal.SIGINT, "80/s wanted", id="launch-ctrl-c"),
        pytest.param(Arm.RAW, signal.SIGINT, "replicas 2 → 5", id="raw-ctrl-c"),
        pytest.param(Arm.LEASE, signal.SIGTERM, "floor 2 → 5", id="lease-sigterm"),
    ],
)
def test_a_signal_puts_everything_back(
    resting: Cluster, arm: Arm, number: signal.Signals, line: str, tmp_path: Path
) -> None:
    until(lambda: at_rest(resting) and not open_leases(resting), REST_SECONDS, pause=2)
    before = state(resting)
    command = ["claudescale", "--context", resting.context, "compare", "--report", str(tmp_path / "report"),
               "--seed", str(seed_of(arm)), "--warmup", "5", "--ahead", "50", "--window", "60"]  # fmt: skip
    code, rest = interrupted(resting, command, line, number, seconds=300)
    assert code == 128 + number
    assert "Interrupted: putting things back" in rest
    assert "is ended" in rest
    assert "not all could be put back" not in rest
    assert state(resting) == before
    assert open_leases(resting) == []
    assert servers(resting) == []
    assert loads(resting) == []
    report = json.loads((tmp_path / "report" / "comparison.json").read_text(encoding="utf-8"))
    assert (report["complete"], report["runs"]) == (False, [])
    assert report["why_incomplete"] == f"interrupted in run 1 of 1, {arm.words}"
    time.sleep(45)  # what the autoscaler knew of the load is known to it no more
    assert resting.get("deployment", "demo-app", "--namespace", SPACE)["spec"]["replicas"] == 2
