# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The controller's figures for Prometheus. Without prometheus_client they are counted by nobody.

What can be counted is there from the beginning, at 0: Prometheus takes the first value that it sees for the beginning,
so that a failure which made its own series would not count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.controller import autoscalers as shown
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease, WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.lease.rules import ALLOWED

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.core import GaugeMetricFamily

    MISSING = ""
except ImportError as error:  # outside of the image nobody need scrape the controller
    MISSING = str(error)

LAGS = (0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 60.0, 600.0)  # seconds; the aims are 0.5 at the median and 3 at worst
EVENTS = (
    chain.GENESIS,
    chain.LEASE_REQUESTED,
    chain.LEASE_REFUSED,
    chain.REFUSALS_REPEATED,
    chain.LEASE_ENDED,
    chain.FLOOR_INTENDED,
    chain.FLOOR_WRITTEN,
    chain.FLOOR_RESTORED,
    chain.BASE_CHANGED,
    chain.FLOOR_CONTESTED,
)
PLACES = ("watch", "reconcile", "record", "event", "defect")  # where something fails
WRITES = ("record", "WriteFloor", "Restore", "DropOwnership", "RaiseScale")  # what can be overtaken


Autoscalers: TypeAlias = Callable[[], Iterable[Mapping[str, Any]]]
Leases: TypeAlias = Callable[[WorkloadRef], Iterable[Lease]]


class Metrics:
    """Counts what happens; `registry` None is the process' own."""

    def __init__(self, registry: Any = None) -> None:
        self._on = not MISSING
        if not self._on:
            return
        where: CollectorRegistry = REGISTRY if registry is None else registry
        spaces = ["namespace"]
        self._decisions = Counter(
            "claudescale_decisions", "Recorded decisions about leases", [*spaces, "code"], registry=where
        )
        self._records = Counter("claudescale_records", "Records appended", [*spaces, "event"], registry=where)
        self._head = Gauge("claudescale_record_head", "Sequence of the last record", spaces, registry=where)
        self._broken = Gauge(
            "claudescale_chain_broken", "1 where a record of the chain was found broken", spaces, registry=where
        )
        self._start = Histogram(
            "claudescale_start_lag_seconds", "From a lease's start to its floor", spaces, buckets=LAGS, registry=where
        )
        self._end = Histogram(
            "claudescale_restore_lag_seconds", "From a lease's end to its record", spaces, buckets=LAGS, registry=where
        )
        self._conflicts = Counter(
            "claudescale_conflicts", "Writes that somebody else's write overtook", ["write"], registry=where
        )
        self._errors = Counter("claudescale_errors", "What failed and is tried again", ["where"], registry=where)
        self._leases = Gauge("claudescale_leases", "Leases by phase", [*spaces, "phase"], registry=where)
        self._skew = Gauge(
            "claudescale_clock_skew_seconds", "The API server's clock less the local one", registry=where
        )
        for place in PLACES:
            self._errors.labels(place)
        for write in WRITES:
            self._conflicts.labels(write)
        self._autoscalers = _Autoscalers()
        where.register(self._autoscalers)

    def attached(self, namespace: str, autoscalers: Autoscalers, leases: Leases) -> None:
        """A namespace is looked after. Its autoscalers, and each workload's leases, are asked for at each scrape."""
        if not self._on:
            return
        for event in EVENTS:
            self._records.labels(namespace, event)
        self._decisions.labels(namespace, ALLOWED)
        self._start.labels(namespace)
        self._end.labels(namespace)
        self._autoscalers.add(namespace, autoscalers, leases)

    def recorded(self, namespace: str, fields: Mapping[str, Any]) -> None:
        """A record was appended."""
        if not self._on:
            return
        event = fields["event"]
        self._records.labels(namespace, event).inc()
        self.head(namespace, fields["sequence"])
        if event in (chain.LEASE_REQUESTED, chain.LEASE_REFUSED, chain.REFUSALS_REPEATED):
            self._decisions.labels(namespace, fields["decision"]["code"]).inc(fields.get("count", 1))
        at = moments.parse(fields["time"])
        if event == chain.FLOOR_WRITTEN and fields["outcome"] == chain.SUCCEEDED and "lease" in fields:
            self._start.labels(namespace).observe(max(at - moments.parse(fields["lease"]["startTime"]), 0.0))
        if event == chain.LEASE_ENDED and fields["cause"] == "Expired":
            self._end.labels(namespace).observe(max(at - moments.parse(fields["lease"]["endTime"]), 0.0))

    def head(self, namespace: str, sequence: int) -> None:
        """The chain ends at this record now."""
        if self._on:
            self._head.labels(namespace).set(sequence)

    def conflict(self, write: str) -> None:
        """A write came too late, which is no error."""
        if self._on:
            self._conflicts.labels(write).inc()

    def error(self, where: str) -> None:
        """Something failed; it is tried again."""
        if self._on:
            self._errors.labels(where).inc()

    def broken(self, namespace: str, is_broken: Callable[[], bool]) -> None:
        """Whether a chain is broken is asked when Prometheus asks."""
        if self._on:
            self._broken.labels(namespace).set_function(lambda: float(is_broken()))

    def leases(self, namespace: str, phase: str, count: Callable[[], float]) -> None:
        """How many leases have a phase is asked when Prometheus asks."""
        if self._on:
            self._leases.labels(namespace, phase).set_function(count)

    def skew(self, seconds: Callable[[], float]) -> None:
        """Likewise for the clock."""
        if self._on:
            self._skew.set_function(seconds)


class _Autoscalers:
    """The figures of autoscalers, made anew at each scrape: of one that is gone nothing is left."""

    def __init__(self) -> None:
        self._spaces: dict[str, tuple[Autoscalers, Leases]] = {}

    def add(self, namespace: str, autoscalers: Autoscalers, leases: Leases) -> None:
        self._spaces[namespace] = (autoscalers, leases)

    def describe(self) -> Iterable[Any]:
        """Nothing is asked for when it is registered."""
        return []

    def collect(self) -> Iterable[Any]:
        """The gauges, of prometheus_client."""
        labels = ["namespace", "autoscaler", "workload"]
        families = {
            name: GaugeMetricFamily(f"claudescale_autoscaler_{name}", told, labels=labels)
            for name, told in shown.GAUGES.items()
        }
        count = GaugeMetricFamily("claudescale_autoscalers", "Autoscalers of a namespace", labels=labels[:1])
        for namespace, (autoscalers, leases) in list(self._spaces.items()):
            items = list(autoscalers())
            count.add_metric([namespace], len(items))
            for one in shown.figures(items, leases):
                for name, value in one.values.items():
                    families[name].add_metric([namespace, one.autoscaler, one.workload], value)
        return [*families.values(), count]
