"""List and watch against a server that refuses, cuts, stays silent and forgets."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster import watch
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from kubernetes.client import Configuration

from tests.certificates import server_side
from tests.engine.http_double import (
    FOR_EVER,
    Asked,
    HttpDouble,
    Reply,
    a_list,
    a_status,
    an_event,
    an_object,
    http_double,
    refused_address,
)

PATH = "/apis/claudescale.io/v1alpha1/namespaces/space/capacityleases"
GONE = a_status(410, "Expired", "too old resource version")
QUIET = Reply(stream=[FOR_EVER])
pytestmark = pytest.mark.clock


AS_IN_LIFE = {name: getattr(watch, name) for name in ("STOP_SECONDS", "LEAVE_SECONDS", "LEAST_PAUSE")}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait for what they do not measure."""
    for name in AS_IN_LIFE:
        monkeypatch.setattr(watch, name, 0.03)


@pytest.fixture
def as_in_life(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in AS_IN_LIFE.items():
        monkeypatch.setattr(watch, name, seconds)


class Follower:
    """follow() in a thread of its own, and what it told, in order."""

    def __init__(self, client: ClusterClient, **settings: Any) -> None:
        self.told: list[Any] = []
        self.errors: list[ClaudeScaleError] = []
        self.stop = threading.Event()
        self.raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(client, settings), daemon=True)
        self._thread.start()

    def _run(self, client: ClusterClient, settings: dict[str, Any]) -> None:
        callbacks: dict[str, Any] = {
            "on_list": lambda items: self.told.append([item["metadata"]["name"] for item in items]),
            "on_event": lambda kind, found: self.told.append((kind, found["metadata"]["name"])),
            "on_error": self.errors.append,
        }
        try:
            watch.follow(client, PATH, stop=self.stop, **{**callbacks, **settings})
        except Exception as error:  # noqa: BLE001 - for the test to look at
            self.raised.append(error)

    def join(self) -> float:
        """Stop; how long that took, in seconds."""
        started = time.monotonic()
        self.stop.set()
        self._thread.join(timeout=15)
        return time.monotonic() - started

    def ended(self) -> bool:
        self._thread.join(timeout=3)
        return not self._thread.is_alive()


@contextmanager
def following(client: ClusterClient, **settings: Any) -> Iterator[Follower]:
    follower = Follower(client, **settings)
    try:
        yield follower
    finally:
        assert follower.join() < 1
    assert not follower.raised


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def watches(*replies: Reply, names: tuple[str, ...] = ("a",)) -> Callable[[Asked], Reply]:
    """Lists `names` at version 10; the watches are answered one after the other, then stay quiet."""
    rest = iter(replies)
    return lambda asked: next(rest, QUIET) if asked.watches else Reply(body=a_list(*names))


def pauses(double: HttpDouble) -> list[float]:
    return [later.at - sooner.at for sooner, later in itertools.pairwise(double.asked)]


def versions(double: HttpDouble) -> list[str]:
    """The versions that were watched from; "list" for each list."""
    return [asked.query["resourceVersion"] if asked.watches else "list" for asked in double.asked]


