"""One lease of 4 for 90 seconds from each door, one after the other, on one workload, while other tests run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments

from tests.cluster.rig import SPACE, Workload, until, workloads
from tests.doors.mcp_double import Stdio
from tests.support import ROOT, Cluster

SECONDS = 90
REASON = "Launch at eight"
DOORS = ("kubectl", "command", "playbook", "mcp")


@dataclass(kw_only=True)
class Life:
    """What was seen of one lease; the autoscaler as it was before and after."""

    door: str
    lease: str
    before: dict[str, Any]
    after: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    ready: int = 0
    floor: int = 0
    again: str = ""  # what a second run of the playbook printed

    @property
    def held(self) -> float:
        """Seconds between the records of the floor and of the base."""
        times = {record["event"]: moments.parse(record["time"]) for record in self.records}
        return times["FloorRestored"] - times["FloorWritten"]


def by_kubectl(cluster: Cluster, workload: Workload, lease: str) -> str:
    spec = {
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "replicas": 4,
        "durationSeconds": SECONDS,
        "reason": REASON,
        "requestedBy": workload.client.whoami(),
    }
    manifest = {"apiVersion": "claudescale.io/v1alpha1", "kind": "CapacityLease", "metadata": {"name": lease}}
    return cluster.kubectl("create", "-n", SPACE, "-f", "-", input=json.dumps({**manifest, "spec": spec}))


def said(cluster: Cluster, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=cluster.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_command(cluster: Cluster, workload: Workload, lease: str) -> str:
    program = str(Path(sys.executable).with_name("claudescale"))
    asked = [lease, "--workload", workload.name, "--replicas", "4", "--for", f"{SECONDS}s", "--reason", REASON]
    return said(cluster, program, "--context", cluster.context, "lease", *asked)


def by_playbook(cluster: Cluster, workload: Workload, lease: str, *more: str) -> str:
    variables = {
        "claudescale_profile": cluster.profile,
        "lease_name": lease,
        "lease_workload": workload.name,
        "lease_replicas": 4,
        "lease_duration_seconds": SECONDS,
        "lease_reason": REASON,
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return said(cluster, program, "playbooks/lease.yml", "-e", json.dumps(variables), *more)


def by_mcp(cluster: Cluster, workload: Workload, lease: str) -> str:
    options = ("--context", cluster.context, "--namespace", SPACE, "--allow-writes")
    with Stdio(*options, PATH=cluster.environment["PATH"], KUBECONFIG=str(cluster.kubeconfig)) as server:
        asked = {"name": lease, "workload": workload.name, "replicas": 4, "duration_seconds": SECONDS, "reason": REASON}
        told = server.ask("lease_capacity", **asked)
        assert not told.error, told.text
    return told.text


BY: dict[str, Callable[[Cluster, Workload, str], str]] = {
    "kubectl": by_kubectl,
    "command": by_command,
    "playbook": by_playbook,
    "mcp": by_mcp,
}


def live(cluster: Cluster, workload: Workload, door: str) -> Life:
    """One lease, from its request to its restore."""
    life = Life(door=door, lease=f"{workload.name}-{door}", before=workload.autoscaler())
    known = len(workload.records())
    BY[door](cluster, workload, life.lease)
    until(lambda: workload.floor() == 4, 15, pause=0.05)
    until(lambda: ready(workload) == 4, 60)
    life.ready, life.floor = ready(workload), workload.floor()
    if door == "playbook":
        life.again = by_playbook(cluster, workload, life.lease)
    until(lambda: workload.floor() == 2, SECONDS + 30, pause=0.05)
    until(lambda: workload.phase(life.lease) == "Ended" and workload.restored(), 15)
    life.after, life.status = workload.autoscaler(), workload.status(life.lease)
    life.records = workload.records()[known:]
    return life


def ready(workload: Workload) -> int:
    found = workload.client.get(f"/apis/apps/v1/namespaces/{SPACE}/deployments/{workload.name}")
    return int((found.get("status") or {}).get("readyReplicas", 0))


@contextmanager
def lives(cluster: Cluster) -> Iterator[Callable[[], dict[str, Life]]]:
    """Begin them in the background; the call waits for all of them."""
    found: dict[str, Life] = {}
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            with workloads(cluster, 1) as (workload,):
                for door in DOORS:
                    found[door] = live(cluster, workload, door)
                    print(f"lease by {door}: over after {found[door].held:.1f} s", flush=True)
        except BaseException as error:  # noqa: BLE001 - told where the tests ask
            wrong.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def results() -> dict[str, Life]:
        thread.join()
        if wrong:
            raise wrong[0]
        return found

    yield results
    thread.join()
