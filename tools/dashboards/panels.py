"""The dashboards of the role `monitoring`, read as what is drawn: panels, their queries, and how they look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "monitoring" / "dashboards"
PICTURES = ROOT / "docs" / "dashboards"

PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One query of a panel; `legend` has places for labels, as Grafana writes them."""

    expr: str
    legend: str

    def promql(self, namespace: str) -> str:
        """The query for one namespace, which is the only variable of the dashboards."""
        return self.expr.replace("$namespace", namespace)

    def name(self, labels: Mapping[str, str]) -> str:
        """What a series is called."""
        return PLACE.sub(lambda place: labels.get(place.group(1), ""), self.legend).strip()


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. `threshold` is a value at which a line is drawn, in the panel's unit."""

    dashboard: str
    title: str
    description: str
    unit: str
    targets: tuple[Target, ...]
    wide: bool = False
    steps: bool = False
    stacked: bool = False
    from_zero: bool = False
    threshold: float | None = None
    dashed: tuple[str, ...] = ()  # names of series, or patterns between slashes

    @property
    def file(self) -> str:
        """The name of its picture."""
        return f"{self.dashboard}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}.svg"

    def is_dashed(self, name: str) -> bool:
        """Whether a series is a bound, not a course."""
        return any(
            re.search(one[1:-1], name) is not None if one.startswith("/") else one == name for one in self.dashed
        )


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A file of panels."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def dashboards(folder: Path = DASHBOARDS) -> list[Dashboard]:
    """Every dashboard, the one that opens first before the others."""
    found = sorted(folder.glob("*.json"), key=lambda path: (path.stem.count("-"), path.stem))
    return [_dashboard(json.loads(path.read_text(encoding="utf-8"))) for path in found]


def _dashboard(raw: Mapping[str, Any]) -> Dashboard:
    panels = tuple(_panel(raw["uid"], panel) for panel in raw["panels"])
    return Dashboard(uid=raw["uid"], title=raw["title"], panels=panels)


def _panel(uid: str, raw: Mapping[str, Any]) -> Panel:
    defaults = raw["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    return Panel(
        dashboard=uid,
        title=raw["title"],
        description=raw["description"],
        unit=defaults["unit"],
        targets=tuple(Target(expr=one["expr"], legend=one["legendFormat"]) for one in raw["targets"]),
        wide=raw["gridPos"]["w"] == 24,
        steps=custom.get("lineInterpolation") == "stepAfter",
        stacked=(custom.get("stacking") or {}).get("mode") == "normal",
        from_zero=defaults.get("min") == 0,
        threshold=_threshold(defaults),
        dashed=tuple(_dashed(raw["fieldConfig"]["overrides"])),
    )


def _threshold(defaults: Mapping[str, Any]) -> float | None:
    steps = (defaults.get("thresholds") or {}).get("steps") or []
    values = [step["value"] for step in steps if step["value"] is not None]
    return float(values[0]) if values else None


def _dashed(overrides: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for override in overrides:
        if any(one["id"] == "custom.lineStyle" for one in override["properties"]):
            yield override["matcher"]["options"]
