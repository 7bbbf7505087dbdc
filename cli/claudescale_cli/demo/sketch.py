"""The demo's picture for a terminal: a column for some seconds, a row for each replica. Pure."""

from __future__ import annotations

from claudescale_cli.demo.course import LEAD, Course, Story

COLUMNS = 44  # of each course
GAP = 4
BLOCKS = ("█", "░")  # held by the floor, above it
PLAIN = ("#", "o")  # where the terminal has no blocks


def sketch(story: Story, *, blocks: bool = True) -> list[str]:
    """Lines of one width: raw write left, lease right, on one scale of time."""
    held, loose = BLOCKS if blocks else PLAIN
    gap = " " * GAP
    lines = [f"   {'a raw write to /scale':<{COLUMNS}}{gap}{f'a lease for {story.lease_seconds} s':<{COLUMNS}}"]
    for row in range(story.top, 0, -1):
        cells = [
            "".join(_cell(course, second, row, held, loose) for second in _seconds(story))
            for course in (story.raw, story.lease)
        ]
        lines.append(f"{row:>2} {cells[0]}{gap}{cells[1]}")
    axis = _axis(story)
    lines.append(f"   {axis}{gap}{axis}")
    lines.append(f"   {held} held by the floor   {loose} above the floor")
    return [line.rstrip() for line in lines]


def _seconds(story: Story) -> list[float]:
    """The middle of each column."""
    width = (story.span + LEAD) / COLUMNS
    return [(column + 0.5) * width - LEAD for column in range(COLUMNS)]


def _cell(course: Course, second: float, row: int, held: str, loose: str) -> str:
    now = None
    for point in course.points:
        if point.seconds <= second <= course.seconds:
            now = point
    if now is None or row > now.replicas:
        return " "
    return held if row <= now.floor else loose


def _axis(story: Story) -> str:
    line = [" "] * COLUMNS
    for second in range(0, int(story.span), 60):
        column = int((second + LEAD) / (story.span + LEAD) * COLUMNS)
        words = f"{second} s" if second == 0 else str(second)
        line[column : column + len(words)] = words
    return "".join(line[:COLUMNS])
