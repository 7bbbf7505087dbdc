"""The demo's picture: two courses side by side on one scale, as SVG with its own background. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape

from claudescale_cli.demo.course import LEAD, Course, Point, Story, lease_words, raw_words
from claudescale_cli.live.drawing import ALARM, GRID, HELD, INK, PAPER, SOFT, text

WIDTH, HEIGHT = 1200, 560
TOP, BOTTOM = 188.0, 424.0  # of both panels
PANELS = ((64.0, 590.0), (644.0, 1170.0))  # left and right edge

HELD_AREA, LOOSE_AREA = "#d3ece8", "#fbe3bd"
BAND = f'stroke="{HELD}" stroke-width="9" stroke-opacity="0.5"'  # the floor: replicas on it can still be seen
LINE = f'stroke="{INK}" stroke-width="2.6"'
SIZE = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\""


class Panel:
    """One course between two edges: places of seconds and counts, and what is drawn there."""

    def __init__(self, story: Story, course: Course, left: float, right: float) -> None:
        self.course = course
        self.left, self.right = left, right
        self._span, self._top = story.span, story.top

    def x(self, seconds: float) -> float:
        """Where a second is."""
        part = (seconds + LEAD) / (self._span + LEAD)
        return round(self.left + part * (self.right - self.left), 1)

    def y(self, count: float) -> float:
        """Where a count is."""
        return round(BOTTOM - count / self._top * (BOTTOM - TOP), 1)

    def steps(self, value: Callable[[Point], int]) -> str:
        """A line of steps from the first point to the end of the look."""
        points = self.course.points
        path = f"M{self.x(points[0].seconds)} {self.y(value(points[0]))}"
        for point in points[1:]:
            path += f"H{self.x(point.seconds)}V{self.y(value(point))}"
        return f"{path}H{self.x(self.course.seconds)}"

    def area(self, value: Callable[[Point], int], colour: str) -> str:
        """What is under such a line."""
        path = f"{self.steps(value)}V{self.y(0)}H{self.x(self.course.points[0].seconds)}Z"
        return f'<path d="{path}" fill="{colour}"/>'

    def grid(self, *, counts: bool) -> list[str]:
        """Lines of counts and seconds, with their numbers."""
        found = []
        for count in range(self._top + 1):
            y = self.y(count)
            found.append(f'<path d="M{self.left} {y}H{self.right}" stroke="{GRID}"/>')
            if counts:
                found.append(text(self.left - 12, y + 5, str(count), anchor="end", fill=SOFT))
        for second in range(0, int(self._span) + 1, 30):
            x = self.x(second)
            found.append(f'<path d="M{x} {BOTTOM}v6" stroke="{SOFT}"/>')
            words = f"{second} s" if second in (0, int(self._span)) else str(second)
            found.append(text(x, BOTTOM + 23, words, anchor="middle", size=13, fill=SOFT))
        return found

    def drawn(self) -> list[str]:
        """Areas and lines."""
        line = 'fill="none" stroke-linejoin="round" stroke-linecap="round"'
        return [
            self.area(lambda p: p.replicas, LOOSE_AREA),
            self.area(lambda p: min(p.replicas, p.floor), HELD_AREA),
            f'<path class="floor" d="{self.steps(lambda p: p.floor)}" {line} {BAND}/>',
            f'<path class="replicas" d="{self.steps(lambda p: p.replicas)}" {line} {LINE}/>',
        ]

    def mark(self, seconds: float, words: str, colour: str, *, anchor: str, name: str) -> str:
        """A moment, over the whole height, with its words above."""
        x = self.x(seconds)
        line = f'<path d="M{x} {TOP - 16}V{BOTTOM}" stroke="{colour}" stroke-width="1.6" stroke-dasharray="2 3"/>'
        shift = {"start": -4, "end": 4}.get(anchor, 0)
        label = text(x + shift, TOP - 23, words, anchor=anchor, size=14, fill=colour, weight=600)
        return f'<g class="mark" data-name="{name}" data-seconds="{seconds:.3f}">{line}{label}</g>'


def picture(story: Story) -> str:
    """The whole SVG."""
    raw = Panel(story, story.raw, *PANELS[0])
    lease = Panel(story, story.lease, *PANELS[1])
    observed = json.dumps({"raw": story.raw.facts(), "lease": story.lease.facts()})
    title = f"{story.raw.asked} replicas of {story.workload}, wanted before any load: a raw write, and a lease"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {SIZE} role="img" {FONT}>',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(f'{raw_words(story.raw)} {lease_words(story.lease, story.lease_seconds)}')}</desc>",
        f"<metadata>{escape(observed)}</metadata>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="14" fill="{PAPER}" stroke="{GRID}"/>',
        text(30, 44, title, size=22, weight=700),
        text(30, 68, story.where, fill=SOFT),
        text(raw.left, 112, "A raw write to /scale", size=17, weight=700),
        text(raw.left, 133, f"by {story.person}", fill=SOFT),
        text(lease.left, 112, f"A lease for {story.lease_seconds} s", size=17, weight=700),
        text(lease.left, 133, f"asked for by {story.account}", fill=SOFT),
        *raw.grid(counts=True),
        *lease.grid(counts=True),
        *raw.drawn(),
        *lease.drawn(),
        *_marks(story, raw, lease),
        text(raw.left, BOTTOM + 54, raw_words(story.raw), size=15, weight=600),
        text(raw.left, BOTTOM + 76, story.event or "no event of the autoscaler was seen", fill=SOFT),
        text(lease.left, BOTTOM + 54, lease_words(story.lease, story.lease_seconds), size=15, weight=600),
        text(lease.left, BOTTOM + 76, _after_words(story), fill=SOFT),
        *_legend(raw.left, HEIGHT - 28),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _after_words(story: Story) -> str:
    base = f"minReplicas is {story.lease.base} again"
    return f"{base}; no annotation, no owner entry is left" if story.exact else "the autoscaler is not what it was"


def _marks(story: Story, raw: Panel, lease: Panel) -> list[str]:
    found = [
        raw.mark(0, "written", INK, anchor="start", name="write"),
        lease.mark(0, "lease starts", HELD, anchor="start", name="starts"),
    ]
    back = story.raw.back
    if back is not None:
        found.append(raw.mark(back, f"taken back, {back:.0f} s", ALARM, anchor="middle", name="back"))
    restored = story.lease.restored
    if restored is not None:
        found.append(lease.mark(restored, "lease ends", HELD, anchor="middle", name="ends"))
    if back is not None and (restored is None or back < restored):
        x, y = lease.x(back), lease.y(story.raw.asked - 1.5)
        found.append(
            f'<g class="ghost"><path d="M{x} {lease.y(story.raw.asked)}V{BOTTOM}" stroke="{ALARM}"'
            f' stroke-dasharray="2 4"/>{text(x - 8, y, "the raw write was gone by here", anchor="end", fill=ALARM)}</g>'
        )
    return found


def _legend(x: float, y: float) -> list[str]:
    """What lines and colours mean."""
    return [
        f'<path d="M{x} {y - 5}h28" {LINE}/>',
        text(x + 38, y, "replicas", fill=SOFT),
        f'<path d="M{x + 130} {y - 5}h28" {BAND}/>',
        text(x + 168, y, "floor (minReplicas)", fill=SOFT),
        f'<rect x="{x + 330}" y="{y - 15}" width="28" height="18" fill="{HELD_AREA}"/>',
        text(x + 368, y, "held by the floor", fill=SOFT),
        f'<rect x="{x + 510}" y="{y - 15}" width="28" height="18" fill="{LOOSE_AREA}"/>',
        text(x + 548, y, "above the floor: the autoscaler takes it back when it sees no load", fill=SOFT),
    ]
