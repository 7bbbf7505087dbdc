"""`claudescale status`: what runs and where, in one table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import overview

from claudescale_cli import forward_state
from claudescale_cli.capacity import capacity, policy_words, workload_words
from claudescale_cli.common import Options, Output, make_console, plain, plain_table


def status(
    context: typer.Context,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """Nodes, pods, services, autoscaler, controller, policies, floors, leases and forwards in one table."""
    options: Options = context.obj
    cluster = options.cluster()
    facts = overview(cluster)
    facts["capacity"] = capacity(cluster)
    facts["forwards"] = forward_state.facts(options.context)
    if output is Output.JSON:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = plain_table("what", "name", "state", "details")
    for row in rows(facts):
        table.add_row(*(plain(cell) for cell in row))
    make_console().print(table, markup=False)


def rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The table's rows, from what overview(), capacity() and forward_state.facts() found."""
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
    found.extend(capacity_rows(facts["capacity"]))
    forwards = [("forward", forward["name"], forward["state"], forward["address"]) for forward in facts["forwards"]]
    return [*found, *(forwards or [("forward", "none", "", "make forward")])]


def capacity_rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Who may ask for what, and who does; leases that are over are in `claudescale leases`."""
    found = []
    if controller := facts["controller"]:
        details = "not deployed here: leases wait until one runs"
        if controller["state"] != "Absent":
            details = f"{controller['ready']}/{controller['wanted']} ready"
        found.append(("controller", controller["name"], controller["state"], details))
    found.extend(("policy", policy["name"], policy["mode"], policy_words(policy)) for policy in facts["policies"])
    found.extend(("floor", floor["autoscaler"], str(floor["floor"]), _held(floor)) for floor in facts["floors"])
    for lease in facts["leases"]:
        if lease["phase"] in (None, "Pending", "Active"):
            asked = f"{lease['replicas']} of {workload_words(lease['workload'])}"
            details = f"{asked}, {_seconds(lease['starts'])} to {_seconds(lease['ends'])}: {lease['reason']}"
            found.append(("lease", lease["name"], lease["phase"] or "not seen yet", details))
    if facts["problem"]:
        found.append(("leases", "", "not known", facts["problem"]))
    return found


def _held(floor: dict[str, Any]) -> str:
    base = "the base is not known" if floor["base"] is None else f"the base is {floor['base']}"
    held = f"held by {', '.join(floor['leases'])}" if floor["leases"] else "held by no lease"
    contested = f", contested by {floor['contested_by']}" if floor["contested_by"] else ""
    return f"{base}, {held}{contested}"


def _seconds(time: str) -> str:
    return f"{time[:19]}Z"


def _gib(quantity: str) -> str:
    """A node's memory, which Kubernetes writes in Ki, for people; anything else as it stands."""
    return f"{int(quantity[:-2]) / 2**20:.1f} GiB" if quantity.endswith("Ki") else quantity
