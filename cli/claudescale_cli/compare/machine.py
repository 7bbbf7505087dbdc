"""What the runs are measured on: the nodes, and the CPU of the whole machine where a node shares it with this command.

A node that is a container counts its own CPU only. Who else works on the same machine slows it down all the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from claudescale_cli.compare.observed import MACHINE, NodeCpu

STAT, BOOT_ID = Path("/proc/stat"), Path("/proc/sys/kernel/random/boot_id")
EVERY = 3.0  # seconds between two looks
IDLE = (3, 4)  # of the columns of /proc/stat: idle, and waiting for a disk
COUNTED = 8  # columns; those that follow are contained in the first ones
BUSY = 0.5  # a load average per core from which on others use so much of the machine that runs may be INVALID


def facts(nodes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nodes for a report: cores, memory, version."""
    return [
        {
            "cores": node["status"]["capacity"]["cpu"],
            "memory": node["status"]["capacity"]["memory"],
            "kubernetes": node["status"]["nodeInfo"]["kubeletVersion"],
        }
        for node in nodes
    ]


def is_here(nodes: Iterable[Mapping[str, Any]], boot_id: Path = BOOT_ID) -> bool:
    """Whether a node runs on the kernel that this command runs on, as a node of minikube in a container does."""
    try:
        mine = boot_id.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return any(node["status"]["nodeInfo"].get("bootID") == mine for node in nodes)


def busy_seconds(stat: str, ticks: int) -> float:
    """CPU seconds that a machine used since its start, by the first line of /proc/stat."""
    columns = [int(word) for word in stat.splitlines()[0].split()[1 : 1 + COUNTED]]
    return (sum(columns) - sum(columns[index] for index in IDLE)) / ticks


class Meter:
    """The machine's CPU over monotonic time; empty where it is not looked at."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self.cores = os.cpu_count() or 1

    def look(self) -> None:
        """Take a sample."""
        used = busy_seconds(STAT.read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
        self.points.append((time.monotonic(), used))

    def between(self, start: float, end: float, zero: float) -> tuple[NodeCpu, ...]:
        """What was seen in [start, end], in seconds after `zero`; all three are monotonic. () where that is nothing."""
        points = tuple((round(at - zero, 3), round(used, 6)) for at, used in self.points if start <= at <= end)
        return (NodeCpu(node=MACHINE, cores=float(self.cores), points=points),) if points else ()


@contextmanager
def metered(meter: Meter, *, here: bool) -> Iterator[None]:
    """Look at the machine until the end of the block, where a node runs on it."""
    if not here:
        yield
        return
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            meter.look()
            stop.wait(EVERY)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1)


def busy_words(load: float | None = None, cores: int | None = None) -> str:
    """A warning where this machine is busy already, "" where it is not, or nobody knows."""
    if load is None:
        try:
            load = os.getloadavg()[0]
        except OSError:
            return ""
    cores = cores or os.cpu_count() or 1
    if load < BUSY * cores:
        return ""
    return (
        f"this machine is busy already (load average {load:.1f} on {cores} cores):"
        " what others do on it is measured, too, and makes runs INVALID"
    )
