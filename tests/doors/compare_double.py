"""Runs of a comparison as they might have been, small enough to be computed by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from copy import deepcopy
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.load.results import Request
from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import Event, Level, NodeCpu, Run
from claudescale_cli.compare.report import Report, judged

SVG = "{http://www.w3.org/2000/svg}"

# 60 s of 2/s, then 40 s of 10/s; the lease starts at 35 s.
DESIGN = Design(warmup=5, calm_rate=2, launch_rate=10, act=4, launch=60, end=100)

LEVELS = {
    Arm.HPA: ((0, 2, 2, 2), (70, 4, 2, 2), (80, 5, 4, 2), (85, 5, 5, 2)),
    Arm.RAW: ((0, 2, 2, 2), (4, 5, 2, 2), (10, 5, 5, 2), (30, 4, 4, 2), (40, 2, 2, 2), (70, 4, 2, 2), (80, 5, 5, 2)),
    Arm.LEASE: ((0, 2, 2, 2), (35, 5, 2, 5), (42, 5, 5, 5), (99.5, 5, 5, 2)),
}
ACTED = {Arm.HPA: None, Arm.RAW: 4.0, Arm.LEASE: 35.0}
TAKEN = ("SuccessfulRescale: New size: 4; reason: All metrics below target",
         "SuccessfulRescale: New size: 2; reason: All metrics below target")  # fmt: skip
EVENTS = {
    Arm.HPA: ((70.1, "SuccessfulRescale: New size: 4; reason: cpu above target"),),
    Arm.RAW: ((30.2, TAKEN[0]), (40.2, TAKEN[1]), (70.1, "SuccessfulRescale: New size: 4; reason: cpu above target")),
    Arm.LEASE: (),
}


def levels(*four: tuple[float, int, int, int]) -> tuple[Level, ...]:
    return tuple(Level(seconds=at, wanted=wanted, ready=ready, floor=floor) for at, wanted, ready, floor in four)


def cpu(share: float = 0.5, node: str = "node", start: int = 40, end: int = 120) -> NodeCpu:
    """Two cores, evenly busy, looked at each 10 s."""
    return NodeCpu(node=node, cores=2.0, points=tuple((float(at), at * 2 * share) for at in range(start, end, 10)))


def requests(slow: int = 0, failed: int = 0, *, unsent: int = 0, design: Design = DESIGN) -> tuple[Request, ...]:
    """The load of a design: the first of the launch are slow (1 s), the next failed (503), the last were not sent."""
    due = [count / design.calm_rate for count in range(1, design.calm_rate * design.launch + 1)]
    launch = design.end - design.launch
    found = [Request(at=at, latency=0.01, code=200) for at in due]
    planned = design.launch_rate * launch
    for count in range(1, planned + 1):
        at = round(design.launch + count / design.launch_rate, 4)
        if count <= slow:
            found.append(Request(at=at, latency=1.0, code=200))
        elif count <= slow + failed:
            found.append(Request(at=at, latency=0.003, code=503))
        elif count > planned - unsent:
            found.append(Request(at=at, latency=None, code=0, sent=False))
        else:
            found.append(Request(at=at, latency=0.02, code=200))
    return tuple(found)


def run(arm: Arm, number: int = 1, attempt: int = 1, **changes: Any) -> Run:
    """A run of an arm, judged; half of the launch is bad without a lease."""
    facts: dict[str, Any] = {
        "began": "2026-11-24T20:00:00Z",
        "requests": requests(*((0, 0) if arm is Arm.LEASE else (100, 100))),
        "levels": levels(*LEVELS[arm]),
        "events": tuple(Event(seconds=at, words=words) for at, words in EVENTS[arm]),
        "cpu": (cpu(),),
        "acted": ACTED[arm],
        "lease": {"name": "compare-1"} if arm is Arm.LEASE else {},
    }
    return judged(Run(arm=arm, number=number, attempt=attempt, **{**facts, **changes}), DESIGN)


def report(*runs: Run, **changes: Any) -> Report:
    """A report of these runs; of one run of each arm without any."""
    found = runs or tuple(run(arm) for arm in Arm)
    facts: dict[str, Any] = {
        "design": DESIGN,
        "seed": 7,
        "wanted": 1,
        "runs": found,
        "place": "demo-app",
        "machine": {},
    }
    return Report(**{**facts, **changes})


def demo_app(
    *, env: list[dict[str, Any]] | None = None, limits: dict[str, str] | None = None, replicas: int = 2
) -> dict[str, Any]:
    """The Deployment at rest, as the API server has it."""
    worker = {
        "name": "worker",
        "image": "claudescale/load:1",
        "env": env or [{"name": "WORK_CPU_MS", "value": "5"}, {"name": "WARMUP_SECONDS", "value": "0"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": limits or {"cpu": "400m", "memory": "128Mi"}},
    }
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        "metadata": {"name": "demo-app", "uid": "d", "resourceVersion": "7", "generation": 4, "managedFields": []},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "nginx"}, worker]}}},
        "status": {"observedGeneration": 4, **dict.fromkeys(counts, replicas)},
    }


def patched(found: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """What a JSON patch makes of an object; AssertionError where a test of it fails."""
    whole = deepcopy(found)
    for operation in operations:
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
        place: Any = whole
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key: Any = int(last) if isinstance(place, list) else last
        if operation["op"] == "test":
            assert place[key] == operation["value"], f"test of {operation['path']}"
        elif operation["op"] == "remove":
            del place[key]
        else:
            assert operation["op"] == "replace"
            assert place[key] is not None
            place[key] = deepcopy(operation["value"])
    return whole


def words(drawn: str) -> list[str]:
    """The texts of a picture, in its order."""
    root = ET.fromstring(drawn)
    return [" ".join("".join(one.itertext()).split()) for one in root.iter(f"{SVG}text")]
