"""What a tool's answer holds, looked up by name, and how it is written down. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FAILED = 0.01  # the share of requests that may fail in a load that is borne


def reading(facts: Mapping[str, Any], name: str) -> float | None:
    """A figure of get_metrics; None where it has no value."""
    value = named(facts.get("readings") or [], name).get("value")
    return None if value is None else float(value)


def named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The entry of this name, {} where there is none."""
    return next((one for one in entries if one.get("name") == name), {})


def records(facts: Mapping[str, Any], event: str = "") -> list[Mapping[str, Any]]:
    """The records that get_records told, oldest first; of one event only where it is named."""
    return [one for one in reversed(facts.get("records") or []) if event in ("", one["event"])]


def events(facts: Mapping[str, Any]) -> str:
    """The records that get_records told, oldest first, in words."""
    return ", ".join(f"{one['event']} {one.get('cause') or one['outcome']}" for one in records(facts)) or "no records"


def borne(summary: Mapping[str, Any]) -> bool:
    """Whether a load was answered, but for very few."""
    return bool(summary["sent"]) and summary["failed"] <= FAILED * summary["sent"]


def answered(summary: Mapping[str, Any]) -> str:
    """How a load was answered, in words."""
    return f"{summary['ok']} of {summary['sent']} requests answered, p95 {summary['p95_ms']} ms"


def held_by(workload: Mapping[str, Any]) -> tuple[int | None, int | None, list[str]]:
    """(floor, base, the leases that hold the floor) of a workload of get_current_state."""
    scaler = workload.get("autoscaler") or {}
    return scaler.get("floor"), scaler.get("base"), list(scaler.get("leases") or [])


def held_words(workload: Mapping[str, Any]) -> str:
    """The same in words."""
    floor, base, leases = held_by(workload)
    return f"floor {floor}, base {base}, held by {', '.join(leases) or 'nobody'}"


def components(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parts that cluster_status told, by their names."""
    return {str(one["name"]): one for one in facts.get("components") or []}


def not_well(facts: Mapping[str, Any]) -> list[str]:
    """The parts that are not well, in words."""
    return [
        f"{name} is {one['state']}: {one['explanation']}"
        for name, one in components(facts).items()
        if one["state"] != "Well"
    ]


def warnings(facts: Mapping[str, Any]) -> list[str]:
    """What get_current_state warns of, in words."""
    return [f"{one['code']}: {one['message']}" for one in facts.get("warnings") or []]
