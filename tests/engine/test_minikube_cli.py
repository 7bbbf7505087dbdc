"""The adapter: command lines, files beside the profile, programs that are run and never outlive their caller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import cli as minikube_cli
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Request,
    Settings,
    Wanted,
)

REQUEST = Request(wanted=Wanted.STARTED, base_image="node:1", wait=("apiserver", "kubelet"), timeout=600)
ALWAYS = [
    "start",
    "--output=json",
    "--interactive=false",
    "--embed-certs=false",
    "--keep-context",
    "--driver=docker",
    "--container-runtime=containerd",
    "--kubernetes-version=v1.35.1",
    "--wait=apiserver,kubelet",
    "--wait-timeout=600s",
]
NEW = ["--memory=4096", "--cpus=2", "--cni=bridge", "--addons=a,b", "--base-image=node:1"]


@pytest.mark.parametrize(
    ("condition", "more"),
    [
        (Condition.ABSENT, NEW),
        (Condition.HALF_MADE, NEW),
        (Condition.GONE, ["--base-image=node:1"]),
        (Condition.STOPPED, []),
        (Condition.BROKEN, []),
    ],
)
@pytest.mark.parametrize("root", [True, False])
def test_start_gives_an_existing_profile_only_what_it_takes(condition: Condition, more: list[str], root: bool) -> None:
    arguments = minikube_cli.start_arguments(REQUEST, condition, ("a", "b"), root=root)
    assert arguments == [*ALWAYS, *more, *(["--force"] if root else [])]


def test_root_needs_no_force_without_a_container() -> None:
    bare = Request(wanted=Wanted.STARTED, driver="none")
    assert "--force" not in minikube_cli.start_arguments(bare, Condition.ABSENT, (), root=True)


def test_nothing_to_wait_for_is_said() -> None:
    assert "--wait=none" in minikube_cli.start_arguments(
        Request(wanted=Wanted.STARTED, wait=()), Condition.ABSENT, (), root=False
    )


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HOME": "/h"}, "/h/.minikube"),
        ({"HOME": "/h", "MINIKUBE_HOME": ""}, "/h/.minikube"),
        ({"HOME": "/h", "MINIKUBE_HOME": "/m"}, "/m/.minikube"),
        ({"HOME": "/h", "MINIKUBE_HOME": "/m/.minikube"}, "/m/.minikube"),
        ({"HOME": "/h", "MINIKUBE_HOME": "/m/.minikube/"}, "/m/.minikube"),
    ],
)
def test_home_follows_minikubes_rule(environment: dict[str, str], folder: str) -> None:
    assert str(minikube_cli.home(environment)) == folder


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
    path.chmod(0o755)
    return path


def machine(folder: Path, text: str | None = None) -> minikube_cli.Minikube:
    environment = {"MINIKUBE_HOME": str(folder), "PATH": str(folder), "KUBECONFIG": "/a/persons/own"}
    path = program(folder, "minikube", text) if text is not None else None
    return minikube_cli.Minikube(profile="claudescale", program=path, environment=environment)


def test_minikube_sees_its_private_kubeconfig_and_the_profile(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    made = machine(
        tmp_path,
        f"""
        import json, os, sys
        with open({str(seen)!r}, "w") as file:
            json.dump([sys.argv[1:], dict(os.environ)], file)
        """,
    )
    made.stop(REQUEST)
    arguments, environment = json.loads(seen.read_text())
    assert arguments == ["stop", "--output=json", "--keep-context-active", "--profile=claudescale"]
    assert environment["KUBECONFIG"] == str(tmp_path / ".minikube/claudescale/claudescale.kubeconfig")


def test_a_start_that_was_killed_is_seen_as_half_made(tmp_path: Path) -> None:
    made = machine(tmp_path, "import sys; sys.exit(85)")
    assert made.look() == Observed(condition=Condition.ABSENT)
    with pytest.raises(Fault):
        made.start(REQUEST, Observed(condition=Condition.ABSENT), ())
    assert made.look().condition is Condition.HALF_MADE
    made = machine(tmp_path, "pass")
    made.delete()
    assert machine(tmp_path, "import sys; sys.exit(85)").look().condition is Condition.ABSENT


RUNNING = """
    import json, sys
    if "status" in sys.argv:
        print(json.dumps({"Name": "x", "Host": "Running", "Kubelet": "Running", "APIServer": "Running",
                          "Kubeconfig": "Configured", "Worker": False}))
    elif "start" in sys.argv:
        sys.exit(80)
