"""The picture of `claudescale compare`: what it shows of given runs, and that it reads anywhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.compare.arms import Arm
from claudescale_cli.compare.picture import PAPER, picture

from tests.doors.compare_double import SVG, cpu, levels, report, requests, run, words

SUBTITLE = (
    "Measured on 2026-11-24: one run of each; pods warm up for 5 s; good is an answer within 0.5 s. Shortened: a trial."
)


def paths(drawn: str, gid: str) -> list[list[tuple[float, float]]]:
    """The corners of each path under a name, upper left first."""
    root = ET.fromstring(drawn)
    found = []
    for group in root.iter(f"{SVG}g"):
        if group.attrib.get("id") == gid:
            for path in group.iter(f"{SVG}path"):
                numbers = re.findall(r"[ML] ([-0-9.]+) ([-0-9.]+)", path.attrib["d"])
                found.append([(float(x), float(y)) for x, y in numbers])
    return found


@pytest.fixture(scope="module")
def drawn() -> str:
    return picture(report())


def test_it_says_what_it_shows(drawn: str) -> None:
    said = words(drawn)
    for expected in (
        "An announced launch, 2 to 10 requests per second: the HPA alone, a raw write to /scale, a lease", SUBTITLE,
        "HPA alone", "reacts to load when it sees it",
        "raw /scale", "written 56 s ahead, nothing holds it", "written", "taken back",
        "lease", "asked for 56 s ahead, through the MCP tool", "asked for", "starts",
        "requests per second", "pods", "latency, seconds", "floor (minReplicas)", "the launch, which is judged",
    ):  # fmt: skip
        assert expected in said
    assert said.count("launch") == 3
    assert said.count("seconds from the launch") == 3


def test_the_headlines_are_those_of_the_arms(drawn: str) -> None:
    said = words(drawn)
    places = [place for place, one in enumerate(said) if one == "slower than 0.5 s or failed"]
    assert [said[place - 1] for place in places] == ["50.0 %", "50.0 %", "0.0 %"]
    places = [place for place, one in enumerate(said) if one == "p99 of the answers"]
    assert [said[place - 1] for place in places] == ["1.00 s", "1.00 s", "0.02 s"]
    places = [place for place, one in enumerate(said) if one == "replica-seconds"]
    assert [said[place - 1] for place in places] == ["247", "332", "366"]


def test_it_has_a_ground_of_its_own_and_fits_in_it(drawn: str) -> None:
    root = ET.fromstring(drawn)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    assert (width, height) == (1200, 800)
    ground = root.find(f".//{SVG}g[@id='patch_1']/{SVG}path")
    assert ground is not None
    assert f"fill: {PAPER}" in ground.attrib["style"]
    for one in root.iter(f"{SVG}text"):
        place = re.search(r"translate\(([-0-9.]+) ([-0-9.]+)\)", one.attrib.get("transform", ""))
        x, y = (float(place[1]), float(place[2])) if place else (float(one.attrib["x"]), float(one.attrib["y"]))
        assert 0 < x < width
        assert 0 < y < height


def test_all_arms_have_the_same_scales(drawn: str) -> None:
    # Two pods and five pods are at the same heights, a second is as wide everywhere.
    ready = {arm: paths(drawn, f"ready-{arm}")[0] for arm in Arm}
    bottoms, tops = zip(*((max(y for _, y in line), min(y for _, y in line)) for line in ready.values()), strict=True)
    assert len({round(y, 2) for y in bottoms}) == 1
    assert len({round(y, 2) for y in tops}) == 1
    widths = {round(line[-1][0] - line[0][0], 2) for line in ready.values()}
    assert len(widths) == 1


@pytest.mark.parametrize("arm", Arm)
def test_pods_and_floor_are_drawn_as_they_were(drawn: str, arm: Arm) -> None:
    found = run(arm)
    for gid, value in (("ready", "ready"), ("floor", "floor")):
        corners = paths(drawn, f"{gid}-{arm}")[0]
        left, right = corners[0][0], corners[-1][0]
        unit = (right - left) / 100  # seconds of this load
        values = [getattr(level, value) for level in found.levels]
        steps = [
            (level.seconds, after)
            for level, before, after in zip(found.levels[1:], values, values[1:], strict=False)
            if before != after
        ]
        for second, after in steps:
            assert any(abs(left + second * unit - x) < 0.1 for x, _ in corners), (gid, second, after)
        assert len({round(y, 1) for _, y in corners}) == len(set(values))


def test_several_runs_show_the_median_one_and_the_spread() -> None:
    runs = [run(arm, number, requests=requests(slow)) for number, slow in ((1, 80), (2, 120), (3, 40)) for arm in Arm]
    said = words(picture(report(*runs)))
    assert any("each arm's run with the median share of 3" in one for one in said)
    assert said.count("20.0 %") == 3
    assert said.count("10.0 to 30.0") == 3


def test_what_does_not_count_is_said() -> None:
    runs = [run(Arm.HPA), run(Arm.RAW, cpu=(cpu(0.99),)), run(Arm.LEASE)]
    said = words(picture(report(*runs, why_incomplete="interrupted")))
    assert said.count("INVALID") == 1
    assert any(one.endswith("within 0.5 s. INCOMPLETE.") for one in said)
    assert said.count("-") == 3


def test_a_raw_write_that_was_not_taken_back_is_not_marked_so() -> None:
    held = run(Arm.RAW, levels=levels((0, 2, 2, 2), (4, 5, 2, 2), (10, 5, 5, 2)), events=())
    said = words(picture(report(run(Arm.HPA), held, run(Arm.LEASE))))
    assert "written" in said
    assert "taken back" not in said


def test_an_arm_without_any_run_is_one_sentence() -> None:
    with pytest.raises(ClaudeScaleError, match=r"^there is no picture without a run of raw /scale, lease$"):
        picture(report(run(Arm.HPA)))


def test_the_same_runs_make_the_same_picture_whatever_a_person_prefers(drawn: str) -> None:
    with mpl.rc_context({"font.size": 40, "axes.facecolor": "black", "svg.fonttype": "path"}):
        again = picture(report())
        assert mpl.rcParams["font.size"] == 40
    assert again == drawn
