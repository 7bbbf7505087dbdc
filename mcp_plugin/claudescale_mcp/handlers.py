"""What the tools do: thin doors over the engine, which runs in threads so that the protocol goes on and can cancel."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import mcp_types
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import scaling
from ansible_collections.claudescale.core.plugins.module_utils.asking.checkup import readings
from ansible_collections.claudescale.core.plugins.module_utils.asking.door import Answer, Door, is_over
from ansible_collections.claudescale.core.plugins.module_utils.asking.gather import (
    gather,
    last_record,
    record_at,
    records_at,
)
from ansible_collections.claudescale.core.plugins.module_utils.asking.health import Status, status
from ansible_collections.claudescale.core.plugins.module_utils.asking.history import Search, Wanted, head_of
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import (
    LeaseState,
    Page,
    lease_states,
    page_of,
    state,
)
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import BadRequest, Wish, parse_workload
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import gathering, plot
from ansible_collections.claudescale.core.plugins.module_utils.evidence.metrics import (
    WHOLE_SECONDS,
    Metrics,
    read_metrics,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Window
from ansible_collections.claudescale.core.plugins.module_utils.evidence.report import report

from claudescale_mcp import converters, outputs
from claudescale_mcp.inputs import (
    EndArguments,
    LeaseArguments,
    MetricsArguments,
    RecordsArguments,
    ReportArguments,
    ScaleArguments,
    StateArguments,
    StatusArguments,
)
from claudescale_mcp.link import USE_SECONDS, Link

# A floor stands within 3 s when all is well; beyond this the answer says that the lease waits, and why.
WAIT_SECONDS = 12.0
LOOK_SECONDS = 0.25
STATUS_SECONDS = 3.0
# A search through the records: so many are read at once, so many in all, for so long at most.
RECORDS_AT_ONCE = 50
MOST_RECORDS = 1000
SEARCH_SECONDS = 5.0
REPORT_SECONDS = gathering.WHOLE_SECONDS + 2.5  # and the way: a token, and which record is the last
PLOT_SECONDS = 20.0  # the first picture of an installation looks for its fonts
SETTLED = ("NotStarted", "FloorContested", "FloorCapped")  # reasons that a few seconds do not change

Result = TypeVar("Result")
Progress = Callable[[float, float, str], Awaitable[None]]  # done, of, what is waited for
Told = tuple[outputs.Answer, str | list[mcp_types.ContentBlock]]  # structured, and for people

NO_WORKLOAD = "there is no such workload in this namespace: get_current_state without workload shows those there are"

ON = "the lease tools are there: policy and people's records bound what they do"
OFF = (
    "this server is read-only: lease_capacity, scale_deployment and end_lease are allowed by the person, never by you,"
    " with `make claude WRITES=1` in the clone (elsewhere the setting Allow leases, or the option --allow-writes in the"
    " server's entry), and a new start of the client"
)


class Handlers:
    """One method for each tool, with its typed arguments."""

    def __init__(self, link: Link, *, allow_writes: bool) -> None:
        self.link = link
        self.writes = outputs.Writes(enabled=allow_writes, how=ON if allow_writes else OFF)
        self._near: int | None = None  # a sequence of records, to begin the search for the last one at; a hint only
        self._asks: Prometheus | None = None

    async def get_current_state(self, arguments: StateArguments, _: Progress) -> Told:
        """One page of the state of the namespace."""
        ref = parse_workload(arguments.workload) if arguments.workload is not None else None

        def look(door: Door) -> Page:
            found = state(gather(door.reader, near=self._near), namespace=door.client.namespace, now=door.clock.now())
            self._near = found.records[-1].sequence if found.records else None
            return page_of(found, arguments.page, ref)

        page = await self._use(look)
        if ref is not None and not page.workloads_total:
            raise BadRequest(NO_WORKLOAD)
        answer = converters.state_answer(page, self.writes)
        return answer, converters.state_text(answer)

    async def cluster_status(self, _: StatusArguments, progress: Progress) -> Told:
        """How each part of the installation is."""
        await progress(0.0, STATUS_SECONDS, "asking every part")

        def look(door: Door) -> Status:
            found = readings(door.reader, near=self._near)
            return status(found, namespace=door.client.namespace, now=door.clock.now())

        answer = converters.status_answer(await self._use(look))
        return answer, converters.status_text(answer)

    async def get_metrics(self, arguments: MetricsArguments, progress: Progress) -> Told:
        """The figures of a workload."""
        ref = parse_workload(arguments.workload)
        await progress(0.0, WHOLE_SECONDS, "asking Prometheus")

        def look(door: Door) -> Metrics:
            prometheus = self._prometheus(door)
            return read_metrics(prometheus, ref, seconds=arguments.window_seconds, now=door.clock.now())

        answer = converters.metrics_answer(await self._use(look))
        return answer, converters.metrics_text(answer)

    async def generate_report(self, arguments: ReportArguments, progress: Progress) -> Told:
        """What happened to a workload in a window, with a picture where one is wanted."""
        ref = parse_workload(arguments.workload)
        await progress(0.0, REPORT_SECONDS, "reading series and records")

        def look(door: Door) -> Evidence:
            last = self._last(door)
            window = Window.before(door.clock.now(), arguments.window_seconds)
            return gathering.gather(self._prometheus(door), ref, window=window, head=last)

        evidence = await self._use(look, REPORT_SECONDS)
        if not evidence.is_known:
            raise BadRequest(NO_WORKLOAD)
        picture, said = None, None
        if arguments.plot:
            await progress(REPORT_SECONDS / 2, REPORT_SECONDS, "drawing")
            picture, said = await _drawn(evidence)
        answer = converters.report_answer(report(evidence), said)
        text = mcp_types.TextContent(type="text", text=converters.report_text(answer))
        return answer, [text] if picture is None else [text, picture]

    def _prometheus(self, door: Door) -> Prometheus:
        """One for each way to the cluster, because it keeps its connections."""
        found = self._asks
        if found is None or found.cluster is not door.client:
            found = self._asks = Prometheus(door.client)
        return found

    async def get_records(self, arguments: RecordsArguments, progress: Progress) -> Told:
        """A page of the records that are wanted, found without reading the whole chain."""
        wanted = Wanted(
            workload=parse_workload(arguments.workload) if arguments.workload is not None else None,
            lease=arguments.lease,
            refusals=arguments.refusals_only,
        )
        began = time.monotonic()
        total, head = await self._use(self._end_of_chain)
        search = Search(wanted, min(arguments.before or total, total))
        while not search.is_over:
            search.take(await self._use(_read(search.ahead(RECORDS_AT_ONCE))))
            if search.looked_at >= MOST_RECORDS or time.monotonic() - began > SEARCH_SECONDS:
                break  # the answer says how to go on
            await progress(search.looked_at, MOST_RECORDS, "looking through the records")
        answer = converters.records_answer(search, self.link.place.namespace, total, head)
        return answer, converters.records_text(answer)

    def _last(self, door: Door) -> int:
        """The last record's sequence, -1 where there is none."""
        door.reader.kinds_exist()
        last = last_record(door.reader, near=self._near)
        self._near = last if last >= 0 else None
        return last

    def _end_of_chain(self, door: Door) -> tuple[int, str | None]:
        """(how many records there are, the head)."""
        last = self._last(door)
        item = record_at(door.reader, last) if last >= 0 else None
        return last + 1, head_of(item) if item is not None else None

    async def policies(self) -> outputs.Answer:
        """What may be asked for which workload."""
        found = await self._use(lambda door: door.reader.policies())
        return converters.policies_answer(found, self.link.place.namespace)

    async def leases(self) -> outputs.Answer:
        """The leases, those that are not over first."""

        def look(door: Door) -> tuple[tuple[LeaseState, ...], str]:
            found = lease_states(door.reader.leases())
            return found, moments.text(door.clock.now())

        found, now = await self._use(look)
        return converters.leases_answer(found, self.link.place.namespace, now)

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

    async def scale_deployment(self, arguments: ScaleArguments, progress: Progress) -> Told:
        """A count that is asked for: a lease where it is more than now, else the reason why nothing is done."""
        wish = Wish(
            name=arguments.name,
            workload=parse_workload(arguments.workload),
            replicas=arguments.replicas,
            reason=arguments.reason,
        )

        def scale(door: Door) -> tuple[scaling.Ruling, Answer | None]:
            ruling = scaling.rule(
                wish.replicas,
                door.reader.workload(wish.workload),
                [found for found in door.reader.autoscalers() if found.workload == wish.workload],
                is_named_already=door.reader.lease(wish.name) is not None,
            )
            if ruling.course is not scaling.Course.LEASE:
                return ruling, None
            return ruling, door.ask(wish, dry_run=arguments.dry_run)

        ruling, found = await self._use(scale)
        if found is not None and not arguments.dry_run:
            found = await self._settled(found, _has_settled, "waiting until the floor stands", progress)
        answer = converters.scale_answer(wish, ruling, found, dry_run=arguments.dry_run)
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

    async def _use(self, what: Callable[[Door], Result], within: float = USE_SECONDS) -> Result:
        # Abandoned when the client cancels: its request ends by its own time-outs, and changes nothing twice.
        return await anyio.to_thread.run_sync(self.link.use, what, within, abandon_on_cancel=True)


async def _drawn(evidence: Evidence) -> tuple[mcp_types.ImageContent | None, str]:
    """The picture, None where it cannot be had, and what is said of it."""
    try:
        with anyio.fail_after(PLOT_SECONDS):
            drawn = await anyio.to_thread.run_sync(plot.png, evidence, abandon_on_cancel=True)
    except TimeoutError:
        return None, f"it is not drawn within {PLOT_SECONDS:g} s: ask again"
    except ClaudeScaleError as error:
        return None, str(error)
    data = base64.b64encode(drawn).decode()
    return mcp_types.ImageContent(type="image", data=data, mime_type="image/png"), "it comes beside this text"


def _read(sequences: range) -> Callable[[Door], dict[int, dict[str, Any] | None]]:
    return lambda door: records_at(door.reader, sequences)


def _look_at(found: Answer) -> Callable[[Door], Answer | None]:
    return lambda door: door.follow(found, lambda _: True, 0.0)


def _has_settled(answer: Answer) -> bool:
    if answer.phase is None:
        return False
    return answer.stands or is_over(answer.lease) or converters.condition_reason(answer) in SETTLED
