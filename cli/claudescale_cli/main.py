"""The command `claudescale`: global options, the list of commands, and one way for errors to reach a person."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli import forward, load, records, status, verify, watch
from claudescale_cli.common import Options, make_console

app = typer.Typer(
    name="claudescale",
    help="See and exercise a cluster that ClaudeScale made.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    kube_context: Annotated[
        str, typer.Option("--context", envvar="CLAUDESCALE_CONTEXT", help="The kubeconfig's context.")
    ] = "claudescale",
    namespace: Annotated[
        str, typer.Option(envvar="CLAUDESCALE_NAMESPACE", help="Where the stack lives.")
    ] = "claudescale",
    kubeconfig: Annotated[
        str | None, typer.Option(help="Another kubeconfig than $KUBECONFIG or ~/.kube/config.", show_default=False)
    ] = None,
) -> None:
    """See and exercise a cluster that ClaudeScale made."""
    context.obj = Options(context=kube_context, namespace=namespace, kubeconfig=kubeconfig)


app.command("status")(status.status)
app.command("watch")(watch.watch)
app.command("load")(load.load)
app.add_typer(forward.app, name="forward")
app.add_typer(records.app, name="records")
app.command("verify-prometheus")(verify.verify_prometheus)
app.command("verify-grafana")(verify.verify_grafana)


def main() -> None:
    """Run the command; what a person can mend ends in one sentence on standard error and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack letters that people put into a reason
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except ClaudeScaleError as error:
        make_console(stderr=True).print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
