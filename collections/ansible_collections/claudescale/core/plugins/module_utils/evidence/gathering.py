# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Read what report.py makes a report of: series side by side, and the records of the window, backward from the last."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus, QueryError
from ansible_collections.claudescale.core.plugins.module_utils.cluster.together import (
    AT_ONCE,
    answer_of,
    give_up,
    together,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.metrics import (
    SILENCE_SECONDS,
    NoEvidence,
    Questions,
    said,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Series, Window
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import (
    FAILED_SHARE,
    LEAST_SECONDS,
    RESTARTS,
    SERIES,
    Query,
    Subject,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence.records import WRITES, history
from ansible_collections.claudescale.core.plugins.module_utils.evidence.standing import standing_of
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef, read_leases
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import RecordBroken

WHOLE_SECONDS = 5.0  # for everything
MOST_RECORDS = 500
LOOK_BEHIND = 40  # records before the window, to find the floor at its beginning
OF_WINDOW = (FAILED_SHARE, RESTARTS)  # figures about all of it


@dataclass(frozen=True, kw_only=True)
class Told:
    """Records, oldest first; how many are broken or gone; whether the window's beginning was reached."""

    records: tuple[chain.Record, ...]
    unreadable: int
    complete: bool


def gather(
    prometheus: Prometheus, workload: WorkloadRef, *, window: Window, head: int, within: float = WHOLE_SECONDS
) -> Evidence:
    """The evidence of a window, in about `within` seconds at most. `head`: the last record's sequence, -1 without one.

    Series that cannot be read say so in their `error`, and records that are not read in time make the history
    incomplete. ClusterStopped where there is no API server, NoEvidence where it is silent, else as the client raises;
    ClaudeScaleError where a name cannot be.
    """
    until = time.monotonic() + within
    cluster = prometheus.cluster
    subject = Subject(namespace=cluster.namespace, workload=workload)
    space = f"namespaces/{subject.namespace}"
    seconds = max(LEAST_SECONDS, window.step)
    questions = Questions(queries=OF_WINDOW, subject=subject, seconds=int(window.seconds), now=window.end)
    asked: dict[str, Callable[[], Any]] = {
        "workload": lambda: cluster.find(workload.path(subject.namespace)),
        "autoscalers": lambda: cluster.items(f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers"),
        "leases": lambda: list(cluster.pages(f"/apis/{chain.API_VERSION}/{space}/capacityleases")),
        **{query.name: _course(prometheus, query.promql(subject, seconds), window) for query in SERIES},
        **questions.to(prometheus),
    }
    answers = together(asked)
    try:
        objects = {name: answer_of(answers[name], until) for name in ("workload", "autoscalers", "leases")}
        told = read_back(cluster, workload, head=head, since=window.start, until=until)
        series = {query.name: _series(answers, query, query.promql(subject, seconds), until) for query in SERIES}
        figures = questions.readings(answers, until)
    except TimeoutError:
        raise NoEvidence(f"the API server does not answer within {within:g} s: look again in a minute") from None
    finally:
        give_up(answers)
    return Evidence(
        namespace=subject.namespace,
        workload=workload,
        window=window,
        series=series,
        history=history(
            told.records,
            workload,
            leases=read_leases(objects["leases"]),
            unreadable=told.unreadable,
            complete=told.complete,
        ),
        standing=standing_of(workload, objects["workload"], objects["autoscalers"]),
        figures=figures,
        is_there=objects["workload"] is not None,
    )


def read_back(cluster: ClusterClient, workload: WorkloadRef, *, head: int, since: float, until: float) -> Told:
    """The records from `head` back to the first before `since`, and the change of the workload's floor before that.

    At most MOST_RECORDS, and none after a monotonic time. Their names are their sequence, so each is read by itself.
    """
    found: list[chain.Record] = []
    unreadable = behind = 0
    reached = has_change = False
    following = head
    while following >= 0 and not (reached and (has_change or behind >= LOOK_BEHIND)):
        batch = range(following, max(-1, following - AT_ONCE, head - MOST_RECORDS), -1)
        if not batch:
            break
        try:
            items = _records(cluster, batch, until)
        except TimeoutError:
            break
        for item in items:
            try:
                record = chain.from_object(item) if item is not None else None
            except RecordBroken:
                record = None
            if record is None:
                unreadable += not reached
                continue
            found.append(record)
            if moments.parse(record.fields["time"]) < since:
                reached = True
                behind += 1
                has_change = has_change or _changes_floor(record, workload)
        following = batch[-1] - 1
    return Told(records=tuple(reversed(found)), unreadable=unreadable, complete=reached or following < 0)


def _records(cluster: ClusterClient, sequences: range, until: float) -> list[dict[str, Any] | None]:
    """The records of these sequences, None for one that is not there."""

    def find(sequence: int) -> Callable[[], dict[str, Any] | None]:
        return lambda: cluster.find(chain.record_path(cluster.namespace, sequence))

    answers = together({str(sequence): find(sequence) for sequence in sequences})
    return [answer_of(answer, until) for answer in answers.values()]


def _changes_floor(record: chain.Record, workload: WorkloadRef) -> bool:
    return record.fields["event"] in WRITES and chain.copies(record.fields).get("workload") == str(workload)


def _course(prometheus: Prometheus, promql: str, window: Window) -> Callable[[], Any]:
    return lambda: prometheus.tracks(
        promql, start=window.start, end=window.end, step=window.step, silence=SILENCE_SECONDS
    )


def _series(answers: dict[str, Future[Any]], query: Query, promql: str, until: float) -> Series:
    try:
        tracks = answer_of(answers[query.name], until)
    except (QueryError, TimeoutError) as error:
        return Series(query=query, promql=promql, error=said(error))
    # Each of these queries sums its pods up, so there is one series at most.
    return Series.of(query, promql, tracks[0].points if tracks else ())
