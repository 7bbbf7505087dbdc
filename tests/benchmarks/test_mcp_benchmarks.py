"""What the MCP server costs on a namespace of 500 pods: tokens, seconds, memory; and a well-known server beside it.

docs/benchmarks.md tells how it is measured, and holds the tables that this prints.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from claudescale_cli.mcp_test.arguments import required

from tests.benchmarks import peer
from tests.benchmarks.figures import STALL_FACTOR
from tests.benchmarks.servers import MEMORY_CALLS, ROUNDS, STARTS, Figures, Server, measured, p99, tokens
from tests.cluster.assisted import assisted
from tests.cluster.reliability import add_workload, controller
from tests.cluster.rig import SPACE, Workload, until
from tests.doors.mcp_double import Told
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

PODS = 500
WORKLOADS = 4
NOBODY = "nobody"  # a scheduler that is not there, so that the pods stay Pending

LIST_TOKENS = 5000
ANSWER_TOKENS = 2500
STATE_SECONDS = 0.1  # median
START_SECONDS = 2.0  # median
WRITES = ("lease_capacity", "end_lease", "scale_deployment")


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """A namespace with WORKLOADS workloads, a lease of the assistant's for each, and PODS pods."""

    client: ClusterClient
    workloads: list[Workload]
    leases: list[str]
    pods: list[str]


@dataclass(kw_only=True)
class Measured:
    """Both servers on one crowd; `answers`: our tools' default answers by namespace, tool and what was asked."""

    ours: Figures
    theirs: Figures
    answers: dict[str, dict[tuple[str, str], Told]] = field(default_factory=dict)


def command(cluster: Cluster, namespace: str) -> list[str]:
    where = ["--context", cluster.context, "--namespace", namespace]
    return [sys.executable, "-m", "claudescale_mcp", *where, "--allow-writes"]


def environment(cluster: Cluster) -> dict[str, str]:
    """As little as a client gives."""
    return {"PATH": cluster.environment["PATH"], "KUBECONFIG": str(cluster.kubeconfig)}


@pytest.fixture(scope="module")
def crowd(cluster: Cluster) -> Iterator[Crowd]:
    with assisted(cluster, "bench") as client:
        rig = [add_workload(cluster, client) for _ in range(WORKLOADS)]
        with controller(cluster, client.namespace):
            leases = leased(cluster, rig)
        pods = [pod(rig[number % WORKLOADS].name, number) for number in range(PODS)]
        path = f"/api/v1/namespaces/{client.namespace}"
        until(lambda: client.find(f"{path}/serviceaccounts/default"), 30)  # without it no pod is let in
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            names = list(pool.map(lambda one: str(client.create(f"{path}/pods", one)["metadata"]["name"]), pods))
        print(f"{PODS} pods in {client.namespace} after {time.monotonic() - began:.1f} s", flush=True)
        yield Crowd(client=client, workloads=rig, leases=leases, pods=names)


def leased(cluster: Cluster, rig: list[Workload]) -> list[str]:
    """A lease for each workload, by the tool; AssertionError where a floor does not stand."""
    found = []
    with Server(command(cluster, rig[0].namespace), environment(cluster)) as server:
        for workload in rig:
            name = f"bench-{uuid.uuid4().hex[:6]}"
            wish = {"name": name, "workload": workload.name, "replicas": 3, "duration_seconds": 3600}
            told = server.ask("lease_capacity", **wish, reason="launch at 20:00, three times the usual traffic")
            assert told.facts.get("floor_stands"), told
            found.append(name)
    return found


def pod(app: str, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{app}-{number:03}-{uuid.uuid4().hex[:5]}", "labels": {"app": app}},
        "spec": {
            "schedulerName": NOBODY,
            "containers": [{"name": "app", "image": "claudescale/none:1", "resources": {"requests": {"cpu": "50m"}}}],
        },
    }


