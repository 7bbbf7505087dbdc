"""Names of others in a line of ours."""

from __future__ import annotations

import json


def quoted(name: str) -> str:
    """In quotes, out of which it does not get."""
    return json.dumps(name, ensure_ascii=False)
