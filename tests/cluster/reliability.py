"""What the fault cases share: namespaces of their own, controllers as processes of the host, and what "right" means."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.record.verify import verify

from tests.cluster.rig import LEASES, MANAGER, PATHS, RECORDS, Workload, connect, image_of, manifests, until
from tests.support import ROOT, Cluster

RIGHT_SECONDS = 10.0  # base and floor are right so soon after things are well again
CONTROLLER_ROLE = "claudescale:claudescale:controller"


@dataclass
class Table:
    """The rows that are printed at the end, as docs/reliability.md keeps them."""

    rows: list[tuple[str, str, float]] = field(default_factory=list)

    def add(self, group: str, case: str, seconds: float) -> None:
        """How long after things were well again base and floor were right."""
        self.rows.append((group, case, seconds))
        print(f"{group}: {case}: right after {seconds:.1f} s", flush=True)

    def show(self) -> None:
        print("\n| fault | case | right after, seconds |\n|---|---|---|")
        for group, case, seconds in self.rows:
            print(f"| {group} | {case} | {seconds:.1f} |")


def attach(cluster: Cluster, namespace: str) -> ClusterClient:
    """A namespace that the controller's account may work in; a client of the person's for it."""
    client = connect(cluster, namespace)
    client.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "claudescale-controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CONTROLLER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": "claudescale-controller", "namespace": "claudescale"}],
    }
    client.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)
    return client


def add_workload(cluster: Cluster, client: ClusterClient, **shape: Any) -> Workload:
    """A workload whose Deployment is paused, so that it makes no pods."""
    workload = Workload(client=client, name=f"rig-{uuid.uuid4().hex[:6]}", namespace=client.namespace)
    for manifest in manifests(workload.name, image_of(cluster), paused=True, **shape):
        client.create(PATHS[manifest["kind"]].format(client.namespace), manifest, field_manager=MANAGER)
    return workload


@contextmanager
def lone_workload(cluster: Cluster) -> Iterator[Workload]:
    """A workload in a namespace of its own, which goes afterwards (nobody waits for that)."""
    client = attach(cluster, f"rig-{uuid.uuid4().hex[:8]}")
    try:
        yield add_workload(cluster, client)
    finally:
        client.delete(f"/api/v1/namespaces/{client.namespace}")


@dataclass
class Process:
    """A controller on this host. `well` is the monotonic second from which it could do its work."""

    process: subprocess.Popen[bytes]
    log: Path
    well: float

    def killed(self, seconds: float) -> bool:
        """Whether it was killed within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)
        return self.process.returncode == -9


@contextmanager
def controller(cluster: Cluster, namespace: str, *options: str) -> Iterator[Process]:
    """A controller for one namespace, until the block ends."""
    with tempfile.NamedTemporaryFile(suffix=".log", delete=False) as log:
        command = [sys.executable, "-m", "tests.cluster.killable", "--context", cluster.context]
        where = ["--kubeconfig", str(cluster.kubeconfig), "--namespaces", namespace]
        process = subprocess.Popen(
            [*command, *where, *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=cluster.environment,
        )
    try:
        yield Process(process=process, log=Path(log.name), well=time.monotonic())
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=20)
        Path(log.name).unlink()


def is_right(workload: Workload, lease: str, *, base: int = 2, raised: int = 4) -> bool:
    """Whether floor and base are what the lease's time wants now."""
    found = workload.client.find(f"{LEASES.format(workload.namespace)}/{lease}")
    if found is None:
        return workload.restored(base)
    status = found.get("status") or {}
    if "endTime" not in status:
        return False
    if time.time() < moments.parse(status["endTime"]) and not found["spec"].get("ended"):
        return workload.floor() == raised
    return workload.restored(base) and status["phase"] in ("Ended", "Failed")


def seconds_until_right(workload: Workload, lease: str, well: float, *, patience: float = 30.0) -> float:
    """Seconds from `well` (monotonic) until it is right; AssertionError beyond RIGHT_SECONDS."""
    until(lambda: is_right(workload, lease), patience, pause=0.05)
    seconds = max(time.monotonic() - well, 0.0)
    assert seconds <= RIGHT_SECONDS, f"right only after {seconds:.1f} s"
    return seconds


def check_chain(client: ClusterClient) -> int:
    """The namespace's chain is whole, and begins in this namespace; how many records it has."""
    uid = client.get(f"/api/v1/namespaces/{client.namespace}")["metadata"]["uid"]
    result = verify(list(client.pages(RECORDS.format(client.namespace))), namespace_uid=uid)
    assert result.broken is None, str(result.broken)
    return result.count


def check_records(workload: Workload, lease: str) -> None:
    """Every raise has its record before it, no decision is recorded twice, and nothing stays open."""
    told = workload.records()
    asked = [one for one in told if one["event"] == "LeaseRequested" and one["lease"]["name"] == lease]
    assert len(asked) == 1, told
    intents = [one["sequence"] for one in told if one["event"] == "FloorIntended"]
    closed = [one["of"] for one in told if one["event"] == "FloorWritten" and "of" in one]
    assert sorted(intents) == sorted(closed), told
    assert [one["cause"] for one in told if one["event"] == "LeaseEnded"] in (
        ["Expired"],
        ["EndedEarly"],
        ["NeverStood"],
    )


def ended(workload: Workload, lease: str, seconds: float = 30) -> None:
    """Wait until the lease is over and recorded."""
    until(lambda: workload.phase(lease) in ("Ended", "Failed"), seconds)
    until(workload.restored, 5)


def signal_controller(cluster: Cluster, name: str) -> None:
    """A signal to the controller's process in its pod, from the node, whose container sees all processes."""
    command = ["docker", "exec", cluster.profile, "pkill", f"-{name}", "-f", "module_utils.controller"]
    subprocess.run(command, env=cluster.environment, capture_output=True, check=True)
