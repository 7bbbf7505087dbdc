"""The reading tools: each with what it requires and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.mcp_test import arguments
from claudescale_cli.mcp_test.caller import STATE, Caller
from claudescale_cli.mcp_test.target import Target, first_target

READS = frozenset({STATE, "cluster_status", "get_metrics", "get_records", "generate_report"})


async def read(caller: Caller) -> Mapping[str, Any] | None:
    """Call get_current_state, then the others; what it said, None where it gave no answer to build on."""
    answer = await caller.call(STATE, "everything", {})
    if answer is None:
        return None
    known = _known(answer.facts)
    for name in caller.tools:
        if name in READS - {STATE}:
            await caller.call(name, _words(caller, name, known), _given(caller, name, known))
    return answer.facts


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the state knows of the arguments that tools may require."""
    target: Target | None = first_target(facts["workloads"])
    names = [target.workload] if target else [one["workload"] for one in facts["workloads"]]
    return {"workload": names[0]} if names else {}


def _given(caller: Caller, tool: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name in caller.tools[tool].schema.get("required", ())}


def _words(caller: Caller, tool: str, known: Mapping[str, Any]) -> str:
    try:
        given = arguments.required(caller.tools[tool].schema, known)
    except ClaudeScaleError:
        return "what it requires"
    return ", ".join(str(value) for value in given.values()) or "everything"
