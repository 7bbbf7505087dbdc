"""Verify: every way to tamper with a chain is found, at its place, and by an independent checker too."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.record import chain, export
from ansible_collections.claudescale.core.plugins.module_utils.record.export import ExportUnreadable
from ansible_collections.claudescale.core.plugins.module_utils.record.verify import Result, verify
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.records import EXPORT, HEAD, RECORDS, UID, good, naive

Records = list[Any]
NOTED = chain.parse_head(HEAD)
LINES = EXPORT.read_bytes().splitlines(keepends=True)
VICTIM = 4  # it has every field, and records before and after it

# What one changed byte of a field is found as.
FIELDS = {
    "sequence": "NameDiffers",
    "previousHash": "PreviousHashDiffers",
    "hash": "HashDiffers",
    "payload": "HashDiffers",
    "time": "CopyDiffers",
    "actor": "CopyDiffers",
    "door": "CopyDiffers",
    "workload": "CopyDiffers",
    "decision": "CopyDiffers",
    "outcome": "CopyDiffers",
}


def changed(place: int, path: str, value: Any) -> Callable[[Records], Records]:
    """One value of one record is another; None takes it away."""

    def change(records: Records) -> Records:
        *way, name = path.split(".")
        inner = records[place]
        for step in way:
            inner = inner[step]
        if value is None:
            del inner[name]
        else:
            inner[name] = value
        return records

    return change


def forged(place: int, **said: Any) -> Callable[[Records], Records]:
    """One record's payload says something else, and its hash and copies are made to fit; the next ones are not."""

    def forge(records: Records) -> Records:
        spec = records[place]["spec"]
        fields = {name: value for name, value in {**json.loads(spec["payload"]), **said}.items() if value is not None}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        fits = {"payload": text, "hash": chain.record_hash(spec["previousHash"], text)}
        records[place]["spec"] = {**spec, **fits, **{name: said[name] for name in said if name in chain.COPIES}}
        return records

    return forge


def rewritten(place: int, **said: Any) -> Callable[[Records], Records]:
    """The whole chain is made anew from one record on: nothing in it is wrong by itself."""

    def rewrite(records: Records) -> Records:
        kept = records[:place]
        head = chain.from_object(kept[-1]).head
        for item in records[place:]:
            fields = json.loads(item["spec"]["payload"])
            fields = {**fields, **said} if item is records[place] else fields
            record = chain.next_record(head, {k: v for k, v in fields.items() if k not in ("version", "sequence")})
            kept.append(chain.to_object(record, "claudescale"))
            head = record.head
        return kept

    return rewrite


def swapped(first: int, second: int) -> Callable[[Records], Records]:
    def swap(records: Records) -> Records:
        records[first], records[second] = records[second], records[first]
        return records

    return swap


def renamed(place: int, sequence: int) -> Callable[[Records], Records]:
    """A record under another name, its own sequence made to fit."""

    def rename(records: Records) -> Records:
        records[place]["metadata"]["name"] = chain.record_name(sequence)
        records[place]["spec"]["sequence"] = sequence
        return records

    return rename


def foreign(uid: str) -> Callable[[Records], Records]:
    """Another chain's genesis before this one's records."""
    other = chain.genesis(namespace="claudescale", uid=uid, time="2026-01-01T00:00:00.000000Z", actor="a")
    return lambda records: [chain.to_object(other, "claudescale"), *records[1:]]


