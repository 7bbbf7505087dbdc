# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A load with a name: made once, its result told as often as it is asked for, until it is removed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import scaling
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import plan_in
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import (
    HOLD_SECONDS,
    LoadPlan,
    LoadRefused,
)
from ansible_collections.claudescale.core.plugins.module_utils.load.results import Figures, figures
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun, delete_job, outcome_of

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?")
AUTOSCALER = "demo-app-hpa"
AT_MAXIMUM = "the autoscaler is at its maximum"


class Phase(StrEnum):
    """How far a named load has come."""

    ABSENT = "Absent"
    RUNNING = "Running"  # or about to
    FINISHED = "Finished"
    FAILED = "Failed"


class Incomplete(ClaudeScaleError):  # noqa: N818 - what is known stands in `told`
    """A load whose news broke off: `told` is what came until then."""

    def __init__(self, message: str, told: Told) -> None:
        super().__init__(message)
        self.told = told


@dataclass(frozen=True, kw_only=True)
class Told:
    """What there is to say about a named load. `summary` and `figures` are there once it is over and was waited for."""

    phase: Phase
    message: str
    changed: bool = False
    job: str = ""
    plan: LoadPlan | None = None
    summary: Mapping[str, Any] | None = None
    figures: Figures | None = None
    seconds: int = 0  # of the load of which there is news
    complete: bool = False  # whether every request of the plan is in the figures, or the plan ended as it should


def check_name(name: str) -> str:
    """The name; LoadRefused where it is none."""
    if not _NAME.fullmatch(name):
        raise LoadRefused(f"name {name!r} is no name: use 1 to 50 lower-case letters, digits and hyphens, as in noon-1")
    return name


@dataclass
class Scenario:
    """The load of one name and plan. `objective` is in seconds; `news` gets each line of progress."""

    cluster: ClusterClient
    name: str
    plan: LoadPlan
    objective: float
    news: Callable[[Mapping[str, Any]], None] = field(default=lambda _line: None)

    def __post_init__(self) -> None:
        check_name(self.name)
        self.run = LoadRun(self.cluster, self.plan, self.name)

    def foretold(self) -> Told:
        """What start() would do, without doing it; LoadRefused where it would refuse."""
        if self.run.there():
            return self._standing()
        self.run.startable()
        return self._told(Phase.ABSENT, f"would start load {self.name}: {self._extent()}", changed=True)

    def start(self) -> Told:
        """Start the load, or find it as it stands."""
        if not self.run.start():
            return self._standing()
        return self._told(Phase.RUNNING, f"load {self.name} is started: {self._extent()}", changed=True)

    def begun(self) -> None:
        """Wait until the load's pod runs, or is over; ClaudeScaleError where it cannot."""
        self.run.started_pod()

    def result(self, *, changed: bool = False) -> Told:
        """Wait until the load is over, and say what came of it.

        Incomplete where its news break off; ClaudeScaleError where it could not run.
        """
        counts = {"second": 0, "ok": 0, "failed": 0}
        summary: Mapping[str, Any] = {}
        full = _Full(self)
        try:
            for line in self.run.follow():
                if line["kind"] == "error":
                    raise ClaudeScaleError(f"load {self.name} could not run: {line['message']}")
                if line["kind"] == "summary":
                    summary = line
                    break
                counts["second"] = line["second"]
                counts["ok"] += line["ok"]
                counts["failed"] += line["failed"]
                self.news(line)
                full.look()
            found = figures(self.run.results(), objective=self.objective)
            self.run.rest()
        except ClaudeScaleError as error:
            if not counts["second"]:
                raise
            raise self._broken_off(error, counts, changed) from error
        complete = not summary["interrupted"] or summary.get("ended") == AT_MAXIMUM
        return replace(
            self._told(Phase.FINISHED, self._sentence(summary, found, complete), changed=changed),
            summary=summary,
            figures=found,
            complete=complete,
            seconds=round(summary["seconds"]),
        )

    def _broken_off(self, error: ClaudeScaleError, counts: Mapping[str, int], changed: bool) -> Incomplete:
        message = (
            f"the result of load {self.name} is incomplete: until second {counts['second']} of {self.plan.seconds}, "
            f"{counts['ok']} requests were answered and {counts['failed']} failed, then {error}"
        )
        return Incomplete(
            message, replace(self._told(Phase.FAILED, message, changed=changed), seconds=counts["second"])
        )

    def _sentence(self, summary: Mapping[str, Any], found: Figures, complete: bool) -> str:
        cut = "" if complete else f"incomplete, because it was ended from outside, of {self.plan.seconds} s: "
        p99 = "-" if found.p99 is None else f"{found.p99 * 1000:.0f} ms"
        return (
            f"load {self.name}: {cut}{found.planned} requests in {summary['seconds']:.0f} s, {found.ok} ok, "
            f"{found.failed} failed ({found.unsent} could not be sent in time), {100 * found.share:.2f} % slower than "
            f"{self.objective * 1000:.0f} ms or failed, p99 {p99}"
        )

    def _standing(self) -> Told:
        job = self.run.job()
        outcome = outcome_of(job) if job else "Failed"
        phase = {"": Phase.RUNNING, "Complete": Phase.FINISHED}.get(outcome, Phase.FAILED)
        words = {Phase.RUNNING: "runs already", Phase.FINISHED: "is over", Phase.FAILED: "failed"}[phase]
        return self._told(phase, f"load {self.name} {words}: {self._extent()}")

    def _told(self, phase: Phase, message: str, *, changed: bool = False) -> Told:
        return Told(phase=phase, message=message, changed=changed, job=f"load-{self.name}", plan=self.plan)

    def _extent(self) -> str:
        plan = self.plan
        return f"{plan.profile}, up to {plan.peak}/s, {plan.requests} requests in {plan.seconds} s at most"


class _Full:
    """Ends a load that goes on until the autoscaler is at its maximum, HOLD_SECONDS after it is."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._at: float | None = None
        self._asked = False

    def look(self) -> None:
        if not self._scenario.plan.until_scaled or self._asked:
            return
        if self._at is None and self._at_maximum():
            self._at = time.monotonic()
        if self._at is not None and time.monotonic() >= self._at + HOLD_SECONDS:
            self._asked = True
            self._scenario.run.end(AT_MAXIMUM)

    def _at_maximum(self) -> bool:
        cluster = self._scenario.cluster
        path = f"/apis/autoscaling/v2/namespaces/{cluster.namespace}/horizontalpodautoscalers/{AUTOSCALER}"
        # Where it cannot be seen now it may be in a second; the plan ends the load in any case.
        with suppress(ClaudeScaleError):
            hpa = cluster.find(path)
            if hpa is not None:
                now = scaling(hpa)
                return now.current >= now.maximum
        return False


def remove(cluster: ClusterClient, name: str, *, dry_run: bool = False) -> Told:
    """Stop the load of a name and remove it with its result; what is not there is no error."""
    job = f"load-{check_name(name)}"
    found = cluster.find(f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs/{job}")
    if found is None:
        return Told(phase=Phase.ABSENT, message=f"there is no load {name} in namespace {cluster.namespace}", job=job)
    plan = plan_in(found)
    if plan is None:
        raise LoadRefused(f"job {job} in namespace {cluster.namespace} is no load: it is left alone")
    what = f"load {name}" if outcome_of(found) else f"running load {name}"
    if not dry_run:
        delete_job(cluster, job)
    message = f"would remove {what}" if dry_run else f"{what} is removed"
    return Told(phase=Phase.ABSENT, message=message, changed=True, job=job, plan=plan)
