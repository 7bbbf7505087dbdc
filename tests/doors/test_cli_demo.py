"""`claudescale demo`: picture and words of given observations, and what it refuses before it touches anything."""

from __future__ import annotations

import json
import os
import signal
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.common import Options
from claudescale_cli.demo import command as demo_command
from claudescale_cli.demo import stage as demo_stage
from claudescale_cli.demo.course import Course, Point, Story, course, lease_words, raw_words
from claudescale_cli.demo.picture import picture
from claudescale_cli.demo.raw import event_of
from claudescale_cli.demo.sketch import sketch
from claudescale_cli.demo.undo import Trace, put_back
from claudescale_cli.live import conditions as demo_conditions
from claudescale_cli.live import observer as demo_observer
from claudescale_cli.live.assistant import Assistant
from claudescale_cli.live.conditions import Ground
from claudescale_cli.live.observer import Observer, wait
from claudescale_cli.live.seen import Rescale, Seen
from claudescale_cli.signals import Signalled, signals_raise

from tests.doors.cluster_double import DEMO, HPA, hpa
from tests.doors.command import ended
from tests.doors.lease_double import CONTROLLER, LEASES, POLICIES, Server, lease_double, policy
from tests.doors.mcp_double import McpCluster, mcp_cluster
from tests.engine.http_double import Asked
from tests.support import running

ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ONE_HPA = f"{HPA}/demo-app-hpa"
SCALE = f"{DEMO}/scale"
SVG = "{http://www.w3.org/2000/svg}"


def points(*three: tuple[float, int, int]) -> tuple[Point, ...]:
    return tuple(Point(seconds=seconds, replicas=replicas, floor=floor) for seconds, replicas, floor in three)


RAW = Course(points=points((-10, 2, 2), (0.01, 4, 2), (91.2, 3, 2), (121.6, 2, 2)), seconds=134, base=2, asked=4)
LEASE = Course(
    points=points((-10, 2, 2), (0.03, 2, 4), (0.04, 4, 4), (129.7, 4, 2), (140.2, 3, 2), (171, 2, 2)),
    seconds=177, base=2, asked=4,
)  # fmt: skip
STORY = Story(
    workload="demo-app", where="demo-app in context <c> & co", raw=RAW, lease=LEASE, person="minikube-user",
    account="claudescale-sa, through the MCP tool", lease_seconds=130,
    event='SuccessfulRescale: New size: 2; reason: "All metrics below target"', exact=True,
)  # fmt: skip
NEVER_BACK = Course(points=points((-10, 2, 2), (0.01, 4, 2)), seconds=240, base=2, asked=4)


# The course


def test_a_course_is_what_was_seen_in_its_time() -> None:
    seen = [
        Seen(at=at, replicas=replicas, ready=ready, floor=floor)
        for at, replicas, ready, floor in (
            (50, 1, 1, 1), (80, 2, 2, 2), (100.5, 4, 2, 2), (101, 4, 4, 2), (160, 2, 2, 2), (300, 5, 5, 2),
        )
    ]  # fmt: skip
    found = course(seen, 100, 200, base=2, asked=4)
    assert found.points == points((-10, 2, 2), (0.5, 4, 2), (60, 2, 2))
    assert (found.up, found.back, found.seconds) == (0.5, 60, 100)


def test_moments_of_both_courses() -> None:
    assert (RAW.up, RAW.dropped, RAW.back, RAW.raised, RAW.restored) == (0.01, 91.2, 121.6, None, None)
    assert (LEASE.up, LEASE.raised, LEASE.dropped, LEASE.restored, LEASE.back) == (0.04, 0.03, 140.2, 129.7, 171)
    assert LEASE.held(130)
    assert not LEASE.held(140)
    assert NEVER_BACK.back is None


