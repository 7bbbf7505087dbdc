"""A panel's picture: an SVG with its own background, so that it can be read on a dark page and on a light one.

Text stays text, numbers are cut to tenths of a point, and nothing in it depends on when or where it was drawn but the
times on its axis.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import matplotlib as mpl
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Window
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tools.dashboards.panels import Panel

PAPER, INK, SOFT, GRID, ALARM = "#fdfcf9", "#22262e", "#646b78", "#e4e2da", "#b3541e"
COLOURS = ("#2a8c82", "#c2571a", "#1f5fa8", "#8a5aa8", "#b3182b", "#6b7a1e", "#c48a00", "#4a6fa5", "#9c4f6e", "#3f7d4e")
INCHES = (6.4, 2.7)
WIDE_INCHES = (12.8, 2.9)
MOST_NAMED = 9  # series in the legend
TICKS = 7
TICK_SECONDS = (30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
SIZES = {"bytes": 2**20, "percentunit": 0.01}
COORDINATES = re.compile(r' (?:d|x|y|transform)="[^"]*"')
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "claudescale",
    "font.family": "sans-serif",
    "font.size": 9,
}


@dataclass(frozen=True, kw_only=True)
class Course:
    """A series of a panel: (Unix time in seconds, value), at the window's times."""

    name: str
    points: tuple[tuple[float, float], ...]

    def values(self, window: Window) -> list[float]:
        """One for each of the window's times; NaN, which breaks a line, where there is none."""
        known = dict(self.points)
        return [known.get(time, math.nan) for time in window.times]

    def line(self, window: Window) -> tuple[list[float], list[float]]:
        """Times and values, without those between two of the same value: they change no line."""
        values = self.values(window)
        kept = [
            place
            for place in range(len(values))
            if not 0 < place < len(values) - 1 or not values[place - 1] == values[place] == values[place + 1]
        ]
        return [window.times[place] for place in kept], [values[place] for place in kept]


def _scaled(course: Course, panel: Panel) -> Course:
    """In the unit of the axis, so that its ticks are round."""
    size = SIZES.get(panel.unit, 1)
    return Course(name=course.name, points=tuple((time, value / size) for time, value in course.points))


def svg(panel: Panel, courses: Sequence[Course], window: Window) -> str:
    """The picture. Its description holds the queries that it was drawn from, as JSON."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=WIDE_INCHES if panel.wide else INCHES, layout="constrained", facecolor=PAPER)
        FigureCanvasSVG(figure)
        _draw(figure, panel, [_scaled(course, panel) for course in courses], window)
        drawn = io.BytesIO()
        queries = json.dumps([{"expr": one.expr, "legend": one.legend} for one in panel.targets])
        figure.savefig(
            drawn,
            format="svg",
            facecolor=PAPER,
            metadata={"Title": panel.title, "Description": queries, "Date": None, "Creator": None},
        )
    text = drawn.getvalue().decode()
    # The picture's own element: a document type would ask readers for a file from elsewhere.
    return COORDINATES.sub(_cut, text[text.index("<svg") :])


def _cut(attribute: re.Match[str]) -> str:
    """Tenths of a point: six digits after it are more than a screen shows."""
    return re.sub(r"(\.\d)\d+", r"\1", attribute.group())


def _draw(figure: Any, panel: Panel, courses: Sequence[Course], window: Window) -> None:
    axes = figure.subplots()
    axes.set_facecolor(PAPER)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", color=INK)
    if panel.stacked:
        _stack(axes, courses, window)
    else:
        _lines(axes, panel, courses, window)
    if panel.threshold is not None:
        axes.axhline(panel.threshold / SIZES.get(panel.unit, 1), color=ALARM, linewidth=1, linestyle=(0, (4, 3)))
    _frame(axes, panel, window)
    handles, names = axes.get_legend_handles_labels()
    if len(names) > MOST_NAMED:
        names[MOST_NAMED - 1] = f"and {len(names) - MOST_NAMED + 1} more"
    columns = 5 if panel.wide else 3
    figure.legend(
        handles[:MOST_NAMED],
        names[:MOST_NAMED],
        loc="outside lower left",
        ncols=columns,
        fontsize=7.5,
        frameon=False,
        labelcolor=INK,
        handlelength=1.4,
        columnspacing=1.2,
    )


def _lines(axes: Any, panel: Panel, courses: Sequence[Course], window: Window) -> None:
    for index, course in enumerate(courses):
        dashed = panel.is_dashed(course.name)
        axes.plot(
            *course.line(window),
            color=SOFT if dashed else COLOURS[index % len(COLOURS)],
            linewidth=1.2 if dashed else 1.5,
            linestyle=(0, (4, 2 + index)) if dashed else "-",
            drawstyle="steps-post" if panel.steps else "default",
            label=course.name,
            # A single sample between gaps is no line.
            marker="." if _is_sparse(course, window) else None,
            markersize=3,
        )


def _is_sparse(course: Course, window: Window) -> bool:
    values = [math.isfinite(value) for value in course.values(window)]
    alone = [
        here and not before and not after
        for before, here, after in zip([False, *values], values, [*values[1:], False], strict=False)
    ]
    return any(alone)


def _stack(axes: Any, courses: Sequence[Course], window: Window) -> None:
    values = [[value if math.isfinite(value) else 0.0 for value in course.values(window)] for course in courses]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(courses))]
    axes.stackplot(window.times, values, colors=colours, alpha=0.75, labels=[course.name for course in courses])


def _frame(axes: Any, panel: Panel, window: Window) -> None:
    axes.set_xlim(window.start, window.end)
    if panel.from_zero:
        highest = max((value for line in axes.lines for value in line.get_ydata() if value > 0), default=None)
        axes.set_ylim(bottom=0, top=1 if highest is None and not panel.stacked else axes.get_ylim()[1])
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=SOFT, labelsize=8, length=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=panel.unit == "none" and panel.steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: words_of(value, panel.unit)))
    ticks = ticks_of(window)
    axes.set_xticks(ticks, [datetime.fromtimestamp(tick, UTC).strftime("%H:%M") for tick in ticks])
    first = datetime.fromtimestamp(window.start, UTC).strftime("%Y-%m-%d, UTC")
    axes.set_title(first, loc="right", fontsize=7.5, color=SOFT)


def ticks_of(window: Window) -> list[float]:
    """Round times, at most TICKS of them."""
    step = next((step for step in TICK_SECONDS if window.seconds / step <= TICKS), TICK_SECONDS[-1])
    return [float(tick) for tick in range(math.ceil(window.start / step) * step, int(window.end) + 1, step)]


def words_of(value: float, unit: str) -> str:
    """A value of an axis, in the size that SIZES names, with its unit."""
    if unit == "percentunit":
        return f"{value:.4g} %"
    if unit == "s":
        return f"{value * 1000:.4g} ms" if 0 < abs(value) < 1 else f"{value:.4g} s"
    if unit == "bytes":
        return f"{value:.4g} MiB"
    return f"{value:.4g}/s" if unit == "reqps" else f"{value:.4g}"
