"""`claudescale leases`: the namespace's leases."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock

from claudescale_cli.capacity import floor_words, lease_facts, moment, user_words, workload_words
from claudescale_cli.common import Options, Output, make_console, plain, plain_table

COLUMNS = ("name", "workload", "replicas", "phase", "floor", "starts", "ends", "requested by", "door")


def leases(
    context: typer.Context,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """Who asked for how much, from when to when, and where it stands; the reasons are in the JSON."""
    options: Options = context.obj
    cluster = options.cluster()
    clock = ServerClock()
    cluster.on_response.append(clock.observe)
    found = [lease_facts(lease) for lease in Reader(cluster).leases()]
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo(f"namespace {plain(options.namespace)} has no leases")
    else:
        table = plain_table(*COLUMNS)
        table.columns[0].no_wrap = True  # to be copied into `claudescale end`
        for lease in found:
            table.add_row(*row(lease, clock.now()))
        make_console().print(table, markup=False)


def row(lease: dict[str, Any], now: float) -> tuple[str, ...]:
    """A lease's row, from what lease_facts() found."""
    cells = (
        lease["name"],
        workload_words(lease["workload"]),
        str(lease["replicas"]),
        lease["phase"] or "not seen yet",
        floor_words(lease["floor"]),
        moment(lease["starts"], now),
        moment(lease["ends"], now),
        user_words(lease["requested_by"]),
        lease["door"],
    )
    return tuple(plain(cell) for cell in cells)
