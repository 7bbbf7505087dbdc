"""The comparison as one picture: the three arms side by side, load, pods and latency below each other, on one scale.

An SVG with a ground of its own, so that it reads on light and dark pages. Its text is text.
"""

from __future__ import annotations

import io
import math
from itertools import pairwise
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.compare import series
from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import Level, Run
from claudescale_cli.compare.outcome import HPA_AT_LEAST, LEASE_AT_MOST, Summary, summaries
from claudescale_cli.compare.report import Report
from claudescale_cli.compare.table import headlines
from claudescale_cli.live.drawing import GRID, INK, PAPER, SOFT

WIDTH, HEIGHT = 1200.0, 800.0  # points of the picture; text is placed by them, from the upper left
LEFTS, PANEL_WIDTH = (66.0, 444.0, 822.0), 348.0
ROWS = ((144.0, 288.0), (306.0, 438.0), (456.0, 588.0))  # load, pods, latency: upper and lower edge

LAUNCH = "#f6ead0"
IN_TIME, SLOW, FAILED = "#58a89f", "#e9a13b", "#b8352a"
GOOD = "#2a7a71"
READY, READY_LINE, FLOOR = "#ccd9ea", "#2d4f7c", "#b3541e"
P50, P99 = "#8f97a5", "#5b3f8c"

ABOUT = {
    Arm.HPA: "reacts to load when it sees it",
    Arm.RAW: "written {ahead} s ahead, nothing holds it",
    Arm.LEASE: "asked for {ahead} s ahead, through the MCP tool",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "claudescale",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
}


def picture(report: Report) -> str:
    """The SVG. ClaudeScaleError where an arm has no run yet, or matplotlib is missing."""
    found = summaries(report.runs, report.design)
    missing = [summary.arm.words for summary in found if summary.shown is None]
    if missing:
        raise ClaudeScaleError(f"there is no picture without a run of {', '.join(missing)}")
    try:
        import matplotlib as mpl  # noqa: PLC0415 - takes half a second
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ClaudeScaleError(
            f"a picture needs a Python package that is missing here ({error}): pip install matplotlib"
        ) from error
    drawn = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # a person's own settings would make another picture of it
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), facecolor=PAPER)
        FigureCanvasSVG(figure)
        _draw(figure, report, found)
        figure.savefig(drawn, format="svg", facecolor=PAPER, metadata={"Date": None, "Title": _title(report.design)})
    return drawn.getvalue()


def _draw(figure: Any, report: Report, found: tuple[Summary, ...]) -> None:
    design = report.design
    _say(figure, 24, 38, _title(design), size=19, weight="bold")
    _say(figure, 24, 62, _subtitle(report, found), size=11, colour=SOFT)
    shown = [summary.shown for summary in found if summary.shown is not None]
    tops = _tops(shown, design)
    for place, (summary, run) in enumerate(zip(found, shown, strict=True)):
        left = LEFTS[place]
        _say(figure, left, 104, summary.arm.words, size=16, weight="bold")
        about = ABOUT[summary.arm].format(ahead=design.ahead)
        _say(figure, left, 122, about, size=10.5, colour=SOFT)
        if not run.valid:
            _say(figure, left + PANEL_WIDTH, 104, "INVALID", size=13, weight="bold", colour=FAILED, align="right")
        axes = [_axes(figure, left, row, top, design) for row, top in zip(ROWS, tops, strict=True)]
        _load(axes[0], run, design)
        _pods(axes[1], run, design)
        _latency(axes[2], run, design)
        for one in axes[:2]:
            one.tick_params(labelbottom=False)
        axes[2].set_xlabel("seconds from the launch", fontsize=9.5, color=SOFT)
        if place == 0:
            for one, words in zip(axes, ("requests per second", "pods", "latency, seconds"), strict=True):
                one.set_ylabel(words, fontsize=9.5, color=SOFT)
        else:
            for one in axes:
                one.tick_params(labelleft=False)
        _headlines(figure, summary, design, left)
    _legends(figure)


def _title(design: Design) -> str:
    return (
        f"An announced launch, {design.calm_rate} to {design.launch_rate} requests per second:"
        " the HPA alone, a raw write to /scale, a lease"
    )


