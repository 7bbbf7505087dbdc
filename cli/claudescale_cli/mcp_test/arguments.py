"""The arguments of a tool, from its own input schema: what it requires, and nothing that is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError


def required(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each argument that must be given: the known one, else the schema's first example.

    ClaudeScaleError where there is neither.
    """
    return {name: known[name] if name in known else _example(schema, name) for name in schema.get("required", ())}


def _example(schema: Mapping[str, Any], name: str) -> Any:
    examples = schema.get("properties", {}).get(name, {}).get("examples")
    if not examples:
        raise ClaudeScaleError(f"its schema gives no example of {name}, which must be given")
    return examples[0]
