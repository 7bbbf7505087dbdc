"""The seven scenarios on the real cluster, twice in a row: what kubectl saw meanwhile, and the reports.

What a scenario says of itself is compared with watches that it knows nothing of. After the good runs come the bad ones.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from claudescale_cli.scenarios import catalogue

from tests.cluster.relay import relay
from tests.cluster.resting import REST_SECONDS, at_rest, open_leases, servers, sighted, state
from tests.cluster.rig import SPACE, connect, records, until
from tests.support import Cluster, Made, run

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NEAR = 2.0  # seconds that two watches may differ by, on a busy machine
WHOLE_SECONDS = 900  # all seven
WAYS = {("kube-system", "metrics-server"), (SPACE, "prometheus")}
METRICS_API = "v1beta1.metrics.k8s.io"
BLIND = '{.status.conditions[?(@.type=="ScalingActive")].status}'
AVAILABLE = '{.status.conditions[?(@.type=="Available")].status}'
NAMES = {one.number: one.file for one in catalogue.ALL}
CHANGES = {2, 3, 4, 5}  # replicas

Sightings = list[tuple[float, str]]


@dataclass
class Eyes:
    """What kubectl's watches showed: (monotonic seconds, value), each change once."""

    replicas: Sightings = field(default_factory=list)
    ready: Sightings = field(default_factory=list)
    floor: Sightings = field(default_factory=list)
    sighted: Sightings = field(default_factory=list)  # whether the autoscaler can read its metric
    available: Sightings = field(default_factory=list)  # of the metrics API
    selectors: dict[tuple[str, str], Sightings] = field(default_factory=lambda: {way: [] for way in WAYS})
    jobs: Sightings = field(default_factory=list)
    crashing: Sightings = field(default_factory=list)

    def counts(self, name: str) -> list[int]:
        """The values of replicas, ready or floor, in order."""
        return [int(value or 0) for _, value in getattr(self, name)]

    def when(self, name: str, value: int, since: float = 0.0) -> float:
        """When a count was first seen from a moment on."""
        return next(at for at, seen in getattr(self, name) if at >= since and int(seen or 0) == value)

    def between(self, name: str, start: float, end: float) -> set[int]:
        """The counts that stood at some time between two moments."""
        seen: Sightings = getattr(self, name)
        before = [value for at, value in seen if at <= start][-1:]
        return {int(value or 0) for value in before + [value for at, value in seen if start < at < end]}


@contextmanager
def watched(cluster: Cluster) -> Iterator[Eyes]:
    eyes = Eyes()
    demo, hpa = ("deployment", "demo-app"), ("hpa", "demo-app-hpa")
    name = "{.metadata.name}"
    watches = [
        (eyes.replicas, SPACE, (*demo,), "{.spec.replicas}"),
        (eyes.ready, SPACE, (*demo,), "{.status.readyReplicas}"),
        (eyes.floor, SPACE, (*hpa,), "{.spec.minReplicas}"),
        (eyes.sighted, SPACE, (*hpa,), BLIND),
        (eyes.available, SPACE, ("apiservice", METRICS_API), AVAILABLE),
        (eyes.jobs, SPACE, ("jobs", "--selector", "claudescale.io/load"), name),
        (eyes.crashing, SPACE, ("deployments", "--selector", "claudescale.io/scenario"), name),
        *((eyes.selectors[way], way[0], ("service", way[1]), "{.spec.selector}") for way in WAYS),
    ]
    with ExitStack() as stack:
        for into, space, what, template in watches:
            stack.enter_context(sighted(cluster, into, what, template, read=str, space=space))
        until(lambda: eyes.replicas and eyes.floor and eyes.available and all(eyes.selectors.values()), 30)
        yield eyes
        time.sleep(1)  # what came last is still on its way


def selectors(cluster: Cluster) -> dict[str, Any]:
    """Whom the Services choose that lead to metrics, and who manages them."""
    found = {}
    for space, name in sorted(WAYS):
        service = cluster.get("service", name, "--namespace", space, "--show-managed-fields")
        managers = sorted(entry["manager"] for entry in service["metadata"]["managedFields"])
        found[name] = (service["spec"]["selector"], managers)
    return found


