"""The chain of records, read backward in pages: what is found, what is looked at, and what is not whole."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.asking import history
from ansible_collections.claudescale.core.plugins.module_utils.asking.history import Search, Wanted, head_of
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.record import chain

COMMON = {"time": "2026-03-01T10:00:00.123456Z", "actor": "ana", "door": "claudescale-cli"}
DEMO = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo"}
Items = dict[int, Any]


def records(*fields: dict[str, Any]) -> Items:
    """A chain: its genesis, and a record for each of these."""
    found = [chain.genesis(namespace="space", uid="u", time=COMMON["time"], actor="c")]
    for more in fields:
        found.append(
            chain.next_record(found[-1].head, {"event": "LeaseEnded", "outcome": "Succeeded", **COMMON, **more})
        )
    return {record.sequence: chain.to_object(record, "space") for record in found}


def searched(items: Items, wanted: Wanted | None = None, before: int | None = None, most: int = 50) -> Search:
    search = Search(wanted or Wanted(), len(items) if before is None else before)
    while not search.is_over:
        search.take({sequence: items[sequence] for sequence in search.ahead(most)})
    return search


def test_everything_comes_newest_first_in_pages() -> None:
    items = records(*[{} for _ in range(24)])
    seen: list[int] = []
    before = None
    while True:
        search = searched(items, before=before)
        assert search.broken == []
        assert search.looked_at == len(search.entries) <= history.A_PAGE
        assert (search.last, search.first) == (search.entries[0].sequence, search.entries[-1].sequence)
        seen += [entry.sequence for entry in search.entries]
        before = search.first
        if not before:
            break
    assert seen == list(range(24, -1, -1))


def test_no_more_is_read_than_a_page_where_everything_is_wanted() -> None:
    assert list(Search(Wanted(), 1000).ahead(50)) == list(range(999, 999 - history.A_PAGE, -1))
    assert list(Search(Wanted(refusals=True), 1000).ahead(50)) == list(range(999, 949, -1))
    assert list(Search(Wanted(), 3).ahead(50)) == [2, 1, 0]
    assert Search(Wanted(), 0).is_over


LEASE = {"name": "launch", "uid": "l", "replicas": 4, "reason": "r"}
WANTED = [
    pytest.param(Wanted(), [5, 4, 3, 2, 1, 0], id="all"),
    pytest.param(Wanted(workload=WorkloadRef(kind="Deployment", name="demo")), [4, 2, 1], id="workload"),
    pytest.param(Wanted(workload=WorkloadRef(kind="StatefulSet", name="demo")), [], id="another-kind"),
    pytest.param(Wanted(lease="launch"), [2, 1], id="lease"),
    pytest.param(Wanted(lease="held"), [3], id="lease-that-held-it"),
    pytest.param(Wanted(refusals=True), [4, 1], id="refusals"),
    pytest.param(Wanted(refusals=True, lease="launch"), [1], id="both"),
]


@pytest.mark.parametrize(("wanted", "sequences"), WANTED)
def test_filters(wanted: Wanted, sequences: list[int]) -> None:
    items = records(
        {"event": "LeaseRequested", "outcome": "Refused", "lease": LEASE, "workload": DEMO},
        {"event": "LeaseRequested", "outcome": "Accepted", "lease": LEASE, "workload": DEMO},
        {"event": "FloorWritten", "leases": ["held", "other"]},
        {"event": "RefusalsRepeated", "outcome": "Refused", "workload": DEMO},
        {"event": "FloorRestored", "leases": "held"},  # no list: nobody's
    )
    search = searched(items, wanted, most=2)
    assert [entry.sequence for entry in search.entries] == sequences
    assert (search.first, search.last, search.broken) == (0, 5, [])


def test_a_full_page_ends_where_the_next_one_begins() -> None:
    items = records(*[{"outcome": "Refused" if number % 3 == 0 else "Accepted"} for number in range(90)])
    first = searched(items, Wanted(refusals=True))
    second = searched(items, Wanted(refusals=True), before=first.first)
    seen = [entry.sequence for entry in (*first.entries, *second.entries)]
    assert len(first.entries) == history.A_PAGE
    assert first.entries[-1].sequence == first.first
    assert seen == [sequence for sequence in range(90, 0, -1) if sequence % 3 == 1][: len(seen)]


def spoiled(items: Items, sequence: int, **spec: Any) -> None:
    items[sequence] = {**items[sequence], "spec": {**items[sequence]["spec"], **spec}}


def rewritten(items: Items) -> None:
    """Record 3 made anew, with its hash: only the one after it can tell."""
    made = chain.next_record(chain.from_object(items[2]).head, {**COMMON, "event": "Other", "outcome": "Succeeded"})
    items[3] = chain.to_object(made, "space")


FLAWS: list[Any] = [
    pytest.param(lambda items: spoiled(items, 3, payload="{}"), [(3, "HashDiffers")], id="payload"),
    pytest.param(lambda items: spoiled(items, 3, outcome="Fine"), [(3, "CopyDiffers")], id="copy"),
    pytest.param(lambda items: items.update({3: None}), [(3, "Missing")], id="missing"),
    pytest.param(rewritten, [(4, "PreviousHashDiffers")], id="rewritten"),
]


@pytest.mark.parametrize("most", [1, 2, 50])
@pytest.mark.parametrize(("spoil", "broken"), FLAWS)
def test_what_is_not_whole_is_named(spoil: Any, broken: list[tuple[int, str]], most: int) -> None:
    items = records(*[{} for _ in range(5)])
    spoil(items)
    search = searched(items, most=most)
    assert [(place.sequence, place.code.value) for place in search.broken] == broken
    assert len(search.entries) == 6 - (broken[0][1] != "PreviousHashDiffers")


def test_an_entry_has_what_a_record_says_cleaned() -> None:
    evil = "\x1b[31mIGNORE\u202e all\n" + "x" * 300
    items = records(
        {
            "event": "FloorWritten", "cause": "LeaseStart", "actor": evil, "door": evil,
            "workload": {**DEMO, "name": evil},
            "lease": {"name": evil, "replicas": 4, "reason": evil}, "decision": {"code": "Allowed"}, "manager": evil,
            "floor": {"base": 2, "before": 3, "applied": 4, "held": True}, "count": True,
        }
    )  # fmt: skip
    entry = searched(items).entries[0]
    assert (entry.sequence, entry.time, entry.event, entry.cause) == (
        1,
        "2026-03-01T10:00:00Z",
        "FloorWritten",
        "LeaseStart",
    )
    assert (entry.replicas, entry.base, entry.floor_before, entry.floor, entry.count) == (4, 2, 3, 4, None)
    assert entry.code == "Allowed"
    assert entry.hash == items[1]["spec"]["hash"][: history.HASH_SHOWN]
    for text in (entry.actor, entry.door, entry.workload, entry.lease, entry.reason, entry.manager):
        assert text is not None
        assert text.isprintable()
        assert "IGNORE all x" in text
        assert len(text) <= 80


def test_the_head_is_whole_or_none() -> None:
    items = records({})
    assert head_of(items[1]) == f"1:{items[1]['spec']['hash']}"
    spoiled(items, 1, payload="{}")
    assert head_of(items[1]) is None
