"""Every request of a load: packed into lines and out of them again, and what the requests say together."""

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.claudescale.core.images import load_results
from ansible_collections.claudescale.core.plugins.module_utils.load import profiles, results
from ansible_collections.claudescale.core.plugins.module_utils.load.results import (
    Figures,
    Request,
    ResultsDamaged,
    figures,
    pack,
    unpack,
)
from hypothesis import given
from hypothesis import strategies as st

TICK = 1 / results.TICKS
KUBELET_KEEPS = 10 * 1024 * 1024  # bytes of a container's log, before it is rotated


def tick(number: int) -> float:
    return number / results.TICKS


requests = st.builds(
    Request,
    at=st.integers(0, 1800 * results.TICKS).map(tick),
    latency=st.none() | st.integers(0, 60 * results.TICKS).map(tick),
    code=st.sampled_from([0, 200, 204, 302, 404, 503]),
)
unsent = st.builds(
    Request,
    at=st.integers(0, 1800 * results.TICKS).map(tick),
    latency=st.none(),
    code=st.just(0),
    sent=st.just(False),
)
loads = st.lists(requests | unsent, max_size=50)


def by_time(request: Request) -> float:
    return request.at


@given(load=loads)
def test_what_is_packed_comes_out_again(load: list[Request]) -> None:
    assert unpack(pack(load)) == sorted(load, key=by_time)
    assert pack(load) == pack(load)


@given(load=loads)
def test_the_runner_packs_as_the_engine_does(load: list[Request]) -> None:
    ordered = sorted(load, key=by_time)
    due = [round(request.at * results.TICKS) for request in ordered]
    waits = [0 if request.latency is None else round(request.latency * results.TICKS) + 1 for request in ordered]
    codes = [request.code if request.sent else load_results.NOT_SENT for request in ordered]
    assert load_results.pack(due, waits, codes) == pack(load)


@given(at=st.floats(0, 1800), latency=st.floats(0, 60))
def test_times_are_kept_to_a_tenth_of_a_millisecond(at: float, latency: float) -> None:
    (found,) = unpack(pack([Request(at=at, latency=latency, code=200)]))
    assert abs(found.at - at) <= TICK / 2 + 1e-9
    assert found.latency is not None and abs(found.latency - latency) <= TICK / 2 + 1e-9


def noise(count: int, rate: int = profiles.MAX_RATE) -> list[Request]:
    """Requests whose latencies are as hard to pack as any."""
    drawn = random.Random(7)
    return [
        Request(at=(n + 1) / rate, latency=drawn.random() * 5.5, code=drawn.choice([200, 503])) for n in range(count)
    ]


def test_the_longest_load_stays_well_under_what_the_kubelet_keeps() -> None:
    count = 30_000
    parts = pack(noise(count))
    assert all(len(part) <= results.CHUNK + 16 for part in parts)
    assert all(re.fullmatch(r"[ -~]+", part) for part in parts)
    longest = profiles.MAX_RATE * profiles.MAX_SECONDS
    assert longest <= results.MOST_REQUESTS
    assert sum(map(len, parts)) * longest / count < KUBELET_KEEPS / 3


@pytest.fixture(scope="module")
def parts() -> list[str]:
    made = pack(noise(12_000))
    assert len(made) > 2
    return made


def test_parts_may_come_twice_and_in_any_order(parts: list[str]) -> None:
    assert unpack([*reversed(parts), parts[1]]) == unpack(parts)


def test_a_part_that_is_missing_is_told(parts: list[str]) -> None:
    for missing in range(len(parts)):
        with pytest.raises(ResultsDamaged) as told:
            unpack(parts[:missing] + parts[missing + 1 :])
        assert str(told.value) == (
            f"the load's results are incomplete: {len(parts) - 1} of {len(parts)} parts were found"
        )


def test_no_part_at_all() -> None:
    with pytest.raises(ResultsDamaged, match="left no results: it is not over, or its generator was ended"):
        unpack([])


def changed(part: str, place: int = 50) -> str:
    return part[:place] + ("A" if part[place] != "A" else "B") + part[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda parts: [changed(part, 2000) for part in parts], id="a-character"),
        pytest.param(lambda parts: [parts[0][:-40], *parts[1:]], id="a-line-cut"),
        pytest.param(lambda parts: [*parts, changed(parts[0])], id="a-part-in-two-versions"),
        pytest.param(lambda parts: [*parts, f"{len(parts) + 1}/{len(parts)}:AAAA"], id="one-too-many"),
        pytest.param(lambda parts: [*parts, f"1/{len(parts) + 1}:{parts[0].partition(':')[2]}"], id="of-two-loads"),
        pytest.param(lambda parts: [*parts, "vegeta's own words"], id="no-part"),
        pytest.param(lambda _parts: ["1/1:"], id="nothing-in-it"),
        pytest.param(lambda _parts: ["1/1:eJwDAAAAAAE="], id="an-empty-stream"),
    ],
)
def test_damage_is_told(parts: list[str], damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ResultsDamaged, match="damaged"):
        unpack(damage(parts))


def good(at: float, latency: float = 0.1) -> Request:
    return Request(at=at, latency=latency, code=200)


LOAD = [
    good(1),
    good(2, 0.5),
    good(3, 0.5001),
    Request(at=4, latency=0.01, code=503),
    Request(at=5, latency=None, code=0),
    Request(at=6, latency=None, code=0, sent=False),
]


def test_figures() -> None:
    assert figures(LOAD, planned=6, objective=0.5) == Figures(
        planned=6, sent=5, ok=3, failed=3, unsent=1, slow=1, share=4 / 6, p50=0.5, p95=0.5001, p99=0.5001, max=0.5001
    )


def test_a_quick_refusal_is_no_quick_answer() -> None:
    assert figures([good(1, 0.4), Request(at=2, latency=0.001, code=503)], objective=1).p50 == 0.4


def test_what_was_planned_and_is_missing_failed() -> None:
    found = figures(LOAD, planned=10, objective=0.5)
    assert (found.planned, found.sent, found.failed, found.unsent, found.share) == (10, 5, 7, 5, 0.8)


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    plan = profiles.plan_of("x", [(10, 5), (40, 5)])
    load = [good((n + 1) / 10) for n in range(50)] + [good(5 + (n + 1) / 40) for n in range(200)]
    for start, end in ((0, 5), (5, 10), (2, 7), (0.05, 0.1), (4.95, 5.025)):
        found = figures(load, planned=plan.due_in(start, end), objective=1, window=(start, end))
        assert (found.planned, found.share) == (plan.due_in(start, end), 0)
    assert (plan.due_in(0, 5), plan.due_in(5, 10), plan.due_in(0, 10)) == (50, 200, 250)


def test_nothing_was_planned() -> None:
    found = figures([], planned=0, objective=1)
    assert (found.share, found.p50, found.max) == (0.0, None, None)


@given(load=loads, planned=st.integers(0, 60), objective=st.floats(0.001, 10))
def test_figures_add_up(load: list[Request], planned: int, objective: float) -> None:
    found = figures(load, planned=planned, objective=objective)
    assert found.planned == max(planned, len(load)) == found.sent + found.unsent == found.ok + found.failed
    assert 0 <= found.slow <= found.ok and found.unsent <= found.failed
    assert 0 <= found.share <= 1
