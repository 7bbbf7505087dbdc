# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The load's live metrics, as Prometheus scrapes them from the runner."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5)


class Metrics:
    """What is scraped. A request is counted when it ended, or when it is known that it was not sent in time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rate = Gauge(
            "claudescale_load_wanted_rate", "Requests per second by the plan, now.", registry=self.registry
        )
        self.due = Counter("claudescale_load_due", "Requests that were due by the plan so far.", registry=self.registry)
        requests = Counter(
            "claudescale_load_requests",
            "Requests by what came of them: ok, failed (no good answer), unsent (not sent in time).",
            ["outcome"],
            registry=self.registry,
        )
        self._ok, self._failed, self._unsent = (requests.labels(outcome) for outcome in ("ok", "failed", "unsent"))
        self._latency = Histogram(
            "claudescale_load_latency_seconds",
            "From when a request was due until its good answer.",
            buckets=BUCKETS,
            registry=self.registry,
        )

    def answered(self, seconds: float) -> None:
        """One was answered well, so many seconds after it was due."""
        self._ok.inc()
        self._latency.observe(seconds)

    def failed(self, *, sent: bool) -> None:
        """One failed."""
        (self._failed if sent else self._unsent).inc()

    def serve(self, port: int) -> int:
        """Answer GET /metrics until this process ends; the port, which is chosen where 0 is given."""
        return int(start_http_server(port, registry=self.registry)[0].server_port)
