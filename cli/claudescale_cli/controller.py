"""`claudescale controller`: the controller as a process here, instead of the one in the cluster or beside it."""

from __future__ import annotations

from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller import __main__ as process
from ansible_collections.claudescale.core.plugins.module_utils.controller import logs
from ansible_collections.claudescale.core.plugins.module_utils.controller.loop import DEFAULT_TTL_SECONDS, Controller
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER

from claudescale_cli.common import Options

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def controller(
    context: typer.Context,
    namespaces: Annotated[
        str | None, typer.Option(help="What to look after, comma-separated; without it the namespace.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where health and metrics answer; without it nowhere.")
    ] = None,
    ttl: Annotated[int | None, typer.Option(min=0, help="Seconds that leases stay when they are over.")] = None,
    log_level: Annotated[str | None, typer.Option(help=f"{', '.join(LEVELS)}.")] = None,
) -> None:
    """Run the controller here, with the rights of its service account, until Ctrl-C or SIGTERM."""
    options: Options = context.obj
    settings = options.settings
    wanted = process.names(settings.text("namespaces", namespaces) or options.namespace)
    stay = settings.number("ttl_seconds_after_finished", ttl)
    level = settings.text("log_level", log_level) or "INFO"
    if level not in LEVELS:
        raise ClaudeScaleError(f"there is no log level {one_line(repr(level), 60)}: it is one of {', '.join(LEVELS)}")
    door = settings.number("health_port", port)
    client = options.cluster().as_account(CONTROLLER)
    _account(client)
    Reader(client).kinds_exist()
    for namespace in wanted:
        _rights(client, namespace)
    logs.set_up(level)
    code = process.serve(Controller(client, wanted, ttl=DEFAULT_TTL_SECONDS if stay is None else stay), door)
    raise typer.Exit(code)


def _account(client: ClusterClient) -> None:
    """The first token, so that what lacks is said in our words."""
    try:
        client.authorization()
    except ApiError as error:
        if error.status == 404:
            where = one_line(repr(client.namespace), 80)
            raise ClaudeScaleError(f"there is no service account {CONTROLLER} in namespace {where}: make up") from error
        raise


def _rights(client: ClusterClient, namespace: str) -> None:
    """A namespace that is not attached is said at once, instead of in every line of the log."""
    if not client.allowed("patch", "autoscaling", "horizontalpodautoscalers", namespace):
        raise ClaudeScaleError(
            f"{CONTROLLER} of namespace {client.namespace} has no rights in namespace {one_line(repr(namespace), 80)}: "
            "name it in controller_namespaces and make up"
        )
