"""`claudescale mcp`: the MCP server over stdio, for Claude Desktop, Claude Code and other clients to start."""

from __future__ import annotations

from typing import Annotated

import typer
from claudescale_mcp.link import Place
from claudescale_mcp.serve import serve

from claudescale_cli.common import Options


def server_arguments(options: Options) -> list[str]:
    """What follows the interpreter's name where the command starts the server itself: with writes, for its cluster."""
    chosen = ["-m", "claudescale_mcp", "--context", options.context, "--namespace", options.namespace]
    kubeconfig = ["--kubeconfig", options.kubeconfig] if options.kubeconfig else []
    return [*chosen, *kubeconfig, "--allow-writes"]


def mcp(
    context: typer.Context,
    allow_writes: Annotated[
        bool,
        typer.Option(
            "--allow-writes", help="Also the tools that ask for capacity and end leases, within what policy allows."
        ),
    ] = False,
) -> None:
    """Serve Claude over standard input and output, read-only by default; see mcp_plugin/README.md."""
    options: Options = context.obj
    place = Place(context=options.context, namespace=options.namespace, kubeconfig=options.kubeconfig)
    serve(place, allow_writes=allow_writes)
