"""Loads with a name on the real cluster, and what goes wrong with loads: one sentence each, and nothing left running.

Prints its table.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import RUNNER
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import plan_of
from ansible_collections.claudescale.core.plugins.module_utils.load.results import figures
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun

from tests.cluster.climb import samples
from tests.cluster.relay import relay
from tests.cluster.rig import connect, until
from tests.doors.lease_module import Said
from tests.doors.load_module import module
from tests.support import Cluster, Made, run

pytestmark = [pytest.mark.cluster, pytest.mark.long]

BIN = Path(sys.executable).parent
RATE, SECONDS = 5, 12
BRIEF = ("--rate", str(RATE), "--duration", "60")
BUSY = (
    r"a load runs already: end it where it was started, or by kubectl --context \S+ --namespace claudescale delete job "
)


@dataclass
class Table:
    rows: list[tuple[str, int | str, str]] = field(default_factory=list)

    def show(self) -> None:
        print("\n| fault | exit | what it says |\n|---|---|---|")
        for name, code, said in self.rows:
            print(f"| {name} | {code} | {said} |")


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.show()


def left(cluster: Cluster) -> str:
    """What there is of loads, in whatever state."""
    return cluster.kubectl("get", "jobs,pods,services,endpointslices", "-l", "claudescale.io/load", "-o", "name")


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> Iterator[None]:
    assert left(cluster) == ""
    yield
    try:
        # The Service goes with its Job, by the garbage collector.
        until(lambda: left(cluster) == "", 15, pause=0.5)
    finally:
        cluster.kubectl("delete", "jobs", "-l", "claudescale.io/load")


def a_name() -> str:
    return f"t-{uuid.uuid4().hex[:6]}"


def play(cluster: Cluster, *, check: bool = False, kubeconfig: Path | None = None, **options: Any) -> Said:
    """The module's answer."""
    if options.get("state") != "absent":
        options = {"rate": RATE, "duration": SECONDS, **options}
    place = {"context": cluster.context, "kubeconfig": str(kubeconfig or cluster.kubeconfig)}
    said = module({**place, **options}, check=check)
    print(f"{'check ' if check else ''}{options.get('state', 'present')}: {said.sentence}", flush=True)
    return said


