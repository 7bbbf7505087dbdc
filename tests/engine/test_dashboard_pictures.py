"""The pictures of panels: of what Prometheus answers, the same each time, small, and all of them or none."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus, Track
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Window

from tests.engine.test_monitoring_rules import MOST_BYTES
from tools.dashboards import __main__ as tool
from tools.dashboards.drawing import Course, svg, ticks_of, words_of
from tools.dashboards.panels import Panel, Target, dashboards

WINDOW = Window(start=1_767_272_400.0, end=1_767_273_000.0)  # ten minutes from 13:00 UTC
PANEL = Panel(
    dashboard="claudescale",
    title="CPU per pod",
    description="Of the demo app.",
    unit="cores",
    targets=(Target(expr='sum by (pod) (cpu{namespace="$namespace"})', legend="pod {{pod}}"),),
    from_zero=True,
    dashed=("/^limit/",),
)


def wave(name: str = "pod a", value: Callable[[float], float] = math.sin) -> Course:
    return Course(name=name, points=tuple((time, 2 + value(time / 60)) for time in WINDOW.times))


def texts(picture: str) -> set[str]:
    return {(node.text or "").strip() for node in ET.fromstring(picture).iter() if node.tag.endswith("}text")}


def lines(picture: str) -> int:
    """How many paths are drawn for courses."""
    return picture.count("stroke: #2a8c82") + picture.count("stroke: #c2571a")


def test_a_picture_says_what_it_shows() -> None:
    picture = svg(PANEL, [wave(), wave("pod b", math.cos)], WINDOW)
    assert {"CPU per pod", "pod a", "pod b", "13:02", "2026-01-01, UTC"} <= texts(picture)
    assert picture == svg(PANEL, [wave(), wave("pod b", math.cos)], WINDOW)
    assert picture != svg(PANEL, [wave(), wave("pod b", math.sin)], WINDOW)
    assert lines(svg(PANEL, [wave(), wave("pod b")], WINDOW)) > lines(svg(PANEL, [wave()], WINDOW))


def test_a_picture_is_small_and_can_be_read_on_any_page() -> None:
    picture = svg(
        PANEL, [wave(f"pod {number}", lambda time, n=number: math.sin(time + n)) for number in range(25)], WINDOW
    )
    assert len(picture.encode()) < MOST_BYTES
    assert {"pod 7", "and 17 more"} <= texts(picture) and "pod 8" not in texts(picture)
    ground = next(node for node in ET.fromstring(picture).iter() if node.get("id") == "patch_1")
    assert "fill: #fdfcf9" in ET.tostring(ground, encoding="unicode"), "it has its own background"


@pytest.mark.parametrize("looks", [{"steps": True}, {"stacked": True}, {"threshold": 3.0}, {"wide": True}])
def test_the_looks_of_a_panel_are_kept(looks: dict[str, Any]) -> None:
    plain = svg(PANEL, [wave()], WINDOW)
    other = svg(Panel(**{**PANEL.__dict__, **looks}), [wave()], WINDOW)
    assert plain != other
    ET.fromstring(other)


@pytest.mark.parametrize(
    ("unit", "size", "ticks"), [("bytes", 2**20, {"0 MiB", "2.4 MiB"}), ("percentunit", 0.01, {"0 %"})]
)
def test_an_axis_counts_in_its_unit(unit: str, size: float, ticks: set[str]) -> None:
    course = wave("pod a", math.sin)
    points = tuple((time, value * size) for time, value in course.points)
    panel = Panel(**{**PANEL.__dict__, "unit": unit})
    assert ticks <= texts(svg(panel, [Course(name="pod a", points=points)], WINDOW))


def test_nothing_but_zero_has_an_axis_too() -> None:
    panel = Panel(**{**PANEL.__dict__, "unit": "none", "steps": True})
    assert {"0", "1"} <= texts(svg(panel, [wave("errors", lambda _: -2)], WINDOW))


def test_a_line_has_gaps_and_no_points_that_change_nothing() -> None:
    course = Course(
        name="floor", points=tuple((WINDOW.times[place], 2.0 if place < 60 else 4.0) for place in range(100))
    )
    times, values = course.line(WINDOW)
    assert [value for value in values if math.isfinite(value)] == [2.0, 2.0, 4.0, 4.0]
    assert times[:3] == [WINDOW.times[0], WINDOW.times[59], WINDOW.times[60]]
    assert math.isnan(values[-1])


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.0, "s", "0 s"), (0.25, "s", "250 ms"), (2.5, "s", "2.5 s"), (50.0, "percentunit", "50 %"),
        (3.0, "bytes", "3 MiB"), (120.0, "reqps", "120/s"), (2.0, "none", "2"),
    ],
)  # fmt: skip
def test_the_axis_has_units(value: float, unit: str, words: str) -> None:
    assert words_of(value, unit) == words


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 60, 1440])
def test_ticks_are_few_and_round(minutes: int) -> None:
    ticks = ticks_of(Window.before(WINDOW.end, minutes * 60))
    assert 2 <= len(ticks) <= 9
    assert all(tick % 30 == 0 for tick in ticks)


class Answers:
    """A Prometheus that gives one course to each query, or none to those that name a word."""

    def __init__(self, silent: str = "nothing") -> None:
        self.silent = silent
        self.asked: list[str] = []
        self.cluster = SimpleNamespace(namespace="shop")

    def tracks(self, promql: str, *, start: float, end: float, step: float) -> list[Track]:
        self.asked.append(promql)
        value = math.nan if self.silent in promql else 1.0
        points = tuple((time, value) for time in WINDOW.times)
        return [Track(labels={"pod": "a"}, points=points)]


def test_every_panel_is_asked_for_in_the_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    monkeypatch.setattr(tool, "svg", lambda panel, courses, _: f"{panel.title}: {len(courses)}")
    panels = [panel for one in dashboards() for panel in one.panels]
    pictures = tool.draw(cast(Prometheus, answers), WINDOW, panels)
    assert pictures == {panel.file: f"{panel.title}: {len(panel.targets)}" for panel in panels}
    assert len(answers.asked) == sum(len(panel.targets) for panel in panels)
    assert not any("$namespace" in promql for promql in answers.asked)
    assert any('namespace="shop"' in promql for promql in answers.asked)


def test_a_panel_without_data_is_named() -> None:
    panels = [PANEL, Panel(**{**PANEL.__dict__, "title": "Empty", "targets": (Target(expr="nothing", legend="x"),)})]
    with pytest.raises(ClaudeScaleError, match=r"^no data for claudescale: Empty: send load, .* and draw again$"):
        tool.draw(cast(Prometheus, Answers()), WINDOW, panels)


def test_pictures_of_panels_that_are_gone_go(tmp_path: Path) -> None:
    (tmp_path / "old.svg").write_text("<svg/>")
    (tmp_path / "notes.txt").write_text("kept")
    tool.write({"new.svg": "<svg/>"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new.svg", "notes.txt"}


@pytest.mark.parametrize("options", [["--minutes", "0"], ["--context", "nowhere-at-all"]])
def test_a_mistake_is_one_sentence_and_writes_nothing(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    if options[0] == "--minutes":
        monkeypatch.setattr(tool, "ClusterClient", lambda **_: None)
        monkeypatch.setattr(tool, "Prometheus", lambda _: SimpleNamespace(value=lambda _: WINDOW.end))
    assert tool.main([*options, "--into", str(tmp_path / "pictures")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
    assert not (tmp_path / "pictures").exists()
