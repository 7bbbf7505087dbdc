"""The module on the real minikube: the whole ladder, each step foretold by check mode, and what is mended in between.

Runs in the environment that tests/kit/run makes; the base image comes from the inventory, or from
CLAUDESCALE_TEST_BASE_IMAGE. The interruptions come at moments drawn by a seed that is printed: CLAUDESCALE_SEED=...
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.long]

PROFILE = "claudescale-module"
BIN = Path(sys.executable).parent
FOREIGN = """\
apiVersion: v1
kind: Config
current-context: beta
clusters:
- {name: alpha, cluster: {server: https://alpha.example:6443, insecure-skip-tls-verify: yes}}
- {name: beta, cluster: {server: https://beta.example, extensions: [{name: e, extension: {day: 2001-12-14}}]}}
- {name: "007", cluster: {server: https://gamma.example}}
contexts:
- {name: alpha, context: {cluster: alpha, user: me}}
- {name: beta, context: {cluster: beta, user: me, namespace: "no"}}
- {name: 2024-01-01, context: {cluster: "007", user: me}}
users:
- {name: me, user: {token: "1e3"}}
"""
FOREIGN_NAMES = {"alpha", "beta", "2024-01-01"}


def base_image() -> str:
    """The kit's node image, empty where the kit is not used."""
    named = os.environ.get("CLAUDESCALE_TEST_BASE_IMAGE")
    if named is not None:
        return named
    done = subprocess.run(
        [BIN / "ansible-inventory", "--host", "localhost"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout).get("cluster_base_image", ""))


def foreign(path: Path) -> Any:
    """All but our entries, as tags and texts."""

    def said(node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return (node.tag, node.value)
        if isinstance(node, yaml.MappingNode):
            pairs = [(said(key), said(value)) for key, value in node.value]
            return None if (said(yaml.ScalarNode("tag:yaml.org,2002:str", "name")), OURS) in pairs else pairs
        return [one for one in map(said, node.value) if one is not None]

    return said(yaml.compose(path.read_text(), Loader=yaml.SafeLoader))


OURS = ("tag:yaml.org,2002:str", PROFILE)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The module, the real minikube's word on the same profile, and a person's kubeconfig."""

    folder: Path
    image: str

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "config"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "ANSIBLE_FORCE_COLOR": "0"}

    def command(self, answer: Path, options: dict[str, Any], *more: str) -> list[str]:
        given = {"profile": PROFILE, "base_image": self.image, "memory_mb": 2200, **options}
        copied = {"content": "{{ answer | to_json }}", "dest": str(answer), "mode": "0600"}
        tasks = [
            {"claudescale.core.minikube": given, "register": "answer", "ignore_errors": True},
            {"ansible.builtin.copy": copied, "check_mode": False, "diff": False},
        ]
        playbook = self.folder / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return [str(BIN / "ansible-playbook"), str(playbook), *more]

    def play(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """The module's answer."""
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        began = time.monotonic()
        done = subprocess.run(
            self.command(answer, options, "--diff", *(["--check"] if check else [])),
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert answer.exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(answer.read_text())
        shown = found.get("msg", "").splitlines()[0]
        print(f"{'check ' if check else ''}{options} {time.monotonic() - began:.1f} s: {shown}", flush=True)
        return found

    def status(self) -> tuple[int, Any]:
        """What `minikube status` answers a person."""
        done = subprocess.run(
            ["minikube", "status", "--profile", PROFILE, "--output", "json"],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        with contextlib.suppress(ValueError):
            return done.returncode, json.loads(done.stdout)
        return done.returncode, None

    def state(self) -> tuple[Any, ...]:
        """All that check mode must not touch."""
        private = Path(os.environ["MINIKUBE_HOME"]) / ".minikube/claudescale" if "MINIKUBE_HOME" in os.environ else None
        kept = {path.name: path.read_bytes() for path in private.glob(f"{PROFILE}*")} if private else {}
        files = {path.name: path.read_bytes() for path in self.folder.glob("config*")}
        return (self.status(), kept, files)

    def step(self, code: int, **options: Any) -> dict[str, Any]:
        """Check mode, which changes nothing, then the same for real: it does what was foretold."""
        before = self.state()
        foretold = self.play(check=True, **options)
        assert self.state() == before
        real = self.play(**options)
        assert not real.get("failed"), real["msg"]
        for part in ("changed", "steps", "state", "status", "context", "diff", "versions", "binaries"):
            assert foretold[part] == real[part], part
        assert set(foretold) == set(real)
        self.check(code, real)
        return real

    def check(self, code: int, real: dict[str, Any]) -> None:
        """The answer says what minikube says; foreign contexts are what they were."""
        found_code, found = self.status()
        assert (found_code, found) == (code, real["status"])
        assert foreign(self.kubeconfig) == foreign(self.folder / "before")
        assert yaml.safe_load(self.kubeconfig.read_text())["current-context"] == "beta"
        names = {str(item["name"]) for item in yaml.safe_load(self.kubeconfig.read_text())["contexts"]}
        assert names == FOREIGN_NAMES | ({PROFILE} if real["context"] else set())

    def kubectl(self, *arguments: str) -> str:
        return subprocess.run(
            ["kubectl", "--context", PROFILE, *arguments],
            env=self.environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("module")
    for name in ("config", "before"):
        (folder / name).write_text(FOREIGN)
    made = Machine(folder=folder, image=base_image())
    assert not made.play(state="absent").get("failed")
    yield made
    made.play(state="absent")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def test_ladder(machine: Machine) -> None:
    made = machine.step(0, addons=["metrics-server"])
    assert (made["changed"], made["steps"], made["state"]) == (True, ["start"], "running")
    assert made["diff"]["before"] == {"state": "absent", "context": None}
    assert made["context"]["namespace"] == "claudescale"
    assert made["versions"]["kubernetes"] == "v1.35.1"
    backup = Path(made["backups"][0])
    assert backup.read_text() == FOREIGN
    assert "Ready" in machine.kubectl("get", "nodes")

    again = machine.step(0, addons=["metrics-server"])
    assert (again["changed"], again["steps"], again["backups"]) == (False, [], [])

    stopped = machine.step(7, state="stopped")
    assert (stopped["changed"], stopped["steps"]) == (True, ["stop"])
    assert stopped["context"] == made["context"]
    assert machine.step(7, state="stopped")["changed"] is False

    started = machine.step(0)
    assert (started["changed"], started["steps"]) == (True, ["start"])
    assert "warnings" not in started

    gone = machine.step(85, state="absent")
    assert (gone["changed"], gone["steps"], gone["context"]) == (True, ["delete"], None)
    assert machine.step(85, state="absent")["changed"] is False
    assert machine.step(85, state="stopped")["changed"] is False
    assert PROFILE not in docker("ps", "--all", "--format", "{{.Names}}").splitlines()
    assert PROFILE not in docker("volume", "ls", "--format", "{{.Name}}").splitlines()


def pause() -> None:
    subprocess.run(["minikube", "pause", "--profile", PROFILE], check=True, capture_output=True)


def forget_private_kubeconfig() -> None:
    (Path(os.environ["MINIKUBE_HOME"]) / f".minikube/claudescale/{PROFILE}.kubeconfig").unlink()


MENDED = [
    ("container killed", lambda: docker("kill", PROFILE), ["start"], "had stopped without being asked to"),
    ("container removed", lambda: docker("rm", "--force", "--volumes", PROFILE), ["start"], "container .* was gone"),
    ("paused", pause, ["unpause"], "was paused"),
    ("minikube's kubeconfig lost", forget_private_kubeconfig, ["update-context"], "was missing or stale"),
]


def test_what_happens_in_between_is_mended_and_said(machine: Machine) -> None:
    assert not machine.play().get("failed")
    machine.kubectl("create", "configmap", "kept", "--namespace", "default")
    for name, harm, steps, said in MENDED:
        harm()
        print(f"{name}: {machine.status()[1]}", flush=True)
        mended = machine.step(0)
        assert (name, mended["steps"]) == (name, steps)
        assert any(re.search(said, warning) for warning in mended["warnings"]), mended["warnings"]
        assert machine.kubectl("get", "configmap", "kept", "--namespace", "default", "--output", "name")
        assert machine.play()["changed"] is False


REFUSED = [
    ({"driver": "podman"}, "GUEST_DRIVER_MISMATCH"),
    ({"container_runtime": "cri-o"}, "RUNTIME_CHANGE"),
    ({"kubernetes_version": "v1.34.0"}, "K8S_DOWNGRADE_UNSUPPORTED"),
    ({"addons": ["no-such-addon"]}, "MK_ADDON_ENABLE"),
]


def test_dangerous_changes_are_refused_and_change_nothing(machine: Machine) -> None:
    assert not machine.play().get("failed")
    before = machine.state()
    for options, reason in REFUSED:
        for check in (True, False):
            refused = machine.play(check=check, **options)
            assert (refused["failed"], refused["changed"], refused["reason"]) == (True, False, reason)
    assert machine.state() == before
    warned = machine.play(memory_mb=3000, cpus=3)
    assert warned["changed"] is False
    assert [warning.split()[0] for warning in warned["warnings"]] == ["memory_mb", "cpus"]


def descendants(ancestor: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [ancestor]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found[1:]


def interrupt(machine: Machine, after: float, how: signal.Signals, **options: Any) -> int:
    """A play that gets a signal after so many seconds; its exit code.

    SIGINT goes to the process group, as from a keyboard (the module lives on, in a session of its own); SIGKILL goes to
    everything that the play started, module and minikube too, as when the machine goes down.
    """
    answer = machine.folder / "interrupted.json"
    with subprocess.Popen(
        machine.command(answer, options),
        cwd=ROOT, env=machine.environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            for victim in descendants(process.pid) if how is signal.SIGKILL else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, how)
            os.killpg(process.pid, how)
        return process.wait(timeout=60)


def test_interrupted_starts_are_mended_by_a_rerun(machine: Machine) -> None:
    seed = int(os.environ.get("CLAUDESCALE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed: {seed}", flush=True)
    draw = random.Random(seed)
    machine.play(state="absent")
    for how in (signal.SIGKILL, signal.SIGINT):
        after = draw.uniform(3, 35)
        code = interrupt(machine, after, how)
        print(f"first start, {how.name} after {after:.1f} s: exit {code}", flush=True)
        machine.step(0)  # where the play's module lived on, this waits for it and finds the cluster
        assert "Ready" in machine.kubectl("get", "nodes")
        assert machine.play()["changed"] is False
        machine.play(state="stopped")
        after = draw.uniform(3, 15)
        code = interrupt(machine, after, how)
        print(f"later start, {how.name} after {after:.1f} s: exit {code}", flush=True)
        machine.step(0)
        assert machine.play()["changed"] is False
        machine.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s")
        machine.play(state="absent")
