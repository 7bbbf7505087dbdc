"""`make demo` on the real cluster: what it prints is what another pair of eyes saw, and everything is as it was."""

from __future__ import annotations

import json
import re
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.resting import REST_SECONDS, at_rest, interrupted, open_leases, servers, sighted, state
from tests.cluster.rig import connect, records, until
from tests.support import Cluster, Made

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NEAR = 2.0  # seconds that two watches may differ by, on a busy machine
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Eyes:
    """What kubectl's watches showed: (monotonic seconds, value), each change once."""

    replicas: list[tuple[float, int]] = field(default_factory=list)
    floor: list[tuple[float, int]] = field(default_factory=list)


@contextmanager
def eyes(cluster: Cluster) -> Iterator[Eyes]:
    found = Eyes()
    with (
        sighted(cluster, found.replicas, ("deployment", "demo-app"), "{.spec.replicas}", read=int),
        sighted(cluster, found.floor, ("hpa", "demo-app-hpa"), "{.spec.minReplicas}", read=int),
    ):
        until(lambda: found.replicas and found.floor, 30)
        yield found


@dataclass(frozen=True, kw_only=True)
class Played:
    """One `make demo`, and what others saw of it."""

    made: Made
    picture: Path
    eyes: Eyes
    before: dict[str, Any]
    after: dict[str, Any]
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def played(resting: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Played:
    picture = tmp_path_factory.mktemp("demo") / "demo.svg"
    before = state(resting)
    first = len(records(connect(resting)))
    with eyes(resting) as seen:
        made = resting.make("demo", f"PICTURE={picture}", timeout=720)
    return Played(
        made=made,
        picture=picture,
        eyes=seen,
        before=before,
        after=state(resting),
        records=records(connect(resting))[first:],
    )


def test_it_ends_well_and_in_time(played: Played) -> None:
    assert played.made.code == 0, played.made.text
    print(f"make demo took {played.made.seconds:.0f} s")
    assert 180 < played.made.seconds < 600


def test_everything_is_as_it_was(played: Played, cluster: Cluster) -> None:
    assert played.after == played.before
    until(lambda: at_rest(cluster), 60)  # the autoscaler's status follows at its next look
    assert open_leases(cluster) == []
    assert servers(cluster) == []


def test_the_raw_write_is_taken_back_by_the_autoscaler(played: Played) -> None:
    text = played.made.text
    told = re.search(r"=> taken back by the autoscaler: 2 replicas again after ([0-9.]+) s", text)
    assert told, text
    ups = [at for at, value in played.eyes.replicas if value == 4]
    backs = [at for at, value in played.eyes.replicas if value == 2 and at > ups[0]]
    assert abs((backs[0] - ups[0]) - float(told[1])) < NEAR
    assert "its own event: SuccessfulRescale: New size: 2; reason: All metrics below target" in text
    assert "by you, " in text


def test_the_lease_holds_and_is_restored(played: Played) -> None:
    text = played.made.text
    asked = re.search(r"lease_capacity\(name='(demo-[0-9a-f]{6})'.*replicas=4, duration_seconds=(\d+)", text)
    assert asked, text
    name, seconds = asked[1], int(asked[2])
    assert "Created, lease" in text
    assert "floor 4, 4 pods ready" in text
    assert "restored exactly: minReplicas 2, no annotation, no managedFields entry of claudescale-controller" in text
    assert "It held 4 to its end, then let go by itself." in text
    (up,) = [at for at, value in played.eyes.floor if value == 4]
    back = next(at for at, value in played.eyes.floor if value == 2 and at > up)
    assert seconds - 1 - NEAR < back - up < seconds + NEAR
    assert not [at for at, value in played.eyes.replicas if value < 4 and up + NEAR < at < back - NEAR]
    mine = [one for one in played.records if one.get("lease", {}).get("name") == name]
    assert {one["door"] for one in mine if one["event"] == "LeaseRequested"} == {"claudescale-mcp"}


def test_the_large_wish_is_refused_with_its_reason(played: Played) -> None:
    text = played.made.text
    assert re.search(r"the tool answers: Refused, lease demo-[0-9a-f]{6}: .*more replicas than the policy allows", text)
    for rule in ("Maximum", "AutoscalerMaximum", "Step"):
        assert re.search(rf"^ +{rule} +no +(500|498) +[35] ", text, re.MULTILINE), rule
    assert [one for one in played.records if one.get("outcome") == "Refused"]


def test_the_records_are_verified(played: Played) -> None:
    text = played.made.text
    assert re.search(r"\d+ records of namespace claudescale \(UID .*\) are whole", text)
    assert re.search(r"the head noted earlier is in it: \d+:[0-9a-f]{64}", text)
    assert re.search(r"head to note down: \d+:[0-9a-f]{64}", text)


def test_the_picture_shows_what_was_watched(played: Played) -> None:
    assert f"picture: {played.picture}" in played.made.text
    metadata = ET.fromstring(played.picture.read_text(encoding="utf-8")).find(f"{SVG}metadata")
    assert metadata is not None and metadata.text
    drawn = json.loads(metadata.text)
    zero = next(at for at, value in played.eyes.replicas if value == 4)
    compare(drawn["raw"], played.eyes, zero - next(one["seconds"] for one in drawn["raw"] if one["replicas"] == 4))
    (raised,) = [at for at, value in played.eyes.floor if value == 4]
    compare(drawn["lease"], played.eyes, raised - next(one["seconds"] for one in drawn["lease"] if one["floor"] == 4))


def compare(points: list[dict[str, Any]], seen: Eyes, zero: float) -> None:
    """The changes of a course are those of kubectl's watch in that time, each at its moment."""
    for key, watched in (("replicas", seen.replicas), ("floor", seen.floor)):
        changes = [(now["seconds"], now[key]) for before, now in pairwise(points) if now[key] != before[key]]
        others = [
            (at - zero, value) for at, value in watched if points[0]["seconds"] < at - zero < 60 + points[-1]["seconds"]
        ]
        others = others[: len(changes)]
        print(f"{key}: drawn {changes}, watched {[(round(at, 1), value) for at, value in others]}")
        assert [value for _, value in changes] == [value for _, value in others]
        assert all(abs(mine[0] - other[0]) < NEAR for mine, other in zip(changes, others, strict=True))


@pytest.mark.parametrize(
    ("number", "line", "says"),
    [
        pytest.param(signal.SIGINT, "replicas 2 → 4", "demo-app is scaled from 4 to 2 again", id="raw-ctrl-c"),
        pytest.param(signal.SIGTERM, "floor 4, 4 pods ready", "is ended", id="lease-sigterm"),
    ],
)
def test_a_signal_puts_everything_back(
    resting: Cluster, number: signal.Signals, line: str, says: str, tmp_path: Path
) -> None:
    until(lambda: at_rest(resting), REST_SECONDS, pause=2)
    before = state(resting)
    command = ["claudescale", "--context", resting.context, "demo", "--picture", str(tmp_path / "demo.svg")]
    code, rest = interrupted(resting, command, line, number, seconds=60)
    assert code == 128 + number
    assert "Interrupted: putting things back" in rest
    assert says in rest
    assert "demo-app is scaled from 4 to 2 again, as it was found" in rest
    assert state(resting) == before
    assert open_leases(resting) == []
    assert servers(resting) == []
    assert not (tmp_path / "demo.svg").exists()
