"""`claudescale config`: each setting's value, and where it came from."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from claudescale_cli.common import Options, Output, make_console, plain, plain_table
from claudescale_cli.settings import TABLE, Settings


def config(
    context: typer.Context,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """Each setting's value, and where it came from."""
    options: Options = context.obj
    if output is Output.JSON:
        typer.echo(json.dumps(facts(options.settings), indent=2))
        return
    table = plain_table("setting", "value", "source")
    for setting in TABLE:
        value = options.settings.values[setting.name]
        shown = f"({setting.otherwise})" if value.text is None else plain(value.text)
        table.add_row(setting.variable, shown, plain(value.source))
    make_console().print(table, markup=False)


def facts(settings: Settings) -> dict[str, Any]:
    """The settings for machines."""
    found = {
        value.setting.variable: {"value": value.text, "source": value.source, "flag": value.setting.flag}
        for value in settings.values.values()
    }
    return {"settings": found, "notes": settings.notes}
