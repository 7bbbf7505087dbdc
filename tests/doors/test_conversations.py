"""The conversations of docs/CLAUDE_DESKTOP_USAGE.md: what stands there is what was recorded, and nothing else.

And the recorder, played against a double of the cluster.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.evidence import plot
from claudescale_cli.live.connection import Answer
from claudescale_mcp import handlers
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client

from tests.doors.lease_double import LEASES
from tests.doors.mcp_double import McpCluster, mcp_cluster
from tests.support import ROOT
from tools.conversations import __main__ as recorder
from tools.conversations import page, recording, scripts
from tools.conversations.model import ANY, Call, Claude, Conversation, Load, Moment, Person, Start, Wait
from tools.conversations.places import Unfilled, fill, literal
from tools.conversations.play import Server, World, play

NOWHERE = Place(context="nowhere", namespace="claudescale", kubeconfig="/nonexistent")
NUMBER_WORDS = re.compile(
    r"(?i)\b(zero|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|hundred|thousand|half|twice|double"
    r"|cero|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|veinte|treinta|cien|mil|media|doble)\b"
)
OF_CODE = ("mcp_plugin/claudescale_mcp", "mcp_plugin/claude_code", "collections/ansible_collections/claudescale/core")

every_conversation = pytest.mark.parametrize("conversation", scripts.ALL, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    """What the server lists now, with leases, by name."""

    async def listed() -> list[dict[str, Any]]:
        async with Client(build(NOWHERE, allow_writes=True)) as client:
            return [tool.model_dump(mode="json", by_alias=True) for tool in await client.list_tools()]

    return {tool["name"]: tool for tool in asyncio.run(listed())}


def usage() -> str:
    return recorder.PAGE.read_text(encoding="utf-8")


# What stands on the page


@every_conversation
def test_the_page_has_what_was_recorded(conversation: Conversation) -> None:
    kept = recorder.kept(conversation)
    recording.check(conversation, kept)
    assert page.between(usage(), conversation.name) == page.section(conversation, kept)


def test_nothing_else_was_kept() -> None:
    kept = [recorder.kept(conversation) for conversation in scripts.ALL]
    pictures = {one.file: one for each in kept for call in each.calls for one in call.pictures}
    files = {path.name for path in recorder.FOLDER.iterdir()}
    assert files == {f"{each.name}.json" for each in kept} | set(pictures)
    for file, picture in pictures.items():
        content = (recorder.FOLDER / file).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (picture.size, picture.sha256)
        assert content.startswith(b"\x89PNG")
        assert len(content) <= plot.MOST_BYTES
    assert pictures


@every_conversation
def test_the_server_still_takes_these_calls_and_gives_such_answers(
    conversation: Conversation, tools: dict[str, Any]
) -> None:
    writes = conversation.writes
    calls = iter(recorder.kept(conversation).calls)
    for turn in conversation.turns:
        if isinstance(turn, Start):
            writes = turn.writes
        if not isinstance(turn, Call):
            continue
        call = next(calls)
        assert call.writes is writes
        assert writes or tools[call.tool]["annotations"]["readOnlyHint"], "the server that only reads has no such tool"
        assert call.is_error is False
        jsonschema.validate(call.arguments, tools[call.tool]["inputSchema"])
        jsonschema.validate(call.facts, tools[call.tool]["outputSchema"])


def test_every_tool_is_called(tools: dict[str, Any]) -> None:
    assert {call.tool for conversation in scripts.ALL for call in conversation.calls} == set(tools)


def test_what_a_read_only_server_says_is_what_it_said() -> None:
    kept = recorder.kept(scripts.READ_ONLY)
    assert kept.calls[0].facts["writes"] == {"enabled": False, "how": handlers.OFF}
    assert handlers.OFF in " ".join(page.between(usage(), "read_only").replace("\n> ", " ").split())


@every_conversation
def test_claude_has_no_number_of_its_own(conversation: Conversation) -> None:
    words = [turn.words for turn in conversation.turns if isinstance(turn, Claude)]
    assert words
    for said in words:
        assert not re.search(r"\d", literal(said)), said
        assert not NUMBER_WORDS.search(literal(said)), said
    spoken = [turn for turn in conversation.turns if isinstance(turn, (Person, Claude))]
    assert isinstance(spoken[0], Person)


@every_conversation
def test_the_rest_of_the_page_and_the_recordings_tell_nothing_of_a_machine(conversation: Conversation) -> None:
    recording.check_text((recorder.FOLDER / f"{conversation.name}.json").read_text(encoding="utf-8"))
    recording.check_text(page.between(usage(), conversation.name).replace("](conversations/", "]("))


# The sentences of the troubleshooting table


def sentences() -> Iterator[str]:
    """What the code may say: its texts, as … where a value comes in; constants of the same file are put in."""
    for folder in OF_CODE:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = {
                node.targets[0].id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(_part(part, constants) for part in node.values)


def _part(part: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return constants.get(value.id, "…") if isinstance(value, ast.Name) else "…"


def test_what_is_to_be_done_is_told_of_sentences_that_the_code_says() -> None:
    section = usage().partition("\n## When something is not right\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(.+)` \| .+ \|$", section, flags=re.MULTILINE)
    said = set(sentences())
    assert len(told) >= 20
    for sentence in told:
        parts = [part.strip(" ()") for part in sentence.split("…")]
        wanted = [part for part in parts if len(part) > 3]
        assert wanted, sentence
        assert any(all(part in text for part in wanted) for text in said), sentence


# Places


FACTS = {
    "begin": "2026-03-01T20:05:09Z",
    "state": {
        "workloads": [{"workload": "Deployment/demo-app", "replicas": 4}],
        "parts": [{"name": "nodes", "ok": True}, {"name": "pods", "count": 7}],
        "share": 0.12345,
        "seconds": 5400,
        "none": None,
        "evil": "<script>",
        "lines": "a\nb",
    },
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no place", "no place"),
        ("{state.workloads[0].replicas} pods", "4 pods"),
        ("{state.parts[name=pods].count}", "7"),
        ("{state.workloads[workload=Deployment/demo-app].replicas}", "4"),
        ("{state.parts|count}", "2"),
        ("{state.share|about} {state.share|percent} {state.share|ms}", "0.123 12.3 123"),
        ("{state.seconds|minutes}", "90"),
        ("{begin|clock} {begin|second} {begin|day} {begin|stamp}", "20:05 20:05:09 2026-03-01 2026-03-01-2005"),
    ],
)
def test_a_place_is_what_the_answer_says(text: str, filled: str) -> None:
    assert fill(text, FACTS) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{state}", "{nobody}", "{state.workloads[1].replicas}", "{state.parts[name=gone].count}", "{state.none}",
        "{state.parts[0].ok}", "{state.evil}", "{state.lines}", "{state.share|often}", "{state.Share}",
        "{state..share}", "{state.share.more}", "{state.parts}",
    ],
)  # fmt: skip
def test_a_place_without_a_value_that_can_be_shown_is_none(text: str) -> None:
    with pytest.raises(Unfilled):
        fill(text, FACTS)


@pytest.mark.parametrize(
    ("moment", "time"),
    [
        (Moment(after=35), "10:02:00"),
        (Moment(after=20, whole=10), "10:00:50"),
        (Moment(whole=86_400, past=72_000), "20:00:00"),
        (Moment(after=40_000, whole=86_400, past=72_000), "20:00:00"),
    ],
)
def test_a_moment_is_ahead(moment: Moment, time: str) -> None:
    begin = moments.parse("2026-03-01T10:00:29Z")
    at = moment.of(begin)
    assert moments.to_the_second(at).endswith(f"T{time}Z")
    assert begin + moment.after <= at < begin + moment.after + moment.whole


# What may not be kept


@pytest.mark.parametrize(
    "text",
    [
        "token: abc", "Bearer abcdefgh1234", "eyJhbGciOiJSUzI1", "-----BEGIN PRIVATE KEY-----",
        "/home/ana/.kube/config", "C:\\Users\\ana", "see ~/.kube", "https://example.org", "at 10.0.0.1",
        "client-key-data", '"password": "x"',
    ],
)  # fmt: skip
def test_what_nobody_may_see_is_found(text: str) -> None:
    with pytest.raises(recording.Unfit, match="which is to be in no recording"):
        recording.check_text(f"all is well: {text}, and so on")


def test_a_number_that_was_changed_by_hand_is_found() -> None:
    kept = recorder.kept(scripts.REFUSED)
    first = kept.calls[0]
    for change in ({"arguments": {**first.arguments, "replicas": 5}}, {"tool": "end_lease"}, {"facts": {}}):
        spoilt = dataclasses.replace(kept, calls=[dataclasses.replace(first, **change), *kept.calls[1:]])
        with pytest.raises(recording.Unfit):
            recording.check(scripts.REFUSED, spoilt)
    with pytest.raises(recording.Unfit):
        recording.check(scripts.REFUSED, dataclasses.replace(kept, calls=kept.calls[1:]))
    rules = [{**rule, "limit": 50} for rule in first.facts["rules"]]
    calls = [dataclasses.replace(first, facts={**first.facts, "rules": rules}), *kept.calls[1:]]
    told = page.section(scripts.REFUSED, dataclasses.replace(kept, calls=calls))
    assert told != page.between(usage(), scripts.REFUSED.name)


def test_the_page_needs_a_place_for_each() -> None:
    first, last = page.markers("x")
    assert page.put(f"a\n{first}\nold\n{last}\nb", "x", "new") == f"a\n{first}\nnew\n{last}\nb"
    for wrong in ("", first, f"{last}\n{first}", f"{first}\n{first}\n{last}"):
        with pytest.raises(ValueError, match="no place for the conversation x"):
            page.put(wrong, "x", "new")


# The recorder


@dataclasses.dataclass
class Stage:
    """A world of doubles: the servers that were started, and what was waited for."""

    place: Place
    time: float = dataclasses.field(default_factory=lambda: moments.parse("2026-03-01T10:00:29Z"))
    started: list[bool] = dataclasses.field(default_factory=list)
    happened: list[str] = dataclasses.field(default_factory=list)

    @property
    def world(self) -> World:
        return World(connect=self.connect, now=lambda: self.time, sleep=self.sleep, load=self.load)

    @asynccontextmanager
    async def connect(self, writes: bool) -> AsyncIterator[Server]:
        self.started.append(writes)
        async with Client(build(self.place, allow_writes=writes)) as client:
            yield InMemory(client)

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.happened.append(f"{seconds:g} s")

    @asynccontextmanager
    async def load(self, turn: Load) -> AsyncIterator[None]:
        self.happened.append(f"{turn.rate} per second")
        yield
        self.happened.append("no load")


class InMemory:
    called = "claudescale"

    def __init__(self, client: Client[Any]) -> None:
        self.client = client

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        result = await self.client.call_tool_mcp(tool, arguments)
        text = "".join(block.text for block in result.content if block.type == "text")
        return Answer(
            is_error=bool(result.is_error),
            text=text,
            facts=dict(result.structured_content or {}),
            images=(),
            seconds=0.25,
        )


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


@pytest.fixture
def stage(cluster: McpCluster, tmp_path: Path) -> Stage:
    return Stage(place=cluster.place(tmp_path))


def lease(**holds: Any) -> Call:
    arguments = {"name": "try-{begin|stamp}", "workload": "demo-app", "replicas": 4, "reason": "a try"}
    return Call(tool="lease_capacity", answer="lease", arguments=arguments, holds=holds)


def conversation(*turns: Any, writes: bool = True) -> Conversation:
    return Conversation(
        name="x", title="X", about="About.", writes=writes, turns=turns, moments={"soon": Moment(after=5)}
    )


def test_it_is_played_as_it_is_written(stage: Stage) -> None:
    played = conversation(
        Person(words="At {soon|clock}?"),
        Call(tool="get_current_state", answer="state", holds={"writes.enabled": False}),
        Start(writes=True),
        Load(rate=7, seconds=10),
        Wait(moment="soon", seconds=2),
        lease(outcome="Created", **{"floor.applied": ANY}),
        Claude(words="{lease.replicas} pods, floor {lease.floor.applied}."),
        writes=False,
    )
    found = asyncio.run(play(played, stage.world)).recording
    assert stage.started == [False, True]
    assert stage.happened == ["7 per second", "33 s", "no load"]
    assert (found.began, found.moments["soon"]) == ("2026-03-01T10:00:29Z", "2026-03-01T10:01:00Z")
    assert [(call.at[11:19], call.writes) for call in found.calls] == [("10:00:29", False), ("10:01:02", True)]
    assert found.calls[1].arguments["name"] == "try-2026-03-01-1000"
    recording.check(played, found)
    assert recording.as_text(recording.from_text(recording.as_text(found))) == recording.as_text(found)
    told = page.section(played, found)
    assert "> **You:** At 10:01?" in told
    assert "> **Claude:** 4 pods, floor 4." in told
    assert '**`lease_capacity`** `{"name": "try-2026-03-01-1000", ' in told


def test_a_lease_that_it_made_is_ended_where_the_words_would_not_fit(stage: Stage, cluster: McpCluster) -> None:
    with pytest.raises(recording.Unfit, match="outcome is 'Created', and the words rely on 'Refused'"):
        asyncio.run(play(conversation(lease(outcome="Refused")), stage.world))
    assert [one["spec"]["ended"] for one in cluster.server.leases()] == [True]
    assert ("POST", LEASES) in cluster.writes
    with pytest.raises(recording.Unfit, match="has no value from"):
        asyncio.run(play(conversation(lease(**{"nothing.of.this": ANY})), stage.world))


def test_who_comes_too_late_says_so(stage: Stage) -> None:
    with pytest.raises(recording.Unfit, match="soon was over before"):
        asyncio.run(play(conversation(Wait(moment="soon", seconds=2), Wait(moment="soon")), stage.world))
