"""The command `claudescale`: global options, the list of commands, and one way for errors to reach a person."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli import (
    config,
    controller,
    forward,
    lease,
    leases,
    load,
    mcp,
    policy,
    records,
    settings,
    status,
    verify,
    watch,
)
from claudescale_cli.common import Options, make_console, plain
from claudescale_cli.compare import command as compare
from claudescale_cli.demo import command as demo
from claudescale_cli.mcp_test import command as mcp_test
from claudescale_cli.scenarios import command as scenarios

app = typer.Typer(
    name="claudescale",
    help="See and exercise a cluster that ClaudeScale made, and ask for capacity in it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _default(name: str) -> str:
    setting = settings.BY_NAME[name]
    return f"  [{setting.variable}, else {setting.default}]"


@app.callback()
def options(
    context: typer.Context,
    kube_context: Annotated[
        str | None, typer.Option("--context", help=f"The kubeconfig's context.{_default('context')}")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help=f"Where the stack lives.{_default('namespace')}")] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Not $KUBECONFIG or ~/.kube/config, but this one.")] = None,
) -> None:
    """See and exercise a cluster that ClaudeScale made, and ask for capacity in it."""
    flags = {"context": kube_context, "namespace": namespace, "kubeconfig": kubeconfig}
    found = settings.resolve(flags, os.environ, settings.here())
    for note in found.notes:
        make_console(stderr=True).print(f"note: {plain(note)}", markup=False, soft_wrap=True)
    context.obj = Options(
        context=found.required("context"),
        namespace=found.required("namespace"),
        kubeconfig=found.text("kubeconfig"),
        settings=found,
    )


app.command("status")(status.status)
app.command("leases")(leases.leases)
app.command("lease")(lease.lease)
app.command("end")(lease.end)
app.command("policy")(policy.policy)
app.command("controller")(controller.controller)
app.command("mcp")(mcp.mcp)
app.command("mcp-test")(mcp_test.mcp_test)
app.command("config")(config.config)
app.command("demo")(demo.demo)
app.command("compare")(compare.compare)
app.command("scenario")(scenarios.scenario)
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
        make_console(stderr=True).print(plain(str(error)), markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
