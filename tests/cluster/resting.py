"""The demo app at rest: what a person configured, whether it rests, and what others watch and interrupt meanwhile."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.cluster.rig import SPACE
from tests.support import Cluster, running

Value = TypeVar("Value")

REST_SECONDS = 420


def state(cluster: Cluster) -> dict[str, Any]:
    """What a person configured, and who owns it; of minReplicas nobody need be the owner after a lease."""
    hpa = cluster.get("hpa", "demo-app-hpa", "--namespace", SPACE, "--show-managed-fields")
    app = cluster.get("deployment", "demo-app", "--namespace", SPACE)
    floor_alone = {"f:spec": {"f:minReplicas": {}}}
    owners = [
        (one["manager"], one.get("subresource"))
        for one in hpa["metadata"]["managedFields"]
        if one["fieldsV1"] != floor_alone
    ]
    return {
        "autoscaler": hpa["spec"],
        "labels": hpa["metadata"].get("labels"),
        "annotations": hpa["metadata"].get("annotations"),
        "owners": sorted(owner for owner in owners if owner[1] != "status"),
        "workload": app["spec"],
        "workload's annotations": app["metadata"]["annotations"],
    }


def at_rest(cluster: Cluster) -> bool:
    hpa = cluster.get("hpa", "demo-app-hpa", "--namespace", SPACE)["status"]
    app = cluster.get("deployment", "demo-app", "--namespace", SPACE)
    ready, replicas = app["status"].get("readyReplicas"), app["spec"]["replicas"]
    return {hpa["currentReplicas"], hpa["desiredReplicas"], ready, replicas} == {2} and bool(hpa.get("currentMetrics"))


def open_leases(cluster: Cluster) -> list[str]:
    found = cluster.get("capacityleases", "--namespace", SPACE)["items"]
    return [
        one["metadata"]["name"]
        for one in found
        if one["spec"]["workloadRef"]["name"] == "demo-app"
        and (one.get("status") or {}).get("phase") in (None, "Pending", "Active")
    ]


def servers(cluster: Cluster) -> list[str]:
    """MCP servers of this cluster that run on this machine."""
    return [line for line in running() if f"claudescale_mcp --context {cluster.context} " in line]


@contextmanager
def sighted(
    cluster: Cluster,
    into: list[tuple[float, Value]],
    what: Sequence[str],
    template: str,
    *,
    read: Callable[[str], Value],
    space: str = SPACE,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Note what kubectl's watch of a field shows, each change once, with its time."""
    command = ["kubectl", "--context", cluster.context, "--namespace", space, "get", *what, "--watch", "-o",
               rf'jsonpath={template}{{"\n"}}']  # fmt: skip
    leaving = threading.Event()

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            env=cluster.environment,
        )  # fmt: skip

    watching = [begin()]

    def follow() -> None:
        while True:
            process = watching[-1]
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    value = read(line.strip())
                    if not into or into[-1][1] != value:
                        into.append((clock(), value))
            process.wait()
            # The API server ends each watch after half an hour to an hour; a new one begins with what stands.
            if leaving.wait(0.1):
                return
            watching.append(begin())

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        while thread.is_alive():
            watching[-1].terminate()
            thread.join(timeout=1)


def interrupted(
    cluster: Cluster, command: list[str], words: str, number: signal.Signals, *, seconds: float
) -> tuple[int, str]:
    """(exit code, what it printed afterwards) of a command that gets a signal when it has printed these words."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment
    ) as process:
        assert process.stdout is not None
        for said in process.stdout:
            print(said, end="", flush=True)
            if words in said:
                break
        process.send_signal(number)
        rest, _ = process.communicate(timeout=seconds)
    print(rest)
    return process.returncode, rest
