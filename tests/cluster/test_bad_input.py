"""Bad input at every door, on the real cluster, as one table: one clear sentence, and no workload is touched."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils import moments

from tests.cluster.reliability import signal_controller
from tests.cluster.rig import SPACE, Workload, until, workloads
from tests.doors.lease_module import module
from tests.doors.mcp_double import Stdio
from tests.support import Cluster

pytestmark = pytest.mark.cluster

LONGEST = 700  # characters that still make a readable answer
AHEAD = 8 * 86_400


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What is wrong, in the words of a lease's spec, and what the sentence must say. `doors`: None for all of them."""

    name: str
    spec: dict[str, Any]
    says: str
    doors: tuple[str, ...] | None = None


def in_seconds(seconds: float) -> str:
    return moments.text(time.time() + seconds)


BAD = (
    Bad(name="unknown workload", spec={"workload": "nobody"}, says=r"no ScalingPolicy deployment\.nobody|no policy"),
    Bad(name="unknown namespace", spec={"namespace": "nowhere"}, says=r"nowhere|no such namespace"),
    Bad(name="a time without zone", spec={"endTime": "2026-12-24T20:00:00"}, says=r"time zone|date-time|Date|offset"),
    Bad(name="expired", spec={"endTime": "2020-01-01T00:00:00Z"}, says=r"before it was asked for|still to come|over"),
    Bad(name="too far ahead", spec={"startTime": in_seconds(AHEAD), "durationSeconds": 60}, says=r"691200|604800"),
    Bad(
        name="end before start",
        spec={"startTime": in_seconds(3600), "endTime": in_seconds(1800)},
        says=r"after",
    ),
    Bad(name="zero replicas", spec={"replicas": 0}, says=r"\b1\b"),
    Bad(name="negative replicas", spec={"replicas": -3}, says=r"-3"),
    Bad(name="huge replicas", spec={"replicas": 2_000_000_000}, says=r"10,?000"),
    Bad(name="more than policy allows", spec={"replicas": 500}, says=r"500 asked, 5 at most"),
    Bad(name="fractional replicas", spec={"replicas": 2.5}, says=r"2\.5|integer|whole"),
    Bad(name="no reason", spec={"reason": ""}, says=r"reason"),
    Bad(name="a reason of 1 MiB", spec={"reason": "x" * 2**20}, says=r"reason", doors=("module", "mcp", "kubectl")),
    Bad(name="control characters", spec={"reason": "a\u001b[31mred"}, says=r"reason"),
)


@dataclass
class Table:
    """What was asked, where, and what was said."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def show(self) -> None:
        print("\n| bad input | door | what it says |\n|---|---|---|")
        for name, door, said in self.rows:
            print(f"| {name} | {door} | {said} |")


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.show()


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1, ready=False, paused=True) as (found,):
        yield found


Ask = Callable[[Path, dict[str, Any]], str]


@pytest.fixture(scope="module")
def mcp(cluster: Cluster) -> Iterator[Ask]:
    """The MCP tool: one server for what it is asked, another one for another namespace or kubeconfig."""

    def server(kubeconfig: Path, namespace: str) -> Stdio:
        options = ("--context", cluster.context, "--namespace", namespace, "--allow-writes")
        return Stdio(*options, PATH=cluster.environment["PATH"], KUBECONFIG=str(kubeconfig))

    def asked_of(one: Stdio, asked: dict[str, Any]) -> str:
        names = {"durationSeconds": "duration_seconds", "startTime": "start", "endTime": "end"}
        told = one.ask("lease_capacity", **{names.get(key, key): value for key, value in asked.items()})
        assert told.error or told.facts["allowed"] is False, told
        return told.text

    with server(cluster.kubeconfig, SPACE) as usual:

        def ask(kubeconfig: Path, asked: dict[str, Any]) -> str:
            namespace = asked.pop("namespace", SPACE)
            if (kubeconfig, namespace) == (cluster.kubeconfig, SPACE):
                return asked_of(usual, asked)
            with server(kubeconfig, namespace) as other:
                return asked_of(other, asked)

        yield ask


def by_command(cluster: Cluster, kubeconfig: Path, asked: dict[str, Any]) -> str:
    words = {"durationSeconds": "--for", "startTime": "--from", "endTime": "--until"}
    program = str(Path(sys.executable).with_name("claudescale"))
    options = [
        "--context",
        cluster.context,
        "--namespace",
        asked.pop("namespace", SPACE),
        "--kubeconfig",
        str(kubeconfig),
    ]
    command = [program, *options, "lease", asked.pop("name")]
    for key, value in asked.items():
        text = f"{value}s" if key == "durationSeconds" else str(value)
        command.append(f"{words.get(key, '--' + key)}={text}")
    done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2, 3), done
    return (done.stderr.strip() or done.stdout).strip().splitlines()[0]


def by_module(cluster: Cluster, kubeconfig: Path, asked: dict[str, Any]) -> str:
    names = {"durationSeconds": "duration_seconds", "startTime": "start_time", "endTime": "end_time"}
    options = {names.get(key, key): value for key, value in asked.items()}
    said = module({"context": cluster.context, "kubeconfig": str(kubeconfig), **options})
    assert said.get("failed") is True, said
    return said.sentence


def by_kubectl(cluster: Cluster, kubeconfig: Path, asked: dict[str, Any]) -> str:
    """kubectl's answer; a request that is well formed gets its answer in its status."""
    namespace, name = asked.pop("namespace", SPACE), asked.pop("name")
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": asked.pop("workload")}
    environment = cluster.environment | {"KUBECONFIG": str(kubeconfig)}

    def kubectl(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--context", cluster.context, "-n", namespace, "--request-timeout=5s", *arguments]
        return subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)

    who = kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    manifest = {
        "apiVersion": "claudescale.io/v1alpha1",
        "kind": "CapacityLease",
        "metadata": {"name": name},
        "spec": {"workloadRef": ref, "requestedBy": who.stdout or "nobody", **asked},
    }
    done = kubectl("create", "-f", "-", text=json.dumps(manifest))
    if done.returncode != 0:
        return done.stderr.strip()
    path = ("get", "capacitylease", name, "-o", "jsonpath={.status.phase} {.status.message}")
    return str(until(lambda: said if (said := kubectl(*path).stdout).startswith("Refused") else "", 10))


