"""Whatever fails, base and floor are right within ten seconds after things are well again, and the chain verifies.

The controller runs as a process of this host, against the real API server: killed by SIGKILL before and after every
call of its worker, two at once, behind a proxy that refuses, cuts and falls silent, with a clock that is an hour off.
Prints the table that docs/reliability.md keeps.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments

from tests.cluster.faulty_proxy import Proxy, is_write, proxy
from tests.cluster.reliability import (
    Table,
    check_chain,
    check_records,
    controller,
    ended,
    lone_workload,
    seconds_until_right,
)
from tests.cluster.rig import AUTOSCALERS, Workload, until, watched
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

LEASE_SECONDS = 4
AT_ONCE = 4  # kills side by side: each waits most of its time
LIVES = 3  # for a call that not every life has
START_SECONDS = 20.0  # for a process of the host, on a busy machine


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.show()


def calls_of_one_life(cluster: Cluster, folder: Path) -> list[str]:
    """Every call that the worker makes from its start to a lease's end, in order."""
    file = folder / "calls"
    with lone_workload(cluster) as workload, controller(cluster, workload.namespace, "--calls", str(file)):
        until(lambda: file.exists() and "create scalingrecords" in file.read_text(), START_SECONDS)
        lease = workload.lease(4, LEASE_SECONDS)
        ended(workload, lease)
        check_records(workload, lease)
    return file.read_text().splitlines()


def killed_at(cluster: Cluster, number: int, when: str, begins: int) -> float | None:
    """Kill a controller at its call, start another one; seconds until base and floor were right again.

    `begins`: its first call after it has begun the chain. None where one life of a lease did not come to that call:
    how often it looks depends on when the API server's news come.
    """
    with lone_workload(cluster) as workload:
        with controller(cluster, workload.namespace, "--kill-at", str(number), "--when", when) as doomed:
            if number >= begins:
                until(lambda: chain_has_begun(workload), START_SECONDS)
            lease = workload.lease(4, LEASE_SECONDS)
            if not doomed.killed(LEASE_SECONDS + 3 if number >= begins else START_SECONDS):
                return None
        with controller(cluster, workload.namespace) as second:
            seconds = seconds_until_right(workload, lease, second.well)
            ended(workload, lease)
        check_records(workload, lease)
        check_chain(workload.client)
    return seconds


def test_killed_before_and_after_every_call(cluster: Cluster, table: Table, tmp_path: Path) -> None:
    calls = calls_of_one_life(cluster, tmp_path)
    kinds = set(calls)
    for call in ("create scalingrecords", "patch horizontalpodautoscalers/NAME", "patch capacityleases/NAME/status"):
        assert call in kinds, kinds
    assert any(call.startswith("patch deployments/NAME/scale") for call in calls), calls
    print(f"{len(calls)} calls in one life of a lease:", *calls, sep="\n  ", flush=True)
    begins = calls.index("create scalingrecords") + 2
    cases = [(number, when) for number in range(1, len(calls) + 1) for when in ("before", "after")]

    def tried(case: tuple[int, str]) -> float | None:
        return next((seconds for _ in range(LIVES) if (seconds := killed_at(cluster, *case, begins)) is not None), None)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(tried, cases))
    for (number, when), seconds in zip(cases, found, strict=True):
        call = calls[number - 1]
        assert seconds is not None or call.startswith("find"), f"no life came to call {number}, {call}"
        if seconds is not None:
            table.add("SIGKILL", f"{when} call {number}, {call}", seconds)


def test_two_controllers_at_once(cluster: Cluster, table: Table) -> None:
    with lone_workload(cluster) as workload:
        with controller(cluster, workload.namespace) as one, controller(cluster, workload.namespace):
            leases = [workload.lease(replicas, LEASE_SECONDS) for replicas in (3, 4, 5)]
            until(lambda: workload.floor() == 5, START_SECONDS)
            for lease in leases:
                ended(workload, lease)
            seconds = seconds_until_right(workload, leases[-1], max(one.well, time.monotonic()))
        told = workload.records()
        assert [one["event"] for one in told].count("FloorRestored") == 1, told
        for lease in leases:
            asked = [
                one for one in told if one["event"] == "LeaseRequested" and one["lease"]["name"] == lease
            ]  # fmt: skip
            assert len(asked) == 1
        check_chain(workload.client)
    table.add("two controllers", "three leases", seconds)


