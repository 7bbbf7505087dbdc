"""Draw every panel of the dashboards with live data: `python -m tools.dashboards --context claudescale --minutes 15`.

Asks the running cluster's Prometheus what Grafana would ask it, and writes one SVG per panel to docs/dashboards. Where
a panel has no data nothing is written: send load first (`make load`), with a lease during it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence.model import Window

from tools.dashboards.drawing import Course, svg
from tools.dashboards.panels import DASHBOARDS, PICTURES, Panel, dashboards


def gather(prometheus: Prometheus, panel: Panel, window: Window) -> list[Course]:
    """What a panel shows of a window; QueryError where Prometheus refuses a query."""
    found = []
    for target in panel.targets:
        promql = target.promql(prometheus.cluster.namespace)
        for track in prometheus.tracks(promql, start=window.start, end=window.end, step=window.step):
            points = tuple(point for point in track.points if math.isfinite(point[1]))
            if points:
                found.append(Course(name=target.name(track.labels), points=points))
    return found


def draw(prometheus: Prometheus, window: Window, panels: Sequence[Panel]) -> dict[str, str]:
    """The pictures by their files' names; ClaudeScaleError names the panels that have no data."""
    courses = {panel: gather(prometheus, panel, window) for panel in panels}
    empty = [f"{panel.dashboard}: {panel.title}" for panel, found in courses.items() if not found]
    if empty:
        raise ClaudeScaleError(f"no data for {', '.join(empty)}: send load, with a lease during it, and draw again")
    return {panel.file: svg(panel, found, window) for panel, found in courses.items()}


def write(pictures: dict[str, str], folder: Path) -> None:
    """Write them, and take away those whose panel is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        if old.name not in pictures:
            old.unlink()
    for name, text in pictures.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 with a line for each picture, 2 with one sentence where something is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards", description="Draw the dashboards' panels.")
    parser.add_argument("--context", default="claudescale", help="the kubeconfig's context")
    parser.add_argument("--namespace", default="claudescale", help="where the stack runs")
    parser.add_argument("--minutes", type=int, default=15, help="how far back")
    parser.add_argument("--end", type=float, default=None, help="the Unix time at which the window ends; now")
    parser.add_argument("--into", type=Path, default=PICTURES, help="where the pictures go")
    options = parser.parse_args(arguments)
    try:
        prometheus = Prometheus(ClusterClient(context=options.context, namespace=options.namespace))
        now = prometheus.value("time()") if options.end is None else options.end
        if now is None:
            raise ClaudeScaleError("Prometheus does not tell the time: look at its pod")
        window = Window.before(now, options.minutes * 60)
        pictures = draw(prometheus, window, [panel for one in dashboards(DASHBOARDS) for panel in one.panels])
    except ClaudeScaleError as error:
        print(error, file=sys.stderr)
        return 2
    write(pictures, options.into)
    for name, text in pictures.items():
        print(f"{len(text.encode()) / 1000:6.1f} kB  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
