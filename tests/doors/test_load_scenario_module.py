"""The module load_scenario: what it sends, says and refuses, against an API server on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils import kubernetes_core
from ansible_collections.claudescale.core.plugins.module_utils.cluster import configurations
from ansible_collections.claudescale.core.plugins.module_utils.load import run as load_run
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import OBJECTIVE_SECONDS, PROFILES
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request, pack
from ansible_collections.claudescale.core.plugins.modules import load_scenario

from tests.doors.cluster_double import write_kubeconfig
from tests.doors.lease_module import Said
from tests.doors.load_module import LoadServer, load_server, module
from tests.engine.http_double import refused_address
from tests.engine.load_double import DEMO, JOBS, SERVICES, progress
from tests.support import ROOT

BIN = Path(sys.executable).parent
ASK = {"name": "evening", "profile": "steady", "rate": 2, "duration": 10}
PLAN = {"profile": "steady", "segments": [{"rate": 2, "seconds": 10}], "requests": 20, "seconds": 10}
VEGETA = {"requests": 19, "success": 1, "p50_ms": 9.0, "p95_ms": 598.0, "p99_ms": 598.0, "max_ms": 598.0}
FIGURES = {
    "planned": 20, "sent": 19, "ok": 19, "failed": 1, "unsent": 1, "slow": 3, "share": 0.2,
    "p50_ms": 10.0, "p95_ms": 600.0, "p99_ms": 600.0, "max_ms": 600.0,
}  # fmt: skip
RESULT = (
    "load evening: 20 requests in 10 s, 19 ok, 1 failed (1 could not be sent in time), 20.00 % slower than 500 ms or "
    "failed, p99 600 ms"
)
REMEDY = "(state absent removes load evening)"
EXTENT = "steady, up to 2/s, 20 requests in 10 s at most"
NAME_RULE = "use 1 to 50 lower-case letters, digits and hyphens, as in noon-1"
FOR_EVER = 60.0


def whole(**summary: Any) -> list[str | float]:
    requests = [Request(at=(n + 1) / 2, latency=0.6 if n < 3 else 0.01, code=200) for n in range(19)]
    requests.append(Request(at=10, latency=None, code=0, sent=False))
    parts = [json.dumps({"kind": "results", "part": part}) for part in pack(requests)]
    facts = {
        "kind": "summary",
        "seconds": 10.4,
        "interrupted": False,
        "ended": "",
        "vegeta": VEGETA,
        "began": 1772395200.125,
    }
    last = json.dumps({**facts, "errors": {"not sent when it was due": 1}, **summary})
    return [progress(1, ok=2), progress(2, ok=1, failed=1), *parts, last]


@pytest.fixture
def server() -> Iterator[LoadServer]:
    with load_server() as made:
        made.log = whole()
        yield made


class Ran:
    """The module with ASK's options and others, against the double."""

    def __init__(self, server: LoadServer, folder: Path) -> None:
        self.place = {"kubeconfig": str(server.kubeconfig(folder)), "context": "claudescale"}

    def __call__(self, options: dict[str, Any] | None = None, *, check: bool = False, **more: Any) -> Said:
        return module({**(ASK if options is None else options), **self.place, **more}, check=check)