def test_two_controllers_and_a_busy_workload(cluster: Cluster, table: Table) -> None:
    """A floor goes down only when its last lease is over, whichever of the two looks first."""
    path = AUTOSCALERS
    with lone_workload(cluster) as workload, watched(workload.client, path.format(workload.namespace)) as seen:
        with controller(cluster, workload.namespace), controller(cluster, workload.namespace):
            until(lambda: chain_has_begun(workload), START_SECONDS)
            time.sleep(2)  # both are there
            began = time.monotonic()
            last = ""
            for _ in range(10):
                last = workload.lease(4, 6)
                time.sleep(0.7)
            ended(workload, last)
        floors = [2] + [item["spec"]["minReplicas"] for at, _, _, item in seen.events if at >= began]
        ups = [pair for pair in itertools.pairwise(floors) if pair[0] < pair[1]]
        assert len(ups) == 1, f"the floor went up and down: {floors}"
        check_chain(workload.client)
    table.add("two controllers", "ten leases that overlap", 0.0)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What the proxy does to a request until it is lifted; `most` requests at most (0: all of them)."""

    name: str
    does: Callable[[str, str], str | None]
    most: int = 0


def every(kind: str, what: str) -> Callable[[str, str], str | None]:
    return lambda method, path: kind if is_write(method, path, what) else None


def watching(kind: str) -> Callable[[str, str], str | None]:
    return lambda method, path: kind if method == "GET" and "watch=true" in path else None


HPA, RECORD, STATUS, SCALE = "horizontalpodautoscalers", "scalingrecords", "/status", "/scale"
FAULTS = (
    Fault(name="409 on the autoscaler's patch, three times", does=every("409", HPA), most=3),
    Fault(name="409 on a record, three times", does=every("409", RECORD), most=3),
    Fault(name="500 on every write", does=every("500", ".")),
    Fault(name="429 on every write", does=every("429", ".")),
    Fault(name="500 on records alone", does=every("500", RECORD)),
    Fault(name="500 on the scale", does=every("500", SCALE)),
    Fault(name="500 on statuses", does=every("500", STATUS)),
    Fault(name="the autoscaler's patch done, its answer cut, twice", does=every("cut", HPA), most=2),
    Fault(name="a record written, its answer cut, twice", does=every("cut", RECORD), most=2),
    Fault(name="every request cut", does=lambda _method, _path: "cut"),
    Fault(name="writes fall silent (half-open)", does=every("silent", ".")),
    Fault(name="410 on watches", does=watching("410")),
    Fault(name="watches cut", does=watching("cut")),
    Fault(name="watches fall silent", does=lambda method, path: "silent" if method == "WATCHING" else None),
    Fault(name="500 on everything", does=lambda _method, _path: "500"),
)
FAULT_SECONDS = LEASE_SECONDS + 3  # from before the lease's creation to after its end


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
@pytest.mark.parametrize("begins", ["before the lease", "during the lease"], ids=lambda text: text.replace(" ", "-"))
def test_api_server_fails_for_a_while(cluster: Cluster, table: Table, fault: Fault, begins: str) -> None:
    with lone_workload(cluster) as workload, proxy(workload.client) as between:

        def faulty(method: str, path: str) -> str | None:
            kind = fault.does(method, path)
            return kind if kind and (not fault.most or len(between.injected) < fault.most) else None

        with controller(cluster, workload.namespace, "--proxy", between.url) as one:
            until(lambda: chain_has_begun(workload), START_SECONDS)
            if begins == "before the lease":
                break_from_now(between, faulty)
                time.sleep(0.2)
            lease = workload.lease(4, LEASE_SECONDS)
            if begins == "during the lease":
                until(lambda: workload.floor() == 4, START_SECONDS)
                break_from_now(between, faulty)
            time.sleep(FAULT_SECONDS)
            assert begins == "before the lease" or "records" not in fault.name or workload.floor() == 2
            between.lift()
            seconds = seconds_until_right(workload, lease, max(one.well, time.monotonic()))
            ended(workload, lease)
        # Where the pods stand already, nothing may ask for the scale any more.
        may_be_missed = begins == "during the lease" and fault.name == "500 on the scale"
        assert between.injected or may_be_missed, "the fault was never met"
        check_chain(workload.client)
    table.add("API server", f"{fault.name}, begins {begins}", seconds)


def break_from_now(between: Proxy, fault: Callable[[str, str], str | None]) -> None:
    """Requests meet the fault, and so do watches that are open: they end, or nothing comes of them any more."""
    between.fault = fault
    if fault("GET", "?watch=true"):
        between.end_watches()


def chain_has_begun(workload: Workload) -> bool:
    """Whether a controller has begun the namespace's chain: it watches then."""
    path = f"/apis/claudescale.io/v1alpha1/namespaces/{workload.namespace}/scalingrecords/record-0000000000"
    return workload.client.find(path) is not None


@pytest.mark.parametrize("offset", [3600, -3600], ids=["an-hour-ahead", "an-hour-behind"])
def test_the_controllers_clock_is_an_hour_off(cluster: Cluster, table: Table, offset: int) -> None:
    with lone_workload(cluster) as workload:
        with controller(cluster, workload.namespace, "--clock-offset", str(offset)):
            until(lambda: chain_has_begun(workload), START_SECONDS)
            start = time.time() + 4
            lease = workload.lease(4, LEASE_SECONDS, startTime=moments.text(start))
            until(lambda: workload.phase(lease) == "Pending", 10)
            while workload.floor() == 2:
                assert time.time() < start + 3
            raised = time.time()
            assert raised >= start - 0.05, f"started {start - raised:.2f} s early"
            end = start + LEASE_SECONDS
            while workload.floor() == 4:
                assert time.time() < end + 3
            lowered = time.time()
            assert lowered >= end - 0.05, f"ended {end - lowered:.2f} s early"
            ended(workload, lease)
        check_records(workload, lease)
        check_chain(workload.client)
    print(
        f"clock {offset:+d} s: started {raised - start:.2f} s, ended {lowered - end:.2f} s after its time", flush=True
    )
    table.add("clock", f"{offset:+d} s", lowered - end)
