"""What was seen of a workload at one moment, and what its autoscaler said. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One moment: monotonic seconds, replicas as they stand in the scale, pods ready, the autoscaler's floor."""

    at: float
    replicas: int
    ready: int
    floor: int


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """An event that the autoscaler wrote about itself."""

    at: float
    words: str  # SuccessfulRescale: New size: 2; reason: All metrics below target


def changed(before: Seen | None, now: Seen) -> list[str]:
    """What changed, in words."""
    if before is None:
        return []
    names = (("floor", "floor"), ("replicas", "replicas"), ("ready", "pods ready"))
    pairs = [(words, getattr(before, name), getattr(now, name)) for name, words in names]
    return [f"{words} {was} → {new}" for words, was, new in pairs if was != new]