def leases(cluster: Cluster) -> dict[str, Any]:
    found = cluster.get("capacityleases", "--namespace", SPACE)["items"]
    return {one["metadata"]["name"]: one for one in found if one["spec"]["workloadRef"]["name"] == "demo-app"}


def loads(cluster: Cluster) -> str:
    return cluster.kubectl("get", "jobs,pods", "--namespace", SPACE, "-l", "claudescale.io/load", "-o", "name")


def crashing(cluster: Cluster) -> str:
    found = "deployments,pods"
    return cluster.kubectl("get", found, "--namespace", SPACE, "-l", "claudescale.io/scenario", "-o", "name")


def nothing_is_left(cluster: Cluster) -> None:
    until(lambda: loads(cluster) == "", 30)
    until(lambda: crashing(cluster) == "", 30)
    assert open_leases(cluster) == []
    assert servers(cluster) == []
    for selector, _ in selectors(cluster).values():
        assert not any("scenario" in value for value in selector.values()), selector
    until(
        lambda: (
            json.loads(cluster.kubectl("get", "apiservice", METRICS_API, "-o", "json"))["status"]["conditions"][0][
                "status"
            ]
            == "True"
        ),
        30,
    )


@dataclass(frozen=True, kw_only=True)
class Played:
    """One scenario, and what others saw of it; its records are those of demo-app."""

    number: int
    made: Made
    folder: Path
    eyes: Eyes
    before: dict[str, Any]
    after: dict[str, Any]
    leases: dict[str, Any]  # those that are new
    records: list[dict[str, Any]]
    wall: float  # Unix time less monotonic time

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{NAMES[self.number]}.json").read_text(encoding="utf-8"))
        return found

    def events(self, lease: str) -> list[str]:
        return [one["event"] for one in self.records if one.get("lease", {}).get("name") == lease]


@pytest.fixture(scope="module")
def seconds() -> dict[int, list[float]]:
    """How long each took."""
    return {number: [] for number in NAMES}


def play(cluster: Cluster, number: int, folder: Path, command: Sequence[str]) -> Played:
    until(lambda: at_rest(cluster), REST_SECONDS, pause=2)
    before = {**state(cluster), "ways": selectors(cluster)}
    old, client = set(leases(cluster)), connect(cluster)
    first = len(records(client))
    with watched(cluster) as eyes:
        made = run([*command], cluster.environment, WHOLE_SECONDS)
    return Played(
        number=number,
        made=made,
        folder=folder,
        eyes=eyes,
        before=before,
        after={**state(cluster), "ways": selectors(cluster)},
        leases={name: lease for name, lease in leases(cluster).items() if name not in old},
        records=[one for one in records(client)[first:] if one.get("workload", {}).get("name") == "demo-app"],
        wall=time.time() - time.monotonic(),
    )


def by_command(cluster: Cluster, number: int, folder: Path) -> list[str]:
    return ["claudescale", "--context", cluster.context, "scenario", str(number), "--report", str(folder)]


def by_playbook(cluster: Cluster, number: int, folder: Path) -> list[str]:
    book = f"playbooks/scenarios/{NAMES[number]}.yml"
    extra = ["-e", f"claudescale_profile={cluster.profile}", "-e", f"scenario_report={folder}"]
    return ["ansible-playbook", *extra, "-e", "scenario_language=es", book]


ROUNDS = [
    pytest.param(number, way_in, id=f"{NAMES[number]}-{words}")
    for way_in, words in ((by_command, "first-by-command"), (by_playbook, "again-by-playbook"))
    for number in NAMES
]


@pytest.mark.parametrize(("number", "way_in"), ROUNDS)
def test_a_scenario_passes_and_leaves_everything_as_it_was(
    resting: Cluster, number: int, way_in: Callable[[Cluster, int, Path], list[str]], tmp_path: Path,
    seconds: dict[int, list[float]],
) -> None:  # fmt: skip
    folder = tmp_path / "report"
    played = play(resting, number, folder, way_in(resting, number, folder))
    assert played.made.code == 0, played.made.text
    seconds[number].append(played.told["seconds"])
    assert played.after == played.before
    until(lambda: at_rest(resting), 90, pause=1)  # the autoscaler's status follows at its next look
    nothing_is_left(resting)
    check_report(played)
    check_conversation(played)
    check_watches(played)
    CHECKS[number](played)


