"""`claudescale demo`: a raw write to /scale and a lease, one after the other, live, and one picture of both.

However it ends, no lease of it goes on, the scale is as it was found, and nothing is left running.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

from claudescale_cli import records
from claudescale_cli.capacity import user_words
from claudescale_cli.common import Options, plain
from claudescale_cli.demo import raw as demo_raw
from claudescale_cli.demo.course import Story, lease_words, raw_words
from claudescale_cli.demo.lease import lease, refusal
from claudescale_cli.demo.picture import picture
from claudescale_cli.demo.sketch import sketch
from claudescale_cli.demo.stage import Stage
from claudescale_cli.demo.undo import Trace, put_back
from claudescale_cli.live.assistant import Assistant
from claudescale_cli.live.conditions import WORKLOAD, check
from claudescale_cli.live.observer import Observer, observed
from claudescale_cli.live.screen import Screen
from claudescale_cli.signals import Signalled, exit_code, no_signals, signals_raise

PICTURE = Path("claudescale-demo.svg")


def demo(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--picture", help="Where the picture is written, as SVG.")] = PICTURE,
) -> None:
    """A raw write to /scale and a lease, one after the other, live on demo-app: about 5 minutes, and one picture."""
    options: Options = context.obj
    if not file.parent.is_dir():
        raise ClaudeScaleError(f"there is no folder {file.parent} for the picture: name another place by --picture")
    cluster, screen = options.cluster(), Screen()
    trace = Trace()
    try:
        with signals_raise():
            problems = _play(options, cluster, screen, trace, file)
    except (KeyboardInterrupt, Signalled) as ended:
        _put_back(cluster, screen, trace, "Interrupted")
        raise typer.Exit(exit_code(ended)) from None
    except (Exception, SystemExit):  # rich leaves by SystemExit where the reader of its lines is gone
        if trace.touched:
            _put_back(cluster, screen, trace, "This went wrong")
        raise
    if problems:
        raise ClaudeScaleError(f"not all was as it should be: {'; '.join(problems)}")


def _play(options: Options, cluster: ClusterClient, screen: Screen, trace: Trace, file: Path) -> list[str]:
    """All acts; the problems that were seen."""
    began = time.monotonic()
    where = plain(f"{WORKLOAD} in namespace {options.namespace} of context {options.context}")
    screen.line(f"{where}: about 5 minutes. Ctrl-C at any point puts everything back.")
    screen.step("1  Before")
    ground, lines = check(cluster)
    screen.facts(lines)
    trace.found(ground.autoscaler, ground.base)
    assistant = Assistant(options)
    observer = Observer(WORKLOAD, ground.autoscaler)
    stage = Stage(cluster=cluster, screen=screen, assistant=assistant, ground=ground, observer=observer, trace=trace)
    with observed(cluster, observer):
        # Whatever can be known beforehand is known before anything is touched.
        with screen.waiting("starting the MCP server"):
            assistant.call("get_current_state", workload=WORKLOAD)
        screen.facts([("assistant", f"the MCP server answers over stdio: {assistant.command}")])
        raw, written = demo_raw.raw_write(stage)
        held = lease(stage, raw)
        refusal(stage)
    _records(cluster, screen, held.record)
    story = Story(
        workload=WORKLOAD,
        where=f"{where}, {time.strftime('%d %B %Y, %H:%M UTC', time.gmtime())}. Drawn from watch events, no load.",
        raw=raw,
        lease=held.course,
        person=plain(user_words(ground.person)),
        account=f"{held.account.rpartition(':')[2]}, through the MCP tool",
        lease_seconds=held.seconds,
        event=demo_raw.event_of(stage, written, until=held.ended) if raw.back is not None else "",
        exact=held.exact,
    )
    _picture(screen, story, file)
    found = "" if stage.problems else " The cluster is as it was found; the records stay."
    screen.line(f"\n{time.monotonic() - began:.0f} s in all.{found}")
    return stage.problems


def _records(cluster: ClusterClient, screen: Screen, noted: str | None) -> None:
    """The chain; the head that the lease's answer gave is one that was noted earlier."""
    screen.step("5  The records")
    screen.line(f"  $ claudescale records verify{f' --head {noted}' if noted else ''}")
    head = chain.parse_head(noted) if noted else None
    with screen.waiting("verifying the chain"):
        result, notes = records.verified(cluster, head)
    if result.broken:
        raise ClaudeScaleError(str(result.broken))
    for line in records.whole_lines(result, [*([records.noted_line(head)] if head else []), *notes]):
        screen.line(f"  {line}")


def _picture(screen: Screen, story: Story, file: Path) -> None:
    """The picture, and the same in the terminal."""
    screen.step("6  Both, on one scale of time")
    for line in sketch(story, blocks=screen.blocks):
        screen.line(f"  {line}")
    screen.line(f"  left:    {raw_words(story.raw)}")
    screen.line(f"  right:   {lease_words(story.lease, story.lease_seconds)}")
    try:
        file.write_text(picture(story), encoding="utf-8")
    except OSError as error:
        raise ClaudeScaleError(
            f"{file} cannot be written ({error.strerror}): name another place by --picture"
        ) from error
    screen.line(f"  picture: {file.resolve()}")


def _put_back(cluster: ClusterClient, screen: Screen, trace: Trace, why: str) -> None:
    """Say what is put back; a second Ctrl-C does not disturb it."""
    with no_signals():
        screen.step(f"{why}: putting things back")
        if not trace.touched:
            screen.say("nothing was touched")
        put_back(cluster, trace, screen.say)
