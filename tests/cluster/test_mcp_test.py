"""`claudescale mcp-test` on the real cluster: every tool answers, a lease comes and goes, and else nothing changes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from tests.cluster.assisted import assisted
from tests.cluster.reliability import add_workload, controller
from tests.cluster.rig import SPACE, Workload, until, workloads
from tests.support import Cluster

pytestmark = pytest.mark.cluster

WRITES = {"lease_capacity", "end_lease", "scale_deployment"}
WITHOUT_PROMETHEUS = {"cluster_status", "get_metrics", "generate_report"}  # these may fail where there is none
# What is written by the cluster itself, whoever does what; pods.metrics.k8s.io are no objects.
FLEETING = {"events", "pods.metrics.k8s.io"}


def start(cluster: Cluster, *arguments: str, namespace: str = SPACE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["claudescale", "--context", cluster.context, "--namespace", namespace, "mcp-test", *arguments, "-o", "json"],
        env=cluster.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    """(exit code, rows, standard error), shown."""
    with process:
        out, err = process.communicate(timeout=240)
    rows: list[dict[str, Any]] = json.loads(out)["calls"] if out.strip() else []
    for row in rows:
        print(f"{row['tool']:<20}{row['asked']:<50}{row['seconds']}  {row['tokens']}  {row['problem'] or 'ok'}")
    print(f"exit code {process.returncode}: {err}", flush=True)
    return process.returncode, rows, err


def names_asked(rows: list[dict[str, Any]]) -> set[str]:
    """The names of the leases that were asked for, dry runs included."""
    return {row["arguments"]["name"] for row in rows if "name" in row["arguments"]}


def speaking_of(workload: Workload, leases: set[str]) -> list[dict[str, Any]]:
    """The records of the workload that name one of these leases."""
    return [one for one in workload.records() if one.get("lease", {}).get("name") in leases]


def wrong(rows: list[dict[str, Any]]) -> set[str]:
    return {row["tool"] for row in rows if not row["ok"]}


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    with workloads(cluster, 1) as (found,):
        yield found


def test_every_tool_passes_and_the_lease_is_gone(cluster: Cluster, workload: Workload) -> None:
    code, rows, err = ended(start(cluster, "--workload", workload.name))
    assert (code, err, wrong(rows)) == (0, "", set())
    listed = int(next(row["asked"] for row in rows if row["tool"] == "(list)").split()[0])
    assert len({row["tool"] for row in rows} - {"(start)", "(list)"}) == listed
    assert {row["tool"] for row in rows} >= {"get_current_state", "lease_capacity", "end_lease"}
    until(workload.restored, 5)
    phases = {name: phase for name in names_asked(rows) if (phase := workload.phase(name))}
    assert sorted(phases.values()) == ["Ended", "Refused"]
    (lease,) = (name for name, phase in phases.items() if phase == "Ended")
    (asked,) = (one for one in speaking_of(workload, {lease}) if one["event"] == "LeaseRequested")
    assert asked["door"] == "claudescale-mcp"


def test_without_scale_every_tool_passes_and_no_lease_was_there(cluster: Cluster, workload: Workload) -> None:
    code, rows, err = ended(start(cluster, "--no-scale", "--workload", workload.name))
    assert (code, err, wrong(rows)) == (0, "", set())
    writing = [row for row in rows if row["tool"] in WRITES]
    assert {row["tool"] for row in writing} >= {"lease_capacity", "end_lease"}
    assert all(row["arguments"]["dry_run"] is True for row in writing)
    assert [name for name in names_asked(rows) if workload.phase(name)] == []
    assert workload.restored()
    assert speaking_of(workload, names_asked(rows)) == []


def test_without_scale_no_object_changes(cluster: Cluster) -> None:
    """In a namespace where nobody else does anything: every object of every kind is compared, records included."""
    with assisted(cluster, "mcp-test") as client:
        workload = add_workload(cluster, client)
        with controller(cluster, client.namespace):
            lease = workload.lease(3, 900)
            until(lambda: workload.phase(lease) == "Active" and workload.floor() == 3, 30)
            before = at_rest(client)
            for kind in ("capacityleases", "scalingpolicies", "scalingrecords"):
                assert any(name.startswith(f"{kind}.claudescale.io/") for name in before), kind
            code, rows, _ = ended(start(cluster, "--no-scale", namespace=client.namespace))
            assert everything(client) == before
    assert wrong(rows) <= WITHOUT_PROMETHEUS
    assert code == (1 if wrong(rows) else 0)
    assert {row["tool"] for row in rows if row["ok"]} >= {"get_current_state", "lease_capacity", "end_lease"}


def test_ctrl_c_in_mid_lease_leaves_no_floor(cluster: Cluster, workload: Workload) -> None:
    until(workload.restored, 5)
    process = start(cluster, "--workload", workload.name)
    try:
        until(lambda: workload.floor() == 3, 60, pause=0.01)
    finally:
        process.send_signal(signal.SIGINT)
        code, rows, err = ended(process)
    assert code == 128 + signal.SIGINT
    assert "is ended now" in err or any(row["asked"] == "the lease" and row["tool"] == "end_lease" for row in rows)
    until(workload.restored, 10)
    assert [name for name in names_asked(rows) if workload.phase(name) == "Active"] == []


def at_rest(client: ClusterClient) -> dict[str, Any]:
    """Everything, once it has stayed the same for two seconds: what a new namespace brings comes by and by."""
    deadline = time.monotonic() + 60
    last = everything(client)
    while True:
        time.sleep(2)
        now = everything(client)
        if now == last:
            return now
        assert time.monotonic() < deadline, "the namespace does not come to rest"
        last = now


def everything(client: ClusterClient) -> dict[str, Any]:
    """Every object of the namespace by its kind and name, without its status and what the API server counts."""
    found = {}
    for kind, path in kinds(client).items():
        for item in client.pages(f"{path}"):
            meta = item.pop("metadata")
            item.pop("status", None)
            kept = ("uid", "labels", "annotations", "ownerReferences", "finalizers", "deletionTimestamp")
            found[f"{kind}/{meta['name']}"] = {**item, "metadata": {key: meta[key] for key in kept if key in meta}}
    return found


def kinds(client: ClusterClient) -> dict[str, str]:
    """Every kind that can be listed in a namespace, as kubectl names it, and its path there."""
    groups = client.get("/apis")["groups"]
    versions = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    found = {}
    for version in versions:
        group = version.split("/")[2] if version.startswith("/apis/") else ""
        for one in client.get(version)["resources"]:
            kind = f"{one['name']}.{group}".rstrip(".")
            if one["namespaced"] and "list" in one["verbs"] and one["name"] not in FLEETING and kind not in FLEETING:
                found[kind] = f"{version}/namespaces/{client.namespace}/{one['name']}"
    return found
