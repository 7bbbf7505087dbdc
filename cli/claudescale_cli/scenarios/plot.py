"""A run's time line as SVG, to stand in a page: pods and floor, and where there was load, rate and latency. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from claudescale_cli.live.drawing import ALARM, GRID, HELD, INK, LOOSE, PAPER, SOFT, text
from claudescale_cli.scenarios.facts import Facts, Mark, Pods, Second, Span

WIDTH = 1100
LEFT, RIGHT = 64.0, 1076.0
TOP = 46.0  # of the first panel, under the marks' numbers
GAP = 44.0
PODS_HEIGHT, LOAD_HEIGHT = 170.0, 110.0
FOOT = 40.0
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # seconds between two ticks
TICKS = 12
NEAR = 16.0  # of two marks, whose numbers are written together
LEGEND = (("floor (minReplicas)", 190.0), ("replicas wanted", 160.0), ("pods ready", 90.0))  # and their widths
LINE = 'fill="none" stroke-linejoin="round"'

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A strip of the plot: what it measures, from zero to `most`, between two heights."""

    name: str
    top: float
    height: float
    most: float
    span: float  # seconds of the time axis

    def x(self, seconds: float) -> float:
        """Where a moment is."""
        part = min(max(seconds / self.span, 0.0), 1.0)
        return round(LEFT + part * (RIGHT - LEFT), 1)

    def y(self, value: float) -> float:
        """Where a value is."""
        return round(self.top + self.height - value / self.most * self.height, 1)

    @property
    def bottom(self) -> float:
        """Where zero is."""
        return self.top + self.height


def plot(facts: Facts) -> str:
    """The SVG element."""
    span = max(facts.seconds, *(one.at for one in facts.load), 1.0)
    panels = list(_panels(facts, span))
    height = panels[-1].bottom + FOOT
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img">',
        f"<title>{escape(f'{facts.title}: what was watched')}</title>",
        f'<rect x="0" y="0" width="{WIDTH}" height="{height:g}" rx="8" fill="{PAPER}"/>',
        *(part for panel in panels for part in _grid(panel)),
        *_ticks(panels[-1]),
        *_shades(panels, facts.spans),
        *_pods(panels[0], facts.pods, facts.seconds),
    ]
    if facts.load:
        parts += [*_load(panels[1], facts.load), *_latency(panels[2], facts.load)]
    parts += [*_marks(panels, facts.marks), "</svg>"]
    return "\n".join(parts)


def _panels(facts: Facts, span: float) -> Iterator[Panel]:
    most = max((max(one.replicas, one.ready, one.floor) for one in facts.pods), default=0)
    yield Panel(name="pods", top=TOP, height=PODS_HEIGHT, most=max(most, 1) + 1, span=span)
    if not facts.load:
        return
    rate = max(max(one.rate, one.ok + one.failed) for one in facts.load)
    top = TOP + PODS_HEIGHT + GAP
    yield Panel(name="requests a second", top=top, height=LOAD_HEIGHT, most=_round(rate), span=span)
    slowest = max((one.p95_ms for one in facts.load if one.p95_ms is not None), default=1.0)
    top += LOAD_HEIGHT + GAP
    yield Panel(name="latency in ms", top=top, height=LOAD_HEIGHT, most=_round(slowest), span=span)


def _round(value: float) -> float:
    """The next number of one or two digits, and zeros: the top of a scale."""
    size = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return math.ceil(value * 1.05 / size * 2) / 2 * size if value > 0 else 1.0


def _grid(panel: Panel) -> Iterator[str]:
    counts = range(int(panel.most) + 1) if panel.name == "pods" else (0, panel.most / 2, panel.most)
    for value in counts:
        yield f'<path d="M{LEFT} {panel.y(value)}H{RIGHT}" stroke="{GRID}"/>'
        yield text(LEFT - 10, panel.y(value) + 5, f"{value:g}", anchor="end", size=13, fill=SOFT)
    yield text(LEFT, panel.top - 8, panel.name, size=13, fill=SOFT, weight=600)


def _ticks(panel: Panel) -> Iterator[str]:
    step = next((step for step in STEPS if panel.span / step <= TICKS), STEPS[-1])
    for second in range(0, int(panel.span) + 1, step):
        x = panel.x(second)
        yield f'<path d="M{x} {panel.bottom}v6" stroke="{SOFT}"/>'
        words = f"{second} s" if second == 0 else str(second)
        yield text(x, panel.bottom + 22, words, anchor="middle", size=13, fill=SOFT)


