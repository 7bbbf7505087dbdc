"""What came of the runs: a run's figures, an arm's figures over its valid runs, and whether the aims were met. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.load.results import figures

from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import Run, busiest, integral, level_at, lowered, ready_from, undone
from claudescale_cli.compare.validity import CPU_SECONDS

HPA_AT_LEAST = 0.05  # the aims for the share of slow or failed requests
LEASE_AT_MOST = 0.005


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run's figures. Latencies and replica-seconds are in seconds; None where there is no such figure."""

    requests: int  # due in the launch window
    slow: int
    failed: int
    share: float  # slow or failed, 0 to 1
    p50: float | None
    p95: float | None
    p99: float | None
    ready_seconds: float  # replica-seconds of ready pods from act to end, in every arm
    wanted_seconds: float  # likewise of wanted replicas
    ready_at_launch: int
    to_ready: float | None  # from what was asked for (HPA alone: from the launch) until as many pods were ready
    launch_to_ready: float | None  # 0.0 where they were ready at the launch
    undone: tuple[str, ...]  # the autoscaler's events, before the launch, that took replicas away
    lowered: int  # how often the watch saw replicas taken away, before the launch
    cpu: float | None  # share of the node's cores in the busiest 15 s of the launch window


def outcome(run: Run, design: Design) -> Outcome:
    """The figures of a run."""
    start, end = design.window
    found = figures(
        run.requests, planned=design.launch_rate * (end - start), objective=design.objective, window=design.window
    )
    asked = float(start) if run.arm is Arm.HPA else run.acted
    ready = None if asked is None else ready_from(run.levels, design.asked, asked, end)
    after_launch = ready_from(run.levels, design.asked, start, end)
    busy = busiest(run.cpu, start, end, CPU_SECONDS)
    return Outcome(
        requests=found.planned,
        slow=found.slow,
        failed=found.failed,
        share=found.share,
        p50=found.p50,
        p95=found.p95,
        p99=found.p99,
        ready_seconds=integral(run.levels, lambda level: level.ready, design.act, end),
        wanted_seconds=integral(run.levels, lambda level: level.wanted, design.act, end),
        ready_at_launch=level_at(run.levels, start).ready,
        to_ready=None if asked is None or ready is None else ready - asked,
        launch_to_ready=None if after_launch is None else after_launch - start,
        undone=undone(run, start),
        lowered=lowered(run.levels, design.act, start),
        cpu=None if busy is None else busy.share,
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median, least and most of a figure over the valid runs; `missing` of them had no such figure."""

    median: float
    least: float
    most: float
    count: int
    missing: int = 0


def spread(values: Iterable[float | None]) -> Spread | None:
    """The spread of values; None where there is none."""
    every = list(values)
    known = [value for value in every if value is not None]
    if not known:
        return None
    return Spread(
        median=statistics.median(known),
        least=min(known),
        most=max(known),
        count=len(known),
        missing=len(every) - len(known),
    )


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All runs of one arm. `outcomes` are those of the valid runs; `shown` is the run that a picture shows."""

    arm: Arm
    made: int
    outcomes: tuple[Outcome, ...]
    shown: Run | None

    def spread(self, value: Callable[[Outcome], float | None]) -> Spread | None:
        """A figure over the valid runs."""
        return spread(value(found) for found in self.outcomes)


def summaries(runs: Sequence[Run], design: Design) -> tuple[Summary, ...]:
    """A summary of each arm, in the order of the arms."""
    found = []
    for arm in Arm:
        made = [run for run in runs if run.arm is arm]
        valid = [(run, outcome(run, design)) for run in made if run.valid]
        found.append(
            Summary(
                arm=arm,
                made=len(made),
                outcomes=tuple(figures_ for _, figures_ in valid),
                shown=_median_run(valid) or (made[-1] if made else None),
            )
        )
    return tuple(found)


def _median_run(valid: list[tuple[Run, Outcome]]) -> Run | None:
    """The run with the median share, the lower one of two; by p99 where shares are equal."""
    if not valid:
        return None
    ordered = sorted(valid, key=lambda pair: (pair[1].share, pair[1].p99 or 0.0, pair[0].number))
    return ordered[(len(ordered) - 1) // 2][0]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What was hoped for, what came, and whether that is it; None where there is no valid run to tell."""

    words: str
    came: str
    met: bool | None


def aims(found: Sequence[Summary]) -> tuple[Aim, ...]:
    """The aims, over the valid runs."""
    hpa, raw, lease = (next(summary for summary in found if summary.arm is arm) for arm in Arm)
    share = [summary.spread(lambda one: one.share) for summary in (hpa, lease)]
    undoing = [bool(one.undone) for one in raw.outcomes]
    return (
        Aim(
            words=f"HPA alone: at least {100 * HPA_AT_LEAST:.0f} % slow or failed in the launch window",
            came="no valid run" if share[0] is None else _percent(share[0].median),
            met=None if share[0] is None else share[0].median >= HPA_AT_LEAST,
        ),
        Aim(
            words=f"lease: at most {100 * LEASE_AT_MOST:.1f} %",
            came="no valid run" if share[1] is None else _percent(share[1].median),
            met=None if share[1] is None else share[1].median <= LEASE_AT_MOST,
        ),
        Aim(
            words="raw /scale: the autoscaler's own events show that it was undone before the launch",
            came=f"in {sum(undoing)} of {len(undoing)} runs" if undoing else "no valid run",
            met=all(undoing) if undoing else None,
        ),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
