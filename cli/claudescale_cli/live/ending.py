"""The end of a lease that something which plays has asked for."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door, is_over

LATE_SECONDS = 0.5  # a request that was under way when its server was ended has arrived by then
OVER_SECONDS = 10.0


def end(door: Door, name: str, seconds: float) -> bool:
    """End a lease; whether it is over, or gone, within so many seconds. ClaudeScaleError where it cannot be asked."""
    door.end(name)
    over = door.wait(name, is_over, seconds)
    return over is None or is_over(over)