DROPPED = replace(LEASE, points=points((-10, 2, 2), (0.04, 4, 4), (60, 3, 3), (70, 4, 4), (129.7, 4, 2)))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (raw_words(RAW), "The autoscaler took it back: 2 again after 122 s."),
        (raw_words(NEVER_BACK), "Not taken back within 240 s."),
        (lease_words(LEASE, 130), "It held 4 to its end, then let go by itself."),
        (lease_words(LEASE, 150), "It was over after 130 s, before its time."),
        (lease_words(DROPPED, 130), "It did not hold: fewer than 4 after 60 s."),
        (lease_words(NEVER_BACK, 130), "The floor did not come back within 240 s."),
        (
            lease_words(replace(LEASE, points=points((-10, 2, 2), (0.1, 2, 4), (130, 2, 2))), 130),
            "The replicas never reached 4.",
        ),
    ],
)
def test_words(words: str, expected: str) -> None:
    assert words == expected
    assert not DROPPED.held(130)


@pytest.mark.parametrize(
    ("back", "seconds", "why"),
    [
        (None, 120, "the raw write was not taken back, so this is the usual time"),
        (31.0, 90, "longer than the raw write lasted (31 s)"),
        (121.4, 130, "longer than the raw write lasted (121 s)"),
        (126.0, 140, "longer than the raw write lasted (126 s)"),
        (230.0, 180, "shorter than the raw write lasted (230 s), so that the demo ends"),
    ],
)
def test_how_long_the_lease_lasts(back: float | None, seconds: int, why: str) -> None:
    assert demo_stage.lease_seconds(back) == (seconds, why)


# The picture


def drawn(path: str) -> list[tuple[float, float]]:
    """The corners of a path of M, H and V."""
    found: list[tuple[float, float]] = []
    for command in path.replace("M", " M").replace("H", " H").replace("V", " V").split(" M")[-1:]:
        words = command.replace("H", " H").replace("V", " V").split()
        found.append((float(words[0]), float(words[1])))
        for word in words[2:]:
            x, y = found[-1]
            found.append((float(word[1:]), y) if word[0] == "H" else (x, float(word[1:])))
    return found


def test_the_picture_draws_what_was_seen() -> None:
    root = ET.fromstring(picture(STORY))
    assert root.tag == f"{SVG}svg"
    metadata = root.find(f"{SVG}metadata")
    assert metadata is not None and metadata.text
    observed = json.loads(metadata.text)
    assert observed == {"raw": RAW.facts(), "lease": LEASE.facts()}
    lines = root.findall(f".//{SVG}path[@class='replicas']")
    assert len(lines) == 2
    floors = root.findall(f".//{SVG}path[@class='floor']")
    assert len(floors) == 2
    for line, course_, value in (
        *((line, course_, "replicas") for line, course_ in zip(lines, (RAW, LEASE), strict=True)),
        *((line, course_, "floor") for line, course_ in zip(floors, (RAW, LEASE), strict=True)),
    ):
        corners = drawn(line.attrib["d"])
        left, right = corners[0][0], corners[-1][0]
        scale = (right - left) / (course_.seconds + 10)
        bottom, unit = 424, 236 / 5
        for point in course_.points:
            x, y = left + (point.seconds + 10) * scale, bottom - getattr(point, value) * unit
            assert any(abs(x - a) < 0.2 and abs(y - b) < 0.2 for a, b in corners), (point, corners)


def test_both_courses_have_one_scale_of_time() -> None:
    root = ET.fromstring(picture(STORY))
    scales = []
    for line, course_ in zip(root.findall(f".//{SVG}path[@class='replicas']"), (RAW, LEASE), strict=True):
        corners = drawn(line.attrib["d"])
        scales.append((corners[-1][0] - corners[0][0]) / (course_.seconds + 10))
    assert scales[0] == pytest.approx(scales[1], rel=0.001)


