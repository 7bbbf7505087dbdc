"""What the tools do: thin doors over the engine, which runs in threads so that the protocol goes on and can cancel."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Answer, Door, is_over
from ansible_collections.claudescale.core.plugins.module_utils.asking.gather import gather
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import Page, page_of, state
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import BadRequest, Wish, parse_workload
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_mcp import converters, outputs
from claudescale_mcp.inputs import EndArguments, LeaseArguments, StateArguments
from claudescale_mcp.link import Link

# A floor stands within 3 s when all is well; beyond this the answer says that the lease waits, and why.
WAIT_SECONDS = 12.0
LOOK_SECONDS = 0.25
SETTLED = ("NotStarted", "FloorContested", "FloorCapped")  # reasons that a few seconds do not change

Result = TypeVar("Result")
Progress = Callable[[float, float, str], Awaitable[None]]  # done, of, what is waited for
Told = tuple[outputs.Answer, str]  # structured, and for people

ON = "the lease tools are there: policy and people's records bound what they do"
OFF = (
    "this server is read-only: lease_capacity and end_lease come with the option --allow-writes, which only the person"
    " can add to the server's entry in the client's configuration (claudescale mcp --allow-writes)"
)


class Handlers:
    """One method for each tool, with its typed arguments."""

    def __init__(self, link: Link, *, allow_writes: bool) -> None:
        self.link = link
        self.writes = outputs.Writes(enabled=allow_writes, how=ON if allow_writes else OFF)
        self._near: int | None = None  # a sequence of records, to begin the search for the last one at; a hint only

    async def get_current_state(self, arguments: StateArguments, _: Progress) -> Told:
        """One page of the state of the namespace."""
        ref = parse_workload(arguments.workload) if arguments.workload is not None else None

        def look(door: Door) -> Page:
            found = state(gather(door.reader, near=self._near), namespace=door.client.namespace, now=door.clock.now())
            self._near = found.records[-1].sequence if found.records else None
            return page_of(found, arguments.page, ref)

        page = await self._use(look)
        if ref is not None and not page.workloads_total:
            raise BadRequest(
                "there is no such workload in this namespace: get_current_state without workload shows those there are"
            )
        answer = converters.state_answer(page, self.writes)
        return answer, converters.state_text(answer)

    async def lease_capacity(self, arguments: LeaseArguments, progress: Progress) -> Told:
        """Ask for a lease and wait until its floor stands, or something else is to be said."""
        wish = Wish(
            name=arguments.name,
            workload=parse_workload(arguments.workload),
            replicas=arguments.replicas,
            reason=arguments.reason,
            start=arguments.start,
            end=arguments.end,
            seconds=arguments.duration_seconds,
            on_behalf_of=arguments.on_behalf_of,
        )
        found = await self._use(lambda door: door.ask(wish, dry_run=arguments.dry_run))
        if not arguments.dry_run:
            found = await self._settled(found, _has_settled, "waiting until the floor stands", progress)
        answer = converters.lease_answer(found, dry_run=arguments.dry_run)
        return answer, converters.lease_text(answer)

    async def end_lease(self, arguments: EndArguments, progress: Progress) -> Told:
        """End a lease before its time and wait until the floor without it stands."""
        found = await self._use(lambda door: door.end(arguments.name, dry_run=arguments.dry_run))
        if not arguments.dry_run:
            found = await self._settled(found, lambda seen: seen.over, "waiting until the lease is over", progress)
        answer = converters.end_answer(found, dry_run=arguments.dry_run)
        return answer, converters.lease_text(answer)

    async def _settled(self, found: Answer, settled: Callable[[Answer], bool], what: str, progress: Progress) -> Answer:
        """The answer once it has settled, or as it is after WAIT_SECONDS. What was done is no error afterwards."""
        began = time.monotonic()
        while not settled(found) and (waited := time.monotonic() - began) < WAIT_SECONDS:
            await progress(round(waited, 1), WAIT_SECONDS, what)
            await anyio.sleep(LOOK_SECONDS)
            try:
                seen = await self._use(_look_at(found))
            except ClaudeScaleError:
                break  # whoever asks again hears of the cluster; this much is known
            if seen is None:
                break
            found = seen
        return found

    async def _use(self, what: Callable[[Door], Result]) -> Result:
        # Abandoned when the client cancels: its request ends by its own time-outs, and changes nothing twice.
        return await anyio.to_thread.run_sync(self.link.use, what, abandon_on_cancel=True)


def _look_at(found: Answer) -> Callable[[Door], Answer | None]:
    return lambda door: door.follow(found, lambda _: True, 0.0)


def _has_settled(answer: Answer) -> bool:
    if answer.phase is None:
        return False
    return answer.stands or is_over(answer.lease) or converters.condition_reason(answer) in SETTLED
