"""`claudescale policy`: what may be asked for, in words and numbers."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import parse_workload
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.capacity import policy_facts, ref_words, span, workload_words
from claudescale_cli.common import Options, Output, make_console, plain, plain_table


def policy(
    context: typer.Context,
    workload: Annotated[
        str | None, typer.Argument(help="demo-app, or statefulset/db; all without it.", show_default=False)
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """What may be asked for a workload, and what that comes to right now."""
    options: Options = context.obj
    wanted = parse_workload(workload) if workload is not None else None
    reader = Reader(options.cluster())
    policies = [found for found in reader.policies() if wanted in (None, found.workload)]
    if wanted and not policies:
        raise ClaudeScaleError(
            f"there is no ScalingPolicy {wanted.policy_name} in namespace {options.namespace}: "
            f"without one nothing may be asked for {ref_words(wanted)}"
        )
    autoscalers, leases = reader.autoscalers(), reader.leases()
    facts = [policy_facts(found, autoscalers, leases) for found in policies]
    if output is Output.JSON:
        typer.echo(json.dumps(facts, indent=2))
    elif not facts:
        typer.echo(f"namespace {plain(options.namespace)} has no ScalingPolicy: nothing may be asked for")
    elif wanted:
        _print_one(facts[0])
    else:
        table = plain_table("workload", "mode", "replicas", "above the base", "how long", "at a time", "now at most")
        for found in facts:
            table.add_row(*(plain(cell) for cell in row(found)))
        make_console().print(table, markup=False)


def _print_one(facts: dict[str, Any]) -> None:
    typer.echo(f"{plain(workload_words(facts['workload']))}: {mode_words(facts['mode'])}")
    table = plain_table("what", "limit", "now")
    for cells in rows(facts):
        table.add_row(*(plain(cell) for cell in cells))
    make_console().print(table, markup=False)


def row(facts: dict[str, Any]) -> tuple[str, ...]:
    """One policy of several, from what policy_facts() found."""
    now = facts["now"]
    return (
        workload_words(facts["workload"]),
        facts["mode"],
        f"{facts['least_replicas']} to {facts['most_replicas']}",
        str(facts["most_above_base"]),
        f"{span(facts['default_seconds'])}, up to {span(facts['most_seconds'])}",
        f"{now['leases']} of {facts['most_leases']}",
        f"nothing: {now['obstacle']}" if now["obstacle"] else str(now["most_replicas"]),
    )


def mode_words(mode: str) -> str:
    """What a mode means."""
    if mode == "Observe":
        return "the policy observes (Observe): what it would allow is recorded, and nothing is changed"
    return "the policy is in force (Enforce): what it allows is done"


def rows(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The table's rows, from what policy_facts() found."""
    now = facts["now"]
    found = [
        ("replicas", f"{facts['least_replicas']} to {facts['most_replicas']}", ""),
        ("replicas above the base", f"{facts['most_above_base']} at most", _base(now)),
        ("how long", f"{span(facts['most_seconds'])} at most", f"{span(facts['default_seconds'])} where not said"),
        ("how far ahead", f"{span(facts['most_seconds_ahead'])} at most", ""),
        ("leases at a time", f"{facts['most_leases']} at most", str(now["leases"])),
    ]
    if now["autoscaler"] is not None:
        found.insert(1, ("replicas by the autoscaler", f"{now['autoscaler_maximum']} at most", now["autoscaler"]))
    floor = "" if now["floor"] is None else f"the floor stands at {now['floor']}"
    if now["obstacle"]:
        return [*found, ("so, at most", "nothing", f"{now['obstacle']}")]
    return [*found, ("so, at most", f"{now['most_replicas']} replicas", floor)]


def _base(now: dict[str, Any]) -> str:
    return "the base is not known" if now["base"] is None else f"the base is {now['base']}"
