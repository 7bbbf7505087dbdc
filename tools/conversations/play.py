"""Play a conversation: make its calls in their order, at their times, and keep what was answered.

Whatever stops it, the leases that it made are ended and its load is taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.claudescale.core.plugins.module_utils import moments
from claudescale_cli.live.connection import Answer

from tools.conversations.model import Call, Conversation, Load, Start, Wait
from tools.conversations.places import filled
from tools.conversations.recording import Answered, Picture, Recording, Unfit, check_call, check_text

ENDS = ".png"


class Server(Protocol):
    """A server that runs."""

    @property
    def called(self) -> str:
        """Its name and version."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """A tool's answer."""


Connect = Callable[[bool], AbstractAsyncContextManager[Server]]  # whether with leases


@dataclass(kw_only=True)
class World:
    """What a conversation is played in: servers, the time (Unix), a way to wait, and a load that ends with it."""

    connect: Connect
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    load: Callable[[Load], AbstractAsyncContextManager[None]]


@dataclass(kw_only=True)
class Played:
    """The recording, and the pictures by their files' names."""

    recording: Recording
    pictures: dict[str, bytes] = field(default_factory=dict)


async def play(conversation: Conversation, world: World) -> Played:
    """Play it; Unfit where the words would not fit what was answered."""
    player = _Player(conversation, world)
    try:
        await player.play()
    except BaseException:
        await player.undo()
        raise
    return player.played()


class _Player:
    def __init__(self, conversation: Conversation, world: World) -> None:
        self._conversation = conversation
        self._world = world
        self._times = conversation.times(world.now())
        self._calls: list[Answered] = []
        self._pictures: dict[str, bytes] = {}
        self._leases: list[str] = []  # that were made here
        self._called = ""
        self._ended = self._times["begin"]

    async def play(self) -> None:
        """Every turn."""
        async with AsyncExitStack() as loads:
            server = AsyncExitStack()
            try:
                writes = self._conversation.writes
                connected = await server.enter_async_context(self._world.connect(writes))
                self._called = connected.called
                for turn in self._conversation.turns:
                    if isinstance(turn, Call):
                        await self._call(connected, turn, writes=writes)
                    elif isinstance(turn, Wait):
                        await self._wait(turn)
                    elif isinstance(turn, Load):
                        await loads.enter_async_context(self._world.load(turn))
                    elif isinstance(turn, Start):
                        await server.aclose()
                        writes = turn.writes
                        connected = await server.enter_async_context(self._world.connect(writes))
            finally:
                await server.aclose()
            self._ended = self._world.now()

    async def undo(self) -> None:
        """End the leases that are left."""
        if not self._leases:
            return
        async with self._world.connect(True) as server:
            for name in self._leases:
                await server.call("end_lease", {"name": name})

    def played(self) -> Played:
        """What was recorded."""
        recording = Recording(
            name=self._conversation.name,
            server=self._called,
            began=moments.to_the_second(self._times["begin"]),
            ended=moments.to_the_second(self._ended),
            moments=self._moments,
            calls=self._calls,
        )
        return Played(recording=recording, pictures=self._pictures)

    @property
    def _moments(self) -> dict[str, str]:
        return {name: moments.to_the_second(time) for name, time in self._times.items()}

    async def _call(self, server: Server, call: Call, *, writes: bool) -> None:
        before = self.played().recording.facts()
        arguments: dict[str, Any] = filled(call.arguments, before)
        at = moments.to_the_second(self._world.now())
        answer = await server.call(call.tool, arguments)
        answered = Answered(
            answer=call.answer,
            tool=call.tool,
            arguments=arguments,
            writes=writes,
            at=at,
            seconds=round(answer.seconds, 3),
            is_error=answer.is_error,
            text=answer.text,
            facts=dict(answer.facts),
            pictures=[self._kept(image) for image in answer.images],
        )
        if answer.facts.get("changed") and call.tool in ("lease_capacity", "scale_deployment"):
            self._leases.append(arguments["name"])
        check_call(call, answered, before)
        check_text(f"{answer.text} {answer.facts}")
        self._calls.append(answered)

    def _kept(self, image: bytes) -> Picture:
        number = f"-{len(self._pictures) + 1}" if self._pictures else ""
        file = f"{self._conversation.name}{number}{ENDS}"
        self._pictures[file] = image
        return Picture(file=file, size=len(image), sha256=hashlib.sha256(image).hexdigest())

    async def _wait(self, turn: Wait) -> None:
        until = self._times[turn.moment] + turn.seconds
        seconds = until - self._world.now()
        if seconds < 0:
            raise Unfit(f"{turn.moment} was over before the conversation came to it: play it anew")
        await self._world.sleep(seconds)
