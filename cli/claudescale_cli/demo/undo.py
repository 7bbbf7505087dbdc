"""What the demo has done so far, and how it is put back when the demo does not come to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door, is_over
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import plain
from claudescale_cli.live.conditions import ASKED, WORKLOAD, read_autoscaler
from claudescale_cli.live.ending import LATE_SECONDS, OVER_SECONDS, end
from claudescale_cli.live.scale import scale_path, write_scale

FIELD_MANAGER = "claudescale-demo"
RESTORE_SECONDS = 10.0


@dataclass
class Trace:
    """What was touched. `leases` are names, noted before they are asked for."""

    autoscaler: str = ""
    replicas: int = 0  # as they were found
    wrote: bool = False
    leases: list[str] = field(default_factory=list)

    def found(self, autoscaler: str, replicas: int) -> None:
        """Note what was there before."""
        self.autoscaler, self.replicas = autoscaler, replicas

    @property
    def touched(self) -> bool:
        """Whether anything may have to be put back."""
        return self.wrote or bool(self.leases)


def put_back(cluster: ClusterClient, trace: Trace, say: Callable[[str], None]) -> None:
    """End the demo's leases and write the scale as it was found; each thing done, or why not, is said."""
    try:
        if trace.leases:
            time.sleep(LATE_SECONDS)
        for name in trace.leases:
            _end(cluster, name, say)
        if trace.touched:
            _scale(cluster, trace, say)
    except ClaudeScaleError as error:
        say(f"it could not all be put back ({plain(str(error))}): a lease ends by itself, see claudescale status")


def _end(cluster: ClusterClient, name: str, say: Callable[[str], None]) -> None:
    found = Reader(cluster).lease(name)
    if found is None or is_over(found):
        return
    if end(Door(cluster, FIELD_MANAGER), name, OVER_SECONDS):
        say(f"lease {name} is ended")
    else:
        say(f"lease {name} is told to end, and the controller has not done it yet: claudescale leases")


def _scale(cluster: ClusterClient, trace: Trace, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + RESTORE_SECONDS
    while _floor(read_autoscaler(cluster, trace.autoscaler)) > trace.replicas:
        if time.monotonic() > deadline:
            say(f"the floor of {trace.autoscaler} is still up, so the replicas stay: claudescale status shows why")
            return
        time.sleep(0.2)
    now = cluster.get(scale_path(cluster))["spec"].get("replicas", 0)
    if trace.replicas < now <= ASKED:  # never more than the demo itself asked for
        write_scale(cluster, trace.replicas, FIELD_MANAGER)
        say(f"{WORKLOAD} is scaled from {now} to {trace.replicas} again, as it was found")
    elif now == trace.replicas:
        say(f"{WORKLOAD} is at {now} replicas, as it was found")
    else:
        say(f"{WORKLOAD} is at {now} replicas, which is not the demo's doing: left alone")


def _floor(hpa: dict[str, Any]) -> int:
    return int(hpa["spec"].get("minReplicas", 1))
