"""The chain of records: what is hashed, what an object holds, and what no record can be."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.record import chain, export, payload
from ansible_collections.claudescale.core.plugins.module_utils.record.chain import Head, Record
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw, RecordBroken
from ansible_collections.claudescale.core.plugins.module_utils.record.verify import verify
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.records import EXPORT, HEAD, UID, good, naive

ZEROS = "0" * 64
TIME = "2026-03-01T17:30:00.000000Z"
BEGIN = {"namespace": "claudescale", "uid": UID, "time": TIME, "actor": "controller"}
FIELDS: dict[str, Any] = {"time": TIME, "event": "LeaseEnded", "actor": "a", "door": "d", "outcome": "Succeeded"}

WRITTEN = [
    pytest.param({"b": 1, "a": [True, None, 1.5]}, '{"a":[true,null,1.5],"b":1}', id="sorted"),
    pytest.param({"a": "Büro ✓ \U0001f600"}, '{"a":"Büro ✓ \U0001f600"}', id="utf-8"),
    pytest.param({"a": '"\\\n\x00\x7f\u2028'}, '{"a":"\\"\\\\\\n\\u0000\x7f\u2028"}', id="escapes"),
    pytest.param({"b": {"d": 1, "c": 2}}, '{"b":{"c":2,"d":1}}', id="nested"),
    pytest.param({}, "{}", id="empty"),
]
UNWRITABLE = [
    pytest.param({"a": float("nan")}, id="nan"),
    pytest.param({"a": float("inf")}, id="infinity"),
    pytest.param({"a": "\ud800"}, id="half-a-surrogate-pair"),
    pytest.param({"a": b"bytes"}, id="bytes"),
    pytest.param({"a": {1: 2, "b": 3}}, id="mixed-keys"),
]

# A payload that is hashed rightly, and yet no record's: what a writer with a mistake, or a forger, could chain.
OTHERWISE = "the payload is not an object of JSON as records are written (keys sorted, no spaces)"
HASHED = [
    pytest.param("", "the payload is no JSON: Expecting value: line 1 column 1 (char 0)", id="empty"),
    pytest.param("[]", OTHERWISE, id="list"),
    pytest.param('{"a": 1}', OTHERWISE, id="space"),
    pytest.param('{"a":1,"a":1}', OTHERWISE, id="key-twice"),
    pytest.param("[" * 100_000, "the payload is no JSON: maximum recursion depth exceeded", id="deep"),
    pytest.param("9" * 5000, "the payload is no JSON: Exceeds the limit", id="number"),
    pytest.param('{"a":NaN}', "the payload is no JSON: Out of range float values are not JSON compliant", id="nan"),
]  # fmt: skip
GENESIS_LATER = "the payload's event is 'Genesis': record 0, and no other, is the Genesis"
SIX = "is not in UTC with six digits after the second"
KIND_OR_NAME = "the payload's workload has no kind or no name"
WRONG_FIELDS = [
    pytest.param({"version": 2}, "the payload's version is 2, and 1 is the one known here", id="version"),
    pytest.param({"version": True}, "the payload's version is True, and 1 is the one known here", id="version-bool"),
    pytest.param({"version": None}, "the payload's version is absent, and 1 is the one known here", id="version-none"),
    pytest.param({"sequence": -1}, "the payload's sequence is -1", id="sequence-negative"),
    pytest.param({"sequence": 1.0}, "the payload's sequence is 1.0", id="sequence-float"),
    pytest.param({"actor": ""}, "the payload's actor is ''", id="actor"),
    pytest.param({"outcome": 3}, "the payload's outcome is 3", id="outcome"),
    pytest.param({"door": None}, "the payload's door is absent", id="door"),
    pytest.param({"event": None}, "the payload's event is absent", id="event"),
    pytest.param({"event": "Genesis"}, GENESIS_LATER, id="genesis"),
    pytest.param({"time": "2026-03-01T17:30:00Z"}, f"the payload's time 2026-03-01T17:30:00Z {SIX}", id="short-time"),
    pytest.param({"time": TIME.replace("-03-", "-13-")},
                 "the payload's time: 2026-13-01T17:30:00.000000Z does not exist (", id="no-time"),
    pytest.param({"time": "2026-03-01T17:30:00.00+00:00"},
                 f"the payload's time 2026-03-01T17:30:00.00+00:00 {SIX}", id="offset"),
    pytest.param({"workload": "Deployment/demo-app"}, KIND_OR_NAME, id="workload"),
    pytest.param({"workload": {"kind": "Deployment"}}, KIND_OR_NAME, id="workload-name"),
    pytest.param({"decision": {"allowed": True}}, "the payload's decision has no code", id="decision"),
]  # fmt: skip

DIGITS = "a" * 64
HEADS = ["", "7", f"7:{'A' * 64}", f"7:{DIGITS[1:]}", f"-1:{DIGITS}", f"07:{DIGITS}", f" 7:{DIGITS}", f"7:{DIGITS}\n",
         f"\u0667:{DIGITS}", "x" * 10_000]  # fmt: skip


def test_the_hash_is_that_of_the_contract() -> None:
    record = chain.genesis(**BEGIN)
    text = (
        '{"actor":"controller","door":"claudescale-controller","event":"Genesis","namespace":{"name":"claudescale",'
        f'"uid":"{UID}"}},"outcome":"Succeeded","sequence":0,"time":"{TIME}","version":1}}'
    )
    assert record.payload == text
    assert record.previous_hash == ZEROS
    assert record.hash == hashlib.sha256(f"claudescale.io/record/v1\n{ZEROS}\n{text}".encode()).hexdigest()
    assert chain.record_hash(ZEROS, "ü") == hashlib.sha256(
        b"claudescale.io/record/v1\n" + b"0" * 64 + b"\n\xc3\xbc"
    ).hexdigest()  # fmt: skip


def test_the_good_export_is_what_the_engine_writes() -> None:
    fields = [json.loads(item["spec"]["payload"]) for item in good()]
    first = fields[0]
    record = chain.genesis(namespace="claudescale", uid=UID, time=first["time"], actor=first["actor"])
    lines = [export.line(chain.to_object(record, "claudescale"))]
    for said in fields[1:]:
        assert (said.pop("version"), said.pop("sequence")) == (1, record.sequence + 1)
        record = chain.next_record(record.head, said)
        lines.append(export.line(chain.to_object(record, "claudescale")))
    assert b"".join(lines) == EXPORT.read_bytes()
    assert str(record.head) == HEAD


def test_an_object_is_read_as_it_was_written() -> None:
    for item in good():
        record = chain.from_object(item)
        assert chain.to_object(record, "claudescale") == item
        assert record.fields == json.loads(record.payload)
        assert record.name == item["metadata"]["name"]


def test_what_the_api_server_adds_is_no_part_of_it() -> None:
    item = good()[1]
    item["metadata"] |= {"uid": "u", "resourceVersion": "17", "managedFields": [{"manager": "claudescale-controller"}]}
    assert chain.from_object(item).name == "record-0000000001"


def test_names_sort_as_their_sequences() -> None:
    assert chain.record_name(0) == "record-0000000000"
    names = [chain.record_name(sequence) for sequence in (0, 9, 10, 99, 12345, 9_999_999_999)]
    assert names == sorted(names)


@pytest.mark.parametrize(("fields", "text"), WRITTEN)
def test_payload_text(fields: dict[str, Any], text: str) -> None:
    assert chain.payload_text(fields) == text


@pytest.mark.parametrize("fields", UNWRITABLE)
def test_no_payload(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordBroken) as refused:
        chain.next_record(chain.genesis(**BEGIN).head, {**FIELDS, **fields})
    assert refused.value.code is Flaw.PAYLOAD_INVALID
    assert refused.value.what.startswith("the payload cannot be written: ")


@pytest.mark.parametrize(("text", "what"), HASHED)
def test_a_rightly_hashed_payload_that_is_none(text: str, what: str) -> None:
    with pytest.raises(RecordBroken) as refused:
        Record(sequence=1, previous_hash="a" * 64, hash=chain.record_hash("a" * 64, text), payload=text)
    assert refused.value.code is Flaw.PAYLOAD_INVALID
    assert refused.value.what.startswith(what)


@pytest.mark.parametrize(("changes", "what"), WRONG_FIELDS)
def test_a_rightly_hashed_payload_with_a_wrong_field(changes: dict[str, Any], what: str) -> None:
    fields = {**FIELDS, "version": 1, "sequence": 1, **changes}
    text = payload.canonical({name: value for name, value in fields.items() if value is not None})
    with pytest.raises(RecordBroken) as refused:
        Record(sequence=1, previous_hash="a" * 64, hash=chain.record_hash("a" * 64, text), payload=text)
    assert refused.value.code is Flaw.PAYLOAD_INVALID
    assert refused.value.what.startswith(what)


@pytest.mark.parametrize("previous", [ZEROS, "a" * 63, "A" * 64, ""])
def test_a_later_record_continues_a_hash(previous: str) -> None:
    text = payload.canonical({**FIELDS, "version": 1, "sequence": 1})
    with pytest.raises(RecordBroken) as refused:
        Record(sequence=1, previous_hash=previous, hash=chain.record_hash(previous, text), payload=text)
    assert refused.value.code is Flaw.PREVIOUS_HASH_DIFFERS


@pytest.mark.parametrize("changes", [{"namespace": ""}, {"uid": ""}])
def test_a_genesis_names_its_namespace(changes: dict[str, str]) -> None:
    with pytest.raises(RecordBroken, match="does not name its namespace with its uid"):
        chain.genesis(**{**BEGIN, **changes})


@pytest.mark.parametrize("name", ["version", "sequence"])
def test_sequence_and_version_are_not_the_writers_to_say(name: str) -> None:
    with pytest.raises(RecordBroken, match="are the chain's to say"):
        chain.next_record(chain.genesis(**BEGIN).head, {**FIELDS, name: 1})


def test_a_noted_head_is_read_as_it_is_printed() -> None:
    head = Head(sequence=17, hash="ab" * 32)
    assert chain.parse_head(str(head)) == head


@pytest.mark.parametrize("text", HEADS)
def test_no_head(text: str) -> None:
    with pytest.raises(ClaudeScaleError, match=r"is no head of a chain: write it as SEQUENCE:HASH") as refused:
        chain.parse_head(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(("sequence", "digest"), [(-1, "a" * 64), (0, ""), (0, "g" * 64)])
def test_a_head_is_valid_by_construction(sequence: int, digest: str) -> None:
    with pytest.raises(ClaudeScaleError, match="is no head of a chain"):
        Head(sequence=sequence, hash=digest)


words = st.text(min_size=1, max_size=20)  # no surrogates: hypothesis leaves them out of what can be encoded
times = st.integers(min_value=0, max_value=2**32).map(lambda seconds: moments.text(seconds + 0.25))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
events = words.filter(lambda word: word != "Genesis")
fields = st.fixed_dictionaries(
    {"time": times, "event": events, "actor": words, "door": words, "outcome": words},
    optional={
        "workload": st.fixed_dictionaries({"kind": words, "name": words}),
        "decision": st.fixed_dictionaries({"code": words, "rules": st.lists(values, max_size=2)}),
        "lease": values,
        "detail": values,
    },
)


@given(st.lists(fields, max_size=6), words)
def test_any_chain_that_is_built_verifies(links: list[dict[str, Any]], namespace: str) -> None:
    records = [chain.genesis(**{**BEGIN, "namespace": namespace})]
    for link in links:
        records.append(chain.next_record(records[-1].head, link))
    items = [chain.to_object(record, namespace) for record in records]
    read = [json.loads(export.line(item)) for item in items]
    assert read == items
    result = verify(read, namespace_uid=UID, noted=records[-1].head)
    assert (result.broken, result.head, result.count) == (None, records[-1].head, len(records))
    assert naive(read)