def _pods(panel: Panel, pods: Sequence[Pods], end: float) -> Iterator[str]:
    """Floor as a band, replicas dashed, pods ready as a line: each a line of steps."""
    styles: tuple[tuple[str, Callable[[Pods], int], str], ...] = (
        ("floor", lambda one: one.floor, f'stroke="{HELD}" stroke-width="9" stroke-opacity="0.5"'),
        ("replicas", lambda one: one.replicas, f'stroke="{LOOSE}" stroke-width="2" stroke-dasharray="6 4"'),
        ("ready", lambda one: one.ready, f'stroke="{INK}" stroke-width="2.4"'),
    )
    if pods:
        for name, value, style in styles:
            yield f'<path class="{name}" d="{_stairs(panel, pods, value, end)}" {LINE} {style}/>'
    x = RIGHT - sum(width for _, width in LEGEND) - 34
    for (name, width), (_, _, style) in zip(LEGEND, styles, strict=True):
        yield f'<path d="M{x} {panel.top - 13}h26" {LINE} {style}/>'
        yield text(x + 34, panel.top - 8, name, size=13, fill=SOFT)
        x += width


def _stairs(panel: Panel, pods: Sequence[Pods], value: Callable[[Pods], int], end: float) -> str:
    path = f"M{panel.x(pods[0].at)} {panel.y(value(pods[0]))}"
    for one in pods[1:]:
        path += f"H{panel.x(one.at)}V{panel.y(value(one))}"
    return f"{path}H{panel.x(end)}"


def _load(panel: Panel, load: Sequence[Second]) -> Iterator[str]:
    """What was wanted as a line, what was answered as an area, what failed in red."""
    for part in _parts(load):
        answered = [(one.at, float(one.ok)) for one in part]
        area = f"{_line(panel, answered)}V{panel.y(0)}H{panel.x(part[0].at)}Z"
        yield f'<path d="{area}" fill="{HELD}" fill-opacity="0.25"/>'
        yield f'<path class="ok" d="{_line(panel, answered)}" {LINE} stroke="{HELD}" stroke-width="2"/>'
        wanted = _line(panel, [(one.at, float(one.rate)) for one in part])
        yield f'<path class="rate" d="{wanted}" {LINE} stroke="{SOFT}" stroke-width="1.4" stroke-dasharray="3 3"/>'
        if any(one.failed for one in part):
            failed = _line(panel, [(one.at, float(one.failed)) for one in part])
            yield f'<path class="failed" d="{failed}" {LINE} stroke="{ALARM}" stroke-width="2.4"/>'
    yield text(RIGHT, panel.top - 8, "dashed: wanted, line: answered, red: failed", anchor="end", size=13, fill=SOFT)


def _latency(panel: Panel, load: Sequence[Second]) -> Iterator[str]:
    for name, colour in (("p95_ms", ALARM), ("p50_ms", INK)):
        for part in _parts([one for one in load if getattr(one, name) is not None]):
            line = _line(panel, [(one.at, float(getattr(one, name))) for one in part])
            yield f'<path class="{name}" d="{line}" {LINE} stroke="{colour}" stroke-width="1.8"/>'
    yield text(RIGHT, panel.top - 8, "red: p95, dark: p50, of each second", anchor="end", size=13, fill=SOFT)


def _parts(load: Sequence[Second]) -> Iterator[list[Second]]:
    """Runs of seconds without a gap: two loads are two lines."""
    part: list[Second] = []
    for one in load:
        if part and one.at - part[-1].at > 3.0:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _line(panel: Panel, points: Sequence[Point]) -> str:
    places = [f"{panel.x(at)} {panel.y(min(value, panel.most))}" for at, value in points]
    return f"M{places[0]}" + "".join(f"L{place}" for place in places[1:])


def _shades(panels: Sequence[Panel], spans: Sequence[Span]) -> Iterator[str]:
    for span in spans:
        x, until = panels[0].x(span.at), panels[0].x(span.until)
        size = f'width="{until - x:.1f}" height="{panels[-1].bottom - TOP}"'
        yield f'<rect class="span" x="{x}" y="{TOP}" {size} fill="{ALARM}" fill-opacity="0.1"/>'
        yield text((x + until) / 2, panels[0].bottom - 8, span.words, anchor="middle", size=13, fill=ALARM)


def _marks(panels: Sequence[Panel], marks: Sequence[Mark]) -> Iterator[str]:
    """A number for each, over a line through all panels; their words stand in the page."""
    for first, last in _together([panels[0].x(mark.at) for mark in marks]):
        numbers = f"{first + 1}" if first == last else f"{first + 1}-{last + 1}"
        middle = (panels[0].x(marks[first].at) + panels[0].x(marks[last].at)) / 2
        yield text(middle, 20, numbers, anchor="middle", size=12, fill=INK, weight=700)
    for mark in marks:
        x = panels[0].x(mark.at)
        yield (
            f'<g class="mark" data-seconds="{mark.at:.3f}"><title>{escape(mark.words)}</title>'
            f'<path d="M{x} 26V{panels[-1].bottom}" stroke="{SOFT}" stroke-width="1" stroke-dasharray="2 3"/></g>'
        )


def _together(places: Sequence[float]) -> Iterator[tuple[int, int]]:
    """The first and the last of those that are too near for numbers of their own; places ascend."""
    first = 0
    for index, place in enumerate(places):
        if index + 1 == len(places) or places[index + 1] - place >= NEAR:
            yield first, index
            first = index + 1
