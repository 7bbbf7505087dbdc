# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The figures of one workload, as a table of PromQL. Pure.

Nothing that a caller writes becomes a part of a query but a namespace, a workload's kind and name, and a number of
seconds, each of which is checked here. Pods are told by their names, because cAdvisor knows no workloads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef, is_name

LEAST_SECONDS = 60  # a rate needs several samples, and cAdvisor may take 15 s to make one
MOST_SECONDS = 7 * 86_400  # what Prometheus keeps
SCRAPE_SECONDS = 5
LOOKBACK_SECONDS = 300  # how long Prometheus takes a sample for the present one

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# What Kubernetes makes the generated parts of names of: no vowels, and nothing that looks like one.
GENERATED = "[bcdfghjklmnpqrstvwxz2456789]"
LONGEST_BEGINNING = 58  # characters of a generated name before its last five

# Where figures come from: the series, without the labels that name the workload.
CPU = 'container_cpu_usage_seconds_total{%(of)s, container!=""}'
MEMORY = 'container_memory_working_set_bytes{%(of)s, container!=""}'
STARTS = 'container_start_time_seconds{%(of)s, container!=""}'
REQUESTS = "demo_app_requests_total{%(of)s}"
DURATIONS = "demo_app_request_duration_seconds_bucket{%(of)s}"
UP = "up{%(of)s}"

NOT_MEASURED = "no container of it was measured"
NOT_COUNTED = "nobody counts its requests: the demo app alone does"
NOT_SCRAPED = "none of its pods is ready and scraped"
NO_REQUESTS = "no requests came"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is asked about. ClaudeScaleError where a name cannot be one."""

    namespace: str
    workload: WorkloadRef

    def __post_init__(self) -> None:
        if not LABEL.fullmatch(self.namespace):
            raise ClaudeScaleError(f"{self.namespace[:60]!r} is no namespace: use lower-case letters, digits, hyphens")
        if not is_name(self.workload.name):
            raise ClaudeScaleError(
                f"{self.workload.name[:60]!r} is no workload's name: use lower-case letters, digits and hyphens"
            )
        if self.workload.kind not in ("Deployment", "StatefulSet"):
            raise ClaudeScaleError(f"{self.workload.kind[:60]!r} is no kind of workload: use Deployment or StatefulSet")

    @property
    def labels(self) -> str:
        """The matchers of its pods' series. Others' pods match only where their owner's name is cut to the same."""
        name = self.workload.name
        quoted = name.replace(".", "[.]")
        if self.workload.kind == "StatefulSet":
            pods = f"{quoted}-[0-9]+"
        elif len(name) >= LONGEST_BEGINNING:
            pods = f"{name[:LONGEST_BEGINNING].replace('.', '[.]')}{GENERATED}{{5}}"
        else:
            # The hyphen before the last part is cut off, too, where the name is long.
            last = f"(-{GENERATED}{{5}})" + ("?" if len(name) + len("-0123456789-") > LONGEST_BEGINNING else "")
            pods = f"{quoted}-{GENERATED}+{last}"
        return f'namespace="{self.namespace}", pod=~"{pods}"'


@dataclass(frozen=True, kw_only=True)
class Query:
    """A figure: its PromQL with places for the labels and the seconds, and why there may be no value.

    `absent` is said where there are no samples, `idle` where there are and they give no number.
    """

    name: str
    unit: str
    source: str
    template: str
    absent: str
    idle: str = NO_REQUESTS

    def promql(self, subject: Subject, seconds: int) -> str:
        """The query about so many seconds before its time. ClaudeScaleError where those are too few or too many."""
        check_seconds(seconds)
        return self.template % {"of": subject.labels, "window": f"{seconds:d}s"}


def check_seconds(seconds: int) -> None:
    """ClaudeScaleError where a figure cannot be about so many seconds."""
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ClaudeScaleError(
            f"{seconds} s is no window for figures: ask for {LEAST_SECONDS} to {MOST_SECONDS} seconds"
        )


