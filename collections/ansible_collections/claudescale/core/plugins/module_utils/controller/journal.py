# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A namespace's chain of records in the API server, and the ledger that is folded from it.

A record's name is its sequence, so two writers of the same link meet at the API server: the second one reads what the
first wrote and starts again. An append whose answer was lost is found the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.ledger import Ledger
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import RecordBroken

log = logging.getLogger("claudescale.journal")


class RecordUnavailable(ClaudeScaleError):  # noqa: N818 - a state of the world, not a mistake
    """No record can be written now: nothing may be raised."""


class Overtaken(ClaudeScaleError):  # noqa: N818 - the ordinary outcome of two writers
    """Somebody else wrote this link first; the ledger has read it meanwhile."""


class Journal:
    """The chain of one namespace. `load` before anything else; used by one thread."""

    def __init__(self, client: ClusterClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.path = chain.records_path(namespace)
        self.ledger = Ledger()
        self.broken: str | None = None  # what was found wrong while reading, for a metric and the log

    @property
    def head(self) -> chain.Head | None:
        """The last link, None before there is one."""
        mark = self.ledger.head
        return None if mark is None else chain.Head(sequence=mark.sequence, hash=mark.hash)

    def load(self, now: float) -> None:
        """Read the whole chain; begin it where there is none. `now` is the genesis' time."""
        ledger = Ledger()
        for item in self.client.pages(self.path):
            self._fold(ledger, item)
        self.ledger = ledger
        if ledger.head is None:
            uid = self.client.get(f"/api/v1/namespaces/{self.namespace}")["metadata"]["uid"]
            first = chain.genesis(namespace=self.namespace, uid=uid, time=moments.text(now), actor=CONTROLLER)
            self._post(first)

    def append(self, fields: Mapping[str, Any]) -> chain.Record:
        """Write the next link.

        Overtaken where somebody else did, RecordUnavailable where the API server takes none now.
        """
        if self.head is None:
            raise RecordUnavailable(f"the chain of namespace {self.namespace} is not read yet")
        record = chain.next_record(self.head, fields)
        self._post(record)
        return record

    def catch_up(self) -> None:
        """Read the links that others wrote after the head; RecordUnavailable at one that cannot be read at all."""
        while (before := self.head) is not None:
            item = self.client.find(chain.record_path(self.namespace, before.sequence + 1))
            if item is None:
                return
            self._fold(self.ledger, item)
            if self.head == before:
                raise RecordUnavailable(f"{item['metadata']['name']} cannot be read: see claudescale records verify")

    def _post(self, record: chain.Record) -> None:
        body = chain.to_object(record, self.namespace)
        try:
            self.client.create(self.path, body, field_manager=CONTROLLER)
        except ApiError as error:
            if error.status == 409:
                self._overtaken()
            raise RecordUnavailable(f"record {record.sequence} cannot be written: {error}") from error
        except ClaudeScaleError as error:
            raise RecordUnavailable(f"record {record.sequence} cannot be written: {error}") from error
        self.ledger.add(record.sequence, record.hash, record.fields)

    def _overtaken(self) -> None:
        before = self.head
        if before is None:
            self.load(0.0)
        else:
            self.catch_up()
        if self.head == before:
            raise RecordUnavailable("another writer's record is not to be read yet")
        raise Overtaken("another writer was faster; what it wrote is read")

    def _fold(self, ledger: Ledger, item: Mapping[str, Any]) -> None:
        try:
            record = chain.from_object(item)
        except RecordBroken as error:
            # The chain goes on: a gap stays visible for good, and no capacity hangs on it.
            self.broken = f"{item['metadata']['name']}: {error}"
            log.error("record is broken", extra={"facts": {"namespace": self.namespace, "what": self.broken}})
            ledger.skip(*_place(item))
            return
        if ledger.head is not None and record.previous_hash != ledger.head.hash:
            self.broken = f"{record.name} does not follow the record before it"
            log.error("chain is broken", extra={"facts": {"namespace": self.namespace, "what": self.broken}})
        ledger.add(record.sequence, record.hash, record.fields)


def _place(item: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Where a record that is broken stands by its name, and the hash that the next one follows."""
    name, digest = item["metadata"]["name"], item.get("spec", {}).get("hash")
    number = name.removeprefix("record-")
    good = isinstance(digest, str) and chain.HASH.fullmatch(digest)
    return (int(number) if number.isascii() and number.isdigit() else None), (digest if good else None)