def test_all_of_them_together_stay_in_their_time(seconds: dict[int, list[float]]) -> None:
    rounds = [sum(times) for times in zip(*seconds.values(), strict=True)]
    print(f"seconds of each: {seconds}, of a round: {rounds}")
    assert len(rounds) == 2, "both rounds were played before"
    assert all(0 < whole < WHOLE_SECONDS for whole in rounds)


# What the report says, beside what was seen


def check_report(played: Played) -> None:
    file = played.folder / f"{NAMES[played.number]}.html"
    root = ET.fromstring(file.read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object", "a"} & {one.tag for one in root.iter()}
    for one in root.iter():
        assert "href" not in one.attrib and "srcset" not in one.attrib
        assert one.get("src", "data:").startswith("data:")
    (style,) = root.iter("style")
    assert style.text is not None and "url(" not in style.text and "@import" not in style.text
    (block,) = [one for one in root.iter("pre") if one.get("id") == "facts"]
    assert block.text is not None
    told = played.told
    assert json.loads(block.text) == told
    assert told["passed"] is True and told["complete"] is True and told["incomplete_because"] is None
    rows = [cell.text for cell in root.iter("td") if cell.get("class") in ("passed", "failed")]
    assert rows == ["passed"] * len(told["checks"]) and len(rows) >= 6
    assert list(root.iter("svg"))
    assert played.made.text.count("  passed  ") == len(rows)
    assert sorted(one.name for one in played.folder.iterdir()) == [f"{file.stem}.html", f"{file.stem}.json"]


def check_conversation(played: Played) -> None:
    """Every call is printed with its arguments, and the server's answers are about this cluster."""
    printed = " ".join(played.made.text.split()).replace("''", "'")  # a playbook prints YAML
    for call in played.told["calls"]:
        assert f"{call['tool']}(" in printed
        for value in call["arguments"].values():
            assert str(value) in printed
        assert call["answered_after_seconds"] < 20
    assert "-m claudescale_mcp --context" in played.told["server"]


def check_watches(played: Played) -> None:
    """What the report says of pods and floor is what kubectl saw."""
    pods = played.told["observations"]["pods"]
    for name in ("replicas", "floor"):
        told = [value for value, _ in groupby(one[name] for one in pods)]
        assert told == played.eyes.counts(name), name
    if played.number not in CHANGES:
        assert played.eyes.counts("replicas") == [2]
        assert played.eyes.counts("floor") == [2]
        assert played.eyes.jobs == []
    if played.number != 5:
        assert played.eyes.crashing == []
        assert all(len(seen) == 1 for seen in played.eyes.selectors.values())
        assert {value for _, value in played.eyes.available} == {"True"}


def check_reading(played: Played) -> None:
    """Nothing was written at all."""
    assert played.leases == {}
    assert played.records == []
    assert played.told["put_back"] == []


def check_reactive(played: Played) -> None:
    eyes = played.eyes
    assert eyes.counts("floor") == [2]
    assert max(eyes.counts("replicas")) > 2 and eyes.counts("replicas")[-1] == 2
    assert max(eyes.counts("ready")) == max(eyes.counts("replicas"))
    assert len(eyes.jobs) >= 1
    assert played.leases == {} and played.records == []
    load = played.told["observations"]["load"]
    # What ends after the load's last whole second has no line; the last one is due at its end.
    late = played.told["observations"]["loads"][0]["sent"] - sum(one["ok"] + one["failed"] for one in load)
    assert 0 <= late <= 4
    assert sum(one["ok"] for one in load) > 3000


def check_cost(played: Played) -> None:
    eyes = played.eyes
    assert eyes.counts("floor") == [2, 4, 2]
    assert eyes.counts("replicas") == [2, 4, 3, 2]
    (name,) = played.leases
    assert re.fullmatch(r"scenario-3-[0-9a-f]{6}", name), "a refused count is no lease"
    ended = next(one for one in played.records if one["event"] == "LeaseEnded")
    assert (ended["lease"]["name"], ended["cause"]) == (name, "EndedEarly")
    lowered = eyes.when("floor", 2, eyes.when("floor", 4))
    assert eyes.between("replicas", eyes.when("replicas", 4) + NEAR, lowered) == {4}
    refused = [call for call in played.told["calls"] if call["tool"] == "scale_deployment"]
    assert [call["answer"]["outcome"] for call in refused] == ["Refused", "Refused"]
    assert "end_lease" in refused[0]["answer"]["next_step"]


def check_launch(played: Played) -> None:
    eyes = played.eyes
    assert eyes.counts("floor") == [2, 4, 2]
    (name,) = played.leases
    lease = played.leases[name]
    start, end = (epoch(lease["spec"][key]) - played.wall for key in ("startTime", "endTime"))
    raised = eyes.when("floor", 4)
    lowered = eyes.when("floor", 2, raised)
    print(f"floor up {raised - start:+.2f} s from its start, down {lowered - end:+.2f} s from its end")
    assert -NEAR < raised - start < 3 + NEAR
    assert -NEAR < lowered - end < 3 + NEAR
    full = eyes.when("ready", 4)
    (job,) = {value for _, value in eyes.jobs}
    began = next(at for at, value in eyes.jobs if value == job)
    assert full < began, "four pods were ready before the load was even asked for"
    assert eyes.between("ready", full + NEAR, lowered) == {4}
    assert eyes.between("replicas", raised + NEAR, lowered) == {4}
    assert lease["status"]["phase"] == "Ended" and not lease["spec"].get("ended")
    events = played.events(name)
    assert [event for event in events if event.startswith("Lease")] == ["LeaseRequested", "LeaseEnded"]
    assert next(one for one in played.records if one["event"] == "LeaseRequested")["door"] == "claudescale-mcp"
    assert next(one for one in played.records if one["event"] == "LeaseEnded")["cause"] == "Expired"


def check_incident(played: Played) -> None:
    eyes = played.eyes
    assert eyes.counts("floor") == [2, 3, 2]
    assert eyes.counts("replicas") == [2, 3, 2]
    for way, seen in eyes.selectors.items():
        first, cut, mended = (value for _, value in seen)
        assert first == mended != cut, way
    cut = max(seen[1][0] for seen in eyes.selectors.values())
    mended = min(seen[2][0] for seen in eyes.selectors.values())
    assert [value for _, value in eyes.available] == ["True", "False", "True"]
    assert [value for _, value in eyes.sighted] == ["True", "False", "True"]
    ended = eyes.when("floor", 2, eyes.when("floor", 3))
    lowered = eyes.when("replicas", 2, eyes.when("replicas", 3))
    print(f"blind for {mended - cut:.0f} s, {mended - ended:.0f} s of it with the base; {lowered - mended:+.1f} s more")
    assert mended - ended > 45 - NEAR, "three looks of the autoscaler, in which it could have lowered them"
    assert lowered > mended - NEAR
    assert eyes.between("replicas", ended, mended - NEAR) == {3}
    (name,) = {value for _, value in eyes.crashing}
    assert name.startswith("scenario-5-crash-")
    calls = {call["tool"]: call for call in played.told["calls"]}
    assert calls["scale_deployment"]["answer"]["outcome"] == "Refused"
    blind = [call for call in played.told["calls"] if call["is_error"]]
    assert [call["tool"] for call in blind] == ["get_metrics"]
    assert blind[0]["text"].startswith("Prometheus does not answer, so there are no numbers")
    states = [
        {part["name"]: part["state"] for part in call["answer"]["components"]}
        for call in played.told["calls"]
        if call["tool"] == "cluster_status"
    ]
    assert (states[0]["metrics-server"], states[0]["prometheus"]) == ("Away", "Away")
    assert (states[-1]["metrics-server"], states[-1]["prometheus"]) == ("Well", "Well")


def check_capacity(played: Played) -> None:
    check_reading(played)
    (report,) = [call for call in played.told["calls"] if call["tool"] == "generate_report"]
    (image,) = report["images"]
    page = (played.folder / f"{NAMES[6]}.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1
    assert image["type"] == "image/png" and 5_000 < image["bytes"] <= 100_000


def check_review(played: Played) -> None:
    assert played.eyes.counts("floor") == [2]
    phases = {name.rsplit("-", 1)[0]: lease["status"]["phase"] for name, lease in played.leases.items()}
    assert phases == {"scenario-7-all": "Refused", "scenario-7-plan": "Ended"}
    told = [call for call in played.told["calls"] if call["tool"] == "get_records"]
    refusals = {one.get("lease") for one in told[1]["answer"]["records"]}
    assert refusals & set(played.leases) <= {name for name in played.leases if "-all-" in name}
    (planned,) = (name for name in played.leases if "-plan-" in name)
    assert played.events(planned) == ["LeaseRequested", "LeaseEnded"]
    # Repeats of a refusal within a minute share a record, so it need not have one of its own.
    refused = [one for one in told[1]["answer"]["records"] if one.get("workload") == "Deployment/demo-app"]
    assert refused[0]["code"] == "AbovePolicyMaximum"


CHECKS: dict[int, Callable[[Played], None]] = {
    1: check_reading,
    2: check_reactive,
    3: check_cost,
    4: check_launch,
    5: check_incident,
    6: check_capacity,
    7: check_review,
}


def epoch(text: str) -> float:
    from ansible_collections.claudescale.core.plugins.module_utils import moments

    return moments.parse(text)


# What is bad


def begin(cluster: Cluster, number: int, folder: Path, kubeconfig: Path | None = None) -> subprocess.Popen[str]:
    where = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    return subprocess.Popen(
        ["claudescale", "--context", cluster.context, *where, "scenario", str(number), "--report", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment,
    )  # fmt: skip


def read_to(process: subprocess.Popen[str], words: str) -> None:
    """Show what it prints until these words."""
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if words in line:
            return
    pytest.fail(f"it ended without {words!r}: {process.communicate()[1]}")


def incomplete(folder: Path, number: int) -> dict[str, Any]:
    """The JSON of a report that is not whole; its page says so."""
    told: dict[str, Any] = json.loads((folder / f"{NAMES[number]}.json").read_text(encoding="utf-8"))
    page = (folder / f"{NAMES[number]}.html").read_text(encoding="utf-8")
    assert "<b>Incomplete:</b>" in page
    assert told["complete"] is False and told["passed"] is False
    ET.fromstring(page)
    return told


def refused(cluster: Cluster, *arguments: str) -> Made:
    made = run(["claudescale", "--context", cluster.context, *arguments], cluster.environment, 120)
    assert made.code == 1
    assert "Traceback" not in made.text
    return made


def test_an_unknown_scenario(resting: Cluster, tmp_path: Path) -> None:
    made = refused(resting, "scenario", "healthcheck", "--report", str(tmp_path / "r"))
    assert made.text.startswith(
        "there is no scenario 'healthcheck' (did you mean health-check?): it is one of 1 health-"
    )
    assert not (tmp_path / "r").exists()


def test_no_demo_app(resting: Cluster, tmp_path: Path) -> None:
    made = refused(resting, "--namespace", "kube-public", "scenario", "2", "--report", str(tmp_path))
    assert "there is no demo-app in namespace kube-public: make up" in made.text
    assert incomplete(tmp_path, 2)["put_back"] == [{"words": "nothing was touched", "done": True}]


def test_no_cluster(resting: Cluster, tmp_path: Path) -> None:
    made = run(
        ["claudescale", "--context", "nowhere", "scenario", "1", "--report", str(tmp_path)], resting.environment, 60
    )
    assert made.code == 1
    assert "Traceback" not in made.text
    assert "nowhere" in incomplete(tmp_path, 1)["incomplete_because"]


def test_the_controller_is_away(resting: Cluster, tmp_path: Path) -> None:
    controller = ("deployment/claudescale-controller", "--namespace", SPACE)
    before = state(resting)
    resting.kubectl("scale", *controller, "--replicas=0")
    try:
        until(
            lambda: (
                not resting.get("deployment", "claudescale-controller", "--namespace", SPACE)["status"].get("replicas")
            ),
            60,
        )
        made = refused(resting, "scenario", "4", "--report", str(tmp_path))
        health = refused(resting, "scenario", "1", "--report", str(tmp_path))
    finally:
        resting.kubectl("scale", *controller, "--replicas=1")
        resting.kubectl("rollout", "status", *controller, "--timeout=90s")
    assert "the controller is not ready (NotReady): claudescale status, or make up" in made.text
    assert incomplete(tmp_path, 4)["calls"] == []
    assert (
        "FAILED  every part is well: controller is Away: it does not run: leases wait and nothing is lost"
        in health.text
    )
    assert state(resting) == before


def test_a_load_runs_already(resting: Cluster, tmp_path: Path) -> None:
    command = ["claudescale", "--context", resting.context, "load", "steady", "--rate", "5", "--duration", "90"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=resting.environment
    ) as theirs:
        try:
            read_to(theirs, "5/s wanted")
            jobs = loads(resting)
            made = refused(resting, "scenario", "2", "--report", str(tmp_path))
            assert loads(resting) == jobs != ""
        finally:
            theirs.send_signal(signal.SIGINT)
            theirs.communicate(timeout=60)
    assert "a load runs already: end it where it was started, or by kubectl " in made.text
    assert incomplete(tmp_path, 2)["observations"]["load"] == []


@pytest.mark.parametrize(
    ("number", "how", "words", "says"),
    [
        pytest.param(2, signal.SIGINT, "40/s wanted", ["its Job is gone"], id="load-ctrl-c"),
        pytest.param(4, signal.SIGTERM, "4 pods are ready", ["is ended, before its time"], id="lease-sigterm"),
        pytest.param(
            5, signal.SIGINT, "the autoscaler says: ",
            ["the way to Prometheus is back", "the way to metrics-server is back", "is deleted, and its pod is gone",
             "is ended, before its time"],
            id="outage-ctrl-c",
        ),
    ],
)  # fmt: skip
def test_a_signal_puts_everything_back(
    resting: Cluster, number: int, how: signal.Signals, words: str, says: list[str], tmp_path: Path
) -> None:
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    before, ways = state(resting), selectors(resting)
    with begin(resting, number, tmp_path) as process:
        read_to(process, words)
        process.send_signal(how)
        rest, err = process.communicate(timeout=90)
    print(rest, err)
    assert process.returncode == 128 + how
    assert "Interrupted: putting things back" in rest
    told = incomplete(tmp_path, number)
    assert told["incomplete_because"] == "it was interrupted"
    assert all(one["done"] for one in told["put_back"])
    for said in says:
        assert said in rest
        assert any(said in one["words"] for one in told["put_back"])
    assert "demo-app is at " in rest
    nothing_is_left(resting)
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    assert (state(resting), selectors(resting)) == (before, ways)


def test_what_a_killed_run_left_is_mended_by_the_next(resting: Cluster, tmp_path: Path) -> None:
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    before, ways = state(resting), selectors(resting)
    with begin(resting, 5, tmp_path) as process:
        read_to(process, "the autoscaler says: ")
        process.kill()
        process.communicate()
    assert selectors(resting) != ways
    until(lambda: not open_leases(resting), 60)  # it ends by itself
    made = run(by_command(resting, 7, tmp_path), resting.environment, WHOLE_SECONDS)
    assert made.code == 0, made.text
    for words in (
        "the way to metrics-server was left cut",
        "the way to Prometheus was left cut",
        "was left by an earlier",
    ):
        assert words in made.text
    nothing_is_left(resting)
    assert (state(resting), selectors(resting)) == (before, ways)


def test_a_cluster_that_goes_away_in_the_middle(resting: Cluster, tmp_path: Path) -> None:
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    before = state(resting)
    folder = tmp_path / "report"
    with relay(resting, tmp_path) as between, begin(resting, 4, folder, between.kubeconfig) as process:
        read_to(process, "4 pods are ready")
        between.cut()
        cut = time.monotonic()
        rest, err = process.communicate(timeout=120)
    print(rest, err)
    assert process.returncode == 1
    assert "Traceback" not in rest + err
    sentence = err.strip()
    assert re.match(r"the cluster (is stopped|does not answer any more)", sentence), sentence
    assert time.monotonic() - cut < 90
    told = incomplete(folder, 4)
    assert told["incomplete_because"] == sentence
    lease = told["put_back"][-1]
    assert lease["done"] is False
    assert "it ends by itself, or by claudescale end scenario-4-" in lease["words"]
    until(lambda: not open_leases(resting), 120, pause=1)
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    assert state(resting) == before
    nothing_is_left(resting)


def test_a_playbook_fails_with_the_scenarios_sentence(resting: Cluster) -> None:
    command = ["ansible-playbook", "-e", f"claudescale_profile={resting.profile}", "claudescale.core.scenario"]
    made = run([*command, "-e", "scenario_which=8"], resting.environment, 60)
    assert made.code == 2
    assert "there is no scenario '8'" in made.text.replace("''", "'")
