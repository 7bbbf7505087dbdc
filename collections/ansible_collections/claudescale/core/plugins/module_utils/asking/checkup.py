# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Read what health.py judges: all parts side by side and bounded, so that one which hangs takes the others nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.findings import Miss
from ansible_collections.claudescale.core.plugins.module_utils.asking.gather import last_records
from ansible_collections.claudescale.core.plugins.module_utils.asking.health import Readings
from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import RECORDS_SHOWN
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterStopped
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import SERVICE
from ansible_collections.claudescale.core.plugins.module_utils.cluster.together import answer_of, together
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import API_VERSION, CONTROLLER

PART_SECONDS = 2.0  # all parts have it together, because they are asked side by side
FIRST_SECONDS = 1.0
# How many targets of Prometheus answer it (up is 1) and how many do not (0). Whoever answers that is ready.
TARGETS = 'count_values("up", up)'


def readings(reader: Reader, *, near: int | None = None, seconds: float = PART_SECONDS) -> Readings:
    """What there is of each part after so many seconds. `near` as in gather().

    The first request is made alone, and raises as the client does: where nothing answers, or nobody knows who asks,
    there are no parts to speak of.
    """
    client, space = reader.client, f"namespaces/{reader.namespace}"
    try:
        client.text(f"/apis/{API_VERSION}", seconds=FIRST_SECONDS)
    except ApiError as error:
        if error.status != 404:  # without our kinds there is still a cluster to look at
            raise

    def listed(path: str) -> Callable[[], list[dict[str, Any]]]:
        return lambda: list(client.pages(path))

    def targets() -> Mapping[str, Any]:
        path = f"/api/v1/{space}/services/{SERVICE}/proxy/api/v1/query"
        found: Mapping[str, Any] = json.loads(client.text(path, {"query": TARGETS}, seconds=seconds))
        return found

    asks: dict[str, Callable[[], Any]] = {
        "nodes": listed("/api/v1/nodes"),
        "pods": listed(f"/api/v1/{space}/pods"),
        "services": listed(f"/api/v1/{space}/services"),
        "autoscalers": listed(f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers"),
        "targets": targets,
        "samples": listed(f"/apis/metrics.k8s.io/v1beta1/{space}/pods"),
        "controller": lambda: client.get(f"/apis/apps/v1/{space}/deployments/{CONTROLLER}"),
        "leases": listed(reader.path("capacityleases")),
        "records": lambda: last_records(reader, RECORDS_SHOWN, near=near),
    }
    until = time.monotonic() + seconds
    answers = together(asks, at_once=len(asks))
    return Readings(**{name: _part(answer, until) for name, answer in answers.items()})


def _part(answer: Future[Any], until: float) -> Any:
    """A part, or why there is none at a monotonic time."""
    try:
        return answer_of(answer, until)
    except (TimeoutError, ClusterStopped):
        return Miss.SILENT
    except ApiError as error:
        return {403: Miss.FORBIDDEN, 404: Miss.ABSENT}.get(error.status, Miss.REFUSED)
    except (ClaudeScaleError, ValueError):  # no JSON, or none of an API server
        return Miss.UNREADABLE