DOORS = ("command", "module", "mcp", "kubectl")


@pytest.fixture(scope="module")
def say(cluster: Cluster, mcp: Ask) -> Callable[[str, Path, dict[str, Any]], str]:
    def ask(door: str, kubeconfig: Path, asked: dict[str, Any]) -> str:
        asked = dict(asked)
        if door == "mcp":
            return mcp(kubeconfig, asked)
        by = {"command": by_command, "module": by_module, "kubectl": by_kubectl}[door]
        return by(cluster, kubeconfig, asked)

    return ask


def asked_for(workload: Workload, bad: Bad) -> dict[str, Any]:
    asked: dict[str, Any] = {"name": f"bad-{uuid.uuid4().hex[:8]}", "workload": workload.name, "replicas": 4}
    asked |= {"reason": "a bad request", "durationSeconds": 60} | bad.spec
    if "endTime" in bad.spec:
        del asked["durationSeconds"]
    return asked


def check(said: str, says: str) -> str:
    """One readable answer that says what is wrong; for the table, on one line."""
    assert "Traceback" not in said
    assert re.search(says, said, re.IGNORECASE | re.DOTALL), said
    line = " ".join(said.split())
    assert "\u001b" not in line
    return line if len(line) <= LONGEST else line[:LONGEST] + " ..."


CASES = [(bad, door) for bad in BAD for door in bad.doors or DOORS]


@pytest.mark.parametrize(("bad", "door"), CASES, ids=[f"{bad.name.replace(' ', '-')}-{door}" for bad, door in CASES])
def test_bad_input_is_one_clear_answer(
    cluster: Cluster, workload: Workload, table: Table, say: Any, bad: Bad, door: str
) -> None:
    before = untouched(workload)
    said = say(door, cluster.kubeconfig, asked_for(workload, bad))
    table.rows.append((bad.name, door, check(said, bad.says)))
    if door != "kubectl":
        assert "\n\n" not in said
    assert untouched(workload) == before


def untouched(workload: Workload) -> Any:
    """What a lease could change of a workload."""
    hpa = workload.autoscaler()
    return hpa["spec"], hpa["metadata"].get("annotations"), workload.replicas()


GOOD = Bad(name="good", spec={}, says="")


@pytest.mark.parametrize("door", DOORS)
def test_forbidden_credentials(
    cluster: Cluster, workload: Workload, table: Table, say: Any, door: str, tmp_path: Path
) -> None:
    """A token of an account that may do nothing."""
    token = cluster.kubectl("create", "token", "default", "-n", SPACE, "--duration=10m").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump(config))
    said = say(door, kubeconfig, asked_for(workload, GOOD))
    table.rows.append(("forbidden credentials", door, check(said, "forbidden|403|may not")))
    assert workload.floor() == 2


@pytest.mark.parametrize("door", DOORS)
def test_api_server_away(
    cluster: Cluster, workload: Workload, table: Table, say: Any, door: str, tmp_path: Path
) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for one in config["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:9"
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump(config))
    began = time.monotonic()
    said = say(door, kubeconfig, asked_for(workload, GOOD))
    table.rows.append(("API server away", door, check(said, "stopped|refused")))
    assert time.monotonic() - began < 20


@contextlib.contextmanager
def without_controller(cluster: Cluster) -> Iterator[None]:
    """It does not move meanwhile; its liveness probe has more patience than that."""
    signal_controller(cluster, "STOP")
    try:
        yield
    finally:
        signal_controller(cluster, "CONT")


def test_controller_away(cluster: Cluster, workload: Workload, table: Table) -> None:
    """A door says that the lease waits, with a preview; nothing is lost: it is decided when the controller is back."""
    with without_controller(cluster):
        name = f"waits-{uuid.uuid4().hex[:6]}"
        asked = asked_for(workload, GOOD) | {"name": name, "durationSeconds": 300}
        said = module(
            {
                "context": cluster.context, "kubeconfig": str(cluster.kubeconfig), "name": name,
                "workload": workload.name, "replicas": 4, "reason": asked["reason"], "duration_seconds": 300,
            }
        )  # fmt: skip
        assert said["preview"] is True and said["changed"] is True
        table.rows.append(("controller away", "module", check(said.sentence, "waits")))
        assert workload.floor() == 2
    until(lambda: workload.phase(name) == "Active" and workload.floor() == 4, 30)
    cluster.kubectl("patch", "capacitylease", name, "-n", SPACE, "--type=merge", "-p", '{"spec":{"ended":true}}')
    until(workload.restored, 15)
