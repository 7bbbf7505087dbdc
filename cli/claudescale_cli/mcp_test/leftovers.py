"""No lease of the trial goes on, however it ended: they are ended as the account that asked for them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Door, is_over
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_mcp.link import Link, Place

from claudescale_cli.common import Options
from claudescale_cli.live.ending import LATE_SECONDS, OVER_SECONDS, end


def end_all(options: Options, names: Sequence[str], *, interrupted: bool) -> list[str]:
    """End those of these leases that are not over; a sentence about each. Where there are none, nothing is written."""
    if not names:
        return []
    link = Link(Place(context=options.context, namespace=options.namespace, kubeconfig=options.kubeconfig))
    if interrupted:
        time.sleep(LATE_SECONDS)
    try:
        found = [link.use(lambda door, name=name: _ended(door, name)) for name in names]  # type: ignore[misc]
    except ClaudeScaleError as error:
        return [f"whether a lease of it is left cannot be seen ({error}): it ends by itself, see claudescale leases"]
    return [sentence for sentence in found if sentence is not None]


def _ended(door: Door, name: str) -> str | None:
    lease = door.reader.lease(name)
    if lease is None or is_over(lease):
        return None
    if end(door, name, OVER_SECONDS):
        return f"lease {name} was left, and is ended now"
    return f"lease {name} is told to end, and the controller has not done it yet: claudescale leases"