def command(cluster: Cluster, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`claudescale load`, in the background."""
    words = ["claudescale", "--context", cluster.context, *arguments]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env=cluster.environment | environment,
    )  # fmt: skip


def until_it_sends(process: subprocess.Popen[str]) -> str:
    """Wait for its first line of progress; the name of its Job."""
    assert process.stdout is not None
    name = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        found = re.search(r"(load-\S+): ", line)
        name = found[1] if found else name
        if "/s wanted" in line:
            return name
    raise AssertionError("it never sent")


def rest_of(process: subprocess.Popen[str], seconds: float = 90) -> str:
    text, _ = process.communicate(timeout=seconds)
    print(text, flush=True)
    assert "Traceback" not in text
    return text


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def counted(cluster: Cluster, name: str) -> dict[str, float]:
    """What Prometheus last saw of a load's requests, by outcome."""
    pods = f'claudescale_load_requests_total{{pod=~"load-{name}-.*"}}'
    return {labels["outcome"]: value for labels, value in samples(cluster, f"last_over_time({pods}[2m])")}


# A load with a name


def test_the_ladder(cluster: Cluster) -> None:
    name = a_name()
    assert play(cluster, check=True, name=name)["changed"] is True
    assert left(cluster) == ""
    began = time.time()
    sent = play(cluster, name=name)
    took = time.time() - began
    assert (sent["changed"], sent["phase"], sent["complete"]) == (True, "Finished", True)
    found = sent["figures"]
    assert (found["planned"], found["sent"], sent["plan"]["requests"]) == (RATE * SECONDS,) * 3
    assert found["ok"] + found["failed"] == found["planned"]
    assert SECONDS <= took < SECONDS + 30
    assert began < sent["began"] < began + 20
    assert sent["vegeta"]["requests"] == found["planned"]
    assert found["p99_ms"] >= sent["vegeta"]["p50_ms"]
    outcomes = counted(cluster, name)
    assert outcomes == {"ok": found["ok"], "failed": found["failed"] - found["unsent"], "unsent": found["unsent"]}

    there = cluster.get("job", f"load-{name}")
    assert "ttlSecondsAfterFinished" not in there["spec"]
    for check in (False, True):
        again = play(cluster, check=check, name=name)
        assert (again["changed"], again["figures"], again["msg"]) == (False, found, sent["msg"])
    assert cluster.get("job", f"load-{name}")["metadata"]["uid"] == there["metadata"]["uid"]
    other = play(cluster, name=name, rate=RATE + 1)
    assert other["failed"] and "use another name, or remove it first" in other["msg"]

    assert play(cluster, check=True, name=name, state="absent")["changed"] is True
    assert cluster.get("job", f"load-{name}")["metadata"]["uid"] == there["metadata"]["uid"]
    assert play(cluster, name=name, state="absent")["changed"] is True
    assert play(cluster, name=name, state="absent")["changed"] is False


def load_yml(cluster: Cluster, *arguments: str, **variables: Any) -> Made:
    given = json.dumps({"claudescale_profile": cluster.profile, **variables})
    return run([str(BIN / "ansible-playbook"), "playbooks/load.yml", "-e", given, *arguments], cluster.environment, 180)


def test_the_playbook(cluster: Cluster) -> None:
    wanted = {"load_name": a_name(), "load_rate": RATE, "load_duration": SECONDS, "load_profile": "launch"}
    foretold = load_yml(cluster, "--check", "--diff", **wanted)
    assert (foretold.code, foretold.changed, left(cluster)) == (0, 1, "")
    assert "+    profile: launch\n" in foretold.text
    made = load_yml(cluster, **wanted)
    assert (made.code, made.changes()) == (0, ["Load"])
    assert re.search(r"load t-\w+: \d+ requests in \d+ s, \d+ ok, 0 failed", " ".join(made.text.split()))
    assert "vegeta report: " in made.text
    assert load_yml(cluster, **wanted).changed == 0
    gone = {"load_name": wanted["load_name"], "load_state": "absent"}
    assert load_yml(cluster, **gone).changed == 1
    assert load_yml(cluster, **gone).changed == 0


def test_a_started_load_is_stopped_by_absent(cluster: Cluster) -> None:
    name = a_name()
    started = play(cluster, name=name, state="started", duration=120)
    assert (started["changed"], started["phase"]) == (True, "Running")
    until(lambda: counted(cluster, name).get("ok", 0) > 0, 30, pause=1)
    stopped = play(cluster, name=name, state="absent")
    assert (stopped["changed"], stopped["msg"]) == (True, f"running load {name} is removed")


def test_a_load_that_is_asked_to_end_keeps_its_results(cluster: Cluster) -> None:
    load = LoadRun(connect(cluster), plan_of("asked", [(RATE, 120)]), a_name())
    try:
        load.start()
        asked, summary = 0.0, {}
        for line in load.follow():
            if line["kind"] == "progress" and line["second"] == 4:
                load.end("enough of it")
                asked = time.monotonic()
            summary = line
        heard = time.monotonic() - asked
        print(f"it heard of it after {heard:.1f} s")
        assert heard < 60
        assert (summary["kind"], summary["ended"]) == ("summary", "enough of it")
        found = figures(load.results(), objective=1)
        assert (found.planned, found.unsent) == (summary["sent"], 0)
        load.rest()
        job = cluster.get("job", load.name)
        assert [one["status"] for one in job["status"]["conditions"] if one["type"] == "Complete"] == ["True"]
    finally:
        load.stop()


# What goes wrong


REFUSED = [
    pytest.param("unknown profile", ("load", "spkie"), "there is no load profile 'spkie': it is one of ", id="profile"),
    pytest.param("rate over the limit", ("load", "--rate", "501"), "a rate of 501 requests per second is out of bounds",
                 id="rate"),
    pytest.param("no demo app", ("--namespace", "default", "load"), "there is no demo-app in namespace default: make "
                 "up", id="no-demo-app"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "says"), REFUSED)
def test_refused(cluster: Cluster, table: Table, name: str, arguments: tuple[str, ...], says: str) -> None:
    with command(cluster, *arguments) as process:
        text = rest_of(process)
    assert process.returncode == 1
    assert says in text and len(text.strip().splitlines()) == 1
    table.rows.append((name, process.returncode, last_line(text)))


def test_a_second_load_at_the_same_time(cluster: Cluster, table: Table) -> None:
    with command(cluster, "load", *BRIEF) as first:
        name = until_it_sends(first)
        with command(cluster, "load", *BRIEF) as second:
            text = rest_of(second)
        assert second.returncode == 1
        assert re.search(BUSY + name, text)
        said = play(cluster, name=a_name())
        assert said["failed"] and re.search(BUSY + name, said["msg"])
        assert cluster.kubectl("get", "jobs", "-l", "claudescale.io/load", "-o", "name").split() == [
            f"job.batch/{name}"
        ]
        first.send_signal(signal.SIGINT)
        rest_of(first)
    assert first.returncode == 130
    table.rows.append(("a second load", second.returncode, last_line(text)))


def test_two_that_start_in_the_same_second(cluster: Cluster, table: Table) -> None:
    """Of three, because the moment is short: one sends, and the others are refused."""
    processes = [command(cluster, "load", "--rate", str(RATE), "--duration", "10") for _ in range(3)]
    texts = [rest_of(process) for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert codes == [0, 1, 1]
    for process, text in zip(processes, texts, strict=True):
        if process.returncode == 1:
            assert re.search(BUSY, text)
            table.rows.append(("one of three started at once", 1, last_line(text)))
        else:
            assert f"{RATE * 10} requests in 10 s: {RATE * 10} ok" in text


def kill_generator(cluster: Cluster) -> None:
    """SIGKILL, from the node, whose container sees all processes; there is one load at a time."""
    kill = ["docker", "exec", cluster.profile, "pkill", "-KILL", "-f", RUNNER]
    subprocess.run(kill, env=cluster.environment, capture_output=True, check=True)


def delete_pod(cluster: Cluster, job: str) -> None:
    cluster.kubectl("delete", "pods", "-l", f"batch.kubernetes.io/job-name={job}", "--wait=false")


@pytest.mark.parametrize("how", ["deleted", "killed"])
def test_a_generator_that_dies(cluster: Cluster, table: Table, how: str) -> None:
    with command(cluster, "load", *BRIEF) as process:
        name = until_it_sends(process)
        if how == "killed":
            kill_generator(cluster)
        else:
            delete_pod(cluster, name)
        text = rest_of(process)
    assert process.returncode == 1
    if how == "killed":
        assert "incomplete: until second " in text
        assert re.search(rf"the load's pod {name}-\w+ ended without a summary \(Failed\)", last_line(text))
    else:
        assert re.search(r"the load is incomplete: it was ended from outside after \d+ of 60 s", last_line(text))
        assert re.search(r"\d+ requests in \d+ s, ended early of 300 planned", text)
    table.rows.append((f"the generator is {how}", 1, last_line(text)))


def test_a_generator_that_dies_under_a_name(cluster: Cluster, table: Table) -> None:
    name = a_name()
    assert play(cluster, name=name, state="started", duration=60)["changed"] is True
    until(lambda: counted(cluster, name).get("ok", 0) > 0, 30, pause=1)
    kill_generator(cluster)
    for _ in range(2):
        said = play(cluster, name=name, duration=60)
        assert (said["failed"], said["changed"], said["complete"]) == (True, False, False)
        assert re.match(rf"the result of load {name} is incomplete: until second \d+ of 60, \d+ requests", said["msg"])
        assert said["msg"].endswith(f"(state absent removes load {name})")
    table.rows.append(("the generator of a named load is killed", "failed", said["msg"]))
    delete_pod(cluster, f"load-{name}")
    until(lambda: cluster.kubectl("get", "pods", "-l", "claudescale.io/load", "-o", "name") == "", 30)
    gone = play(cluster, name=name, duration=60)
    assert gone["msg"].startswith(f"the pod of load-{name} is gone, and what it said with it: run the load again")
    table.rows.append(("and its pod deleted", "failed", gone["msg"]))
    assert play(cluster, name=name, state="absent")["changed"] is True


def test_ctrl_c_in_a_playbook(cluster: Cluster, table: Table) -> None:
    name = a_name()
    given = {"claudescale_profile": cluster.profile, "load_name": name, "load_rate": RATE, "load_duration": 60}
    with subprocess.Popen(
        [str(BIN / "ansible-playbook"), "playbooks/load.yml", "-e", json.dumps(given)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=cluster.environment,
        start_new_session=True,
    ) as process:  # fmt: skip
        until(lambda: counted(cluster, name).get("ok", 0) > 0, 60, pause=1)
        os.killpg(process.pid, signal.SIGINT)
        text = rest_of(process)
    assert process.returncode != 0
    table.rows.append(("Ctrl-C in a playbook", process.returncode, last_line(text)))


@pytest.mark.parametrize("door", ["command", "module"])
def test_a_cluster_that_goes_away_in_the_middle(cluster: Cluster, table: Table, door: str, tmp_path: Path) -> None:
    name = ""
    with relay(cluster, tmp_path) as between:
        if door == "command":
            arguments = ("--kubeconfig", str(between.kubeconfig), "load", "--rate", str(RATE), "--duration", "15")
            with command(cluster, *arguments) as process:
                name = until_it_sends(process).removeprefix("load-")
                between.cut()
                text = rest_of(process)
            assert process.returncode == 1
            assert "incomplete: until second " in text
            said = last_line(text)
            assert said.startswith("the cluster is stopped: make up (")
            assert f"whether load-{name} is ended is not known: it ends by its plan, " in said
        else:
            name = a_name()
            play(cluster, name=name, state="started", duration=15)
            started = time.monotonic()
            signal.signal(signal.SIGALRM, lambda *_: between.cut())
            signal.alarm(4)
            answer = play(cluster, kubeconfig=between.kubeconfig, name=name, duration=15)
            assert time.monotonic() - started < 60
            assert (answer["failed"], answer["complete"]) == (True, False)
            said = answer["msg"]
            assert re.match(
                rf"the result of load {name} is incomplete: until second \d+ of 15, \d+ requests were", said
            )
    table.rows.append((f"the cluster goes away ({door})", "failed" if door == "module" else 1, said))
    until(lambda: cluster.get("job", f"load-{name}")["status"].get("conditions"), 60, pause=1)
    if door == "module":  # the cluster is back: nothing was lost
        again = play(cluster, name=name, duration=15)
        assert (again["complete"], again["figures"]["planned"]) == (True, RATE * 15)
    cluster.kubectl("delete", "job", f"load-{name}")
