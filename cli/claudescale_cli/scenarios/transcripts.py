"""What the model's part asks in each scenario: fixed, so that a run needs no model. Pure.

Each transcript asks the tools that the prompt of the same scenario (claudescale_mcp/prompts) tells a model to ask, in
its order; what a scenario needs besides stands around that. A key is unique in its transcript.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATE, STATUS, METRICS = "get_current_state", "cluster_status", "get_metrics"
RECORDS, REPORT = "get_records", "generate_report"
LEASE, SCALE, END = "lease_capacity", "scale_deployment", "end_lease"

NOW_SECONDS = 60  # the shortest window of figures
QUARTER, HOUR, DAY = 900, 3600, 86_400
COST_LEASE_SECONDS = 600
FAR_TOO_MANY = 500
SAID = "claudescale scenario"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call of a tool: its arguments, and why it is asked."""

    tool: str
    why: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


Transcript = Mapping[str, Ask]


def health_check() -> Transcript:
    """1: how every part is, then what runs."""
    return {
        "status": Ask(tool=STATUS, why="how is every part?"),
        "state": Ask(tool=STATE, why="what runs, and what waits?"),
    }


def reactive(workload: str, *, name: str, replicas: int) -> Transcript:
    """2: load is there; `name` and `replicas` are those of a lease that is only tried."""
    return {
        "state": Ask(
            tool=STATE, why="what is there, and what does the autoscaler want?", arguments={"workload": workload}
        ),
        "quarter": Ask(
            tool=METRICS, why="the last 15 minutes", arguments={"workload": workload, "window_seconds": QUARTER}
        ),
        "now": Ask(
            tool=METRICS, why="the last minute", arguments={"workload": workload, "window_seconds": NOW_SECONDS}
        ),
        "status": Ask(tool=STATUS, why="is anything in the autoscaler's way?"),
        "tried": Ask(
            tool=LEASE,
            why="were the load to grow on: what would be allowed? Only tried",
            arguments={
                "name": name,
                "workload": workload,
                "replicas": replicas,
                "duration_seconds": COST_LEASE_SECONDS,
                "reason": f"{SAID}: what if the load grows on",
                "dry_run": True,
            },
        ),
    }


def cost(workload: str, *, name: str, replicas: int, base: int) -> Transcript:
    """3: a lease `name` of so many replicas was asked for a load that is over; fewer are wanted."""
    down = {"workload": workload, "replicas": base, "reason": f"{SAID}: the load is over, {base} are enough"}
    return {
        "leased": Ask(
            tool=LEASE,
            why="before the load: capacity for it",
            arguments={
                "name": name,
                "workload": workload,
                "replicas": replicas,
                "duration_seconds": COST_LEASE_SECONDS,
                "reason": f"{SAID}: a sale, ten minutes at most",
            },
        ),
        "state": Ask(tool=STATE, why="what stands above the base, and who holds it?", arguments={"workload": workload}),
        "hour": Ask(tool=METRICS, why="the last hour", arguments={"workload": workload, "window_seconds": HOUR}),
        "now": Ask(
            tool=METRICS, why="the last minute", arguments={"workload": workload, "window_seconds": NOW_SECONDS}
        ),
        "records": Ask(tool=RECORDS, why="who asked for that lease, and why?", arguments={"lease": name}),
        "refused": Ask(
            tool=SCALE,
            why="somebody wants it down at once",
            arguments={"name": f"{name}-down", **down},
        ),
        "end tried": Ask(
            tool=END, why="what would come of ending the lease? Only tried", arguments={"name": name, "dry_run": True}
        ),
        "ended": Ask(tool=END, why="the person agreed: its reason is gone", arguments={"name": name}),
        "refused again": Ask(
            tool=SCALE,
            why="and now, without any lease?",
            arguments={"name": f"{name}-down-2", **down},
        ),
        "after": Ask(tool=RECORDS, why="what is on record of it?", arguments={"lease": name}),
    }


