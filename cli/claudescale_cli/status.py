"""`claudescale status`: what runs and where, in one table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import overview

from claudescale_cli import forward_state
from claudescale_cli.common import Options, Output, make_console, plain_table


def status(
    context: typer.Context,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """Nodes, pods, services, autoscaler and forwards in one table."""
    options: Options = context.obj
    facts = overview(options.cluster())
    facts["forwards"] = forward_state.facts(options.context)
    if output is Output.JSON:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = plain_table("what", "name", "state", "details")
    for row in rows(facts):
        table.add_row(*row)
    make_console().print(table, markup=False)


def rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The table's rows, from what overview() and forward_state.facts() found."""
    found = [
        ("node", node["name"], node["state"], f"{node['version']}, {node['cpu']} CPUs, {_gib(node['memory'])} memory")
        for node in facts["nodes"]
    ]
    for pod in facts["pods"]:
        restarts = f", {pod['restarts']} restarts" if pod["restarts"] else ""
        found.append(("pod", pod["name"], pod["state"], f"{pod['ready']}/{pod['containers']} ready{restarts}"))
    for service in facts["services"]:
        ports = ", ".join(str(port) for port in service["ports"])
        found.append(("service", service["name"], service["type"], f"port {ports}"))
    for scaling in facts["autoscalers"]:
        cpu = "CPU not known yet" if scaling["cpu_percent"] is None else f"CPU {scaling['cpu_percent']} %"
        target = "" if scaling["cpu_target_percent"] is None else f" of {scaling['cpu_target_percent']} %"
        state = f"{scaling['current']} of {scaling['wanted']}"
        bounds = f"{scaling['minimum']} to {scaling['maximum']} replicas of {scaling['workload']}"
        found.append(("autoscaler", scaling["name"], state, f"{bounds}, {cpu}{target}"))
    forwards = [("forward", forward["name"], forward["state"], forward["address"]) for forward in facts["forwards"]]
    return [*found, *(forwards or [("forward", "none", "", "make forward")])]


def _gib(quantity: str) -> str:
    """A node's memory, which Kubernetes writes in Ki, for people; anything else as it stands."""
    return f"{int(quantity[:-2]) / 2**20:.1f} GiB" if quantity.endswith("Ki") else quantity
