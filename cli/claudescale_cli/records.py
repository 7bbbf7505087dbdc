"""`claudescale records`: the namespace's chain of records, to see, to take away and to verify."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import rules
from ansible_collections.claudescale.core.plugins.module_utils.record import chain, export
from ansible_collections.claudescale.core.plugins.module_utils.record.verify import Result, verify

from claudescale_cli.common import Options, Output, make_console, plain_table

STANDARD = Path("-")  # standard input or output
COLUMNS = ("#", "time", "event", "outcome", "workload", "lease", "actor")  # the door, a claim, is in the JSON
UNBROKEN = 3  # columns that are cut nowhere, however narrow the place is
SERVICE_ACCOUNT = "system:serviceaccount:"

app = typer.Typer(help="The namespace's chain of records: list, export, verify.", no_args_is_help=True)


@app.command("list")
def list_records(
    context: typer.Context,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest.", show_default="all")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")] = Output.TABLE,
) -> None:
    """What was asked, decided and written in the namespace, oldest first."""
    options: Options = context.obj
    records = list(deque(_live(options.cluster()), maxlen=last))
    if output is Output.JSON:
        typer.echo(json.dumps([json.loads(export.line(record)) for record in records], indent=2))
    elif not records:
        typer.echo(f"namespace {options.namespace} has no records")
    else:
        table = plain_table(*COLUMNS)
        for column in table.columns[:UNBROKEN]:
            column.no_wrap = True
        for record in records:
            table.add_row(*row(record["spec"]))
        make_console().print(table, markup=False)


@app.command("export")
def export_records(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that is not there yet; - is standard output.")] = STANDARD,
) -> None:
    """Write all records as JSON Lines, as `verify --file` reads them."""
    options: Options = context.obj
    lines = [export.line(record) for record in _live(options.cluster())]
    if not lines:
        raise ClaudeScaleError(f"namespace {options.namespace} has no records to export")
    if file == STANDARD:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    _write(file, lines)
    typer.echo(f"{len(lines)} records are in {file}: claudescale records verify --file {file}")


@app.command("verify")
def verify_records(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Option(help="An export instead of the cluster; - is standard input.", show_default=False)
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A head noted earlier, SEQUENCE:HASH.", metavar="HEAD", show_default=False)
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Words, or JSON.")] = Output.TABLE,
) -> None:
    """Verify the whole chain, and print its head to note down; exit code 1 and the place where it is broken."""
    options: Options = context.obj
    noted = None if head is None else chain.parse_head(head)
    notes = [] if noted is None else [noted_line(noted)]
    if file is not None:
        result = _verify_file(file, noted)
    else:
        result, more = verified(options.cluster(), noted)
        notes += more
    if output is Output.JSON:
        typer.echo(json.dumps(facts(result), indent=2))
    if result.broken:
        raise ClaudeScaleError(str(result.broken))
    if output is Output.TABLE:
        for line in whole_lines(result, notes):
            typer.echo(line)


def verified(cluster: ClusterClient, noted: chain.Head | None) -> tuple[Result, list[str]]:
    """The verification of the cluster's chain, and notes about what could not be compared."""
    uid = _namespace_uid(cluster)
    notes = [] if uid is not None else ["not compared: the namespace's UID, which this identity may not read"]
    return verify(_live(cluster), namespace_uid=uid, noted=noted), notes


def noted_line(noted: chain.Head) -> str:
    """What is said of a head that is in the chain."""
    return f"the head noted earlier is in it: {noted}"


def whole_lines(result: Result, notes: Iterable[str]) -> list[str]:
    """What is said of a chain that is whole."""
    where = f"namespace {result.namespace['name']} (UID {result.namespace['uid']})"
    return [f"{result.count} records of {where} are whole", *notes, f"head to note down: {result.head}"]


def row(spec: dict[str, Any]) -> tuple[str, ...]:
    """A record's row, whatever is in it: a broken record is to be seen, too."""
    try:
        said = json.loads(spec["payload"])
        event, lease = said["event"], said.get("lease", {}).get("name", "")
    except (ValueError, LookupError, TypeError, AttributeError):
        event, lease = "?", ""
    outcome, decision, actor = (str(spec.get(name, "")) for name in ("outcome", "decision", "actor"))
    if decision not in ("", rules.ALLOWED):
        outcome = f"{outcome}: {decision}"
    if actor.startswith(SERVICE_ACCOUNT):
        actor = "…:" + actor.rpartition(":")[2]  # whole in the JSON
    found = (spec.get("sequence", "?"), str(spec.get("time", ""))[:19] + "Z", event, outcome, spec.get("workload", ""))
    return tuple(_printable(str(value)) for value in (*found, lease, actor))


def facts(result: Result) -> dict[str, Any]:
    """A verification for machines."""
    broken = result.broken
    return {
        "whole": broken is None,
        "records": result.count,
        "head": str(result.head) if result.head else None,
        "namespace": dict(result.namespace),
        "broken": broken and {"place": broken.place, "code": broken.code.value, "what": broken.what},
    }


def _live(cluster: ClusterClient) -> Iterator[dict[str, Any]]:
    try:
        yield from cluster.pages(f"/apis/{chain.API_VERSION}/namespaces/{cluster.namespace}/scalingrecords")
    except ApiError as error:
        if error.status == 404:
            raise ClaudeScaleError("the cluster has no records: it has no kind ScalingRecord yet (make up)") from error
        raise


def _namespace_uid(cluster: ClusterClient) -> str | None:
    try:
        return str(cluster.get(f"/api/v1/namespaces/{cluster.namespace}")["metadata"]["uid"])
    except ApiError as error:
        if error.status == 403:
            return None
        raise


def _verify_file(file: Path, noted: chain.Head | None) -> Result:
    try:
        with nullcontext(sys.stdin.buffer) if file == STANDARD else file.open("rb") as stream:
            return verify(export.read(stream), noted=noted)
    except OSError as error:
        raise ClaudeScaleError(f"{file} cannot be read ({error.strerror}): name an export by --file") from error


def _write(file: Path, lines: Iterable[bytes]) -> None:
    """Into a new file only: an older export is evidence."""
    try:
        with file.open("xb") as stream:
            stream.writelines(lines)
    except FileExistsError as error:
        raise ClaudeScaleError(f"{file} is there already: name another file") from error
    except OSError as error:
        raise ClaudeScaleError(f"{file} cannot be written ({error.strerror}): name another file") from error


def _printable(text: str) -> str:
    """Names come from whoever asked: nothing in one may move the cursor."""
    return text if text.isprintable() else repr(text)[1:-1]
