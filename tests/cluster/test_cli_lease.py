"""A lease through the command, on the real cluster: asked for, seen, ended; what a dry run and a refusal leave."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.rig import Workload, connect, until, workloads
from tests.support import Cluster

pytestmark = pytest.mark.cluster

REASON = "a launch [bold]tonight[/bold] :rocket:"
OURS_SECONDS = 10.0  # what a command may take here that waits for a floor, on a busy host; Python's start included


class Command:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = ["claudescale", "--context", self.cluster.context, *arguments]
        return subprocess.Popen(
            command, env=self.cluster.environment, stdin=subprocess.DEVNULL, text=True, **more
        )  # fmt: skip

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """(standard output, standard error) of a command that ends as expected."""
        with self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, err = process.communicate(timeout=120)
        print(f"\n$ claudescale {' '.join(arguments)}\n{out}{err}", flush=True)
        assert process.returncode == code, err
        return out, err

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "-o", "json", code=code)[0])


@pytest.fixture(scope="module")
def claudescale(cluster: Cluster) -> Command:
    return Command(cluster)


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1) as found:
        yield found[0]


def asked(workload: Workload, name: str, replicas: int = 4, *more: str) -> list[str]:
    return ["lease", name, "--workload", workload.name, "--replicas", str(replicas), "--reason", REASON, *more]


def test_a_lease_from_its_request_to_its_end(claudescale: Command, workload: Workload) -> None:
    name = f"{workload.name}-cli"
    assert workload.restored()
    dry = claudescale.json(*asked(workload, name, 4, "--for", "10m", "--dry-run"))
    assert (dry["preview"], dry["decision"]["allowed"]) == (True, True)
    assert workload.status(name) == {}
    assert workload.restored()

    began = time.monotonic()
    made = claudescale.json(*asked(workload, name, 4, "--for", "10m", "--on-behalf-of", "the shop"))
    assert time.monotonic() - began < OURS_SECONDS
    assert (made["changed"], made["stands"], made["phase"]) == (True, True, "Active")
    assert workload.floor() == 4
    assert claudescale.json(*asked(workload, name, 4, "--for", "10m", "--on-behalf-of", "the shop"))["changed"] is False

    (listed,) = [lease for lease in claudescale.json("leases") if lease["name"] == name]
    assert listed["floor"] == {"before": 2, "applied": 4}
    assert (listed["door"], listed["reason"], listed["on_behalf_of"]) == ("claudescale-cli", REASON, "the shop")
    assert name in claudescale("leases")[0]
    facts = claudescale.json("status")["capacity"]
    (floor,) = [found for found in facts["floors"] if found["autoscaler"] == workload.name]
    assert (floor["floor"], floor["base"], floor["leases"]) == (4, 2, [name])
    assert facts["controller"]["state"] == "Ready"
    (policy,) = claudescale.json("policy", workload.name)
    assert (policy["now"]["base"], policy["now"]["floor"], policy["now"]["leases"]) == (2, 4, 1)

    assert claudescale("end", name, "--dry-run")[0].startswith(f"would end lease {name}\n")
    assert workload.floor() == 4
    ended = claudescale.json("end", name)
    assert (ended["changed"], ended["phase"]) == (True, "Ended")
    until(workload.restored, 3)
    assert claudescale.json("end", name)["changed"] is False
    said = workload.records()
    events = [record["event"] for record in said]
    assert events[:3] == ["LeaseRequested", "FloorIntended", "FloorWritten"]
    assert sorted(events[3:]) == ["FloorRestored", "LeaseEnded"]  # a restore waits for no record
    assert said[0]["door"] == "claudescale-cli"
    assert "are whole" in claudescale("records", "verify", "--head", made["record"])[0]


def test_a_refusal(claudescale: Command, workload: Workload) -> None:
    name = f"{workload.name}-big"
    foretold = claudescale.json(*asked(workload, name, 500, "--dry-run"), code=3)
    out, err = claudescale(*asked(workload, name, 500), code=3)
    assert err == f"lease {name}: refused: {foretold['decision']['message']}\n"
    assert "500 asked, 5 at most" in err
    assert out.splitlines()[-1].startswith("record to note down: ")
    assert workload.floor() == 2


def test_the_controller_outside_of_the_cluster(claudescale: Command, workload: Workload) -> None:
    """Beside the one in the cluster, which it does not disturb; it leaves at SIGTERM with exit code 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = claudescale.start("controller", "--port", str(port), stdout=subprocess.PIPE)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 30)
        name = f"{workload.name}-two"
        assert claudescale.json(*asked(workload, name, 3, "--for", "5m"))["stands"] is True
        assert claudescale.json("end", name)["phase"] == "Ended"
        until(workload.restored, 5)
    finally:
        process.terminate()
        lines, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    told = [json.loads(line)["message"] for line in lines.splitlines()]
    assert (told[0], told[-1]) == ("started", "stopped")
    assert "are whole" in claudescale("records", "verify")[0]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_bad_input_at_the_real_api_server(claudescale: Command, cluster: Cluster, workload: Workload) -> None:
    """The sentences that the API server has a part in."""
    before = len(connect(cluster).items("/apis/claudescale.io/v1alpha1/namespaces/claudescale/capacityleases"))
    elsewhere = ("--namespace", "no-such-namespace")
    arguments = asked(workload, f"{workload.name}-bad", 4, "--for", "10m")
    for command in (arguments, [*arguments, "--dry-run"]):
        assert claudescale(*elsewhere, *command, code=1) == (
            "", "there is no namespace no-such-namespace in this cluster\n",
        )  # fmt: skip
    _, err = claudescale("lease", f"{workload.name}-bad", "--workload", "nope", "--replicas", "2", "--reason", "x",
                         "--dry-run", code=3)  # fmt: skip
    assert err == (
        f"lease {workload.name}-bad would be refused: there is no ScalingPolicy deployment.nope: without one nothing "
        "may be asked for Deployment/nope\n"
    )
    assert claudescale("end", "no-such-lease", code=1)[1] == (
        "there is no lease no-such-lease in namespace claudescale: see claudescale leases\n"
    )
    after = len(connect(cluster).items("/apis/claudescale.io/v1alpha1/namespaces/claudescale/capacityleases"))
    assert after <= before