@pytest.fixture
def run(server: LoadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setattr(load_run, "POLL_SECONDS", 0.01)
    return Ran(server, tmp_path)


BAD = [
    pytest.param({"name": "Evening!"}, f"name 'Evening!' is no name: {NAME_RULE}", id="name"),
    pytest.param({"name": "../x"}, f"name '../x' is no name: {NAME_RULE}", id="name-is-a-path"),
    pytest.param({"name": "../x", "state": "absent"}, f"name '../x' is no name: {NAME_RULE}", id="name-to-remove"),
    pytest.param({"state": "ended"}, "value of state must be one of: present, started, absent, got: ended", id="state"),
    pytest.param({"profile": "spkie"}, "there is no load profile 'spkie': it is one of steady, ramp, step, spike, "
                 "stress-until-scale, launch", id="profile"),
    pytest.param({"rate": 501}, "a rate of 501 requests per second is out of bounds: 1 to 500 are allowed", id="rate"),
    pytest.param({"rate": 0}, "a rate of 0 requests per second is out of bounds: 1 to 500 are allowed", id="no-rate"),
    pytest.param({"duration": 9}, "a duration of 9 s is out of bounds: 10 to 1800 are allowed", id="duration"),
    pytest.param({"profile": "stress-until-scale", "rate": 400}, "stress-until-scale at 400 requests per second rises "
                 "to 800, and 500 are allowed: ask for 250 at most", id="peak"),
    pytest.param({"objective_ms": 0}, "objective_ms is 0: give 1 or more milliseconds", id="objective"),
    pytest.param({"kubeconfig": ["x"]}, "kubeconfig is neither a path nor a dictionary: name the file",
                 id="kubeconfig"),
    pytest.param({"ca_cert": "/nonexistent/ca"}, "ca_cert /nonexistent/ca cannot be read: No such file or directory",
                 id="certificate"),
]  # fmt: skip


@pytest.mark.parametrize("check", [False, True], ids=["", "check"])
@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_bad_options_are_one_sentence(
    run: Ran, server: LoadServer, options: dict[str, Any], sentence: str, check: bool
) -> None:
    said = run(check=check, **options) if "kubeconfig" not in options else module({**ASK, **options}, check=check)
    assert (said["failed"], said.sentence) == (True, sentence)
    assert server.http.asked == []


def test_a_load_is_sent_once_and_its_result_told_each_time(run: Ran, server: LoadServer) -> None:
    foretold = run(check=True)
    assert (foretold["changed"], foretold["phase"], foretold["figures"]) == (True, "Absent", None)
    assert foretold.sentence == f"would start load evening: {EXTENT}"
    assert server.writes() == []
    said = run()
    assert said.sentence == RESULT
    assert (said["changed"], said["phase"], said["complete"], said["job"]) == (True, "Finished", True, "load-evening")
    assert (said["figures"], said["vegeta"], said["plan"]) == (FIGURES, VEGETA, PLAN)
    assert (said["errors"], said["began"], said["seconds"]) == ({"not sent when it was due": 1}, 1772395200.125, 10)
    assert said["diff"] == foretold["diff"] == {"before": {}, "after": PLAN}
    assert server.writes() == [f"POST {JOBS}", f"POST {SERVICES}"]
    server.http.asked.clear()
    for again in (run(), run(check=True), run(wait=False)):
        assert (again["changed"], again["msg"], again["figures"]) == (False, RESULT, FIGURES)
        assert again["diff"] == {"before": {}, "after": {}}
    assert (run(objective_ms=700)["figures"]["slow"], server.writes()) == (0, [])


def test_other_options_under_the_name_are_refused_with_the_remedy(run: Ran, server: LoadServer) -> None:
    run()
    server.http.asked.clear()
    for check in (False, True):
        said = run(rate=3, check=check)
        assert said["failed"]
        assert said.sentence == (
            "load evening is another one (steady: 2/s for 10 s, not steady: 3/s for 10 s): use another name, or remove "
            "it first (state absent, or kubectl --context claudescale --namespace claudescale delete job load-evening)"
        )
    assert server.writes() == []


@pytest.mark.parametrize("wait", [True, False], ids=["", "at-once"])
def test_a_load_is_started_and_goes_on(run: Ran, server: LoadServer, wait: bool) -> None:
    said = run(state="started", wait=wait)
    assert (said["changed"], said["phase"], said["complete"], said["figures"]) == (True, "Running", False, None)
    assert said.sentence == f"load evening is started: {EXTENT}"
    again = run(state="started", wait=wait)
    assert (again["changed"], again.sentence) == (False, f"load evening runs already: {EXTENT}")
    result = run()
    assert (result["changed"], result.sentence) == (False, RESULT)
    over = run(state="started", wait=wait)
    assert (over["changed"], over["phase"], over.sentence) == (False, "Finished", f"load evening is over: {EXTENT}")


def test_it_is_removed_once(run: Ran, server: LoadServer) -> None:
    run(state="started")
    server.http.asked.clear()
    gone = {"name": "evening", "state": "absent"}
    foretold = run(gone, check=True)
    assert (foretold["changed"], foretold.sentence) == (True, "would remove running load evening")
    assert server.writes() == []
    said = run(gone)
    assert (said["changed"], said["phase"], said.sentence) == (True, "Absent", "running load evening is removed")
    assert said["diff"] == foretold["diff"] == {"before": PLAN, "after": {}}
    assert server.writes() == [f"DELETE {JOBS}/load-evening"]
    for check in (False, True):
        again = run(gone, check=check)
        assert (again["changed"], again.sentence) == (False, "there is no load evening in namespace claudescale")
        assert again["diff"] == {"before": {}, "after": {}}


@pytest.mark.parametrize("check", [False, True], ids=["", "check"])
def test_a_second_load_is_refused(run: Ran, server: LoadServer, check: bool) -> None:
    run(state="started")
    server.http.asked.clear()
    said = run(name="morning", check=check)
    assert said["failed"]
    assert said.sentence == (
        "a load runs already: end it where it was started, or by kubectl --context claudescale --namespace claudescale "
        "delete job load-evening"
    )
    assert server.writes() == []


@pytest.mark.parametrize("check", [False, True], ids=["", "check"])
def test_without_a_demo_app(run: Ran, server: LoadServer, check: bool) -> None:
    del server.cluster.objects[DEMO]
    said = run(check=check)
    assert (said["failed"], said.sentence) == (True, "there is no demo-app in namespace claudescale: make up")
    assert server.writes() == []


def test_a_generator_that_dies_is_told_and_again_until_it_is_removed(run: Ran, server: LoadServer) -> None:
    server.log, server.outcome, server.cluster.phase = whole()[:2], "Failed", "Failed"
    said = run()
    assert said.sentence == (
        "the result of load evening is incomplete: until second 2 of 10, 3 requests were answered and 1 failed, then "
        "the load's pod load-x-1 ended without a summary (Failed): what came of the load is not complete " + REMEDY
    )
    assert (said["failed"], said["changed"], said["phase"], said["complete"], said["seconds"]) == (
        True, True, "Failed", False, 2,
    )  # fmt: skip
    again = run()
    assert (again["failed"], again["changed"], again["msg"]) == (True, False, said["msg"])
    started = run(state="started")
    assert (started["failed"], started.sentence) == (
        True,
        f"load evening failed: {EXTENT}: state absent removes load evening",
    )
    assert run(state="absent")["changed"] is True


def test_a_load_that_was_ended_from_outside_is_a_failure(run: Ran, server: LoadServer) -> None:
    server.log = whole(interrupted=True, ended="by a signal", seconds=4.2)
    said = run()
    assert (said["failed"], said["complete"], said["phase"]) == (True, False, "Finished")
    assert said.sentence.startswith(
        "load evening: incomplete, because it was ended from outside, of 10 s: 20 requests in 4 s"
    )


def test_a_load_that_could_not_run(run: Ran, server: LoadServer) -> None:
    server.log = [json.dumps({"kind": "error", "message": "no vegeta"})]
    said = run()
    assert (said["failed"], said["phase"], said.sentence) == (
        True,
        "Failed",
        f"load evening could not run: no vegeta {REMEDY}",
    )


def test_a_cluster_that_goes_away_in_the_middle(run: Ran, server: LoadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_run, "RECONNECTS", 1)
    server.log, server.cut = whole()[:2], True
    said = run()
    assert (said["failed"], said["complete"], said["seconds"]) == (True, False, 2)
    assert said.sentence.startswith(
        "the result of load evening is incomplete: until second 2 of 10, 3 requests were answered"
    )


def test_an_api_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    options = {**ASK, "kubeconfig": str(write_kubeconfig(tmp_path, refused_address())), "context": "claudescale"}
    said = module(options)
    assert said["failed"]
    assert said.sentence.startswith("the cluster is stopped: make up (http://127.0.0.1:")
    foretold = module(options, check=True)
    assert (foretold["changed"], foretold.sentence) == (True, f"would start load evening: {said['msg']}")
    assert foretold["warnings"] == [foretold["msg"]]
    gone = {**options, "state": "absent"}
    assert module(gone)["msg"] == said["msg"]
    foretold = module(gone, check=True)
    assert (foretold["changed"], foretold.sentence) == (False, f"there is no load evening to remove: {said['msg']}")


def test_who_is_interrupted_ends_what_it_started_and_nothing_else(run: Ran, server: LoadServer) -> None:
    server.log = [progress(1, ok=2), FOR_EVER]
    interrupted = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    interrupted.start()
    said = run()
    assert (said["failed"], said.sentence) == (True, "interrupted: load evening is ended and removed")
    assert server.cluster.jobs() == {}
    run(state="started")
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    said = run()
    assert (said["failed"], said.sentence) == (True, "interrupted; load evening was there before, and is as it was")
    assert list(server.cluster.jobs()) == ["load-evening"]


@pytest.mark.parametrize(
    ("place", "name", "sentence"),
    [
        (
            kubernetes_core,
            "MISSING",
            "the collection kubernetes.core is missing here: ansible-galaxy collection install",
        ),
        (configurations, "MISSING", "Failed to import the required Python library (kubernetes)"),
    ],
)
def test_what_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, sentence: str
) -> None:
    monkeypatch.setattr(place, name, "ImportError: it")
    assert module(ASK)["msg"].startswith(sentence)