TAMPERED = [
    pytest.param(lambda r: [], "Empty", 0, "there is no record at all", id="empty"),
    pytest.param(lambda r: r[1:], "Missing", 0,
                 "record-0000000001 stands here, and record-0000000000 is missing", id="genesis-removed"),
    pytest.param(lambda r: r[:4] + r[5:], "Missing", 4,
                 "record-0000000005 stands here, and record-0000000004 is missing", id="removed"),
    pytest.param(lambda r: r[:2] + r[5:], "Missing", 2,
                 "record-0000000005 stands here, and record-0000000002 is missing", id="three-removed"),
    pytest.param(lambda r: r[:4] + r[3:], "Repeated", 4, "record-0000000003 stands here again", id="repeated"),
    pytest.param(lambda r: [*r, r[0]], "Repeated", 8, "record-0000000000 stands here again", id="repeated-at-the-end"),
    pytest.param(lambda r: [r[0], *r], "Repeated", 1, "record-0000000000 stands here again", id="genesis-repeated"),
    pytest.param(swapped(3, 4), "OutOfOrder", 3,
                 "record-0000000004 stands here, and record-0000000003 comes later", id="swapped"),
    pytest.param(swapped(0, 7), "OutOfOrder", 0,
                 "record-0000000007 stands here, and record-0000000000 comes later", id="ends-swapped"),
    pytest.param(lambda r: r[::-1], "OutOfOrder", 0,
                 "record-0000000007 stands here, and record-0000000000 comes later", id="backwards"),
    pytest.param(lambda r: renamed(3, 4)(swapped(3, 4)(r)), "OutOfOrder", 3,
                 "record-0000000004 stands here, and record-0000000003 comes later", id="swapped-back-by-half"),
    pytest.param(lambda r: renamed(4, 4)(renamed(3, 3)(swapped(3, 4)(r))), "PreviousHashDiffers", 3,
                 "its previousHash is not the hash of the record before it", id="swapped-and-renamed"),
    pytest.param(lambda r: [*r[:4], *(renamed(n, n - 1)(r)[n] for n in (5, 6, 7))], "PreviousHashDiffers", 4,
                 "its previousHash is not the hash of the record before it", id="removed-and-renumbered"),
    pytest.param(forged(4, outcome="Accepted"), "PreviousHashDiffers", 5,
                 "its previousHash is not the hash of the record before it", id="forged"),
    pytest.param(forged(0, actor="somebody"), "PreviousHashDiffers", 1,
                 "its previousHash is not the hash of the record before it", id="genesis-forged"),
    pytest.param(forged(7, sequence=8), "CopyDiffers", 7,
                 "spec.sequence is 7, and the payload says 8", id="forged-sequence"),
    pytest.param(forged(7, version=2), "PayloadInvalid", 7,
                 "the payload's version is 2, and 1 is the one known here", id="forged-version"),
    pytest.param(forged(7, event="Genesis"), "PayloadInvalid", 7,
                 "the payload's event is 'Genesis': record 0, and no other, is the Genesis", id="second-genesis"),
    pytest.param(forged(0, event="LeaseEnded"), "PayloadInvalid", 0,
                 "the payload's event is 'LeaseEnded': record 0, and no other, is the Genesis", id="no-genesis"),
    pytest.param(forged(7, time="2026-03-01T19:01:00"), "PayloadInvalid", 7,
                 "the payload's time: 2026-03-01T19:01:00 has no time zone: write it like 2026-03-01T10:00:00Z for "
                 "UTC, or with an offset such as +02:00", id="forged-time"),
    pytest.param(changed(4, "spec.decision", None), "CopyDiffers", 4,
                 "spec.decision is absent, and the payload says 'AbovePolicyMaximum'", id="copy-removed"),
    pytest.param(changed(0, "spec.decision", "Accepted"), "CopyDiffers", 0,
                 "spec.decision is 'Accepted', and the payload says absent", id="copy-added"),
    pytest.param(changed(4, "spec.note", "x"), "NotARecord", 4,
                 "it has a field 'note', which records do not have", id="unknown-field-in-spec"),
    pytest.param(changed(4, "status", {}), "NotARecord", 4,
                 "it has a field 'status', which records do not have", id="unknown-field-beside-spec"),
    pytest.param(changed(4, "spec.hash", None), "NotARecord", 4, "spec.hash is absent", id="hash-removed"),
    pytest.param(changed(4, "spec.payload", {"a": 1}), "NotARecord", 4, "spec.payload is {'a': 1}", id="object"),
    pytest.param(changed(1, "spec.sequence", True), "NotARecord", 1, "spec.sequence is True", id="sequence-true"),
    pytest.param(changed(4, "spec.sequence", 4.0), "NotARecord", 4, "spec.sequence is 4.0", id="sequence-fraction"),
    pytest.param(changed(4, "spec.actor", "\ud800"), "NotARecord", 4, "spec.actor is '\\ud800'", id="no-text"),
    pytest.param(changed(4, "spec", None), "NotARecord", 4, "it has no metadata or no spec", id="no-spec"),
    pytest.param(changed(4, "kind", "ConfigMap"), "NotARecord", 4,
                 "it is a 'ConfigMap' of 'claudescale.io/v1alpha1', not a ScalingRecord of claudescale.io/v1alpha1",
                 id="another-kind"),
    pytest.param(changed(4, "metadata.name", None), "NameDiffers", 4,
                 "its name is absent, and spec.sequence is 4", id="name-removed"),
    pytest.param(changed(4, "metadata.name", "record-4"), "NameDiffers", 4,
                 "its name is 'record-4', and spec.sequence is 4", id="short-name"),
    pytest.param(changed(4, "metadata.namespace", "other"), "NamespaceDiffers", 4,
                 "its namespace is 'other', and the chain is that of claudescale", id="another-namespace"),
    pytest.param(changed(4, "metadata.namespace", None), "NamespaceDiffers", 4,
                 "its namespace is absent, and the chain is that of claudescale", id="namespace-removed"),
    pytest.param(foreign(UID), "PreviousHashDiffers", 1,
                 "its previousHash is not the hash of the record before it", id="another-genesis"),
    pytest.param(foreign("another"), "UidDiffers", 0,
                 f"the chain began in a namespace with the UID another, and this one's is {UID}", id="another-uid"),
]  # fmt: skip