def launch(workload: str, *, name: str, replicas: int, start: str, end: str) -> Transcript:
    """4: load is announced from `start` to `end`, RFC 3339."""
    wish = {
        "name": name,
        "workload": workload,
        "replicas": replicas,
        "start": start,
        "end": end,
        "reason": f"{SAID}: the launch that was announced",
    }
    return {
        "state": Ask(
            tool=STATE, why="what is there, and what does the policy allow?", arguments={"workload": workload}
        ),
        "metrics": Ask(
            tool=METRICS, why="what does today's load need?", arguments={"workload": workload, "window_seconds": HOUR}
        ),
        "tried": Ask(tool=LEASE, why="would it be allowed? Only tried", arguments={**wish, "dry_run": True}),
        "leased": Ask(tool=LEASE, why="the same in earnest", arguments=wish),
        "held": Ask(tool=STATE, why="the launch has begun: does the floor stand?", arguments={"workload": workload}),
        "after": Ask(tool=RECORDS, why="what is on record of it?", arguments={"lease": name}),
    }


def incident(workload: str, *, name: str, replicas: int, seconds: int, base: int, crashing: str) -> Transcript:
    """5: a lease `name` of so many replicas ends while metrics are out, and a workload `crashing` crashes."""
    return {
        "leased": Ask(
            tool=LEASE,
            why="before anything happens: capacity that ends while nobody can see the load",
            arguments={
                "name": name,
                "workload": workload,
                "replicas": replicas,
                "duration_seconds": seconds,
                "reason": f"{SAID}: a batch, shortly before the incident",
            },
        ),
        "records": Ask(tool=RECORDS, why="what was asked and written around that time?"),
        "report": Ask(
            tool=REPORT,
            why="load, replicas and decisions, beside one another",
            arguments={"workload": workload, "window_seconds": QUARTER},
        ),
        "metrics": Ask(
            tool=METRICS,
            why="CPU, latency and restarts",
            arguments={"workload": workload, "window_seconds": NOW_SECONDS},
        ),
        "status": Ask(tool=STATUS, why="what is not well?"),
        "state": Ask(tool=STATE, why="what stands now?"),
        "crash": Ask(tool=STATE, why="and the one whose pods wait?", arguments={"workload": crashing}),
        "refused": Ask(
            tool=SCALE,
            why="somebody wants it down, although nobody sees the load",
            arguments={
                "name": f"{name}-down",
                "workload": workload,
                "replicas": base,
                "reason": f"{SAID}: no load on the screen, so scale down",
            },
        ),
        "status after": Ask(tool=STATUS, why="the way to the metrics is back: are they?"),
        "restarts": Ask(
            tool=METRICS,
            why="how often did it crash?",
            arguments={"workload": crashing, "window_seconds": QUARTER},
        ),
        "after": Ask(tool=RECORDS, why="what lowered the floor, and when?", arguments={"lease": name}),
    }


def capacity(workload: str) -> Transcript:
    """6: the last hour, with its picture."""
    return {
        "report": Ask(
            tool=REPORT,
            why="the last hour, with a picture",
            arguments={"workload": workload, "window_seconds": HOUR, "plot": True},
        ),
        "metrics": Ask(
            tool=METRICS, why="figures of the same hour", arguments={"workload": workload, "window_seconds": HOUR}
        ),
        "records": Ask(tool=RECORDS, why="leases and refusals of that time", arguments={"workload": workload}),
        "state": Ask(tool=STATE, why="base, maximum and policy, to compare", arguments={"workload": workload}),
    }


def review(workload: str, *, refused: str, planned: str, replicas: int, start: str, end: str) -> Transcript:
    """7: a day in which one wish (its name: `refused`) was far too much, and a lease is `planned` for tomorrow."""
    return {
        "refused": Ask(
            tool=LEASE,
            why="the day before: far too much",
            arguments={
                "name": refused,
                "workload": workload,
                "replicas": FAR_TOO_MANY,
                "reason": f"{SAID}: everything we have",
            },
        ),
        "planned": Ask(
            tool=LEASE,
            why="the day before: capacity for tomorrow",
            arguments={
                "name": planned,
                "workload": workload,
                "replicas": replicas,
                "start": start,
                "end": end,
                "reason": f"{SAID}: tomorrow's launch",
            },
        ),
        "records": Ask(tool=RECORDS, why="what was decided?"),
        "refusals": Ask(tool=RECORDS, why="what was refused?", arguments={"refusals_only": True}),
        "report": Ask(
            tool=REPORT,
            why="load and replica-hours of the day",
            arguments={"workload": workload, "window_seconds": DAY},
        ),
        "state": Ask(tool=STATE, why="what is still to come, and what warns?"),
        "status": Ask(tool=STATUS, why="is anything not well?"),
        "ended": Ask(tool=END, why="tomorrow's lease was for this review only", arguments={"name": planned}),
    }
