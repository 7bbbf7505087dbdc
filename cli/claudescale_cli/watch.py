"""`claudescale watch`: load, CPU, wanted and ready replicas, live."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import Scaling, scaling
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus, QueryError
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from rich.live import Live
from rich.table import Table

from claudescale_cli.common import Options, make_console, plain_table

AUTOSCALER = "demo-app-hpa"
REQUEST_RATE = "sum(rate(demo_app_requests_total[1m]))"
ROWS = 20
COLUMNS = ("time", "requests/s", "CPU", "target", "wanted", "ready", "bounds")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look at the cluster; None where a source has no figure."""

    at: float  # Unix seconds
    rate: float | None  # requests per second, over the last minute
    scaling: Scaling
    ready: int

    def cells(self) -> tuple[str, ...]:
        """The reading as text, in the order of COLUMNS."""
        now = self.scaling
        return (
            time.strftime("%H:%M:%S", time.localtime(self.at)),
            "-" if self.rate is None else f"{self.rate:.1f}",
            "-" if now.cpu_percent is None else f"{now.cpu_percent} %",
            "-" if now.cpu_target_percent is None else f"{now.cpu_target_percent} %",
            str(now.wanted),
            str(self.ready),
            f"{now.minimum} to {now.maximum}",
        )


def read(cluster: ClusterClient, prometheus: Prometheus) -> Reading:
    """Look once; a silent Prometheus costs the rate only. ClaudeScaleError where there is no autoscaler."""
    space = f"namespaces/{cluster.namespace}"
    hpa = cluster.find(f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers/{AUTOSCALER}")
    if hpa is None:
        raise ClaudeScaleError(f"there is no {AUTOSCALER} in namespace {cluster.namespace}: make up")
    now = scaling(hpa)
    deployment = cluster.get(f"/apis/apps/v1/{space}/deployments/{now.workload}")
    try:
        rate = prometheus.value(REQUEST_RATE)
    except QueryError:
        rate = None
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    return Reading(at=time.time(), rate=rate, scaling=now, ready=ready)


def watch(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0, help="End after so many seconds; without it, at Ctrl-C.")
    ] = None,
    interval: Annotated[float, typer.Option(min=1, max=60, help="Seconds between two looks.")] = 2,
) -> None:
    """Load, CPU, wanted and ready replicas, live."""
    options: Options = context.obj
    cluster = options.cluster()
    prometheus = Prometheus(cluster)
    console = make_console()
    end = None if seconds is None else time.monotonic() + seconds
    readings = [read(cluster, prometheus)]

    def pause() -> bool:
        left = interval if end is None else min(interval, end - time.monotonic())
        time.sleep(max(left, 0))
        return end is None or time.monotonic() < end

    try:
        if console.is_terminal:
            with Live(_table(readings), console=console, auto_refresh=False) as live:
                while pause():
                    readings = [*readings[1 - ROWS :], read(cluster, prometheus)]
                    live.update(_table(readings), refresh=True)
            return
        typer.echo(_line(COLUMNS))
        typer.echo(_line(readings[0].cells()))
        while pause():
            typer.echo(_line(read(cluster, prometheus).cells()))
    except KeyboardInterrupt:
        return  # the way to end it


def _table(readings: list[Reading]) -> Table:
    table = plain_table(*COLUMNS)
    for reading in readings:
        table.add_row(*reading.cells())
    return table


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:<12}" for cell in cells).rstrip()