"""


def test_a_later_start_that_failed_is_seen_until_one_ends_well(tmp_path: Path) -> None:
    failing = machine(tmp_path, RUNNING)
    assert failing.look().condition is Condition.RUNNING
    with pytest.raises(Fault):
        failing.start(REQUEST, Observed(condition=Condition.STOPPED), ())
    assert failing.look().condition is Condition.INTERRUPTED
    failing.stop(REQUEST)
    assert failing.look().condition is Condition.INTERRUPTED
    good = machine(tmp_path, RUNNING.replace("sys.exit(80)", "pass"))
    good.start(REQUEST, Observed(condition=Condition.INTERRUPTED), ())
    seen = good.look()
    assert (seen.condition, seen.left_running) == (Condition.RUNNING, True)
    good.stop(REQUEST)
    assert not good.look().left_running


SETTINGS = Settings(
    driver="docker",
    memory_mb=4096,
    cpus=2,
    kubernetes_version="v1.35.1",
    container_runtime="containerd",
    base_image="node:0",
)


@pytest.mark.parametrize(
    ("condition", "anew"),
    [
        (Condition.GONE, True),
        (Condition.INTERRUPTED, True),
        (Condition.BROKEN, True),
        (Condition.STOPPED, False),
        (Condition.ABSENT, False),
    ],
)
def test_a_node_that_may_lack_parts_is_set_up_anew(tmp_path: Path, condition: Condition, anew: bool) -> None:
    calls = tmp_path / "calls"
    program(tmp_path, "docker", f"import sys; open({str(calls)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))")
    machine(tmp_path, "pass").start(
        Request(wanted=Wanted.STARTED), Observed(condition=condition, settings=SETTINGS), ()
    )
    expected = [
        "volume inspect claudescale",
        (
            "run --rm --pull=never --network=none --entrypoint=rm --volume=claudescale:/var node:0 -f "
            "/var/tmp/minikube/kubeadm.yaml"
        ),
    ]
    assert (calls.read_text().splitlines() if calls.exists() else []) == (expected if anew else [])


def test_a_profile_folder_that_minikube_does_not_know_is_half_made(tmp_path: Path) -> None:
    (tmp_path / ".minikube/profiles/claudescale").mkdir(parents=True)
    assert machine(tmp_path, "import sys; sys.exit(85)").look().condition is Condition.HALF_MADE


def test_without_minikube_only_an_absent_profile_can_be_seen(tmp_path: Path) -> None:
    assert machine(tmp_path).look().condition is Condition.ABSENT
    (tmp_path / ".minikube/profiles/claudescale").mkdir(parents=True)
    with pytest.raises(Fault, match="MinikubeMissing"):
        machine(tmp_path).look()


def test_a_command_that_takes_too_long_is_ended_and_its_last_step_named(tmp_path: Path) -> None:
    text = """
        import json, time
        event = {"specversion": "1.0", "type": "io.k8s.sigs.minikube.step", "data": {"message": "Pulling"}}
        print(json.dumps(event), flush=True)
        time.sleep(60)
    """
    slow = Request(wanted=Wanted.STARTED, timeout=1)
    began = time.monotonic()
    with pytest.raises(Fault) as caught:
        machine(tmp_path, text).start(slow, Observed(condition=Condition.STOPPED), ())
    assert time.monotonic() - began < 10
    assert caught.value.what == "minikube start did not end within 1 s; its last step was: Pulling"


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        (None, "PROVIDER_DOCKER_NOT_FOUND", "the program docker is not on PATH"),
        (
            "import sys; sys.exit('ERROR: no daemon')",
            "PROVIDER_DOCKER_NOT_RUNNING",
            "Docker does not answer at its default socket: no daemon",
        ),
        (
            "print('0 0')",
            "PROVIDER_DOCKER_NOT_RUNNING",
            "Docker does not answer at its default socket: no answer in time",
        ),
    ],
    ids=["missing", "away", "no-daemon-behind-the-client"],
)
def test_docker_away(tmp_path: Path, text: str | None, code: str, what: str) -> None:
    if text is not None:
        program(tmp_path, "docker", text)
    with pytest.raises(Fault) as caught:
        machine(tmp_path).docker()
    assert (caught.value.code, caught.value.what) == (code, what)


def test_docker_facts(tmp_path: Path) -> None:
    program(tmp_path, "docker", "print('4294967296 2')")
    assert machine(tmp_path).docker() == minikube_cli.DockerFacts(memory_mb=4096, cpus=2)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    made = machine(tmp_path)
    with made.alone(5), pytest.raises(Fault, match="ProfileBusy"), made.alone(0.3):
        pass
    with made.alone(5):
        pass
    assert not (tmp_path / ".minikube/claudescale").exists()


def test_check_mode_waits_for_another_run_and_writes_nothing(tmp_path: Path) -> None:
    made = machine(tmp_path)
    made.wait_for_others(0)
    assert list(tmp_path.iterdir()) == []
    with made.alone(5), pytest.raises(Fault, match="ProfileBusy"):
        made.wait_for_others(0.3)
    left = tmp_path / ".minikube/claudescale/claudescale.lock"
    left.parent.mkdir(parents=True)
    left.touch()
    made.wait_for_others(0)  # a killed run holds no lock
    assert left.exists()


def test_a_waiting_run_goes_on_when_the_other_ends(tmp_path: Path) -> None:
    order = []
    made = machine(tmp_path)

    def second() -> None:
        with made.alone(10):
            order.append("second")

    with made.alone(5):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_program_does_not_outlive_its_killed_caller(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    child_text = f"""
        import os, time
        with open({str(file)!r}, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60)
    """
    sleeper = program(tmp_path, "sleeper", child_text)
    caller = f"""
        from ansible_collections.claudescale.core.plugins.module_utils.minikube import cli as minikube_cli
        minikube_cli.run([{str(sleeper)!r}], {{}}, 60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(caller)]) as process:
        deadline = time.monotonic() + 20
        while (not file.exists() or not file.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(file.read_text())
        os.kill(child, 0)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")
