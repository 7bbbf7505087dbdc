"""The prompts: seven ways to use the tools, as a person picks them in a client."""

from __future__ import annotations

from claudescale_mcp.prompts.door import declared
from claudescale_mcp.prompts.scenarios import ALL, NO_WRITES, RULES, text

__all__ = ["ALL", "NO_WRITES", "RULES", "declared", "text"]