def newest(source: str, subject: Subject, seconds: int) -> str:
    """The query for the Unix time of the newest sample of a source in so many seconds.

    Prometheus gives a query's own time to its answer, however old the samples are that it was made from.
    """
    check_seconds(seconds)
    series = source % {"of": subject.labels}
    # Not longer than the lookback, so that between two looks no sample is missed.
    step = min(max(seconds // 60, SCRAPE_SECONDS), LOOKBACK_SECONDS)
    return f"max(timestamp({series})) or max(max_over_time(timestamp({series})[{seconds:d}s:{step:d}s]))"


def _rate(series: str) -> str:
    return f"rate({series}[%(window)s])"


def _once(series: str) -> str:
    """Each container once: a node with two trees of cgroups tells of it under both paths."""
    return f"max by (pod, container, name) ({series})"


def _quantile(name: str, quantile: str) -> Query:
    return Query(
        name=name,
        unit="s",
        source=DURATIONS,
        template=f"histogram_quantile({quantile}, sum by (le) ({_rate(DURATIONS)}))",
        absent=NOT_COUNTED,
    )


CPU_CORES = Query(name="cpu_cores", unit="cores", source=CPU, template=f"sum({_once(_rate(CPU))})", absent=NOT_MEASURED)
CPU_CORES_PER_POD = Query(
    name="cpu_cores_per_pod_max",
    unit="cores",
    source=CPU,
    template=f"max(sum by (pod) ({_once(_rate(CPU))}))",
    absent=NOT_MEASURED,
)
MEMORY_BYTES = Query(
    name="memory_bytes", unit="bytes", source=MEMORY, template=f"sum({_once(MEMORY)})", absent=NOT_MEASURED
)
REQUEST_RATE = Query(
    name="request_rate", unit="requests/s", source=REQUESTS, template=f"sum({_rate(REQUESTS)})", absent=NOT_COUNTED
)
# A code that never occurred has no series, and its share is 0 all the same.
FAILED = REQUESTS.replace("%(of)s", '%(of)s, code!~"2.."')
FAILED_SHARE = Query(
    name="failed_share",
    unit="share",
    source=REQUESTS,
    template=f"(sum({_rate(FAILED)}) or vector(0)) / sum({_rate(REQUESTS)})",
    absent=NOT_COUNTED,
)
LATENCY_P50 = _quantile("latency_p50", "0.5")
LATENCY_P95 = _quantile("latency_p95", "0.95")
LATENCY_P99 = _quantile("latency_p99", "0.99")
# Each start of a container makes a series of its own: those beyond the first are restarts. A pod of a StatefulSet
# that is made anew under its old name counts as one.
RESTARTS = Query(
    name="restarts",
    unit="restarts",
    source=STARTS,
    template=f"sum(count by (pod, container) ({_once(f'last_over_time({STARTS}[%(window)s])')}) - 1)",
    absent=NOT_MEASURED,
)
# Prometheus looks for ready pods only; a pod that does not answer it on any port is not counted.
PODS_READY = Query(
    name="pods_ready", unit="pods", source=UP, template=f"count(max by (pod) ({UP}) == 1)", absent=NOT_SCRAPED
)
PODS_RUNNING = Query(
    name="pods_running", unit="pods", source=MEMORY, template=f"count(count by (pod) ({MEMORY}))", absent=NOT_MEASURED
)

FIGURES = (
    CPU_CORES,
    CPU_CORES_PER_POD,
    MEMORY_BYTES,
    REQUEST_RATE,
    FAILED_SHARE,
    LATENCY_P50,
    LATENCY_P95,
    LATENCY_P99,
    RESTARTS,
    PODS_READY,
    PODS_RUNNING,
)
SERIES = (REQUEST_RATE, PODS_READY, PODS_RUNNING, LATENCY_P95, CPU_CORES)  # what a report draws
