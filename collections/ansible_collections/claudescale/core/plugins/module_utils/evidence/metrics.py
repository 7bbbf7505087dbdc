# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Read the figures of one workload side by side; what cannot be read says so and takes the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import (
    Prometheus,
    PrometheusAway,
    QueryError,
    Sample,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.together import (
    answer_of,
    give_up,
    together,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Reading
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import (
    FIGURES,
    Query,
    Subject,
    newest,
)
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.moments import to_the_second

WHOLE_SECONDS = 5.0  # for all figures
SILENCE_SECONDS = 4.0  # of Prometheus, for one try
STALE_SECONDS = 60.0

AWAY = "Prometheus does not answer"
REFUSED = "Prometheus refuses the query"
TOO_LATE = "no answer in time"


class NoEvidence(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """There are no numbers at all."""


class NoWorkload(ClaudeScaleError):  # noqa: N818 - the same
    """The workload is not there."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The figures of a workload at a time, each about the seconds before it where it is about any."""

    namespace: str
    workload: str  # KIND/NAME
    time: str
    seconds: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked about the seconds before `now`: each query, and after them each source's newest sample."""

    queries: tuple[Query, ...]
    subject: Subject
    seconds: int
    now: float

    def to(self, prometheus: Prometheus) -> dict[str, Callable[[], list[Sample]]]:
        """For together(); ClaudeScaleError where the seconds cannot be."""
        texts = {query.name: query.promql(self.subject, self.seconds) for query in self.queries}
        texts.update({query.source: newest(query.source, self.subject, self.seconds) for query in self.queries})

        def ask(promql: str) -> Callable[[], list[Sample]]:
            return lambda: prometheus.query(promql, at=self.now, silence=SILENCE_SECONDS)

        return {name: ask(promql) for name, promql in texts.items()}

    def readings(self, answers: Mapping[str, Future[Any]], until: float) -> dict[str, Reading]:
        """The figures, by their names, of the answers that are there at a monotonic time."""
        return {query.name: self._reading(query, answers, until) for query in self.queries}

    def _reading(self, query: Query, answers: Mapping[str, Future[Any]], until: float) -> Reading:
        blank = Reading(name=query.name, unit=query.unit, query=query.promql(self.subject, self.seconds))
        try:
            samples: list[Sample] = answer_of(answers[query.name], until)
        except (QueryError, TimeoutError) as error:
            return replace(blank, error=said(error))
        if not samples:
            return replace(blank, missing=query.absent)
        if not samples[0].is_number:
            return replace(blank, missing=query.idle)
        taken = _taken(answers[query.source], until)
        return replace(
            blank,
            value=samples[0].value,
            time=to_the_second(taken) if taken is not None else None,
            stale=taken is None or self.now - taken > STALE_SECONDS,
        )


def read_metrics(
    prometheus: Prometheus, workload: WorkloadRef, *, seconds: int, now: float, within: float = WHOLE_SECONDS
) -> Metrics:
    """Each figure of queries.FIGURES about so many seconds before `now`, in about `within` seconds at most.

    ClusterStopped where there is no API server, NoWorkload where it does not know the workload, NoEvidence where
    Prometheus answers nothing at all, ClaudeScaleError where a name or the seconds cannot be.
    """
    until = time.monotonic() + within
    subject = Subject(namespace=prometheus.cluster.namespace, workload=workload)
    questions = Questions(queries=FIGURES, subject=subject, seconds=seconds, now=now)
    path = workload.path(subject.namespace)
    answers = together({"": lambda: prometheus.cluster.find(path), **questions.to(prometheus)})
    try:
        # Said at once where nothing answers at all, whatever the others wait for.
        found = answer_of(answers[""], until)
        if found is None:
            raise NoWorkload(f"{workload} is not in namespace {subject.namespace}: name one that is there")
        readings = questions.readings(answers, until)
        _check_evidence(readings.values())
    except TimeoutError:
        raise NoEvidence(f"the API server does not answer within {within:g} s: look again in a minute") from None
    finally:
        give_up(answers)
    return Metrics(
        namespace=subject.namespace,
        workload=str(workload),
        time=to_the_second(now),
        seconds=seconds,
        readings=tuple(readings.values()),
    )


def said(error: Exception) -> str:
    """Why a query has no answer, in words of ours."""
    if isinstance(error, PrometheusAway):
        return AWAY
    return REFUSED if isinstance(error, QueryError) else TOO_LATE


def _check_evidence(readings: Iterable[Reading]) -> None:
    """NoEvidence where no figure could be read."""
    errors = [reading.error for reading in readings]
    if any(error is None for error in errors):
        return
    if REFUSED in errors:
        raise NoEvidence(f"{REFUSED}: claudescale status shows how Prometheus is, docs/SECURITY.md who may ask it")
    raise NoEvidence(f"{AWAY}, so there are no numbers: claudescale status shows why, make up brings it back")


def _taken(answer: Future[Any], until: float) -> float | None:
    """When a source's newest sample was taken."""
    try:
        samples: list[Sample] = answer_of(answer, until)
    except (QueryError, TimeoutError):
        return None
    return samples[0].value if samples and samples[0].is_number else None
