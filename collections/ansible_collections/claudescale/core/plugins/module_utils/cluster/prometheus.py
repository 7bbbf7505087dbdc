# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""PromQL, through the API server's service proxy: no port is opened, and the API server checks who asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

try:
    import requests
    from prometheus_api_client import PrometheusConnect
    from prometheus_api_client.exceptions import PrometheusApiClientException
    from urllib3.util.retry import Retry

    MISSING = ""
except ImportError as error:  # said when a connection is made
    MISSING = str(error)

Answer = TypeVar("Answer")

SERVICE = "prometheus:9090"  # as it stands in the URL, because a role may name exactly this
CONNECT_SECONDS = 2.0
READ_SECONDS = 10.0
RETRIES = 2  # with a pause of 0, then 0.6 s: a pod that is being replaced
# What the API server says of a service that is gone, or that has no pod to ask.
AWAY = tuple(f"HTTP Status Code {code} " for code in (404, 502, 503, 504))
PROMETHEUS_OWN = "errorType"  # stands in Prometheus' own refusals, one of which is 503 too


class QueryError(ClaudeScaleError):
    """Prometheus did not answer, or refused the query."""


class PrometheusAway(QueryError):  # noqa: N818 - a state of the world, not a mistake
    """Prometheus did not answer."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of an instant query's answer, at a Unix time in seconds."""

    labels: dict[str, str]
    value: float
    time: float

    @property
    def is_number(self) -> bool:
        """Whether there is a figure: a quantile of no requests is NaN."""
        return math.isfinite(self.value)


@dataclass(frozen=True, kw_only=True)
class Track:
    """One series of a range query's answer: (Unix time in seconds, value), oldest first; a value may be NaN."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """The Prometheus of a cluster's namespace. ClaudeScaleError where prometheus-api-client is missing."""

    def __init__(self, cluster: ClusterClient, *, service: str = SERVICE) -> None:
        if MISSING:
            raise ClaudeScaleError(f"a Python package is missing here ({MISSING}): pip install prometheus-api-client")
        self.cluster = cluster
        configuration = cluster.configuration
        session = requests.Session()
        session.verify = (configuration.ssl_ca_cert or True) if configuration.verify_ssl else False
        if configuration.cert_file:
            session.cert = (configuration.cert_file, configuration.key_file)
        session.auth = _authorized_by(cluster)
        self._connection = PrometheusConnect(
            url=f"{configuration.host}/api/v1/namespaces/{cluster.namespace}/services/{service}/proxy",
            session=session,
            retry=Retry(total=RETRIES, backoff_factor=0.3, status_forcelist=(502, 503, 504), raise_on_status=False),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )

    def query(self, promql: str, *, at: float | None = None, silence: float = READ_SECONDS) -> list[Sample]:
        """The samples of an instant query, now or `at` a Unix time; QueryError with Prometheus' reason.

        `silence`: the seconds of it that each try bears.
        """
        params = {} if at is None else {"time": f"{at:.3f}"}
        return self._asked(
            lambda: _samples(self._connection.custom_query(promql, params=params, timeout=(CONNECT_SECONDS, silence)))
        )

    def tracks(
        self, promql: str, *, start: float, end: float, step: float, silence: float = READ_SECONDS
    ) -> list[Track]:
        """The series of a query at start, start + step, ... up to end; both in Unix time, cut to whole seconds.

        QueryError with Prometheus' reason.
        """
        first, last = (datetime.fromtimestamp(int(moment), UTC) for moment in (start, end))
        return self._asked(
            lambda: _tracks(
                self._connection.custom_query_range(
                    promql, first, last, f"{step:g}", timeout=(CONNECT_SECONDS, silence)
                )
            )
        )

    def value(self, promql: str, *, at: float | None = None) -> float | None:
        """The one figure of a query that has at most one; None where there is none."""
        samples = [sample for sample in self.query(promql, at=at) if sample.is_number]
        return samples[0].value if samples else None

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except PrometheusApiClientException as error:
            said = " ".join(str(error).split())[:300]
            if said.startswith(AWAY) and PROMETHEUS_OWN not in said:
                raise PrometheusAway(f"Prometheus does not answer: {said}") from error
            raise QueryError(f"Prometheus refused the query: {said}") from error
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            raise PrometheusAway(f"Prometheus does not answer: {' '.join(str(error).split())[:300]}") from error


def _authorized_by(cluster: ClusterClient) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    # Asked for each request: a service account's token is shorter-lived than this connection.
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if authorization := cluster.authorization():
            request.headers["Authorization"] = authorization
        return request

    return authorize


def _samples(result: Any) -> list[Sample]:
    # A scalar's answer is [time, "value"], a vector's a list of {metric, value}.
    if result and not isinstance(result[0], dict):
        return [Sample(labels={}, value=float(result[1]), time=float(result[0]))]
    return [
        Sample(labels=dict(entry["metric"]), value=float(entry["value"][1]), time=float(entry["value"][0]))
        for entry in result
    ]


def _tracks(result: Any) -> list[Track]:
    return [
        Track(
            labels=dict(entry["metric"]),
            points=tuple((float(time), float(value)) for time, value in entry["values"]),
        )
        for entry in result
    ]