def test_the_picture_marks_moments_and_has_a_ground_of_its_own() -> None:
    root = ET.fromstring(picture(STORY))
    marks = {
        mark.attrib["data-name"]: float(mark.attrib["data-seconds"])
        for mark in root.iter(f"{SVG}g")
        if "data-name" in mark.attrib
    }
    assert marks == {"write": 0, "back": 121.6, "starts": 0, "ends": 129.7}
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    assert (ground.attrib["width"], ground.attrib["fill"]) == ("1199", "#fdfcf9")
    words = [text.text for text in root.iter(f"{SVG}text")]
    for expected in (
        "demo-app in context <c> & co",
        'SuccessfulRescale: New size: 2; reason: "All metrics below target"',
        "the raw write was gone by here",
        "minReplicas is 2 again; no annotation, no owner entry is left",
        "It held 4 to its end, then let go by itself.",
    ):
        assert expected in words
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["x"]) < 1200
        assert 0 < float(text.attrib["y"]) < 560


def test_the_picture_reports_what_did_not_happen() -> None:
    root = ET.fromstring(picture(replace(STORY, raw=NEVER_BACK, event="", exact=False)))
    marks = {mark.attrib["data-name"] for mark in root.iter(f"{SVG}g") if "data-name" in mark.attrib}
    assert "back" not in marks
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert "Not taken back within 240 s." in words
    assert "no event of the autoscaler was seen" in words
    assert "the autoscaler is not what it was" in words
    assert "the raw write was gone by here" not in words


def test_the_sketch_shows_the_same() -> None:
    lines = sketch(STORY)
    rows = {int(line[:2]): line[3:] for line in lines[1:6]}
    left, right = {row: line[:44] for row, line in rows.items()}, {row: line[48:] for row, line in rows.items()}
    assert rows[5] == ""
    assert "█" not in left[4] and left[4].strip() == "░" * 21
    assert left[3].strip() == "░" * 28
    assert set(left[2].strip()) == {"█"}
    assert right[4].strip() == "█" * 30 + "░" * 3
    assert max(len(line) for line in lines) <= 3 + 44 + 4 + 44
    assert set("".join(sketch(STORY, blocks=False))) < {chr(code) for code in range(128)}


# What is seen


