"""The one climb that several files of tests look at, from different sides and at different times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.climb import UP_SECONDS, Event, Seen, Watch, figures, idle, repeated, watched
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
