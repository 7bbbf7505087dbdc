# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The chain of records: how one is linked to the one before it, and the object that holds it. Pure.

    record n-1            record n                                   record n+1
    hash  ----------+---> previousHash                      +------> previousHash
                    |     payload  (exact JSON bytes)       |
                    +---> hash = SHA-256 of PREFIX, previousHash, a line feed, payload
                          time, actor, ... (copies out of the payload, for kubectl get)

A Record is valid by construction: its hash is right, and its payload is one that this project writes. Whether it is
the next one of a chain is for verify.py: that takes more than one record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line
from ansible_collections.claudescale.core.plugins.module_utils.record import payload as payloads
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw, RecordBroken

PREFIX = b"claudescale.io/record/v1\n"  # tells these hashes from any other use of SHA-256
BEFORE_GENESIS = "0" * 64  # the genesis' previousHash
API_VERSION = "claudescale.io/v1alpha1"
KIND = "ScalingRecord"
CONTROLLER = "claudescale-controller"

HASH = re.compile(r"[0-9a-f]{64}")
NOTED_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")
LINK_FIELDS = ("sequence", "previousHash", "hash", "payload")
COPIES = ("time", "actor", "door", "workload", "decision", "outcome")  # each is there if the payload has it


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last link of a chain at some time, written SEQUENCE:HASH. sequence >= 0, hash of 64 lower-case hex digits."""

    sequence: int
    hash: str

    def __post_init__(self) -> None:
        if not NOTED_HEAD.fullmatch(str(self)):
            _no_head(str(self))

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One link. RecordBroken where the hash is not right, or the payload is not what this project writes."""

    sequence: int
    previous_hash: str
    hash: str
    payload: str  # the exact text whose UTF-8 bytes are hashed
    fields: Mapping[str, Any] = field(init=False, repr=False, compare=False)  # the payload, parsed

    def __post_init__(self) -> None:
        if self.hash != record_hash(self.previous_hash, self.payload):
            raise RecordBroken(Flaw.HASH_DIFFERS, "its hash is not that of its previousHash and its payload")
        fields = payloads.read(self.payload)
        if fields["sequence"] != self.sequence:
            _copy_differs("sequence", self.sequence, fields["sequence"])
        if not HASH.fullmatch(self.previous_hash) or (self.previous_hash == BEFORE_GENESIS) is (self.sequence > 0):
            raise RecordBroken(
                Flaw.PREVIOUS_HASH_DIFFERS, "its previousHash is none: 64 zeros in record 0, a hash in any other"
            )
        object.__setattr__(self, "fields", fields)

    @property
    def name(self) -> str:
        """The object's name."""
        return record_name(self.sequence)

    @property
    def head(self) -> Head:
        """The head of a chain that ends here."""
        return Head(sequence=self.sequence, hash=self.hash)


def payload_text(fields: Mapping[str, Any]) -> str:
    """The payload of these fields, canonical JSON. RecordBroken where JSON has no words for one."""
    return payloads.write(fields)


def record_hash(previous: str, payload: str) -> str:
    """The hash of a link, as 64 lower-case hex digits."""
    return hashlib.sha256(PREFIX + previous.encode() + b"\n" + payload.encode()).hexdigest()


def records_path(namespace: str) -> str:
    """Where the API server has a namespace's records; each by its name below it."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/scalingrecords"


def record_path(namespace: str, sequence: int) -> str:
    """Where the API server has one record."""
    return f"{records_path(namespace)}/{record_name(sequence)}"


def record_name(sequence: int) -> str:
    """The name of the record of that sequence: two writers of one link meet at the API server."""
    return f"record-{sequence:010d}"


def genesis(
    *, namespace: str, uid: str, time: str, actor: str, door: str = CONTROLLER, outcome: str = "Succeeded"
) -> Record:
    """The first record of a namespace's chain. `time` as moments.text() writes it."""
    fields = {"time": time, "event": payloads.GENESIS, "actor": actor, "door": door, "outcome": outcome}
    return _link(0, BEFORE_GENESIS, {**fields, "namespace": {"name": namespace, "uid": uid}})