def seen_by(observer: Observer) -> tuple[dict[str, Any], dict[str, Any]]:
    deployment = {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
    autoscaler = hpa()
    observer.take("workload", deployment, old=True)
    observer.take("autoscaler", autoscaler, old=True)
    return deployment, autoscaler


def event(count: int | None = 1) -> dict[str, Any]:
    return {"metadata": {"uid": "e"}, "reason": "SuccessfulRescale", "message": "New size: 2\x1b[2J", "count": count}


def test_each_change_is_seen_once() -> None:
    observer = Observer("demo-app", "demo-app-hpa")
    deployment, autoscaler = seen_by(observer)
    observer.take("workload", {**deployment, "spec": {"replicas": 4}})
    observer.take("workload", {**deployment, "spec": {"replicas": 4}})
    autoscaler["spec"]["minReplicas"] = 4
    observer.take("autoscaler", autoscaler)
    assert [(one.replicas, one.ready, one.floor) for one in observer.seen] == [(2, 2, 2), (4, 2, 2), (4, 2, 4)]
    assert demo_stage.changed(observer.seen[0], observer.seen[2]) == ["floor 2 → 4", "replicas 2 → 4"]


def test_only_new_events_are_told() -> None:
    observer = Observer("demo-app", "demo-app-hpa")
    observer.take("events", event(3), old=True)
    observer.take("events", event(3))
    assert observer.rescales == []
    observer.take("events", event(4))
    assert [one.words for one in observer.rescales] == ["SuccessfulRescale: New size: 2"]


def test_the_event_is_that_of_the_way_back_to_the_base() -> None:
    observer = Observer("demo-app", "demo-app-hpa")
    observer.rescales += [
        Rescale(at=at, words=f"SuccessfulRescale: New size: {size}; reason: All metrics below target")
        for at, size in ((90, 2), (110, 3), (120, 2), (300, 2))
    ]
    ground = Ground(person="p", autoscaler="demo-app-hpa", base=2, hpa={})
    stage: Any = SimpleNamespace(observer=observer, ground=ground)
    assert event_of(stage, 100) == "SuccessfulRescale: New size: 2; reason: All metrics below target"
    assert event_of(stage, 100, until=115) == ""
    assert event_of(stage, 300) == ""


def test_waiting_tells_what_comes_and_raises_what_broke() -> None:
    observer = Observer("demo-app", "demo-app-hpa")
    seen_by(observer)
    told: list[Seen | Rescale | None] = []
    assert wait(observer, lambda: len(told) == 1, 5, told.append)
    assert not wait(observer, lambda: False, 0, told.append)
    observer.news.put(ClaudeScaleError("the watch broke"))
    with pytest.raises(ClaudeScaleError, match="the watch broke"):
        wait(observer, lambda: False, 5, told.append)


# Before anything is touched


def set_(path: str, *keys: str, value: Any) -> Callable[[Server], None]:
    def change(server: Server) -> None:
        found = server.api.objects[path]
        for key in keys[:-1]:
            found = found.setdefault(key, {})
        found[keys[-1]] = value

    return change


def gone(path: str) -> Callable[[Server], None]:
    return lambda server: server.api.objects.pop(path) and None


def forbidden(server: Server) -> None:
    server.rights = False  # type: ignore[attr-defined]


REFUSED = [
    pytest.param(gone(CONTROLLER), "the controller is not ready (Absent): claudescale status, or make up", id="absent"),
    pytest.param(set_(CONTROLLER, "status", value={}),
                 "the controller is not ready (NotReady): claudescale status, or make up", id="not-ready"),
    pytest.param(set_(POLICIES, "items", value=[]),
                 "there is no policy for demo-app, so nothing may be asked for it: make up brings one", id="no-policy"),
    pytest.param(set_(POLICIES, "items", value=[policy("Observe")]),
                 "policy deployment.demo-app is in mode Observe, which changes nothing: set it to Enforce",
                 id="observe"),
    pytest.param(lambda server: server.put("match-day") and None,
                 "demo-app has a lease that is not over (match-day): wait for it, or claudescale end NAME", id="lease"),
    pytest.param(set_(HPA, "items", value=[]), "nothing can be leased for demo-app: no autoscaler", id="no-autoscaler"),
    pytest.param(set_(DEMO, "spec", "replicas", value=4),
                 "demo-app-hpa is not at its base of 2 (replicas 2 and 4): wait until it is back there", id="scaled"),
    pytest.param(set_(ONE_HPA, "status", "desiredReplicas", value=3),
                 "demo-app-hpa is not at its base of 2 (replicas 2 and 3): wait until it is back there", id="loaded"),
    pytest.param(set_(DEMO, "status", "readyReplicas", value=1), "1 of 2 pods of demo-app are ready: wait for them",
                 id="pods"),
    pytest.param(set_(ONE_HPA, "status", "currentMetrics", value=None),
                 "demo-app-hpa does not know the CPU yet, so it would take nothing back: wait a minute", id="no-cpu"),
    pytest.param(lambda server: server.hpa["spec"].update(maxReplicas=3),
                 "the demo asks for 4: the base of demo-app-hpa is 2, and 3 may be asked for", id="maximum"),
    pytest.param(lambda server: server.hpa["metadata"]["annotations"].update({"claudescale.io/base": "2"}),
                 "demo-app-hpa still carries marks of a lease: claudescale status shows whose", id="marks"),
    pytest.param(forbidden, "person may not write the scale of demo-app, which the demo shows", id="rights"),
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    """demo-app at rest."""
    with lease_double() as found:
        found.rights = True  # type: ignore[attr-defined]
        lease_write = found.on_write

        def write(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
            if path == ACCESS:
                return 201, {"status": {"allowed": found.rights}}  # type: ignore[attr-defined]
            if path == SCALE:
                found.api.objects[SCALE]["spec"] = found.api.objects[DEMO]["spec"] = body["spec"]
                return 200, found.api.objects[SCALE]
            return lease_write(method, path, query, body)

        found.api.on_write = write
        found.hpa |= {key: hpa()[key] for key in ("status",)}
        found.hpa["spec"]["metrics"] = hpa()["spec"]["metrics"]
        found.hpa["metadata"]["annotations"] = {}
        found.api.objects |= {
            ONE_HPA: found.hpa,
            DEMO: {**found.api.objects[DEMO], "status": {"readyReplicas": 2}},
            SCALE: {"spec": {"replicas": 2}},
        }  # fmt: skip
        yield found


def demo(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *more: str) -> int:
    return ended(monkeypatch, "--kubeconfig", str(server.api.kubeconfig(tmp_path)), "demo", *more)


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_condition_that_does_not_hold_is_one_sentence(
    server: Server, change: Callable[[Server], None], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(Assistant, "call", lambda *_, **__: pytest.fail("the assistant was asked"))
    change(server)
    before = json.dumps(server.api.objects[DEMO])
    assert demo(server, monkeypatch, tmp_path) == 1
    said = capsys.readouterr()
    assert said.err == f"{sentence}\n"
    assert "2  A raw write" not in said.out
    assert json.dumps(server.api.objects[DEMO]) == before
    assert [path for _, path, _ in server.api.writes if path != ACCESS] == []
    assert not Path("claudescale-demo.svg").exists()


def test_an_assistant_that_cannot_be_started_stops_it_before_anything(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ClaudeScaleError("the MCP server gave no answer to get_current_state: no module")

    monkeypatch.setattr(demo_command, "observed", lambda *_: nullcontext())  # the double cannot be watched
    monkeypatch.setattr(Assistant, "call", away)
    assert demo(server, monkeypatch, tmp_path) == 1
    said = capsys.readouterr()
    assert said.err == "the MCP server gave no answer to get_current_state: no module\n"
    assert "demo-app-hpa is at its base: floor 2, 2 replicas, CPU 7 % of 50 %" in said.out
    assert [path for _, path, _ in server.api.writes if path != ACCESS] == []


def test_what_cannot_be_watched_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_observer, "READY_SECONDS", 1.0)
    monkeypatch.setattr(Assistant, "call", lambda *_, **__: pytest.fail("the assistant was asked"))
    assert demo(server, monkeypatch, tmp_path) == 1
    assert "cannot be watched: " in capsys.readouterr().err
    assert [path for _, path, _ in server.api.writes if path != ACCESS] == []


def test_a_picture_without_a_folder_is_said_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(server, monkeypatch, tmp_path, "--picture", "nowhere/x.svg") == 1
    assert capsys.readouterr().err == "there is no folder nowhere for the picture: name another place by --picture\n"
    assert server.api.asked == []


def test_ctrl_c_before_anything_says_that_nothing_was_touched(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_command, "observed", lambda *_: nullcontext())  # the double cannot be watched
    monkeypatch.setattr(Assistant, "call", interrupted)
    assert demo(server, monkeypatch, tmp_path) == 130
    assert capsys.readouterr().out.endswith("Interrupted: putting things back\n  nothing was touched\n")


# Putting back


def put(server: Server, tmp_path: Path, trace: Trace) -> list[str]:
    client = ClusterClient(
        context="claudescale", namespace="claudescale", kubeconfig=str(server.api.kubeconfig(tmp_path))
    )
    said: list[str] = []
    put_back(client, trace, said.append)
    return said


def traced(**fields: Any) -> Trace:
    return Trace(autoscaler="demo-app-hpa", replicas=2, **fields)


def test_a_lease_is_ended_and_the_scale_put_back(server: Server, tmp_path: Path) -> None:
    server.put("demo-1")
    server.api.objects[SCALE]["spec"]["replicas"] = 4
    assert put(server, tmp_path, traced(wrote=True, leases=["demo-1", "demo-never-created"])) == [
        "lease demo-1 is ended",
        "demo-app is scaled from 4 to 2 again, as it was found",
    ]
    assert server.api.objects[f"{LEASES}/demo-1"]["spec"]["ended"] is True
    assert server.api.objects[SCALE]["spec"]["replicas"] == 2


def test_what_is_as_it_was_is_left_alone(server: Server, tmp_path: Path) -> None:
    assert put(server, tmp_path, traced()) == []
    assert put(server, tmp_path, traced(wrote=True)) == ["demo-app is at 2 replicas, as it was found"]
    server.api.objects[SCALE]["spec"]["replicas"] = 5
    assert put(server, tmp_path, traced(wrote=True)) == [
        "demo-app is at 5 replicas, which is not the demo's doing: left alone"
    ]


def test_what_cannot_be_put_back_is_said(server: Server, tmp_path: Path) -> None:
    server.api.codes[SCALE] = 500
    (said,) = put(server, tmp_path, traced(wrote=True))
    assert said.startswith("it could not all be put back (the API server answered 500")
    assert said.endswith("a lease ends by itself, see claudescale status")


# Exactly restored


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, []),
        ({"spec": {"minReplicas": 4}}, ["spec.minReplicas"]),
        ({"metadata": {"annotations": {"claudescale.io/base": "2"}}}, ["annotations claudescale.io/base"]),
        ({"metadata": {"labels": {"a": "b"}}}, ["labels a"]),
        (
            {"metadata": {"managedFields": [{"manager": "claudescale-controller"}, {"manager": "kubectl"}]}},
            ["managedFields of claudescale-controller"],
        ),
        ({"metadata": {"resourceVersion": "77", "generation": 9}, "status": {}}, []),
    ],
)
def test_what_is_not_as_it_was(change: dict[str, Any], left: list[str]) -> None:
    before, after = hpa(), hpa()
    for part, values in change.items():
        after[part] |= values
    assert demo_conditions.differences(before, after, "claudescale-controller") == left


# The assistant


@pytest.fixture
def mcp() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


def assistant(mcp: McpCluster, tmp_path: Path) -> Assistant:
    return Assistant(Options(context="claudescale", namespace="claudescale", kubeconfig=mcp.place(tmp_path).kubeconfig))


def test_the_assistant_speaks_to_a_real_server_over_stdio(mcp: McpCluster, tmp_path: Path) -> None:
    began = time.monotonic()
    told = assistant(mcp, tmp_path).call(
        "lease_capacity", name="demo-1", workload="demo-app", replicas=4, duration_seconds=90, reason="launch"
    )
    assert (told.facts["outcome"], told.facts["floor_stands"]) == ("Created", True)
    assert told.text.startswith("Created, lease demo-1: ")
    assert time.monotonic() - began < 30


def test_an_error_of_the_tool_is_a_sentence(mcp: McpCluster, tmp_path: Path) -> None:
    with pytest.raises(ClaudeScaleError, match="the MCP tool lease_capacity answers: "):
        assistant(mcp, tmp_path).call("lease_capacity", workload="demo-app")


def test_a_server_that_cannot_start_is_a_sentence(
    mcp: McpCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["-c", "raise SystemExit('no such module')"]
    monkeypatch.setattr("claudescale_cli.live.connection.server_arguments", lambda _: broken)
    with pytest.raises(ClaudeScaleError, match=r"the MCP server does not start: .*no such module"):
        assistant(mcp, tmp_path).call("get_current_state")


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Signalled)])
def test_a_signal_ends_a_call_and_its_server(
    mcp: McpCluster, tmp_path: Path, number: int, raised: type[BaseException]
) -> None:
    def slow(asked: Asked) -> None:
        if asked.path.endswith("/capacityleases"):
            os.kill(os.getpid(), number)
            time.sleep(2)

    mcp.instead = slow
    found = assistant(mcp, tmp_path)
    with pytest.raises(raised), signals_raise():
        found.call("lease_capacity", name="demo-1", workload="demo-app", replicas=4, reason="launch")
        time.sleep(5)
    assert not any(f"--kubeconfig {tmp_path}" in line for line in running())
