"""The picture of a window: small, of one size, of what is in the evidence, and drawn without a trace elsewhere."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import plot
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence, Standing, Window
from ansible_collections.claudescale.core.plugins.module_utils.evidence.plot import MOST_BYTES, png

from tests.engine.evidence_support import (
    NOON,
    ended,
    evidence_of,
    lease_fields,
    refused,
    restored,
    written,
)
from tests.support import ROOT

LAUNCH = (
    written(300, 4, leases=("launch",), lease=lease_fields("launch", 300, 900)),
    refused(400),
    restored(900),
    ended(900.2, "launch", start=300, end=900),
)


def wave(after: float) -> float:
    return 20 + 10 * math.sin(after / 60) + after % 7


def size_of(image: bytes) -> tuple[int, int]:
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert image.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", image[16:24])
    return width, height


def test_a_picture() -> None:
    image = png(evidence_of(*LAUNCH, values={"request_rate": wave}))
    assert size_of(image) == (800, 500)
    assert 5_000 < len(image) <= MOST_BYTES
    assert image == png(evidence_of(*LAUNCH, values={"request_rate": wave}))


USUAL = evidence_of(*LAUNCH)
OTHERS: dict[str, Evidence] = {
    "load": evidence_of(*LAUNCH, values={"request_rate": wave}),
    "pods": evidence_of(*LAUNCH, values={"pods_ready": lambda after: 3.0}),
    "gap": evidence_of(*LAUNCH, values={"pods_ready": lambda after: None if 500 < after < 600 else 2.0}),
    "running": evidence_of(*LAUNCH, values={"pods_ready": lambda after: None}),
    "cpu": evidence_of(*LAUNCH, values={"request_rate": lambda after: None}),
    "refusal": evidence_of(LAUNCH[0], *LAUNCH[2:]),
    "lease": evidence_of(LAUNCH[0], refused(400), restored(900)),
    "floor": evidence_of(written(300, 5, leases=("launch",), lease=lease_fields("launch", 300, 900)), *LAUNCH[1:]),
    "base": evidence_of(*LAUNCH, standing=Standing(floor=3, base=3)),
    "window": evidence_of(*LAUNCH, window=Window(start=NOON, end=NOON + 1140)),
}


def test_each_part_is_drawn() -> None:
    images = {name: png(evidence) for name, evidence in {"usual": USUAL, **OTHERS}.items()}
    assert len(set(images.values())) == len(images)


def crowded() -> Evidence:
    """A week, with as much in it as there can be."""
    window = Window(start=NOON, end=NOON + 604_800)
    entries = []
    for number in range(150):
        begin, name = number * 4000.0, f"a-lease-with-a-rather-long-name-{number}-{'x' * 150}"
        floor = 3 + number % 7
        entries += [
            written(begin, floor, leases=(name,), lease=lease_fields(name, begin, begin + 2000)),
            *[refused(begin + 100 * part) for part in range(1, 8)],
            restored(begin + 2000, before=floor),
            ended(begin + 2000.1, name, start=begin, end=begin + 2000),
        ]
    noise = {"request_rate": lambda after: after * 7919 % 1000, "pods_ready": lambda after: float(after * 31 % 9)}
    return evidence_of(*entries, values=noise, window=window)


BARE = {name: lambda after: None for name in ("request_rate", "pods_ready", "pods_running", "latency_p95", "cpu_cores")}
EXTREMES: list[Any] = [
    pytest.param(crowded(), id="crowded"),
    pytest.param(evidence_of(values=BARE, standing=Standing()), id="nothing"),
    pytest.param(evidence_of(values=dict.fromkeys(BARE, lambda after: 0.0)), id="zeros"),
    pytest.param(evidence_of(values={"request_rate": lambda after: 1e12}), id="huge"),
    pytest.param(evidence_of(*LAUNCH, window=Window(start=NOON, end=NOON + 60)), id="a-minute"),
    pytest.param(evidence_of(*LAUNCH, window=Window(start=NOON - 50_000, end=NOON + 1200)), id="over-midnight"),
]


@pytest.mark.parametrize("evidence", EXTREMES)
def test_extremes_fit(evidence: Evidence) -> None:
    image = png(evidence)
    assert size_of(image) == (800, 500)
    assert len(image) <= MOST_BYTES


def test_what_is_too_large_is_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(png(USUAL))
    monkeypatch.setattr(plot, "MOST_BYTES", whole - 1)
    assert size_of(png(USUAL)) == (640, 400)
    monkeypatch.setattr(plot, "MOST_BYTES", 1000)
    with pytest.raises(ClaudeScaleError, match="ask for a shorter window"):
        png(USUAL)


TICKS: list[Any] = [
    pytest.param(0, 60, ["12:00:00", "12:00:10", "12:00:20", "12:00:30", "12:00:40", "12:00:50", "12:01:00"], id="1m"),
    pytest.param(0, 1200, ["12:00", "12:05", "12:10", "12:15", "12:20"], id="20m"),
    pytest.param(100, 1200, ["12:05", "12:10", "12:15", "12:20"], id="odd"),
    pytest.param(-3600, 54_000, [*(f"03-01 {hour}:00" for hour in range(12, 24, 2)), "03-02 00:00", "03-02 02:00"],
                 id="over-midnight"),
    pytest.param(0, 604_800, [f"2026-03-0{day}" for day in range(2, 9)], id="week"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "end", "words"), TICKS)
def test_ticks(start: float, end: float, words: list[str]) -> None:
    ticks, labels = plot._ticks(NOON + start, NOON + end)
    assert labels == words
    assert all(NOON + start <= tick <= NOON + end for tick in ticks)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ClaudeScaleError, match="pip install matplotlib"):
        png(USUAL)


ALONE = """
import sys
from ansible_collections.claudescale.core.plugins.module_utils.evidence.plot import png
assert "matplotlib" not in sys.modules, "it is imported before it is needed"
from tests.engine.test_evidence_plot import USUAL
sys.stdout.buffer.write(png(USUAL))
assert "matplotlib.pyplot" not in sys.modules, "pyplot keeps every figure"
"""


def test_alone_and_without_a_home(tmp_path: Path) -> None:
    """In a process of its own, whose HOME is no folder and whose user likes thick lines: not a word, no file."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.write_text("", encoding="utf-8")
    temporary.mkdir()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\n", encoding="utf-8")
    paths = os.pathsep.join((str(ROOT), str(ROOT / "collections")))
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        env={**kept, "HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert done.stdout == png(USUAL)
    assert list(temporary.iterdir()) == []
    assert home.is_file()
