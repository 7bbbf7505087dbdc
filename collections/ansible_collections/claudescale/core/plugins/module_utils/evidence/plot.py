# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""One picture of a window, small enough for a chat: load above, pods with floor and base below, leases shaded."""

from __future__ import annotations

import atexit
import io
import logging
import math
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.capacity import stretches
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Evidence
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import Query
from ansible_collections.claudescale.core.plugins.module_utils.evidence.report import in_force, replicas_of
from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger
from ansible_collections.claudescale.core.plugins.module_utils.moments import to_the_second

MOST_BYTES = 100_000
INCHES = (8.0, 5.0)
DENSITIES = (100, 80, 60)  # dots per inch, until it is small enough
TICKS = 8
TICK_SECONDS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
LEASES_NAMED = 4
LONGEST_NAME = 24

LOAD, PODS, FLOOR, BASE, LEASE, REFUSAL = "#1f5fa8", "#2a8a4a", "#c2571a", "#555555", "#f2c14e", "#b3182b"
LABELS = {queries.REQUEST_RATE: "requests/s", queries.CPU_CORES: "CPU cores"}

_one_at_a_time = threading.Lock()  # its caches of fonts are one for the process


def png(evidence: Evidence) -> bytes:
    """The picture, of at most MOST_BYTES bytes. ClaudeScaleError where matplotlib is missing."""
    with _one_at_a_time:
        _set_up()
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - takes half a second
            from matplotlib.figure import Figure  # noqa: PLC0415
        except ImportError as error:
            raise ClaudeScaleError(
                f"a picture needs a Python package that is missing here ({error}): pip install matplotlib"
            ) from error
        figure = Figure(figsize=INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, evidence)
        for density in DENSITIES:
            drawn = io.BytesIO()
            figure.savefig(drawn, format="png", dpi=density, metadata={"Software": None})
            if drawn.tell() <= MOST_BYTES:
                return drawn.getvalue()
    raise ClaudeScaleError("the picture is too large to be sent: ask for a shorter window")


def _set_up() -> None:
    """Before the first import: a place for its files where HOME has none, and its own defaults instead of a user's."""
    if "matplotlib" in sys.modules:
        return
    if not os.environ.get("MPLCONFIGDIR") and not _has_home():
        folder = tempfile.mkdtemp(prefix="claudescale-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["MPLCONFIGDIR"] = folder
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its caches
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError:
        return  # said by whoever draws
    mpl.rcdefaults()


def _has_home() -> bool:
    """Whether matplotlib can keep its fonts' list where it wants to."""
    try:
        places = (Path.home() / ".config", Path.home() / ".cache")
    except RuntimeError:
        return False
    return all(os.access(place if place.exists() else place.parent, os.W_OK | os.X_OK) for place in places)


def _draw(figure: Any, evidence: Evidence) -> None:
    window = evidence.window
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    span = f"{to_the_second(window.start)} to {to_the_second(window.end)}"
    figure.suptitle(f"{_short(str(evidence.workload), 2 * LONGEST_NAME)}: {span}", fontsize=10)
    _load(above, evidence)
    _pods(below, evidence)
    _leases((above, below), evidence)
    for axes in (above, below):
        axes.set_xlim(window.start, window.end)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", fontsize=7, ncols=3, framealpha=0.8)
    ticks, labels = _ticks(window.start, window.end)
    below.set_xticks(ticks, labels)
    below.set_xlabel("UTC", fontsize=8)


def _load(axes: Any, evidence: Evidence) -> None:
    """Requests per second; CPU where nobody counts requests."""
    query = next((query for query in LABELS if evidence.points(query)), None)
    if query is None:
        _say(axes, "no numbers of load")
        return
    values = _values(evidence, query)
    axes.plot(evidence.window.times, values, color=LOAD, linewidth=1.6, label=LABELS[query])
    axes.set_ylabel(LABELS[query], fontsize=8)
    axes.set_ylim(bottom=0, top=_top(values))


def _pods(axes: Any, evidence: Evidence) -> None:
    """Pods and floor as steps, the base dashed, a mark at each refusal."""
    query = replicas_of(evidence)
    counts = _values(evidence, query) if query is not None else []
    if query is not None:
        label = "ready" if query is queries.PODS_READY else "running"
        axes.step(evidence.window.times, counts, where="post", color=PODS, linewidth=1.6, label=f"pods {label}")
    floors = stretches(evidence.history, evidence.standing, evidence.window)
    if floors:
        times = [*(one.start for one in floors), floors[-1].end]
        axes.step(times, _ends([one.floor for one in floors]), where="post", color=FLOOR, linewidth=1.4, label="floor")
        axes.step(
            times,
            _ends([one.base for one in floors]),
            where="post",
            color=BASE,
            linewidth=1.2,
            linestyle="--",
            label="base",
        )
    top = _top([*counts, *(float(one.floor) for one in floors)])
    refusals = [
        one.time
        for one in evidence.history.decisions
        if one.outcome == ledger.REFUSED and evidence.window.start <= one.time < evidence.window.end
    ]
    if refusals:
        marks = [top * 0.06] * len(refusals)
        axes.plot(refusals, marks, linestyle="none", marker="x", color=REFUSAL, markersize=6, label="refused")
    if query is None and not floors:
        _say(axes, "no numbers of pods")
    axes.set_ylabel("pods", fontsize=8)
    axes.set_ylim(bottom=0, top=top)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _leases(panels: Iterable[Any], evidence: Evidence) -> None:
    """The times of leases, shaded in both panels; the first ones are named."""
    above, below = panels
    for index, life in enumerate(in_force(evidence)):
        end = life.ended if life.ended is not None else evidence.window.end
        start, end = evidence.window.cut(life.began or evidence.window.start, end)
        label = "lease" if index == 0 else None
        below.axvspan(start, end, color=LEASE, alpha=0.25, linewidth=0, label=label)
        above.axvspan(start, end, color=LEASE, alpha=0.25, linewidth=0)
        if index < LEASES_NAMED:
            # Data across, and a share of the panel's height upward.
            above.text(
                start,
                0.02 + 0.06 * index,
                f" {_short(life.name, LONGEST_NAME)}",
                fontsize=7,
                color="#7a5a00",
                transform=above.get_xaxis_transform(),
                clip_on=True,
            )


def _values(evidence: Evidence, query: Query) -> list[float]:
    """One value for each time of the window; NaN, which breaks a line, where there is none."""
    known = dict(evidence.points(query))
    return [known.get(moment, math.nan) for moment in evidence.window.times]


def _ends(levels: list[int]) -> list[int]:
    return [*levels, levels[-1]]


def _top(values: Iterable[float]) -> float:
    """Room above the highest value for the legend."""
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    return highest * 1.35 if highest > 0 else 1.0


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, color="#777777", transform=axes.transAxes)


def _ticks(start: float, end: float) -> tuple[list[float], list[str]]:
    """Round times in UTC, at most TICKS of them, and their words."""
    step = next((step for step in TICK_SECONDS if (end - start) / step <= TICKS), TICK_SECONDS[-1])
    first = math.ceil(start / step) * step
    ticks = [float(tick) for tick in range(int(first), int(end) + 1, step)]
    begin, finish = (0, 10) if step >= TICK_SECONDS[-1] else (11, 19 if step < 60 else 16)
    same_day = moments.text(start)[:10] == moments.text(end)[:10]
    if not same_day and step < TICK_SECONDS[-1]:
        begin = 5
    return ticks, [moments.text(tick)[begin:finish].replace("T", " ") for tick in ticks]


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