# A chain in which nothing is wrong by itself: only the head that was noted shows it.
ENDS = f"the chain ends before it, and {HEAD} was noted"
AGAINST_A_HEAD = [
    pytest.param(lambda r: r[:7], "TailMissing", 7, ENDS, id="last-cut"),
    pytest.param(lambda r: r[:1], "TailMissing", 1, ENDS, id="only-genesis"),
    pytest.param(forged(7, cause="EndedEarly"), "HeadDiffers", 7, None, id="last-forged"),
    pytest.param(rewritten(4, outcome="Accepted"), "HeadDiffers", 7, None, id="rewritten"),
    pytest.param(lambda r: rewritten(4)(r[:4] + r[5:] + r[7:]), "HeadDiffers", 7, None, id="rewritten-without-one"),
]  # fmt: skip


@pytest.mark.parametrize("uid", [None, UID])
@pytest.mark.parametrize("noted", [None, HEAD, "0:9835ed1be904321133769d8d52ffbf4b533cf23e22d16b40493478e470f87e5b"])
def test_the_good_chain(uid: str | None, noted: str | None) -> None:
    result = verify(good(), namespace_uid=uid, noted=noted and chain.parse_head(noted))
    assert result == Result(count=8, head=NOTED, broken=None, namespace={"name": "claudescale", "uid": UID})
    assert naive(good())


def test_every_field_is_changed() -> None:
    assert set(good()[VICTIM]["spec"]) == set(FIELDS) == {*chain.LINK_FIELDS, *chain.COPIES}


@pytest.mark.parametrize("field", FIELDS)
def test_one_changed_byte_of_a_field(field: str) -> None:
    value = good()[VICTIM]["spec"][field]
    for other in [value ^ 1, value ^ 8] if isinstance(value, int) else one_byte_apart(value):
        fails(changed(VICTIM, f"spec.{field}", other), FIELDS[field], VICTIM)


def test_one_changed_byte_of_the_name() -> None:
    for other in one_byte_apart(good()[VICTIM]["metadata"]["name"]):
        fails(changed(VICTIM, "metadata.name", other), "NameDiffers", VICTIM)


def one_byte_apart(text: str) -> list[str]:
    """The text with one bit of one character flipped, at each of its places."""
    return [text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :] for place in range(len(text))]


@pytest.mark.parametrize(("tamper", "code", "place", "what"), TAMPERED)
def test_tampered(tamper: Callable[[Records], Records], code: str, place: int, what: str) -> None:
    broken = fails(tamper, code, place)
    assert broken.what == what
    assert str(broken) == f"the chain is broken at record {place} ({code}): {what}"


@pytest.mark.parametrize(("tamper", "code", "place", "what"), AGAINST_A_HEAD)
def test_tampered_against_a_noted_head(
    tamper: Callable[[Records], Records], code: str, place: int, what: str | None
) -> None:
    records = tamper(good())
    alone = verify(records, namespace_uid=UID)
    assert alone.broken is None
    assert alone.head != NOTED
    assert naive(records)
    result = verify(records, namespace_uid=UID, noted=NOTED)
    assert result.broken
    assert (result.broken.code, result.broken.place, result.count) == (code, place, place)
    rewrote = records[-1]["spec"]["hash"]
    wanted = what or f"its hash is {rewrote}, and {HEAD} was noted: it or one before it was rewritten"
    assert result.broken.what == wanted


def test_a_chain_that_went_on_still_holds_the_noted_head() -> None:
    noted = chain.from_object(good()[3]).head
    assert verify(good(), noted=noted).broken is None
    result = verify(rewritten(3, outcome="Failed")(good()), noted=noted)
    assert result.broken
    assert (result.broken.code, result.broken.place) == ("HeadDiffers", 3)


def test_a_namespace_that_only_had_the_same_name() -> None:
    result = verify(good(), namespace_uid="another")
    assert result.broken
    assert (result.broken.code, result.broken.place, result.head) == ("UidDiffers", 0, None)
    assert result.broken.what == f"the chain began in a namespace with the UID {UID}, and this one's is another"


def test_a_request_that_asks_nothing() -> None:
    with pytest.raises(ClaudeScaleError, match="the namespace's UID that the chain is to be compared with is empty"):
        verify(good(), namespace_uid="")


