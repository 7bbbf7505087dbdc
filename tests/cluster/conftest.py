"""What several files of tests look at, from different sides and at different times: one climb, and lives of leases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.climb import UP_SECONDS, Event, Seen, Watch, figures, idle, repeated, watched
from tests.cluster.lives import Life, lives
from tests.cluster.resting import REST_SECONDS, at_rest, open_leases
from tests.cluster.rig import until
from tests.support import Cluster


@pytest.fixture(scope="session")
def watch(cluster: Cluster) -> Iterator[Watch]:
    """The autoscaler, watched from the end of `make up` to the end of the session."""
    events: list[Event] = []
    with watched(cluster, events) as began:
        yield Watch(began=began, events=events)


@pytest.fixture(scope="session")
def seen(cluster: Cluster, watch: Watch) -> Seen:
    """One stress-until-scale, from an idle cluster up."""
    verified = cluster.make("verify-prometheus")
    assert verified.code == 0, verified.text
    found = Seen(idle=idle(cluster), began=watch.seconds, events=watch.events, load=verified)

    def look() -> None:
        try:
            now = figures(cluster)
        except AssertionError:
            return  # one look more or less; without any, the tests below fail
        if now["requests per second"] > found.loaded.get("requests per second", 0):
            found.loaded = now

    with repeated(look, 5):
        found.load = cluster.make("load", "PROFILE=stress-until-scale", "ARGS=--no-see-back", timeout=UP_SECONDS + 120)
    return found


@pytest.fixture(scope="module")
def resting(cluster: Cluster) -> Cluster:
    """The cluster with a demo app that nobody asks anything, at its base and without an open lease."""
    idle(cluster)
    until(lambda: at_rest(cluster) and not open_leases(cluster), REST_SECONDS, pause=2)
    return cluster


@pytest.fixture(scope="session", autouse=True)
def lives_of_leases(request: pytest.FixtureRequest) -> Iterator[Callable[[], dict[str, Life]] | None]:
    """Leases of 90 seconds live in the background from the beginning, where their tests are among those that run."""
    if not any(item.path.name == "test_way_of_a_lease.py" for item in request.session.items):
        yield None
        return
    with lives(request.getfixturevalue("cluster")) as results:
        yield results


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The load first and what follows from it last: its way down, and the leases of the background, take their time.

    Bad input comes after those, because it takes the controller away for some seconds.
    """
    places = {"test_load.py": 0, "test_way_down.py": 2, "test_way_of_a_lease.py": 3, "test_bad_input.py": 4}
    items.sort(key=lambda item: places.get(item.path.name, 1))
