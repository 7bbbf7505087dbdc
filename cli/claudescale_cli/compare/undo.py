"""What a comparison has done so far, and how all of it is put back, however the comparison ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door, is_over
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import scaling
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun

from claudescale_cli.common import plain
from claudescale_cli.compare import fitting
from claudescale_cli.compare.fitting import FIELD_MANAGER, Fit
from claudescale_cli.live.conditions import WORKLOAD, read_autoscaler
from claudescale_cli.live.ending import LATE_SECONDS, end
from claudescale_cli.live.scale import scale_path, write_scale

FLOOR_SECONDS = 15.0
CALM_SECONDS = 90.0  # for the autoscaler to see that the load is gone
LATE_FIGURES = 35.0  # what the autoscaler knows is so old at most: two rounds of metrics, and its own look
ROLLOUT_SECONDS = 120.0
PAUSE_SECONDS = 1.0
TRIES = 6
Say = Callable[[str], None]


@dataclass
class Trace:
    """What was touched, and what was there before. `leases` are names, noted before they are asked for."""

    autoscaler: str = ""
    base: int = 0
    asked: int = 0
    deployment: dict[str, Any] = field(default_factory=dict)  # as it was found
    sets: set[str] = field(default_factory=set)  # UIDs of the ReplicaSets that were there
    ours: Fit | None = None  # noted before it is written
    load: LoadRun | None = None
    loaded: bool = False  # whether there ever was a load, or a write to the scale
    hot: bool = False  # whether the launch's load was sent, and the autoscaler may not have seen all of it yet
    leases: list[str] = field(default_factory=list)

    @property
    def touched(self) -> bool:
        """Whether anything may have to be put back."""
        return self.ours is not None or self.loaded or bool(self.leases)


def deployment_path(cluster: ClusterClient) -> str:
    """Where the workload is."""
    return f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{WORKLOAD}"


def replica_sets(cluster: ClusterClient) -> list[dict[str, Any]]:
    """The ReplicaSets of the namespace."""
    return cluster.items(f"/apis/apps/v1/namespaces/{cluster.namespace}/replicasets")


def put_back(cluster: ClusterClient, trace: Trace, say: Say) -> list[str]:
    """End load and leases, then restore the workload and its scale, as they were found.

    Each thing done is said; returned are the sentences about what could not be done.
    """
    problems: list[str] = []
    for step in (_end_load, _end_leases, _values, _scale, _rollout, _owners, _sets):
        try:
            step(cluster, trace, say)
        except ClaudeScaleError as error:
            problems.append(plain(str(error)))
            say(f"not all could be put back: {problems[-1]}")
    return problems


def _end_load(_cluster: ClusterClient, trace: Trace, say: Say) -> None:
    if trace.load is None or not trace.load.name:
        return
    trace.load.stop()
    say(f"load {trace.load.name} is ended")
    trace.load = None


def _end_leases(cluster: ClusterClient, trace: Trace, say: Say) -> None:
    if trace.leases:
        time.sleep(LATE_SECONDS)
    door = Door(cluster, FIELD_MANAGER)
    for name in trace.leases:
        found = Reader(cluster).lease(name)
        if found is None or is_over(found):
            continue
        if not end(door, name, FLOOR_SECONDS):
            raise ClaudeScaleError(f"lease {name} is told to end, and the controller has not done it yet")
        say(f"lease {name} is ended")
    if trace.leases and not _until(lambda: _floor(cluster, trace) <= trace.base, FLOOR_SECONDS):
        raise ClaudeScaleError(f"the floor of {trace.autoscaler} is still up: claudescale status shows why")


def _values(cluster: ClusterClient, trace: Trace, say: Say) -> None:
    if trace.ours is None:
        return
    before = fitting.fit_of(trace.deployment)
    for attempt in range(TRIES):
        now = cluster.get(deployment_path(cluster))
        operations = fitting.values_back(now, trace.ours, before)
        if not operations:
            break
        try:
            cluster.patch(deployment_path(cluster), operations, kind="json", field_manager=FIELD_MANAGER)
        except ApiError as error:
            if error.status not in (409, 422) or attempt == TRIES - 1:
                raise
    if others := fitting.strangers(now, trace.ours, before):
        raise ClaudeScaleError(
            f"somebody else changed {' and '.join(others)} of {WORKLOAD} meanwhile, which is left alone"
        )
    say(f"{WORKLOAD} has its settings again: {before.words}")


def _scale(cluster: ClusterClient, trace: Trace, say: Say) -> None:
    if not trace.loaded:
        return
    if trace.hot:
        say(f"waiting until {trace.autoscaler} sees no load any more, or it would scale once more")
        calm = Resting(lambda: _calm(cluster, trace))
        if not _until(lambda: calm(LATE_FIGURES), CALM_SECONDS):
            say(f"{trace.autoscaler} still sees load after {CALM_SECONDS:.0f} s: it may scale once more by itself")
    now = _replicas(cluster)
    if trace.base < now <= trace.asked:
        write_scale(cluster, trace.base, FIELD_MANAGER)
        say(f"{WORKLOAD} is scaled from {now} to {trace.base} again, as it was found")
    elif now != trace.base:
        say(f"{WORKLOAD} is at {now} replicas, which is not this comparison's doing: left alone")


def _rollout(cluster: ClusterClient, trace: Trace, say: Say) -> None:
    if trace.ours is None:
        return
    if not _until(lambda: fitting.rolled_out(cluster.get(deployment_path(cluster))), ROLLOUT_SECONDS):
        raise ClaudeScaleError(f"the pods of {WORKLOAD} are not all back within {ROLLOUT_SECONDS:.0f} s")
    say(f"its {trace.base} pods are as before")


def _owners(cluster: ClusterClient, trace: Trace, _say: Say) -> None:
    for attempt in range(TRIES):
        operations = fitting.owners_back(cluster.get(deployment_path(cluster)), trace.deployment)
        if not operations:
            return
        try:
            cluster.patch(deployment_path(cluster), operations, kind="json", field_manager=FIELD_MANAGER)
        except ApiError as error:  # its status changes all the time after a rollout
            if error.status != 409 or attempt == TRIES - 1:
                raise
            time.sleep(PAUSE_SECONDS)


def _sets(cluster: ClusterClient, trace: Trace, _say: Say) -> None:
    if trace.ours is None:
        return
    deployment = cluster.get(deployment_path(cluster))
    for one in fitting.left_behind(replica_sets(cluster), deployment, trace.sets, trace.ours):
        meta = one["metadata"]
        path = f"/apis/apps/v1/namespaces/{cluster.namespace}/replicasets/{meta['name']}"
        cluster.delete(path, uid=meta["uid"])


class Resting:
    """Since when something has held without a break."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds
        self._since: float | None = None

    def __call__(self, seconds: float) -> bool:
        """Whether it has held for so long."""
        now = time.monotonic()
        if not self._holds():
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= seconds


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _replicas(cluster: ClusterClient) -> int:
    return int(cluster.get(scale_path(cluster))["spec"].get("replicas", 0))


def _floor(cluster: ClusterClient, trace: Trace) -> int:
    return int(read_autoscaler(cluster, trace.autoscaler)["spec"].get("minReplicas", 1))


def _calm(cluster: ClusterClient, trace: Trace) -> bool:
    found = scaling(read_autoscaler(cluster, trace.autoscaler))
    return found.cpu_percent is not None and found.cpu_percent <= (found.cpu_target_percent or 0)
