"""What time it is for a lease: the local clock while it agrees with the server's answers, else theirs."""

from __future__ import annotations

import math
import random
from email.utils import formatdate

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import TOLERATED, ServerClock
from hypothesis import given
from hypothesis import strategies as st

EPOCH = 1_700_000_000.0
HOUR = 3600.0
EPSILON = 1e-4


class World:
    """Two clocks and the line between them; `elapsed` is the monotonic clock."""

    def __init__(self, ahead: float) -> None:
        self.elapsed = 5000.0
        self.server = EPOCH + 0.3  # minus elapsed, at its beginning
        self.ahead = ahead  # of the local wall clock
        self.clock = ServerClock(wall=self.local_now, monotonic=lambda: self.elapsed)

    def server_now(self) -> float:
        return self.server + self.elapsed

    def local_now(self) -> float:
        return self.server_now() + self.ahead

    def step_server(self, seconds: float) -> None:
        self.server += seconds
        self.ahead -= seconds

    def ask(self, there: float, back: float) -> None:
        sent = self.elapsed
        self.elapsed += there
        date = formatdate(math.floor(self.server_now()), usegmt=True)
        self.elapsed += back
        self.clock.observe(date, sent, self.elapsed)

    def error(self) -> float:
        """How far now() is ahead of the server."""
        return self.clock.now() - self.server_now()


seconds_between = st.floats(min_value=0.0, max_value=30.0)
flights = st.tuples(st.floats(min_value=0.0, max_value=0.4), st.floats(min_value=0.0, max_value=0.4))
asked = st.lists(st.tuples(seconds_between, flights), min_size=1, max_size=30)


@given(ahead=st.floats(min_value=-2 * HOUR, max_value=2 * HOUR), answers=asked)
def test_never_more_than_two_seconds_ahead(ahead: float, answers: list[tuple[float, tuple[float, float]]]) -> None:
    world = World(ahead)
    for pause, (there, back) in answers:
        world.elapsed += pause
        world.ask(there, back)
        assert world.error() <= min(max(ahead, 0.0), TOLERATED) + EPSILON
        # Behind by the cut of Date and the way back at most, or by what is tolerated.
        assert world.error() >= -TOLERATED - EPSILON


@pytest.mark.parametrize("ahead", [HOUR, -HOUR, 3.5, -3.5])
def test_a_wrong_clock_is_corrected_by_the_first_answer(ahead: float) -> None:
    world = World(ahead)
    assert world.error() == pytest.approx(ahead)
    world.ask(0.01, 0.01)
    assert -1.02 <= world.error() <= 0.0
    assert world.clock.corrected()
    assert world.clock.skew() == pytest.approx(ahead, abs=1.03)


@pytest.mark.parametrize("ahead", [0.0, 0.9, -0.9])
def test_a_good_clock_is_used_as_it_stands(ahead: float) -> None:
    world = World(ahead)
    for _ in range(200):
        world.elapsed += 0.37
        world.ask(0.002, 0.003)
        assert world.clock.now() == world.local_now()
    assert not world.clock.corrected()
    assert abs(world.clock.skew()) <= abs(ahead)


def test_a_slow_answer_says_nothing_against_a_good_clock() -> None:
    world = World(0.0)
    world.ask(5.0, 4.9)
    assert world.error() == 0.0


def test_many_answers_narrow_the_time_to_some_tens_of_milliseconds() -> None:
    world = World(HOUR)
    chance = random.Random(1)
    for _ in range(200):
        world.elapsed += chance.random()
        world.ask(0.002 * chance.random(), 0.002 * chance.random())
    assert -0.05 <= world.error() <= 0.0
    assert world.clock.skew() == pytest.approx(HOUR, abs=0.05)


@given(
    before=asked,
    after=asked,
    step=st.floats(min_value=-2 * HOUR, max_value=2 * HOUR),
    ahead=st.sampled_from([0.0, HOUR, -HOUR]),
)
def test_a_step_of_the_servers_clock_is_noticed(
    before: list[tuple[float, tuple[float, float]]],
    after: list[tuple[float, tuple[float, float]]],
    step: float,
    ahead: float,
) -> None:
    world = World(ahead)
    for pause, (there, back) in before:
        world.elapsed += pause
        world.ask(there, back)
    world.step_server(step)
    # A backward step within one answer's width stays unseen until an answer falls right.
    unseen = -step if -1.81 < step < 0 else 0.0
    for pause, (there, back) in after:
        world.elapsed += pause
        world.ask(there, back)
        assert world.error() <= max(0.0, min(world.ahead, TOLERATED)) + unseen + EPSILON


@given(steps=st.lists(st.floats(min_value=-2 * HOUR, max_value=2 * HOUR), min_size=1, max_size=10))
def test_steps_of_the_local_clock_are_noticed_at_once(steps: list[float]) -> None:
    world = World(0.0)
    world.ask(0.01, 0.01)
    for step in steps:
        world.ahead += step
        assert world.error() <= min(max(world.ahead, 0.0), TOLERATED) + EPSILON
        assert world.error() >= -TOLERATED - EPSILON


def test_a_clock_about_two_seconds_off_does_not_flap() -> None:
    """Between two and one second, what was believed stays believed."""
    world = World(0.0)
    believed = []
    for number in range(900):
        world.elapsed += 0.73
        world.ahead = (1.8, 1.2)[number % 2] if number < 300 else (2.2, 1.2)[number % 2] if number < 600 else 0.5
        world.ask(0.01, 0.01)
        believed.append(not world.clock.corrected())
    assert all(believed[50:300])  # narrow bounds take some answers
    assert not any(believed[300:600])
    assert all(believed[650:])


def test_clocks_that_run_unequally_never_lead_and_never_contradict() -> None:
    """A server 200 ppm slower: a bound that was right an hour ago would be 0.7 s ahead by now."""
    world = World(HOUR)
    worst = 0.0
    for _ in range(7200):
        world.elapsed += 0.51
        world.server -= 0.51 * 0.0002
        world.ahead += 0.51 * 0.0002
        world.ask(0.001, 0.001)
        assert world.error() <= EPSILON
        worst = min(worst, world.error())
    assert worst > -1.01


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 13:39:13 -0000", "Tue, 99 Nov 2026 13:39:13 GMT"])
def test_a_bad_date_is_ignored(date: str) -> None:
    world = World(HOUR)
    world.clock.observe(date, 1.0, 1.0)
    assert world.error() == pytest.approx(HOUR)
    assert world.clock.skew() == 0.0
