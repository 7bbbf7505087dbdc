"""`claudescale lease` and `claudescale end`: ask for capacity, and give it back before its time.

Exit codes: 0 it is as asked, 1 something is wrong or the floor does not stand, 3 policy refuses.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Answer, Door, record_of
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import (
    LONGEST_NAME,
    MOST_REPLICAS,
    BadRequest,
    Wish,
    parse_count,
    parse_duration,
    parse_workload,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef

from claudescale_cli.common import Options, Output, make_console, plain, plain_table

FIELD_MANAGER = "claudescale-cli"
REFUSED = 3
TIMEOUT = "60s"
GIVEN_UP = ("FloorContested", "FloorCapped")  # reasons for which waiting longer is of no use

Form = Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON.")]


def lease(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Its name; one is made up without it.", show_default=False)] = None,
    *,
    workload: Annotated[str | None, typer.Option(help="demo-app, or statefulset/db.")] = None,
    replicas: Annotated[str | None, typer.Option(help="At least so many.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why: it is recorded.")] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long: 90s, 30m, 2h. Else the policy says.")] = None,
    until: Annotated[str | None, typer.Option(help="Its end instead, as 2026-03-01T22:00:00+01:00.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Its start, where that is not now.")] = None,
    on_behalf_of: Annotated[str | None, typer.Option(help="For whom: a claim, recorded as such.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and create nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the floor stands.")] = True,
    timeout: Annotated[str, typer.Option(help="How long to wait at most.")] = TIMEOUT,
    output: Form = Output.TABLE,
) -> None:
    """Ask for at least so many replicas of a workload, for a time. Exit code 3 where policy refuses."""
    options: Options = context.obj
    wish = _wish(
        name, workload, replicas, reason, duration=duration, until=until, start=start, on_behalf_of=on_behalf_of
    )
    seconds = parse_duration(timeout)
    door = Door(options.cluster(), FIELD_MANAGER)
    answer = door.ask(wish, dry_run=dry_run)
    problem = None
    if wait and not dry_run and (answer.preview or not answer.refused):
        answer, problem = _settled(door, answer, seconds)
    _show(answer, output, dry_run=dry_run, problem=problem)
    if answer.refused:
        make_console(stderr=True).print(plain(answer.message), markup=False, soft_wrap=True)
        raise typer.Exit(REFUSED)
    if problem:
        raise ClaudeScaleError(problem)


def end(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The lease's name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and change nothing.")] = False,
    output: Form = Output.TABLE,
) -> None:
    """End a lease before its time: the floor goes back to what the other leases and people want."""
    options: Options = context.obj
    answer = Door(options.cluster(), FIELD_MANAGER).end(name, dry_run=dry_run)
    problem = None if dry_run or answer.over else answer.message
    _show(answer, output, dry_run=dry_run, problem=problem, rules=False)
    if problem:
        raise ClaudeScaleError(problem)


def made_up_name(workload: WorkloadRef) -> str:
    """A name that nobody has."""
    tail = f"-{secrets.token_hex(3)}"
    return workload.name[: LONGEST_NAME - len(tail)].rstrip("-.") + tail


def _wish(
    name: str | None,
    workload: str | None,
    replicas: str | None,
    reason: str | None,
    *,
    duration: str | None,
    until: str | None,
    start: str | None,
    on_behalf_of: str | None,
) -> Wish:
    """What was asked, checked; BadRequest in one sentence."""
    if workload is None or replicas is None or reason is None:
        given = {"--workload": workload, "--replicas": replicas, "--reason": reason}
        missing = ", ".join(flag for flag, value in given.items() if value is None)
        example = "--workload demo-app --replicas 4 --for 30m --reason 'launch at 20:00'"
        raise BadRequest(f"{missing} must be given too, as in: claudescale lease {example}")
    ref = parse_workload(workload)
    return Wish(
        name=made_up_name(ref) if name is None else name,
        workload=ref,
        replicas=parse_count("replicas", replicas, MOST_REPLICAS),
        reason=reason,
        start=start,
        end=until,
        seconds=None if duration is None else parse_duration(duration),
        on_behalf_of=on_behalf_of,
    )


def _settled(door: Door, answer: Answer, seconds: float) -> tuple[Answer, str | None]:
    """The answer once nothing more is to be waited for, and why the floor does not stand where it ought to."""
    name = answer.lease["metadata"]["name"]
    console = make_console(stderr=True)
    words = f"waiting for the floor: lease {plain(name)}"
    patience = door.clock.now() + seconds
    try:
        with console.status(words) if console.is_terminal else nullcontext():
            found = door.follow(answer, lambda lease: is_settled(lease, patience), seconds)
    except ClaudeScaleError as error:
        return answer, f"lease {name} was asked for, and what became of it cannot be seen: {error}"
    except KeyboardInterrupt:
        console.print(f"lease {plain(name)} stays as it is: claudescale end {plain(name)}", markup=False)
        raise
    if found is None:
        return answer, f"lease {name} was deleted while its floor was waited for"
    return found, None if found.refused else _problem(found, seconds)


def is_settled(lease: Mapping[str, Any], patience: float) -> bool:
    """Whether waiting is over; `patience` is the time until which a start is waited for."""
    seen = Answer(changed=False, lease=lease, decision=None)
    if seen.phase is None:
        return False
    return seen.over or seen.stands or reason_of(seen) in GIVEN_UP or _starts_later(seen, patience)


def reason_of(answer: Answer) -> str:
    """Why the floor stands or does not, in one word."""
    conditions = answer.status.get("conditions") or []
    return next((str(one["reason"]) for one in conditions if one["type"] == "FloorStands"), "")


def _starts_later(answer: Answer, moment: float) -> bool:
    return reason_of(answer) == "NotStarted" and moments.parse(answer.status["startTime"]) > moment


def _problem(answer: Answer, seconds: float) -> str | None:
    """Why the floor does not stand where it ought to, None where all is well."""
    stood = "applied" in (answer.status.get("floor") or {})
    if answer.stands or answer.phase == "Observed" or reason_of(answer) == "NotStarted" or (answer.over and stood):
        return None
    name = answer.lease["metadata"]["name"]
    if answer.over or reason_of(answer) in GIVEN_UP:
        return answer.message
    stays = f"and the lease stays (claudescale end {name})"
    return f"the floor does not stand after {seconds:.0f} s, {stays}: {answer.message}"


def _show(answer: Answer, output: Output, *, dry_run: bool, problem: str | None, rules: bool = True) -> None:
    """The answer on standard output; a refusal and a problem are said on standard error."""
    if output is Output.JSON:
        typer.echo(json.dumps(facts(answer, dry_run=dry_run), indent=2))
        return
    if not answer.refused and problem is None:
        typer.echo(plain(headline(answer, dry_run=dry_run)))
    if rules and answer.decision is not None:
        who = "by the rules, as a preview" if answer.preview else "by the controller"
        table = plain_table("rule", "passed", "asked", "limit", who)
        for rule in answer.decision["rules"]:
            numbers = (str(rule.get(name, "")) for name in ("asked", "limit"))
            table.add_row(plain(rule["rule"]), "yes" if rule["passed"] else "no", *numbers, plain(rule["message"]))
        make_console().print(table, markup=False)
    head = record_of(answer.lease)
    if head:
        typer.echo(f"record to note down: {plain(head)}")


def headline(answer: Answer, *, dry_run: bool) -> str:
    """The answer in one sentence."""
    name = answer.lease["metadata"]["name"]
    if dry_run and answer.preview and answer.decision and answer.decision["allowed"]:
        return f"lease {name} would be allowed; nothing was created"
    return answer.message if answer.changed else f"unchanged: {answer.message}"


def facts(answer: Answer, *, dry_run: bool) -> dict[str, Any]:
    """The answer for machines."""
    meta = answer.lease["metadata"]
    return {
        "changed": answer.changed,
        "dry_run": dry_run,
        "preview": answer.preview,
        "refused": answer.refused,
        "stands": answer.stands,
        "phase": answer.phase,
        "message": answer.message,
        "decision": answer.decision,
        "record": record_of(answer.lease),
        "lease": {
            "name": meta["name"],
            "namespace": meta.get("namespace"),
            "spec": answer.lease["spec"],
            "status": answer.status or None,
        },
    }