@pytest.fixture(scope="module")
def found(cluster: Cluster, crowd: Crowd, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("peer")
    namespace = crowd.client.namespace
    program, theirs = peer.binary(), peer.kubeconfig(cluster, folder / "kubeconfig")
    result = Measured(
        ours=measured("claudescale", command(cluster, namespace), environment(cluster), [("get_current_state", {})]),
        theirs=measured(
            f"{peer.NAME} {peer.version()}",
            [str(program), "--kubeconfig", str(theirs)],
            {"PATH": os.environ["PATH"], "HOME": str(folder)},
            [
                ("pods_list_in_namespace", {"namespace": namespace}),
                ("resources_list", {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace}),
                (
                    "resources_list",
                    {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "namespace": namespace},
                ),
            ],
        ),
    )
    for place, workload, lease in ((namespace, crowd.workloads[0].name, crowd.leases[0]), (SPACE, "demo-app", None)):
        with Server(command(cluster, place), environment(cluster)) as server:
            result.answers[place] = answers(server, result.ours.tools, workload, lease)
    show(result, namespace)
    return result


def answers(
    server: Server, tools: list[dict[str, Any]], workload: str, lease: str | None
) -> dict[tuple[str, str], Told]:
    """Each tool's answer to what it requires; of the writing ones, where there is a lease, to dry runs."""
    result = {}
    wish = {"name": "bench-dry", "workload": workload, "replicas": 4, "reason": "launch at 20:00", "dry_run": True}
    for tool in tools:
        name, schema = tool["name"], tool["inputSchema"]
        if tool["annotations"]["readOnlyHint"]:
            result[name, "default"] = server.ask(name, **required(schema, {"workload": workload}))
        elif lease is not None:
            given = wish if name != "end_lease" else {"name": lease, "dry_run": True}
            result[name, "dry run"] = server.ask(name, **{**required(schema, given), **given})
    if lease is not None:
        result["lease_capacity", "dry run, refused"] = server.ask("lease_capacity", **{**wish, "replicas": 500})
    return result


def show(result: Measured, crowded: str) -> None:
    """The tables, as docs/benchmarks.md keeps them."""
    both = (result.ours, result.theirs)
    load = os.getloadavg()[0]
    print(f"\n{PODS} pods, {ROUNDS} rounds back to back, {STARTS} starts, {os.cpu_count()} cores, load {load:.1f}\n")
    row("server", "start, s", "tools", "list, tokens", "MiB after start", f"MiB after {MEMORY_CALLS} calls")
    row(*["---"] * 6)
    for one in both:
        row(one.name, f"{statistics.median(one.starts):.2f}", len(one.tools), f"{one.list_tokens:,}", *one.memory)
    print()
    row("what runs here, and who holds its count", "calls", "tokens", "p50, ms", "p99, ms")
    row(*["---"] * 5)
    for one in both:
        row(one.name, len(one.asked), f"{one.tokens:,}", *times(one.whole))
        if len(one.asked) > 1:
            for asked in one.asked:
                tool, given = asked.call
                row(f"its {tool} {given.get('kind', '')}".rstrip(), 1, f"{asked.tokens:,}", *times(asked.seconds))
    print()
    row("tool", "asked", f"tokens, {PODS} pods", "tokens, the demo")
    row(*["---"] * 4)
    places = (result.answers[crowded], result.answers[SPACE])
    for tool, what in dict.fromkeys(key for place in places for key in place):
        row(tool, what, *(said(place, (tool, what)) for place in places))
    print(flush=True)


def row(*cells: object) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |")


def times(seconds: list[float]) -> tuple[str, str]:
    return f"{statistics.median(seconds) * 1000:.0f}", f"{p99(seconds) * 1000:.0f}"


def said(place: Mapping[tuple[str, str], Told], key: tuple[str, str]) -> str:
    """An error is no answer to measure: where Prometheus is not in the namespace, for example."""
    if key not in place:
        return ""
    return "an error" if place[key].error else f"{tokens(place[key]):,}"


def test_both_saw_the_same(found: Measured, crowd: Crowd) -> None:
    """The questions are one: every pod, Deployment and autoscaler is in both answers, ours counted, theirs by name."""
    state = found.ours.asked[0].last
    assert state is not None
    assert sum(one["pods"]["count"] for one in state.facts["workloads"]) == PODS
    names = {f"Deployment/{workload.name}" for workload in crowd.workloads}
    assert {one["workload"] for one in state.facts["workloads"]} == names
    pods, deployments, autoscalers = (one.last.text for one in found.theirs.asked if one.last is not None)
    assert [name for name in crowd.pods if name not in pods] == []
    assert [one.name for one in crowd.workloads if one.name not in deployments or one.name not in autoscalers] == []


def test_the_list_is_small(found: Measured) -> None:
    assert found.ours.list_tokens < LIST_TOKENS


def test_every_default_answer_is_small(found: Measured) -> None:
    large = [
        (place, tool, what, tokens(told))
        for place, answered in found.answers.items()
        for (tool, what), told in answered.items()
        if tokens(told) >= ANSWER_TOKENS
    ]
    assert large == []


def test_every_answer_that_was_measured_is_one(found: Measured, crowd: Crowd) -> None:
    """In the demo's namespace every reading tool has one; in the crowd's those that need no Prometheus."""
    assert {key: told.text for key, told in found.answers[SPACE].items() if told.error} == {}
    crowded = found.answers[crowd.client.namespace]
    needed = [key for key in crowded if key[0] in ("get_current_state", "get_records", *WRITES)]
    assert {key: crowded[key].text for key in needed if crowded[key].error} == {}
    assert crowded["lease_capacity", "dry run, refused"].facts["outcome"] == "WouldBeRefused"


def test_in_time(found: Measured) -> None:
    """The aims are for a machine that does nothing else, so only far beyond them is a failure."""
    median, start = statistics.median(found.ours.whole), statistics.median(found.ours.starts)
    print(f"state read: median {median * 1000:.0f} ms, aim {STATE_SECONDS * 1000:.0f}")
    print(f"start: median {start:.2f} s, aim {START_SECONDS:.0f}", flush=True)
    assert median <= STALL_FACTOR * STATE_SECONDS
    assert start <= STALL_FACTOR * START_SECONDS
