"""`claudescale mcp-test`: start the MCP server as a client does, call every tool, and say what is not as it should be.

However it ends, no lease of it goes on. With --no-scale nothing is created, in the cluster or elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from rich.text import Text

from claudescale_cli.common import Options, Output, make_console, plain
from claudescale_cli.live.connection import connected
from claudescale_cli.mcp import server_arguments
from claudescale_cli.mcp_test.caller import NOT_LISTED, STATE, Caller
from claudescale_cli.mcp_test.calls import Call, table_of, tokens_of
from claudescale_cli.mcp_test.leftovers import end_all
from claudescale_cli.mcp_test.reads import READS, read
from claudescale_cli.mcp_test.target import Target, first_target
from claudescale_cli.mcp_test.writes import END, LEASE, WRITES, Writes
from claudescale_cli.signals import Signalled, exit_code, no_signals, signals_raise

NEEDED = (STATE, LEASE, END)
UNKNOWN = "this command does not know how to call it: it has to learn that (cli/claudescale_cli/mcp_test)"
STATE_FIRST = f"not called: {STATE} has to answer first"
NO_TARGET = (
    "not called: no workload here has a policy that is in force, one autoscaler, and room for one more than its base"
    " (claudescale policy)"
)


@dataclass(kw_only=True)
class Trial:
    """What has been done so far: rows, and the names of leases that were asked for, or may have been."""

    calls: list[Call] = field(default_factory=list)
    leases: list[str] = field(default_factory=list)


def mcp_test(
    context: typer.Context,
    no_scale: Annotated[
        bool, typer.Option("--no-scale", help="Change nothing: the tools that write are called with dry_run only.")
    ] = False,
    workload: Annotated[
        str | None,
        typer.Option(help="Whom the lease is for.", show_default="the first that has a policy"),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """Call every tool of the MCP server as a client does, over stdio: a table, and exit code 1 where one is not right.

    Without --no-scale it leases one replica more than the base of one workload, and ends that lease.
    """
    options: Options = context.obj
    trial = Trial()
    ended: BaseException | None = None
    try:
        with signals_raise():
            _run(options, trial, workload, no_scale=no_scale)
    except (KeyboardInterrupt, Signalled) as signalled:
        ended = signalled
    finally:
        with no_signals():
            left = end_all(options, trial.leases, interrupted=ended is not None)
            for sentence in left:
                make_console(stderr=True).print(plain(sentence), markup=False, soft_wrap=True)
    _show(options, trial.calls, output)
    if ended is not None:
        raise typer.Exit(exit_code(ended))
    wrong = list(dict.fromkeys(call.tool for call in trial.calls if call.problem is not None))
    if wrong or left:
        what = ", ".join([*wrong, *(["what it left"] if left else [])])
        raise ClaudeScaleError(f"not all is as it should be: {what}")


def _run(options: Options, trial: Trial, workload: str | None, *, no_scale: bool) -> None:
    console = make_console(stderr=True)
    with console.status("starting the MCP server") if console.is_terminal else nullcontext() as status:

        def tell(words: str) -> None:
            if status is not None:
                status.update(Text(plain(words)))

        asyncio.run(_play(options, trial, workload, tell, no_scale=no_scale))


async def _play(
    options: Options, trial: Trial, workload: str | None, tell: Callable[[str], None], *, no_scale: bool
) -> None:
    """All calls, through one server that ends with them."""
    async with connected(options) as connection:
        trial.calls.append(Call(tool="(start)", asked="initialize", seconds=connection.ready_seconds))
        tools, seconds = await connection.tools()
        tokens = tokens_of([tool.wire for tool in tools])
        trial.calls.append(Call(tool="(list)", asked=f"{len(tools)} tools", seconds=seconds, tokens=tokens))
        by_name = {tool.name: tool for tool in tools}
        caller = Caller(connection=connection, tools=by_name, tell=tell, calls=trial.calls)
        for name in NEEDED:
            if name not in by_name:
                caller.missing(name, NOT_LISTED)
        facts = await read(caller)
        known = READS | WRITES
        if facts is None:
            for name in by_name:
                if name in known - {STATE}:
                    caller.missing(name, STATE_FIRST)
        else:
            target = await _target(caller, workload) if workload is not None else first_target(facts["workloads"])
            await _write(caller, trial, target, no_scale=no_scale)
        for name in by_name:
            if name not in known:
                caller.missing(name, UNKNOWN)


async def _target(caller: Caller, workload: str) -> Target | None:
    """The workload that was named; None where it cannot be leased for."""
    answer = await caller.call(STATE, workload, {"workload": workload})
    return first_target(answer.facts["workloads"]) if answer is not None else None


async def _write(caller: Caller, trial: Trial, target: Target | None, *, no_scale: bool) -> None:
    if target is None:
        for name in caller.tools:
            if name in WRITES:
                caller.missing(name, NO_TARGET)
        return
    writes = Writes(caller=caller, target=target, asked_for=trial.leases.append)
    await (writes.only_dry() if no_scale else writes.whole())


def _show(options: Options, calls: list[Call], output: Output) -> None:
    if output is Output.JSON:
        found = {
            "server": " ".join(["python", *server_arguments(options)]),
            "passed": bool(calls) and all(call.problem is None for call in calls),
            "calls": [call.to_object() for call in calls],
        }
        typer.echo(json.dumps(found, indent=2))
    else:
        make_console().print(table_of(calls), markup=False)
