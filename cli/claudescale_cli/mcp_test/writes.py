"""The writing tools: dry runs, then a short lease from its request to its end, and what is refused meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from claudescale_cli.capacity import workload_words
from claudescale_cli.live.connection import Answer, workload_of
from claudescale_cli.mcp_test.caller import STATE, Caller, Judge, answered, came, refused_with
from claudescale_cli.mcp_test.target import Target

LEASE, END, SCALE = "lease_capacity", "end_lease", "scale_deployment"
WRITES = frozenset({LEASE, END, SCALE})

LEASE_SECONDS = 60  # should everything fail, it is over then
SHOWN_SECONDS = 10.0  # for the replicas to be brought up to the floor, and for the floor to come back
NO_LEASE = "there is no lease of that name"
REASON = "claudescale mcp-test: a trial of the tools, which ends by itself"


@dataclass(kw_only=True)
class Writes:
    """`asked_for` gets each lease's name before it is asked for, dry runs included."""

    caller: Caller
    target: Target
    asked_for: Callable[[str], None]

    async def only_dry(self) -> None:
        """What would be, and nothing else."""
        name = self._name()
        await self._dry_lease(name)
        await self._ask(
            LEASE,
            f"dry run: {self.target.forbidden} of {self._workload}",
            {**self._wish(self._name(), self.target.forbidden), "dry_run": True},
            came("WouldBeRefused"),
        )
        await self._dry_scale_up()
        await self._scale_down(self.target.floor - 1, dry_run=True)
        await self._ask(
            END, "dry run: a lease that nobody made", {"name": name, "dry_run": True}, refused_with(NO_LEASE)
        )

    async def whole(self) -> None:
        """A lease of one replica more than the base, and its end."""
        name = self._name()
        await self._dry_lease(name)
        await self._dry_scale_up()
        count = self.target.base + 1
        wish = self._wish(name, count)
        what = f"{count} of {self._workload} for {LEASE_SECONDS} s"
        if await self._ask(LEASE, what, wish, _stands) is not None:
            shown = await self._ask(
                STATE, "the lease", {"workload": self.target.workload}, self._shows(name, count), patience=SHOWN_SECONDS
            )
            await self._ask(LEASE, "the same again", wish, came("Unchanged"))
            await self._ask(
                LEASE,
                f"{self.target.forbidden} of {self._workload}",
                self._wish(self._name(), self.target.forbidden),
                came("Refused"),
            )
            if shown is not None:
                await self._scale_down(self.target.base)
            await self._ask(END, "dry run: the lease", {"name": name, "dry_run": True}, came("WouldEnd"))
        if await self._ask(END, "the lease", {"name": name}, came("Ended")) is not None:
            await self._ask(END, "the lease again", {"name": name}, came("AlreadyOver"))
        await self._ask(
            STATE,
            f"the floor, which was {self.target.floor}",
            {"workload": self.target.workload},
            self._floor_is_back,
            patience=SHOWN_SECONDS,
        )

    async def _ask(
        self, tool: str, asked: str, given: dict[str, Any], judge: Judge, *, patience: float = 0.0
    ) -> Answer | None:
        return await self.caller.call(tool, asked, given, judge, patience=patience)

    @property
    def _workload(self) -> str:
        return workload_words(self.target.workload)

    async def _dry_lease(self, name: str) -> None:
        count = self.target.base + 1
        what = f"dry run: {count} of {self._workload} for {LEASE_SECONDS} s"
        await self._ask(LEASE, what, {**self._wish(name, count), "dry_run": True}, came("WouldBeCreated"))

    async def _dry_scale_up(self) -> None:
        has_room = self.target.replicas < self.target.limit
        count = self.target.limit if has_room else self.target.replicas + 1
        judge = came("WouldBeCreated" if has_room else "WouldBeRefused")
        await self._scale(f"dry run: up to {count}", count, judge, dry_run=True)

    async def _scale_down(self, count: int, *, dry_run: bool = False) -> None:
        """To less than the floor, under which the autoscaler lets no count fall meanwhile; 0 cannot be asked for."""
        if count > 0:
            words = f"{'dry run: ' if dry_run else ''}down to {count}"
            await self._scale(words, count, came("Refused", "WouldBeRefused"), dry_run=dry_run)

    async def _scale(self, words: str, count: int, judge: Judge, *, dry_run: bool) -> None:
        if SCALE in self.caller.tools:
            wish = self._wish(self._name(), count)
            del wish["duration_seconds"]
            await self._ask(SCALE, words, {**wish, "dry_run": dry_run}, judge)

    def _name(self) -> str:
        name = f"mcp-test-{secrets.token_hex(4)}"
        self.asked_for(name)
        return name

    def _wish(self, name: str, count: int) -> dict[str, Any]:
        return {
            "name": name,
            "workload": self.target.workload,
            "replicas": count,
            "duration_seconds": LEASE_SECONDS,
            "reason": REASON,
        }

    def _shows(self, name: str, count: int) -> Judge:
        def judge(answer: Answer) -> str | None:
            if answer.is_error:
                return answered(answer)
            workload = workload_of(answer.facts, self.target.workload)
            floor, replicas = _floor(workload), workload.get("replicas", 0)
            if floor is None or floor < count or replicas < count:
                return f"floor {floor} and {replicas} replicas, where the lease asked for {count}"
            listed = [lease for lease in answer.facts["leases"] if lease["name"] == name]
            if any(lease["floor_stands"] for lease in listed) or (not listed and answer.facts["pages"] > 1):
                return None
            return f"the lease {'does not stand' if listed else 'is not there'}"

        return judge

    def _floor_is_back(self, answer: Answer) -> str | None:
        if answer.is_error:
            return answered(answer)
        floor = _floor(workload_of(answer.facts, self.target.workload))
        return None if floor == self.target.floor else f"the floor is {floor}, and was {self.target.floor}"


def _stands(answer: Answer) -> str | None:
    """A lease that was created and whose floor stands."""
    problem = came("Created")(answer)
    if problem is None and not answer.facts["floor_stands"]:
        return f"its floor does not stand: {answer.text}"
    return problem


def _floor(workload: Any) -> int | None:
    found: int | None = (workload.get("autoscaler") or {}).get("floor")
    return found
