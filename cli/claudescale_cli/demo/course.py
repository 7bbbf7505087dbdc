"""What was observed in one act of the demo: replicas and floor over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from claudescale_cli.live.seen import Seen

EARLY = 2.0  # seconds that an end may come early: Kubernetes cuts times of creation to whole seconds
LEAD = 10.0  # seconds shown before the act begins


@dataclass(frozen=True, kw_only=True)
class Point:
    """From so many seconds after the act began, until the next point."""

    seconds: float
    replicas: int
    floor: int


@dataclass(frozen=True, kw_only=True)
class Course:
    """One act, looked at for `seconds`. The first point is what stood when it began, or LEAD before."""

    points: tuple[Point, ...]
    seconds: float
    base: int
    asked: int

    def first(self, replicas: int | None = None, floor: int | None = None, after: float = 0.0) -> float | None:
        """When a value was first seen from `after` on; None where it was not."""
        for point in self.points:
            wanted = (replicas is None or point.replicas == replicas) and (floor is None or point.floor == floor)
            if wanted and point.seconds >= after:
                return point.seconds
        return None

    @property
    def up(self) -> float | None:
        """When as many were wanted as were asked for."""
        return self.first(replicas=self.asked)

    @property
    def back(self) -> float | None:
        """When the replicas were back at base."""
        up = self.up
        return None if up is None else self.first(replicas=self.base, after=up)

    @property
    def dropped(self) -> float | None:
        """When fewer replicas than asked for stood first after they had all been there."""
        up = self.up
        if up is None:
            return None
        return next((p.seconds for p in self.points if p.seconds > up and p.replicas < self.asked), None)

    @property
    def raised(self) -> float | None:
        """When the floor stood at what was asked for."""
        return next((p.seconds for p in self.points if p.floor >= self.asked), None)

    @property
    def restored(self) -> float | None:
        """When the floor was at base again."""
        raised = self.raised
        return None if raised is None else self.first(floor=self.base, after=raised)

    def held(self, seconds: float) -> bool:
        """Whether replicas and floor stood from their beginning to the end, so many seconds later."""
        if self.restored is None or self.up is None or self.restored < seconds - EARLY:
            return False
        return self.dropped is None or self.dropped >= self.restored

    def facts(self) -> list[dict[str, Any]]:
        """The points for machines, to the millisecond."""
        return [{**asdict(point), "seconds": round(point.seconds, 3)} for point in self.points]


@dataclass(frozen=True, kw_only=True)
class Story:
    """All that the picture shows."""

    workload: str
    where: str  # context and time
    raw: Course
    lease: Course
    person: str  # who wrote the scale
    account: str  # who asked for the lease
    lease_seconds: int
    event: str  # of the autoscaler that took the write back; "" where there was none
    exact: bool  # whether the autoscaler was afterwards what it had been

    @property
    def span(self) -> float:
        """Seconds of the time axis, the same for both: whole half minutes."""
        longest = max(self.raw.seconds, self.lease.seconds)
        return 30.0 * (int(longest // 30) + 1)

    @property
    def top(self) -> int:
        """The highest count that is shown."""
        courses = (self.raw, self.lease)
        return max(max(p.replicas, p.floor, course.asked) for course in courses for p in course.points) + 1


def raw_words(course: Course) -> str:
    """What became of a raw write."""
    if course.back is None:
        return f"Not taken back within {course.seconds:.0f} s."
    return f"The autoscaler took it back: {course.base} again after {course.back:.0f} s."


def lease_words(course: Course, seconds: float) -> str:
    """What became of a lease for so many seconds."""
    if course.restored is None:
        return f"The floor did not come back within {course.seconds:.0f} s."
    if course.restored < seconds - EARLY:
        return f"It was over after {course.restored:.0f} s, before its time."
    if course.up is None:
        return f"The replicas never reached {course.asked}."
    if course.dropped is not None and not course.held(seconds):
        return f"It did not hold: fewer than {course.asked} after {course.dropped:.0f} s."
    return f"It held {course.asked} to its end, then let go by itself."


def course(seen: Sequence[Seen], began: float, ended: float, *, base: int, asked: int) -> Course:
    """What was seen from LEAD before an act's beginning to its end, both monotonic."""
    points: list[Point] = []
    first = began - LEAD
    for one in seen:
        if one.at > ended:
            break
        point = Point(seconds=max(one.at, first) - began, replicas=one.replicas, floor=one.floor)
        if one.at <= first:
            points = [point]
        elif not points or (points[-1].replicas, points[-1].floor) != (point.replicas, point.floor):
            points.append(point)
    return Course(points=tuple(points), seconds=ended - began, base=base, asked=asked)