# As Ansible runs it

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - claudescale.core.load_scenario: "{{ item }}"
      loop: "{{ runs }}"
      register: answer
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ answer.results | to_json }}"
        dest: "{{ answer_file }}"
        mode: "0600"
"""


def ansible(folder: Path, server: LoadServer, runs: list[dict[str, Any]], answers: Path) -> subprocess.Popen[str]:
    (folder / "play.yml").write_text(PLAYBOOK)
    place = {"kubeconfig": str(server.kubeconfig(folder)), "context": "claudescale"}
    variables = {
        "runs": [{**options, **place} for options in runs], "answer_file": str(answers),
        "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_"))}
    return subprocess.Popen(
        [BIN / "ansible-playbook", "play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
        start_new_session=True, env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
    )  # fmt: skip


def test_ansible_runs_it(server: LoadServer, tmp_path: Path) -> None:
    answers = tmp_path / "answer.json"
    runs = [ASK, ASK, {**ASK, "name": "late", "speed": 7}, {"name": "evening", "state": "absent"}]
    with ansible(tmp_path, server, runs, answers) as process:
        text, _ = process.communicate(timeout=120)
    assert answers.exists(), text
    assert "Traceback" not in text
    sent, unchanged, unknown, removed = json.loads(answers.read_text())
    assert (sent["changed"], sent["msg"], sent["figures"]) == (True, RESULT, FIGURES)
    assert (unchanged["changed"], unchanged["figures"]) == (False, FIGURES)
    assert unknown["msg"].startswith("Unsupported parameters for (claudescale.core.load_scenario) module: speed.")
    assert removed["changed"] is True
    added = {"changed", "failed", "warnings", "invocation", "item", "ansible_loop_var", "exception"}
    assert set(sent) - added == set(yaml.safe_load(load_scenario.RETURN))


@pytest.mark.long
def test_ctrl_c_in_a_playbook_leaves_nothing_running(server: LoadServer, tmp_path: Path) -> None:
    server.log = [progress(1, ok=2), FOR_EVER]
    with ansible(tmp_path, server, [ASK], tmp_path / "answer.json") as process:
        deadline = time.monotonic() + 60
        while not any(asked.path.endswith("/log") for asked in server.http.asked):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert "Traceback" not in text
    deadline = time.monotonic() + 10
    while server.cluster.jobs():
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


# Documentation


def test_documentation_says_what_the_arguments_are() -> None:
    documented = yaml.safe_load(load_scenario.DOCUMENTATION)
    for name, rule in load_scenario.ARGUMENTS.items():
        for part in ("type", "choices", "default", "required"):
            assert documented["options"][name].get(part) == rule.get(part), (name, part)
    assert set(documented["options"]) == set(load_scenario.ARGUMENTS)
    assert documented["extends_documentation_fragment"] == ["kubernetes.core.k8s_auth_options"]
    assert load_scenario.ARGUMENTS["objective_ms"]["default"] == OBJECTIVE_SECONDS * 1000
    told = " ".join(documented["options"]["profile"]["description"])
    assert all(f"V({profile})" in told for profile in PROFILES)


def test_the_documented_result_is_of_its_kind() -> None:
    documented = yaml.safe_load(load_scenario.RETURN)
    assert set(documented["figures"]["contains"]) == set(documented["figures"]["sample"]) == set(FIGURES)
    assert set(documented["plan"]["contains"]) == set(documented["plan"]["sample"]) == set(PLAN)
    assert set(documented["vegeta"]["sample"]) == set(VEGETA)


def test_examples_are_accepted(run: Ran) -> None:
    tasks = [task for task in yaml.safe_load(load_scenario.EXAMPLES) if "claudescale.core.load_scenario" in task]
    assert len(tasks) == 4
    for task in tasks:
        said = run({**task["claudescale.core.load_scenario"], "context": "claudescale"}, check=True)
        assert not said.get("failed"), said["msg"]
