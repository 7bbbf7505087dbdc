"""`claudescale forward start|stop|status`: the stack's services on 127.0.0.1, in the background."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli import forward_state
from claudescale_cli.common import Options, make_console, plain_table
from claudescale_cli.forward_state import TARGETS, Target
from claudescale_cli.kubectl import find_kubectl

UP_SECONDS = 30.0  # that all forwards have until they answer

app = typer.Typer(help="Prometheus, Grafana and the demo app on 127.0.0.1.", no_args_is_help=True)


@app.command()
def start(
    context: typer.Context,
    port: Annotated[
        list[str] | None, typer.Option(help="Another local port, as NAME=PORT; may be repeated.", show_default=False)
    ] = None,
) -> None:
    """Start the forwards in the background; those that run already stay."""
    options: Options = context.obj
    ports = local_ports(port or [])
    with _alone(options.context):
        if forward_state.supervisor(forward_state.read(options.context)) is None:
            _clean_up(options.context)
            wanted = _deployed(options.cluster())
            _refuse_busy({target.name: ports[target.name] for target in wanted})
            _launch(options, {target.name: ports[target.name] for target in wanted})
        else:
            typer.echo("the forwards run already")
        problems = _wait_until_up(options.context)
    _show(options.context)
    if problems:
        raise ClaudeScaleError(f"not up yet, and tried again in the background: {'; '.join(problems)}")


@app.command()
def stop(context: typer.Context) -> None:
    """End the forwards; nothing happens where none run."""
    options: Options = context.obj
    with _alone(options.context):
        number = _clean_up(options.context)
    words = f"{number} forward{'s' if number > 1 else ''} ended"
    typer.echo(words if number else "no forwards run")


@app.command()
def status(context: typer.Context) -> None:
    """Which forwards run, and where."""
    options: Options = context.obj
    if not _show(options.context):
        typer.echo("no forwards run: make forward")


def local_ports(texts: list[str]) -> dict[str, int]:
    """The local port of each target, with those given as NAME=PORT; ClaudeScaleError where that is no such thing."""
    ports = {target.name: target.local_port for target in TARGETS}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in ports:
            raise ClaudeScaleError(f"there is no forward {name!r}: it is one of {', '.join(ports)}")
        if not number.isdecimal() or not 1 <= int(number) <= 65535:
            raise ClaudeScaleError(f"{text!r} names no port: write {name}=PORT, 1 to 65535")
        ports[name] = int(number)
    doubled = [name for name in ports if list(ports.values()).count(ports[name]) > 1]
    if doubled:
        raise ClaudeScaleError(f"{' and '.join(doubled)} cannot have the same port {ports[doubled[0]]}")
    return ports


def _deployed(cluster: ClusterClient) -> list[Target]:
    found = []
    for target in TARGETS:
        path = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/{target.name}"
        deployment = cluster.find(path)
        if deployment is None or deployment["spec"].get("replicas") == 0:
            typer.echo(f"{target.name} is not deployed here: no forward for it")
        else:
            found.append(target)
    if not found:
        raise ClaudeScaleError(f"nothing to forward runs in namespace {cluster.namespace}: make up")
    return found


def _refuse_busy(ports: dict[str, int]) -> None:
    busy = [
        f"port {port} for {name} is taken by {forward_state.port_owner(port)}"
        for name, port in ports.items()
        if not forward_state.port_is_free(port)
    ]
    if busy:
        raise ClaudeScaleError(f"{'; '.join(busy)}: end it, or choose another by --port NAME=PORT")


def _launch(options: Options, ports: dict[str, int]) -> None:
    chosen = [argument for name, port in ports.items() for argument in ("--forward", f"{name}={port}")]
    place = forward_state.folder(options.context)
    with (place / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "claudescale_cli.forward_supervisor", "--state-of", options.context),
                *("--kubectl", find_kubectl(), *chosen, "--", *options.kubectl_arguments()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + UP_SECONDS
    while forward_state.supervisor(forward_state.read(options.context)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ClaudeScaleError(f"the forwards could not be started: {place / 'supervisor.log'} says why")
        time.sleep(0.1)


def _wait_until_up(context: str) -> list[str]:
    deadline = time.monotonic() + UP_SECONDS
    while True:
        problems = [
            f"{forward['name']} ({forward['message'] or forward['state']})"
            for forward in forward_state.facts(context)
            if forward["state"] != "up"
        ]
        if not problems or time.monotonic() > deadline:
            return problems
        time.sleep(0.2)


def _clean_up(context: str) -> int:
    """End the supervisor, and children that an ended one left; the number of forwards that there were."""
    state = forward_state.read(context)
    if state is None:
        return 0
    supervisor = forward_state.supervisor(state)
    if supervisor is not None:
        supervisor.end()
    for forward in state["forwards"]:
        child = forward_state.process_of(forward["child"])
        if child is not None:
            child.end()
    forward_state.forget(context)
    return len(state["forwards"])


def _show(context: str) -> bool:
    facts = forward_state.facts(context)
    if facts:
        table = plain_table("forward", "state", "address", "")
        for forward in facts:
            table.add_row(forward["name"], forward["state"], forward["address"], forward["message"])
        make_console().print(table, markup=False)
    return bool(facts)


@contextmanager
def _alone(context: str) -> Iterator[None]:
    """One start or stop at a time for a context; the lock goes with the process, whatever ends it."""
    place = forward_state.folder(context)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