def _subtitle(report: Report, found: tuple[Summary, ...]) -> str:
    design = report.design
    most = max(len(summary.outcomes) for summary in found)
    which = f"each arm's run with the median share of {most}" if most > 1 else "one run of each"
    cut = " INCOMPLETE." if report.why_incomplete else " Shortened: a trial." if design.shortened else ""
    day = min(run.began for run in report.runs)[:10]
    return (
        f"Measured on {day}: {which}; pods warm up for {design.warmup} s;"
        f" good is an answer within {design.objective:g} s.{cut}"
    )


def _tops(runs: list[Run], design: Design) -> tuple[float, float, float]:
    """The upper ends of the three scales, the same for all arms."""
    pods = max(max(level.ready, level.floor, level.wanted) for run in runs for level in run.levels)
    p99s = [value for run in runs for value in series.latencies(run.requests, design.end).p99]
    slowest = max((value for value in p99s if math.isfinite(value)), default=0.0)
    return design.launch_rate * 1.18, pods + 0.9, max(2.2 * design.objective, 1.12 * slowest)


def _axes(figure: Any, left: float, row: tuple[float, float], top: float, design: Design) -> Any:
    upper, lower = row
    axes = figure.add_axes(
        (left / WIDTH, 1 - lower / HEIGHT, PANEL_WIDTH / WIDTH, (lower - upper) / HEIGHT), facecolor=PAPER
    )
    axes.set_xlim(-design.launch, design.end - design.launch + 4)
    axes.set_ylim(0, top)
    axes.axvspan(0, design.end - design.launch, color=LAUNCH, linewidth=0, zorder=0)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(labelsize=9, colors=SOFT, length=3)
    step = next(step for step in (60, 30, 10) if design.end >= 4 * step or step == 10)
    first, last = -(design.launch // step), (design.end - design.launch) // step
    axes.set_xticks([step * count for count in range(first, last + 1)])
    axes.yaxis.get_major_locator().set_params(nbins=5, integer=top > 3)
    return axes


def _load(axes: Any, run: Run, design: Design) -> None:
    """Each second's requests, by what came of them."""
    found = series.load(run.requests, design.end, design.objective)
    steps = list(zip(found.in_time, found.slow, found.failed, strict=True))
    # A second that is like the one before needs no corner of its own: the picture is half as large.
    corners = [second for second, step in enumerate(steps) if second == 0 or step != steps[second - 1]]
    axes.stackplot(
        [*(second - design.launch for second in corners), design.end - design.launch],
        *([*(steps[second][part] for second in corners), steps[-1][part]] for part in range(3)),
        colors=(IN_TIME, SLOW, FAILED),
        linewidth=0,
        step="post",
    )
    axes.text(
        0.008 * design.end, 0.985, "launch", fontsize=9.5, color=INK, va="top", transform=axes.get_xaxis_transform()
    )


def _pods(axes: Any, run: Run, design: Design) -> None:
    """Ready pods as an area, the floor as a line, and what moved them."""
    times = [level.seconds - design.launch for level in run.levels]
    times = [max(times[0], -design.launch), *times[1:], design.end - design.launch]
    ready = _ends([level.ready for level in run.levels])
    axes.fill_between(times, ready, step="post", color=READY, linewidth=0)
    axes.step(times, ready, where="post", color=READY_LINE, linewidth=1.7, gid=f"ready-{run.arm}")
    floors = _ends([level.floor for level in run.levels])
    dashes = (0, (2.2, 1.1))
    axes.step(times, floors, where="post", color=FLOOR, linewidth=2.4, linestyle=dashes, gid=f"floor-{run.arm}")
    top = design.asked + 0.22
    if run.arm is Arm.RAW and run.acted is not None:
        _mark(axes, run.acted - design.launch, top, "written", "left")
        back = _taken_back(run.levels, design)
        if back is not None:
            _mark(axes, back - design.launch, top, "taken back", "left")
    elif run.arm is Arm.LEASE:
        _mark(axes, design.act - design.launch, top, "asked for", "left")
        _mark(axes, design.lease_start - design.launch, top, "starts", "right")


def _mark(axes: Any, at: float, height: float, words: str, align: str) -> None:
    left, right = axes.get_xlim()
    shift = (right - left) * (0.008 if align == "left" else -0.008)
    axes.text(at + shift, height, words, fontsize=9.5, color=INK, ha=align)
    axes.plot([at, at], [0, height + 0.5], color=INK, linewidth=0.9, linestyle=(0, (1, 2)))


def _taken_back(levels: tuple[Level, ...], design: Design) -> float | None:
    """When replicas were taken away before the launch: the last time, which is the one that leaves the base."""
    times = [
        now.seconds
        for before, now in pairwise(levels)
        if now.wanted < before.wanted and design.act <= now.seconds < design.launch
    ]
    return times[-1] if times else None


def _latency(axes: Any, run: Run, design: Design) -> None:
    """Median and 99th percentile of the answers, and the objective."""
    found = series.latencies(run.requests, design.end)
    seconds = [second - design.launch for second in found.seconds]
    axes.plot(seconds, found.p99, color=P99, linewidth=1.5)
    axes.plot(seconds, found.p50, color=P50, linewidth=1.3)
    axes.axhline(design.objective, color=FAILED, linewidth=1.1, linestyle=(0, (4, 2)))


def _headlines(figure: Any, summary: Summary, design: Design, left: float) -> None:
    """The arm's three figures, in boxes of a third of the panel's width."""
    colours = (_colour(summary), P99, READY_LINE)
    for place, (one, colour) in enumerate(zip(headlines(summary, design), colours, strict=True)):
        x = left + (0, 150, 258)[place]
        _say(figure, x, 668, one.figure, size=22, weight="bold", colour=colour)
        _say(figure, x, 687, one.words, size=9.5, colour=SOFT)
        _say(figure, x, 703, one.spread, size=9.5, colour=SOFT)


def _colour(summary: Summary) -> str:
    """Of an arm's share: by the aims for the launch."""
    share = summary.spread(lambda one: one.share)
    if share is None:
        return SOFT
    return FAILED if share.median >= HPA_AT_LEAST else GOOD if share.median <= LEASE_AT_MOST else SLOW


def _legends(figure: Any) -> None:
    """What colours and lines mean, in one line."""
    x = LEFTS[0]
    for kind, colour, words, width in (
        ("area", IN_TIME, "answered in time", 118),
        ("area", SLOW, "slower", 66),
        ("area", FAILED, "failed", 62),
        ("area", READY, "ready pods", 90),
        ("line", FLOOR, "floor (minReplicas)", 136),
        ("line", P99, "p99", 50),
        ("line", P50, "median", 68),
        ("line", FAILED, "objective", 80),
        ("area", LAUNCH, "the launch, which is judged", 0),
    ):
        _patch(figure, kind, colour, x, 744)
        _say(figure, x + 26, 744, words, size=10.5, colour=SOFT)
        x += width + 26
    _say(
        figure, LEFTS[0], 772, "Replica-seconds: ready pods, added up from the raw write's time to the load's end.",
        size=9.5, colour=SOFT,
    )  # fmt: skip


def _patch(figure: Any, kind: str, colour: str, x: float, y: float) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - drawn only where it is there
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    if kind == "area":
        figure.add_artist(
            Rectangle(
                (x / WIDTH, 1 - y / HEIGHT),
                20 / WIDTH,
                10 / HEIGHT,
                color=colour,
                linewidth=0,
                transform=figure.transFigure,
            )
        )
    else:
        height = 1 - (y - 4.5) / HEIGHT
        dash: Any = {FLOOR: (0, (2.2, 1.1)), FAILED: (0, (4, 2))}.get(colour, "-")
        figure.add_artist(
            Line2D([x / WIDTH, (x + 20) / WIDTH], [height, height], color=colour, linewidth=2.2, linestyle=dash)
        )


def _say(
    figure: Any,
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    weight: str = "normal",
    colour: str = INK,
    align: str = "left",
) -> None:
    figure.text(x / WIDTH, 1 - y / HEIGHT, words, fontsize=size, fontweight=weight, color=colour, ha=align)


def _ends(levels: list[int]) -> list[int]:
    return [*levels, levels[-1]]
