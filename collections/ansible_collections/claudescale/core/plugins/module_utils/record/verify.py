# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""Whether records are a whole chain, and where it is broken first. Pure: objects in, a result out.

What passes proves: these records, in this order, were linked by who wrote them, and no byte of one was changed alone.
Who may write all of them anew can make a chain that passes; only a head that was noted elsewhere shows that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from ansible_collections.claudescale.core.plugins.module_utils.record.chain import Head, Record
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw, RecordBroken
from ansible_collections.claudescale.core.plugins.module_utils.record.payload import shown


@dataclass(frozen=True, kw_only=True)
class Break:
    """The first place that is wrong: the sequence that belongs there, which is its line in an export less one."""

    place: int
    code: Flaw
    what: str

    def __str__(self) -> str:
        return f"the chain is broken at record {self.place} ({self.code}): {self.what}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found. `broken` None: everything passed."""

    count: int  # records that passed before the first break
    head: Head | None  # the last of them; None where not even the genesis passed
    broken: Break | None
    namespace: Mapping[str, str]  # name and uid, as the genesis says; empty where not even that passed


def verify(
    items: Iterable[Mapping[str, Any]], *, namespace_uid: str | None = None, noted: Head | None = None
) -> Result:
    """Verify objects in the order they have, as the API server or an export gives them.

    `namespace_uid`: the UID that the genesis must name, where the caller knows it. `noted`: a head noted earlier.
    ClaudeScaleError where the expected UID is empty: that would ask nothing.
    """
    if namespace_uid == "":
        raise ClaudeScaleError("the namespace's UID that the chain is to be compared with is empty")
    place, previous, head = 0, chain.BEFORE_GENESIS, None
    home: Mapping[str, str] = {}
    rest = iter(items)
    for item in rest:
        try:
            _check_place(item, place, previous, rest)
            record = chain.from_object(item)
            home = home or record.fields["namespace"]
            _check_home(item, home, namespace_uid)
            _check_noted(record, noted)
        except RecordBroken as error:
            broken = Break(place=place, code=error.code, what=error.what)
            return Result(count=place, head=head, broken=broken, namespace=home if place else {})
        place, previous, head = place + 1, record.hash, record.head
    return Result(count=place, head=head, broken=_check_end(place, noted), namespace=home)


def _check_place(item: Mapping[str, Any], place: int, previous: str, rest: Iterator[Mapping[str, Any]]) -> None:
    spec = chain.spec_of(item)
    if spec["sequence"] < place:
        raise RecordBroken(Flaw.REPEATED, f"{chain.record_name(spec['sequence'])} stands here again")
    if spec["sequence"] > place:
        found = f"{chain.record_name(spec['sequence'])} stands here"
        if any(_is_named(other, chain.record_name(place)) for other in rest):
            raise RecordBroken(Flaw.OUT_OF_ORDER, f"{found}, and {chain.record_name(place)} comes later")
        raise RecordBroken(Flaw.MISSING, f"{found}, and {chain.record_name(place)} is missing")
    if spec["previousHash"] != previous:
        raise RecordBroken(
            Flaw.PREVIOUS_HASH_DIFFERS,
            "its previousHash is not the hash of the record before it" if place else "its previousHash is not 64 zeros",
        )


def _is_named(item: Mapping[str, Any], name: str) -> bool:
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and metadata.get("name") == name


def _check_home(item: Mapping[str, Any], home: Mapping[str, str], uid: str | None) -> None:
    namespace = item["metadata"].get("namespace")
    if namespace != home["name"]:
        raise RecordBroken(
            Flaw.NAMESPACE_DIFFERS, f"its namespace is {shown(namespace)}, and the chain is that of {home['name']}"
        )
    if uid is not None and uid != home["uid"]:
        raise RecordBroken(
            Flaw.UID_DIFFERS, f"the chain began in a namespace with the UID {home['uid']}, and this one's is {uid}"
        )


def _check_noted(record: Record, noted: Head | None) -> None:
    if noted and noted.sequence == record.sequence and noted.hash != record.hash:
        raise RecordBroken(
            Flaw.HEAD_DIFFERS, f"its hash is {record.hash}, and {noted} was noted: it or one before it was rewritten"
        )


def _check_end(count: int, noted: Head | None) -> Break | None:
    if not count:
        return Break(place=0, code=Flaw.EMPTY, what="there is no record at all")
    if noted and noted.sequence >= count:
        return Break(place=count, code=Flaw.TAIL_MISSING, what=f"the chain ends before it, and {noted} was noted")
    return None
