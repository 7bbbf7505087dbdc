# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What a record says, as an Event on the workload, for `kubectl describe`. Best effort, from a thread of its own.

The record is the truth; an Event that cannot be written is counted and forgotten, so that no lease waits for it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.controller.metrics import Metrics
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger as chain
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER, Workload, WorkloadRef

MOST_WAITING = 1000
log = logging.getLogger("claudescale.events")


class Teller:
    """Takes records from `tell`, writes Events until close()."""

    def __init__(self, client: ClusterClient, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics
        self._waiting: queue.Queue[tuple[str, Mapping[str, Any], Workload | None] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def tell(self, namespace: str, fields: Mapping[str, Any], workload: Workload | None) -> None:
        """A record was appended; nothing waits here."""
        try:
            self._waiting.put_nowait((namespace, fields, workload))
        except queue.Full:
            self._metrics.error("event")

    def close(self) -> None:
        """Write what waits, for a second at most, and end."""
        self._waiting.put(None)
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            namespace, fields, workload = item
            if (words := words_of(fields)) is None:
                continue
            try:
                self._write(namespace, fields, workload, words)
            except (ClaudeScaleError, LookupError) as error:
                self._metrics.error("event")
                log.debug("no event", extra={"facts": {"what": str(error)}})

    def _write(
        self, namespace: str, fields: Mapping[str, Any], workload: Workload | None, words: tuple[str, str, str]
    ) -> None:
        ref = WorkloadRef.from_object(fields["workload"])
        uid = workload.uid if workload is not None else self._uid(namespace, ref)
        if uid is None:
            return
        kind, reason, message = words
        self._client.create(
            f"/api/v1/namespaces/{namespace}/events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{ref.name}.claudescale-{fields['sequence']}", "namespace": namespace},
                "involvedObject": {**ref.to_object(), "namespace": namespace, "uid": uid},
                "type": kind,
                "reason": reason,
                "message": message,
                "count": 1,
                "firstTimestamp": fields["time"],
                "lastTimestamp": fields["time"],
                "source": {"component": CONTROLLER},
                "reportingComponent": CONTROLLER,
            },
            field_manager=CONTROLLER,
        )

    def _uid(self, namespace: str, ref: WorkloadRef) -> str | None:
        found = self._client.find(f"{ref.path(namespace)}/scale")
        return found["metadata"]["uid"] if found else None


def words_of(fields: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(type, reason, message) of the Event for a record; None for records that people need no Event for."""
    words = WORDS.get((fields["event"], fields["outcome"]))
    if words is None:
        return None
    kind, reason, message = words
    if reason == "LeaseStarted" and "lease" not in fields:
        reason, message = "FloorChanged", "the floor is {floor[applied]} now, over a base of {floor[base]}"
    return kind, reason, f"{message.format(**fields)} (record {fields['sequence']})"


WORDS = {
    (chain.LEASE_REQUESTED, chain.REFUSED): (
        "Warning",
        "LeaseRefused",
        "lease {lease[name]} is refused: {decision[code]}",
    ),
    (chain.LEASE_REFUSED, chain.REFUSED): (
        "Warning",
        "LeaseRefused",
        "lease {lease[name]} is refused at its start: {decision[code]}",
    ),
    (chain.FLOOR_WRITTEN, chain.SUCCEEDED): (
        "Normal",
        "LeaseStarted",
        "lease {lease[name]} holds the floor at {floor[applied]}",
    ),
    (chain.FLOOR_RESTORED, chain.SUCCEEDED): (
        "Normal",
        "FloorRestored",
        "the floor is the base of {floor[applied]} again",
    ),
    (chain.LEASE_ENDED, chain.SUCCEEDED): ("Normal", "LeaseEnded", "lease {lease[name]} is over: {cause}"),
    (chain.BASE_CHANGED, chain.SUCCEEDED): ("Normal", "BaseChanged", "{manager} made {floor[base]} the base"),
    (chain.FLOOR_CONTESTED, chain.SUCCEEDED): (
        "Warning",
        "FloorContested",
        "{manager} wrote minReplicas again: the floor is left to it",
    ),
}