def fails(tamper: Callable[[Records], Records], code: str, place: int) -> Any:
    records = tamper(good())
    result = verify(records, namespace_uid=UID)
    assert result.broken
    assert (result.broken.code, result.broken.place, result.count) == (code, place, place)
    assert result.head == (chain.from_object(records[place - 1]).head if place else None)
    assert not naive(records)
    return result.broken


# The file

UNREADABLE = [
    pytest.param(b"\x00\xff" * 100 + b"\n", 1, "it is no JSON (", id="binary"),
    pytest.param(b"\x00" * (2 * 2**20 + 1), 1, "it is longer than 2097152 bytes, and no record is", id="huge"),
    pytest.param(b"[" * 100_000 + b"\n", 1, "it is no JSON (maximum recursion depth exceeded", id="deep"),
    pytest.param(LINES[0] + b"9" * 5000 + b"\n", 2, "it is no JSON (Exceeds the limit", id="number"),
    pytest.param(b"\n" + LINES[0], 1, "it is no JSON (Expecting value: line 2 column 1 (char 1))", id="blank-line"),
    pytest.param(LINES[0] + b"null\n", 2, "it is no record", id="null"),
    pytest.param(LINES[0] + b"{}\n", 2, "it is no record", id="empty-object"),
    pytest.param(LINES[0] + LINES[1][:-1], 2, "it has no end, so the file was cut off or changed", id="no-end"),
    pytest.param(LINES[0] + LINES[1][:300], 2, "it has no end, so the file was cut off or changed", id="cut"),
    pytest.param(LINES[0].replace(b'":"', b'": "'), 1,
                 "it is not written as records export writes it (keys sorted, no spaces)", id="spaces"),
    pytest.param(LINES[0].replace(b"\n", b"\r\n"), 1,
                 "it is not written as records export writes it (keys sorted, no spaces)", id="other-line-ends"),
    pytest.param(LINES[1].replace("ü".encode(), b"\\u00fc"), 1,
                 "it is not written as records export writes it (keys sorted, no spaces)", id="escaped"),
    pytest.param(LINES[0].replace(b'"Succeeded","payload"', b'"\\ud800","payload"'), 1,
                 "it is not written as records export writes it (keys sorted, no spaces)", id="half-a-surrogate-pair"),
    pytest.param(LINES[0].replace(b'"metadata":{', b'"metadata":{"uid":"u",'), 1,
                 "its metadata are not a name and a namespace", id="more-metadata"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "line", "what"), UNREADABLE)
def test_a_file_that_is_no_export(written: bytes, line: int, what: str) -> None:
    with pytest.raises(ExportUnreadable) as refused:
        list(export.read(io.BytesIO(written)))
    assert refused.value.line == line
    assert str(refused.value).startswith(f"the export cannot be read in line {line}: {what}")
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


def test_an_empty_file_is_no_pass() -> None:
    result = verify(export.read(io.BytesIO(b"")))
    assert result.broken
    assert (result.broken.code, result.broken.place, result.head) == ("Empty", 0, None)


def test_an_export_is_read_as_it_was_written() -> None:
    read = list(export.read(io.BytesIO(EXPORT.read_bytes())))
    assert read == good()
    assert b"".join(map(export.line, read)) == EXPORT.read_bytes()


@pytest.mark.parametrize("number", [0, 6, 7])  # the short lines; hypothesis goes through all
def test_every_byte_of_a_line_counts(number: int) -> None:
    written = EXPORT.read_bytes()
    begin = sum(map(len, LINES[:number]))
    for place in range(begin, begin + len(LINES[number])):
        byte_counts(written, place, written[place] ^ 1)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_other_byte_at_any_place_of_an_export_fails(data: st.DataObject) -> None:
    written = EXPORT.read_bytes()
    place = data.draw(st.integers(0, len(written) - 1))
    byte_counts(written, place, data.draw(st.integers(0, 255).filter(lambda byte: byte != written[place])))


def byte_counts(written: bytes, place: int, byte: int) -> None:
    """One line has one form: a changed byte is refused when it is read, or fails in verify at its line's place."""
    other = written[:place] + bytes([byte]) + written[place + 1 :]
    line = written[:place].count(b"\n")
    try:
        result = verify(export.read(io.BytesIO(other)))
    except ExportUnreadable as error:
        assert error.line == line + 1
    else:
        assert result.broken
        assert result.broken.place == line
    lines = other.removesuffix(b"\n").split(b"\n")
    try:
        parsed = [*RECORDS[:line], *map(json.loads, lines[line:])]
    except ValueError:
        return
    # Another spelling of the same values, such as E for e in an escape, is the only change that parsing forgives.
    assert parsed == RECORDS or not naive(parsed)