def next_record(head: Head, fields: Mapping[str, Any]) -> Record:
    """The record that follows the head. `fields` are the payload's, without version and sequence, which are added."""
    return _link(head.sequence + 1, head.hash, fields)


def parse_head(text: str) -> Head:
    """A noted head, SEQUENCE:HASH; ClaudeScaleError where it is none."""
    found = NOTED_HEAD.fullmatch(text)
    if not found:
        _no_head(text)
    return Head(sequence=int(found[1]), hash=found[2])


def copies(fields: Mapping[str, Any]) -> dict[str, str]:
    """What stands beside the payload, for kubectl get."""
    found = {name: fields[name] for name in ("time", "actor", "door", "outcome")}
    if "workload" in fields:
        found["workload"] = f"{fields['workload']['kind']}/{fields['workload']['name']}"
    if "decision" in fields:
        found["decision"] = fields["decision"]["code"]
    return found


def to_object(record: Record, namespace: str) -> dict[str, Any]:
    """The record as an object of the API server."""
    link = {
        "sequence": record.sequence,
        "previousHash": record.previous_hash,
        "hash": record.hash,
        "payload": record.payload,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": record.name, "namespace": namespace},
        "spec": {**link, **copies(record.fields)},
    }


def spec_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an object whose shape and name are a record's; RecordBroken where they are not."""
    if (item.get("apiVersion"), item.get("kind")) != (API_VERSION, KIND):
        found = f"{payloads.shown(item.get('kind'))} of {payloads.shown(item.get('apiVersion'))}"
        _no_record(f"it is a {found}, not a {KIND} of {API_VERSION}")
    metadata, spec = item.get("metadata"), item.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        _no_record("it has no metadata or no spec")
    unknown = [*({*item} - {"apiVersion", "kind", "metadata", "spec"}), *({*spec} - {*LINK_FIELDS, *COPIES})]
    if unknown:
        _no_record(f"it has a field {payloads.shown(min(unknown))}, which records do not have")
    for name in (*LINK_FIELDS, *(name for name in COPIES if name in spec)):
        fits = payloads.is_count if name == "sequence" else payloads.is_text
        if not fits(spec.get(name)):
            _no_record(f"spec.{name} is {payloads.shown(spec.get(name))}")
    if metadata.get("name") != record_name(spec["sequence"]):
        raise RecordBroken(
            Flaw.NAME_DIFFERS,
            f"its name is {payloads.shown(metadata.get('name'))}, and spec.sequence is {spec['sequence']}",
        )
    return spec


def from_object(item: Mapping[str, Any]) -> Record:
    """The record of an object whose hash, name and copies are right; RecordBroken names the first that is not."""
    spec = spec_of(item)
    record = Record(
        sequence=spec["sequence"], previous_hash=spec["previousHash"], hash=spec["hash"], payload=spec["payload"]
    )
    wanted = copies(record.fields)
    for name in COPIES:
        if spec.get(name) != wanted.get(name):
            _copy_differs(name, spec.get(name), wanted.get(name))
    return record


def _link(sequence: int, previous: str, fields: Mapping[str, Any]) -> Record:
    if {"version", "sequence"} & {*fields}:
        raise RecordBroken(Flaw.PAYLOAD_INVALID, "version and sequence of a payload are the chain's to say")
    payload = payload_text({**fields, "version": payloads.VERSION, "sequence": sequence})
    return Record(sequence=sequence, previous_hash=previous, hash=record_hash(previous, payload), payload=payload)


def _no_head(text: str) -> NoReturn:
    raise ClaudeScaleError(
        f"{one_line(repr(text), 90)} is no head of a chain: write it as SEQUENCE:HASH, as records verify prints it"
    )


def _no_record(what: str) -> NoReturn:
    raise RecordBroken(Flaw.NOT_A_RECORD, what)


def _copy_differs(name: str, found: object, wanted: object) -> NoReturn:
    raise RecordBroken(
        Flaw.COPY_DIFFERS, f"spec.{name} is {payloads.shown(found)}, and the payload says {payloads.shown(wanted)}"
    )
