"""`python -m tools.conversations record --context C [NAME ...]`, and `python -m tools.conversations render`.

`record` plays conversations on a cluster, which costs no more than a lease of some minutes and the load that a script
asks for, writes docs/conversations/NAME.json and the page. `render` writes the page anew from what was recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import make_plan
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun

from tools.conversations import page, recording, scripts
from tools.conversations.model import Conversation, Load
from tools.conversations.places import Unfilled
from tools.conversations.play import Played, Server, World, play
from tools.conversations.process import Place, process

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "CLAUDE_DESKTOP_USAGE.md"
FOLDER = DOCS / page.FOLDER
NAMES = [conversation.name for conversation in scripts.PLAYED]


def main() -> int:
    """Exit code 0, or 1 with one line that says what is wrong; then nothing of that conversation was written."""
    options = _parser().parse_args()
    try:
        if options.what == "record":
            place = Place(context=options.context, namespace=options.namespace, kubeconfig=options.kubeconfig)
            for conversation in chosen(options.names):
                print(f"{conversation.name}: {conversation.title}", flush=True)
                keep(conversation, asyncio.run(play(conversation, world(place))))
        render()
    except (ClaudeScaleError, Unfilled, recording.Unfit, ValueError, OSError) as error:
        print(f"conversations: {error}", file=sys.stderr)
        return 1
    return 0


def chosen(names: Sequence[str]) -> list[Conversation]:
    """The conversations of these names, in the order of the names; all, in their own order, where there are none.

    ValueError where there is none of a name.
    """
    by_name = {conversation.name: conversation for conversation in scripts.ALL}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ValueError(f"there is no conversation {unknown[0]}: it is one of {', '.join(NAMES)}")
    return [by_name[name] for name in names or NAMES]


def keep(conversation: Conversation, played: Played) -> None:
    """Write what was recorded, if the words fit it and it may be seen."""
    recording.check(conversation, played.recording)
    page.section(conversation, played.recording)
    FOLDER.mkdir(exist_ok=True)
    for file, image in played.pictures.items():
        (FOLDER / file).write_bytes(image)
    (FOLDER / f"{conversation.name}.json").write_text(recording.as_text(played.recording), encoding="utf-8")


def kept(conversation: Conversation) -> recording.Recording:
    """What was recorded of it; OSError where nothing was."""
    return recording.from_text((FOLDER / f"{conversation.name}.json").read_text(encoding="utf-8"))


def render() -> None:
    """Write the page's conversations from what was recorded; those that were not stay as they are."""
    text = PAGE.read_text(encoding="utf-8")
    for conversation in scripts.ALL:
        if (FOLDER / f"{conversation.name}.json").exists():
            text = page.put(text, conversation.name, page.section(conversation, kept(conversation)))
    PAGE.write_text(text, encoding="utf-8")


def world(place: Place) -> World:
    """A cluster, and this machine's clock."""

    def connect(writes: bool) -> AbstractAsyncContextManager[Server]:
        return process(place, writes=writes)

    @asynccontextmanager
    async def load(turn: Load) -> AsyncIterator[None]:
        cluster = ClusterClient(context=place.context, namespace=place.namespace, kubeconfig=place.kubeconfig)
        run = LoadRun(cluster, make_plan("steady", rate=turn.rate, seconds=turn.seconds))
        try:
            await asyncio.to_thread(run.start)
            yield
        finally:
            run.stop()

    return World(connect=connect, now=time.time, sleep=asyncio.sleep, load=load)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.conversations", description="Conversations with Claude.")
    what = parser.add_subparsers(dest="what", required=True)
    record = what.add_parser("record", help="play conversations on a cluster, write the recordings and the page")
    record.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    record.add_argument("--context", required=True, help="the kubeconfig's context")
    record.add_argument("--namespace", default="claudescale")
    kubeconfig = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    record.add_argument("--kubeconfig", type=lambda path: str(Path(path).resolve()), default=kubeconfig)
    what.add_parser("render", help="write the page anew from what was recorded")
    return parser


if __name__ == "__main__":
    sys.exit(main())
