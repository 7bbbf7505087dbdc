"""Whether a run counts: the machine had room, the load was really sent, and nobody else held the floor. Pure."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.load.results import figures

from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import MACHINE, Run, busiest, level_at

MOST_CPU = 0.85  # of a node's cores, in the launch window
CPU_SECONDS = 15.0  # over so long: the longest that cAdvisor takes for a new figure
LEAST_SENT = 0.99  # of the planned requests
REPEATS = 2  # of one run, at most


def reasons(run: Run, design: Design) -> tuple[str, ...]:
    """Why a run is INVALID, each a sentence's part with its numbers; () where it counts."""
    return tuple(reason for reason in (_cpu(run, design), _generator(run, design), _floor(run, design)) if reason)


def _cpu(run: Run, design: Design) -> str:
    if not any(busiest((one,), *design.window, CPU_SECONDS) for one in run.cpu if one.node != MACHINE):
        return "the node's CPU in the launch window is not known"
    worst = busiest(run.cpu, *design.window, CPU_SECONDS)
    if worst is None or worst.share <= MOST_CPU:
        return ""
    whose = f"the CPU of {MACHINE}" if worst.node == MACHINE else "the node's CPU"
    since, until = worst.start - design.launch, worst.end - design.launch
    return (
        f"{whose} was at {100 * worst.share:.1f} % from {since:.0f} to {until:.0f} s after the launch,"
        f" {100 * MOST_CPU:.0f} % at most"
    )


def _generator(run: Run, design: Design) -> str:
    for words, start, end, rate in (
        ("the launch window", design.launch, design.end, design.launch_rate),
        ("the calm before", 0, design.launch, design.calm_rate),
    ):
        planned = rate * (end - start)
        sent = figures(run.requests, planned=planned, objective=design.objective, window=(start, end)).sent
        if sent < LEAST_SENT * planned:
            return (
                f"the generator fell behind: {sent} of {planned} requests in {words}, {100 * LEAST_SENT:.0f} % at least"
            )
    return ""


def _floor(run: Run, design: Design) -> str:
    """A lease of somebody else, or a floor that a person wrote, makes another experiment of it."""
    base = run.levels[0].floor
    start = design.lease_start if run.arm is Arm.LEASE else design.end
    for level in run.levels:
        if level.seconds < min(start, design.end) - CPU_SECONDS and level.floor != base:
            return f"somebody else changed the floor to {level.floor} after {level.seconds:.0f} s"
    if run.arm is not Arm.LEASE and level_at(run.levels, design.end - 1).floor != base:
        return "somebody else held the floor in the launch window"
    return ""