def test_lists_then_watches_and_goes_on_where_it_was() -> None:
    events = [an_event("ADDED", "b", "11"), an_event("MODIFIED", "b", "12") + an_event("DELETED", "a", "13")]
    with http_double(watches(Reply(stream=[*events, 0.1]))) as double:
        with following(double.client(), query={"labelSelector": "x=y"}, server_seconds=7) as follower:
            until(lambda: len(double.asked) == 3)
        assert follower.told == [["a"], ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
        assert versions(double) == ["list", "10", "13"]
        assert {asked.query["labelSelector"] for asked in double.asked} == {"x=y"}
        assert double.asked[1].query["timeoutSeconds"] == "7"
        assert double.asked[1].query["allowWatchBookmarks"] == "true"
        assert follower.errors == []


def test_a_bookmark_moves_on_and_is_not_told() -> None:
    with http_double(watches(Reply(stream=[an_event("BOOKMARK", "", "400"), 0.05]))) as double:
        with following(double.client()) as follower:
            until(lambda: len(double.asked) == 3)
        assert follower.told == [["a"]]
        assert versions(double) == ["list", "10", "400"]


def test_a_long_list_is_read_in_pages() -> None:
    def script(asked: Asked) -> Reply:
        if asked.watches:
            return QUIET
        return Reply(body=a_list("b") if asked.query.get("continue") else a_list("a", token="t"))

    with http_double(script) as double, following(double.client()) as follower:
        until(lambda: follower.told == [["a", "b"]])


EXPIRED = [
    pytest.param(Reply(status=410, body=GONE), id="as-an-answer"),
    pytest.param(Reply(stream=[json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n"]), id="as-an-event"),
]


@pytest.mark.parametrize("reply", EXPIRED)
def test_an_expired_version_is_listed_again(reply: Reply) -> None:
    with http_double(watches(reply)) as double:
        with following(double.client()) as follower:
            until(lambda: len(double.asked) == 4)
        assert versions(double) == ["list", "10", "list", "10"]
        assert follower.told == [["a"], ["a"]]
        assert [getattr(error, "status", None) for error in follower.errors] == [410]


BROKEN = [
    pytest.param(Reply(stream=[an_event("ADDED", "b", "11"), b'{"type":"MODI'], cut=True), True, id="cut-in-a-line"),
    pytest.param(Reply(stream=[an_event("ADDED", "b", "11"), FOR_EVER]), True, id="half-open"),
    pytest.param(Reply(hold=FOR_EVER), False, id="no-head"),
    pytest.param(Reply(status=500, body=a_status(500, "InternalError", "oh")), False, id="500"),
    pytest.param(Reply(stream=[an_event("ADDED", "b", "11"), b'{"type":"MODI']), True, id="half-a-line"),
    pytest.param(Reply(stream=[b"[1]\n"]), False, id="no-event"),
    pytest.param(Reply(stream=[b'{"type": "ADDED", "object": {"metadata": {}}}\n']), False, id="no-version"),
    pytest.param(Reply(stream=[b'{"type": "ERROR", "object": "?"}\n']), False, id="no-status"),
]


@pytest.mark.parametrize(("reply", "heard"), BROKEN)
def test_one_failure_goes_on_from_the_last_version(reply: Reply, heard: bool) -> None:
    with http_double(watches(reply)) as double:
        with following(double.client(), silence_seconds=0.4) as follower:
            until(lambda: len(double.asked) >= 3)
        assert versions(double)[:3] == ["list", "10", "11" if heard else "10"]
        assert follower.told == [["a"], ("ADDED", "b")] if heard else [["a"]]
        assert len(follower.errors) == 1
        assert "\n" not in str(follower.errors[0])
        assert pauses(double)[1] >= watch.LEAST_PAUSE


def test_two_failures_list_anew() -> None:
    """Another cluster may stand where the first was: its versions mean nothing here."""
    failure = Reply(status=500, body=a_status(500, "InternalError", "oh"))
    with http_double(watches(failure, failure)) as double:
        with following(double.client()):
            until(lambda: len(double.asked) == 5)
        assert versions(double) == ["list", "10", "10", "list", "10"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_namespace_that_goes_away_and_comes_back(status: int) -> None:
    away = threading.Event()
    refusal = Reply(status=status, body=a_status(status, "Forbidden", "not yours"))

    def script(asked: Asked) -> Reply:
        if away.is_set():
            return refusal
        return (
            Reply(stream=[0.1, *([an_event("ADDED", "b", "11")] if len(double.asked) == 2 else []), 0.1])
            if (asked.watches)
            else Reply(body=a_list("a"))
        )

    with http_double(script) as double, following(double.client()) as follower:
        until(lambda: ("ADDED", "b") in follower.told)
        away.set()
        until(lambda: len(follower.errors) >= 2)
        assert all(isinstance(error, ApiError) and error.status == status for error in follower.errors)
        away.clear()
        until(lambda: follower.told.count(["a"]) == 2)


def test_a_wish_for_patience_is_kept() -> None:
    busy = Reply(status=429, body=a_status(429, "TooManyRequests", "slow"), headers={"Retry-After": "0.3"})
    with http_double(watches(busy)) as double:
        with following(double.client()) as follower:
            until(lambda: len(double.asked) == 3)
        assert pauses(double)[1] >= 0.3
        assert versions(double) == ["list", "10", "10"]
        assert [getattr(error, "retry_after", None) for error in follower.errors] == [0.3]


def test_pauses_grow_and_stay_within_bounds(as_in_life: None) -> None:
    assert all(0.2 <= watch.pause(1) <= 0.4 for _ in range(100))
    assert all(2.5 <= watch.pause(failures) <= 5.0 for failures in (5, 6, 100, 100_000) for _ in range(100))
    assert watch.pause(1, 3.0) == 3.0
    assert watch.pause(1, 3600.0) == watch.MOST_RETRY_AFTER


NEVER_GOOD = [
    pytest.param(lambda asked: Reply(status=500, body={}), id="lists-fail"),
    pytest.param(lambda asked: Reply(status=410, body=GONE), id="lists-expire"),
    pytest.param(watches(*[Reply(status=410, body=GONE)] * 1000), id="watches-expire"),
    pytest.param(watches(*[Reply(stream=[])] * 1000), id="watches-end-at-once"),
    pytest.param(watches(*[Reply(stream=[b"?"], cut=True)] * 1000), id="watches-are-cut"),
    pytest.param(lambda asked: Reply(body={"items": []}), id="no-version"),
    pytest.param(lambda asked: Reply(body=b"<html>"), id="no-api-server"),
]


def least_seconds(failures: int) -> float:
    """What so many failures in a row take at least, before the next one may come."""
    return sum(watch.LEAST_PAUSE * 2.0**number / 2 for number in range(1, failures))


@pytest.mark.parametrize("script", NEVER_GOOD)
def test_it_never_spins(script: Callable[[Asked], Reply]) -> None:
    with http_double(script) as double:
        started = time.monotonic()
        with following(double.client()) as follower:
            until(lambda: len(follower.errors) == 4)
            assert time.monotonic() - started >= least_seconds(4)
            assert len(double.asked) <= 8  # a list and a watch each time
            assert double.connections <= 8


def test_events_that_are_cut_each_time_are_paused_for_too() -> None:
    def script(asked: Asked) -> Reply:
        number = str(len(double.asked) + 10)
        return Reply(stream=[an_event("ADDED", "b", number)], cut=True) if asked.watches else Reply(body=a_list())

    with http_double(script) as double:
        with following(double.client()) as follower:
            until(lambda: len(follower.errors) == 4)
        assert min(pauses(double)[1:]) >= watch.LEAST_PAUSE
        assert versions(double)[:4] == ["list", "10", "12", "13"]


def test_a_port_that_refuses() -> None:
    client = ClusterClient.from_configuration(Configuration(host=refused_address()), namespace="space")
    started = time.monotonic()
    with following(client) as follower:
        until(lambda: len(follower.errors) == 4)
        assert time.monotonic() - started >= least_seconds(4)
        assert {type(error) for error in follower.errors} == {ClusterStopped}
        assert follower.told == []


def test_it_is_back_after_the_server_is() -> None:
    with http_double(watches()) as double:
        client = double.client()
        answer = double.script
        double.script = lambda asked: Reply(stream=[], cut=True)
        with following(client) as follower:
            until(lambda: len(follower.errors) == 2)
            double.script = answer
            until(lambda: follower.told == [["a"]])


def test_resync() -> None:
    """The server is asked to end a watch in time for the next list."""

    def script(asked: Asked) -> Reply:
        return Reply(stream=[float(asked.query["timeoutSeconds"])]) if asked.watches else Reply(body=a_list("a"))

    with http_double(script) as double:
        with following(double.client(), resync_seconds=0.9) as follower:
            until(lambda: versions(double).count("list") == 2)
        assert versions(double)[:3] == ["list", "10", "list"]
        assert double.asked[1].query["timeoutSeconds"] == "1"  # whole ones are all that Kubernetes takes
        assert follower.errors == []


def test_a_watch_that_the_server_never_ends_is_left() -> None:
    stream: list[bytes | float] = []
    for number in range(100):
        stream += [an_event("MODIFIED", "a", str(11 + number)), 0.1]
    with http_double(watches(Reply(stream=stream))) as double:
        with following(double.client(), server_seconds=1, silence_seconds=1.5) as follower:
            until(lambda: len(double.asked) == 3)
        assert pauses(double)[1] >= 2.5
        assert follower.errors == []
        known = 10 + follower.told.count(("MODIFIED", "a"))
        assert versions(double)[2] == str(known)  # nothing is lost on the way


SILENT = [
    pytest.param(watches(), 2, id="in-a-watch"),
    pytest.param(watches(Reply(hold=FOR_EVER)), 2, id="before-a-watch"),
    pytest.param(lambda asked: Reply(hold=FOR_EVER), 1, id="before-a-list"),
    pytest.param(lambda asked: Reply(stream=[b"{", FOR_EVER]), 1, id="in-a-list"),
    pytest.param(watches(Reply(stream=[b'{"type":', FOR_EVER])), 2, id="in-a-line"),
]


@pytest.mark.parametrize(("script", "requests"), SILENT)
def test_stops_while_nothing_comes(as_in_life: None, script: Callable[[Asked], Reply], requests: int) -> None:
    with http_double(script) as double:
        follower = Follower(double.client())
        until(lambda: len(double.asked) == requests)
        time.sleep(0.05)
        assert follower.join() < 1
        assert follower.errors == []


def test_stops_in_a_pause(as_in_life: None) -> None:
    busy = Reply(status=429, body={}, headers={"Retry-After": "20"})
    with http_double(lambda asked: busy) as double:
        follower = Follower(double.client())
        until(lambda: len(follower.errors) == 1)
        assert follower.join() < 1
        assert len(double.asked) == 1


def test_the_reading_thread_ends_with_a_silent_watch(as_in_life: None, tmp_path: Path) -> None:
    """Over TLS, as in life: the read is woken by a shutdown of its socket, not left to its time-out."""
    with http_double(watches(), tls=server_side(tmp_path)) as double:
        configuration = Configuration(host=double.address)
        configuration.ssl_ca_cert = str(tmp_path / "tls.pem")
        client = ClusterClient.from_configuration(configuration, namespace="space")
        follower = Follower(client)
        until(lambda: len(double.asked) == 2)
        time.sleep(0.05)
        assert f"follow {PATH}" in {thread.name for thread in threading.enumerate()}
        assert follower.join() < 1
        assert f"follow {PATH}" not in {thread.name for thread in threading.enumerate()}
        assert follower.errors == []
        assert client.items(PATH) == [an_object("a")]  # the client is as good as before


def test_nothing_is_told_after_the_end() -> None:
    events = [an_event("ADDED", f"b{number}", str(11 + number)) for number in range(50)]
    stop = threading.Event()
    told = []

    def on_event(kind: str, found: dict[str, Any]) -> None:
        told.append(found["metadata"]["name"])
        if len(told) == 3:
            stop.set()

    with http_double(watches(Reply(stream=[b"".join(events), FOR_EVER]))) as double:
        watch.follow(double.client(), PATH, on_list=lambda items: None, on_event=on_event, stop=stop)
        time.sleep(0.1)
        assert told == ["b0", "b1", "b2"]


def test_a_slow_caller_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "NEWS", 3)
    events = [an_event("ADDED", f"b{number}", str(11 + number)) for number in range(40)]
    told: list[str] = []

    def on_event(kind: str, found: dict[str, Any]) -> None:
        time.sleep(0.005)
        told.append(found["metadata"]["name"])

    with http_double(watches(Reply(stream=[*events, FOR_EVER]))) as double:
        with following(double.client(), on_event=on_event):
            until(lambda: len(told) == 40)
        assert told == [f"b{number}" for number in range(40)]


def test_a_callers_fault_ends_it() -> None:
    def on_list(items: list[dict[str, Any]]) -> None:
        raise LookupError("mine")

    with http_double(watches()) as double:
        follower = Follower(double.client(), on_list=on_list)
        assert follower.ended()
        assert [str(error) for error in follower.raised] == ["mine"]


def test_a_fault_of_the_reader_is_raised_where_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_event", lambda line: 1 / 0)
    with http_double(watches(Reply(stream=[b"?\n", FOR_EVER]))) as double:
        follower = Follower(double.client())
        assert follower.ended()
        assert [type(error) for error in follower.raised] == [ZeroDivisionError]
