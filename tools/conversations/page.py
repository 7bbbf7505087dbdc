"""A recorded conversation as a part of a page, between two markers. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments

from tools.conversations.model import Call, Claude, Conversation, Load, Person, Start, Wait
from tools.conversations.places import fill
from tools.conversations.recording import Answered, Recording

WIDTH = 124
LINES_SHOWN = 14  # of an answer; the file has all
FOLDER = "conversations"


def section(conversation: Conversation, recording: Recording) -> str:
    """The conversation as Markdown; Unfilled where a place has no value."""
    parts = [_head(conversation, recording)]
    made = 0
    for turn in conversation.turns:
        facts = recording.facts(made)
        if isinstance(turn, Person):
            parts.append(_words("You", fill(turn.words, facts)))
        elif isinstance(turn, Claude):
            parts.append(_words("Claude", fill(turn.words, facts)))
        elif isinstance(turn, Call):
            parts.append(_call(recording.calls[made]))
            made += 1
        elif isinstance(turn, Start):
            parts.append(f"*The server is started anew, {'with' if turn.writes else 'without'} leases.*")
        elif isinstance(turn, Load):
            parts.append(f"*Load begins: {turn.rate} requests per second, for {turn.seconds} s.*")
        elif isinstance(turn, Wait):
            parts.append(f"*Nothing happens until {_after(turn, recording)} UTC.*")
    return "\n\n".join(parts)


def markers(name: str) -> tuple[str, str]:
    """What stands before and after a conversation on the page."""
    return f"<!-- conversation: {name} -->", f"<!-- end of conversation: {name} -->"


def between(page: str, name: str) -> str:
    """What stands on the page between the markers; ValueError where they are not there, once each."""
    first, last = markers(name)
    if page.count(first) != 1 or page.count(last) != 1 or page.index(first) > page.index(last):
        raise ValueError(f"the page has no place for the conversation {name}: it needs {first} and {last}")
    return page[page.index(first) + len(first) : page.index(last)].strip("\n")


def put(page: str, name: str, text: str) -> str:
    """The page with another text between the markers."""
    between(page, name)
    first, last = markers(name)
    before, after = page[: page.index(first) + len(first)], page[page.index(last) :]
    return f"{before}\n{text}\n{after}"


def _head(conversation: Conversation, recording: Recording) -> str:
    day, began, ended = recording.began[:10], recording.began[11:19], recording.ended[11:19]
    file = f"[{conversation.name}.json]({FOLDER}/{conversation.name}.json)"
    about = f"{conversation.about} Recorded on {day} from {began} to {ended} UTC, {recording.server}: {file}."
    return f"### {conversation.title}\n{textwrap.fill(about, WIDTH, break_long_words=False, break_on_hyphens=False)}"


def _words(who: str, words: str) -> str:
    """What somebody says, as a quotation; a line that begins with a hyphen is an item of a list."""
    lines: list[str] = []
    was_item = False
    for paragraph in f"**{who}:** {words}".split("\n"):
        is_item = paragraph.startswith("- ")
        if lines and not (is_item and was_item):
            lines.append(">")
        lines += textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent="> ",
            subsequent_indent=">   " if is_item else "> ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        was_item = is_item
    return "\n".join(lines)


def _call(call: Answered) -> str:
    arguments = f" `{_compact(call.arguments)}`" if call.arguments else ""
    what = "an error" if call.is_error else "its answer"
    lines = [part for line in call.text.splitlines() for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")]
    more = [f"... {len(lines) - LINES_SHOWN} more lines"] if len(lines) > LINES_SHOWN else []
    shown = "\n".join([*lines[:LINES_SHOWN], *more])
    title = f"**`{call.tool}`**{arguments}, called at {call.at[11:19]} UTC; {what} after {call.seconds:.2f} s:"
    pictures = "".join(f"\n\n![The picture in the answer]({FOLDER}/{one.file})" for one in call.pictures)
    return f"{title}\n\n```text\n{_unfenced(shown)}\n```{pictures}"


def _unfenced(text: str) -> str:
    """No text of an answer ends the block that it stands in."""
    return re.sub(r"^(\s*)```", r"\1'''", text, flags=re.MULTILINE)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("`", "'")


def _after(turn: Wait, recording: Recording) -> str:
    return moments.text(moments.parse(recording.moments[turn.moment]) + turn.seconds)[11:19]
