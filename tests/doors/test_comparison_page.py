"""The figures that README and docs/HPA_VS_CLAUDESCALE.md show are those of the reports in docs/comparison."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.outcome import summaries
from claudescale_cli.compare.picture import picture
from claudescale_cli.compare.report import Report, from_text
from claudescale_cli.compare.table import headlines, lines

from tests.doors.compare_double import words
from tests.support import ROOT

FOLDER = ROOT / "docs" / "comparison"
PAGE = (ROOT / "docs" / "HPA_VS_CLAUDESCALE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNS = 3

every_warmup = pytest.mark.parametrize("warmup", [0, 30])


def file(warmup: int, suffix: str) -> Path:
    return FOLDER / f"warmup-{warmup}.{suffix}"


@cache
def report(warmup: int) -> Report:
    return from_text(file(warmup, "json").read_text(encoding="utf-8"))


@every_warmup
def test_a_report_is_whole_and_of_the_settings_that_the_command_has(warmup: int) -> None:
    found = report(warmup)
    assert found.design == Design(warmup=warmup)
    assert found.why_incomplete == ""
    assert found.wanted == RUNS
    assert {arm: sum(run.valid for run in found.runs if run.arm is arm) for arm in Arm} == dict.fromkeys(Arm, RUNS)


@every_warmup
def test_the_page_has_the_table_of_the_report(warmup: int) -> None:
    found = report(warmup)
    table = "\n".join(lines(found.runs, found.design, seed=found.seed))
    blocks = re.findall(r"```\n(.*?)\n```", PAGE, flags=re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(f"$ make compare RUNS={RUNS} WARMUP={warmup}")]
    assert block.endswith(table)


@every_warmup
def test_the_page_shows_the_picture_of_the_report(warmup: int) -> None:
    name = file(warmup, "svg")
    assert f"](comparison/{name.name})" in PAGE
    assert words(name.read_text(encoding="utf-8")) == words(picture(report(warmup)))


def test_the_first_screen_of_the_readme_has_the_figures_of_pods_that_warm_up() -> None:
    found = report(30)
    screen = README.partition("\n## ")[0]
    assert screen.index("](docs/comparison/warmup-30.svg)") == screen.index("](docs/")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in screen.splitlines() if line[:1] == "|"]
    (top,) = [row for row in rows if row[1:] == [arm.words for arm in Arm]]
    shown = {row[0]: row[1:] for row in rows[rows.index(top) + 2 :]}
    told = [headlines(summary, found.design) for summary in summaries(found.runs, found.design)]
    assert shown == {one[0].words: [each.figure for each in one] for one in zip(*told, strict=True)}


def test_the_first_screen_of_the_readme_has_the_shares_of_pods_that_are_ready_at_once() -> None:
    found = report(0)
    shares = [headlines(one, found.design)[0].figure for one in summaries(found.runs, found.design)]
    screen = " ".join(README.partition("\n## ")[0].split())
    assert f"where they are ready at once, the shares are {shares[0]}, {shares[1]} and {shares[2]}." in screen
