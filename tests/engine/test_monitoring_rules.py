"""Rules and dashboards as files: complete, told in the docs, drawn, and asking for series instead of constants.

What promtool and a running Prometheus say of them is in tests/cluster.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from claudescale_cli.verify import queries_of

from tests.support import ROOT
from tools.dashboards.panels import DASHBOARDS, PICTURES, Panel, dashboards

RULES = ROOT / "monitoring" / "rules"
ALERTS_PAGE = (ROOT / "docs" / "ALERTS.md").read_text(encoding="utf-8")
GRAFANA_PAGE = (ROOT / "docs" / "GRAFANA_SETUP.md").read_text(encoding="utf-8")
QUERIES_PAGE = (ROOT / "docs" / "PROMETHEUS_QUERIES.md").read_text(encoding="utf-8")
MOST_BYTES = 60_000
ROOM = 24  # columns of Grafana's grid

# Words of PromQL; what is left of an expression without them, numbers, labels and texts are series.
WORDS = {
    "abs", "absent", "and", "avg", "bool", "by", "clamp_min", "count", "group_left", "histogram_fraction",
    "histogram_quantile", "ignoring", "increase", "label_replace", "max", "min", "on", "or", "rate", "sum",
    "sum_over_time", "unless", "without",
}  # fmt: skip
CONSTANT = re.compile(r"\b(vector|scalar|time|pi)\s*\(|\*\s*0\b|\b0\s*\*")


def rules(kind: str) -> list[dict[str, Any]]:
    """Every rule of a kind: record or alert."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if kind in rule]


ALERTS = {rule["alert"]: rule for rule in rules("alert")}
RECORDS = {rule["record"]: rule for rule in rules("record")}
PANELS = [panel for one in dashboards() for panel in one.panels]
FILES = sorted(DASHBOARDS.glob("*.json"))
every_alert = pytest.mark.parametrize("name", ALERTS)
every_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.file.removesuffix(".svg"))
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def expressions() -> Iterator[tuple[str, str]]:
    """Where each expression stands, and the expression."""
    for name, rule in {**ALERTS, **RECORDS}.items():
        yield name, rule["expr"]
    for panel in PANELS:
        yield from ((f"{panel.file} {target.legend}", target.expr) for target in panel.targets)


def series_of(expr: str) -> set[str]:
    """The names of the series that an expression reads."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS


def test_there_is_something_to_look_at() -> None:
    assert len(ALERTS) >= 12 and len(RECORDS) >= 15 and len(PANELS) >= 25
    assert len(FILES) == len(dashboards()) == 3


@pytest.mark.parametrize(("where", "expr"), list(expressions()), ids=lambda part: part[:60])
def test_no_expression_is_a_constant(where: str, expr: str) -> None:
    assert not CONSTANT.search(expr), where
    assert series_of(expr), where


@pytest.mark.parametrize(
    "expr", ["vector(1)", "sum(up) or vector(0)", "scalar(up)", "time()", "1", "up * 0", "0 * up", "2 + 3"]
)
def test_a_constant_would_be_noticed(expr: str) -> None:
    assert CONSTANT.search(expr) or not series_of(expr)


def test_what_is_recorded_is_used_and_what_is_used_is_recorded() -> None:
    used = {name for _, expr in expressions() for name in series_of(expr)}
    used |= {name for query in queries_of(QUERIES_PAGE) for name in series_of(query.promql)}
    assert {name for name in used if ":" in name} == set(RECORDS)


@every_alert
def test_an_alert_says_what_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert name.startswith("ClaudeScale")
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert not summary.endswith(".") and len(summary) < 100
    assert description.endswith(".") and len(description) > 60 and "\n" not in description
    assert rule["annotations"]["runbook"] == f"docs/ALERTS.md#{name.lower()}"


def test_the_page_tells_every_alert_and_no_other() -> None:
    heads = re.findall(r"^### (\w+)$", ALERTS_PAGE, flags=re.MULTILINE)
    assert heads == list(ALERTS)


@every_alert
def test_the_page_tells_when_an_alert_fires(name: str) -> None:
    """The row of the table has the alert's severity and how long it waits, and its chapter what to do."""
    rule = ALERTS[name]
    row = re.search(rf"^\| \[{name}\]\(#{name.lower()}\) \| (\w+) \| ([^|]+) \| [^|]+ \|$", ALERTS_PAGE, re.MULTILINE)
    assert row, name
    assert row.group(1) == rule["labels"]["severity"]
    assert row.group(2) == rule.get("for", "at once")
    chapter = ALERTS_PAGE.partition(f"### {name}\n")[2].partition("\n### ")[0]
    assert "**Means**" in chapter and "**Do**" in chapter


@every_alert
def test_promtool_has_a_case_of_firing_and_one_of_silence(name: str) -> None:
    """That they hold is for promtool to say, in tests/cluster/test_rules.py."""
    cases = yaml.safe_load((ROOT / "tests" / "cluster" / "rules" / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    looks = [look for case in cases for look in case["alert_rule_test"] if look["alertname"] == name]
    assert any(look["exp_alerts"] for look in looks)
    assert any(not look["exp_alerts"] for look in looks)


def test_rules_and_dashboards_are_where_people_look_for_them() -> None:
    role = ROOT / "collections" / "ansible_collections" / "claudescale" / "core" / "roles" / "monitoring" / "files"
    for name in ("rules", "dashboards", "grafana"):
        link = ROOT / "monitoring" / name
        assert link.is_symlink() and not Path(link.readlink()).is_absolute()
        assert link.resolve() == role / name


@every_file
def test_a_dashboard_is_whole(file: Path) -> None:
    """What Grafana's own schema says is in test_dashboard_schema.py, which needs npm."""
    raw = json.loads(file.read_text(encoding="utf-8"))
    assert raw["uid"] == file.stem and raw["title"].startswith("ClaudeScale")
    assert raw["tags"] == ["claudescale"] and raw["editable"] is False
    panels = raw["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert len({panel["title"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in raw["templating"]["list"]}
    assert variables == {"namespace"}
    for panel in panels:
        assert panel["type"] == "timeseries" and panel["description"].endswith(".")
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids) > 0
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"prometheus"}
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


@every_file
def test_panels_do_not_overlap(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= ROOM and not cells & taken, panel["title"]
        taken |= cells


def test_every_dashboard_reads_one_namespace() -> None:
    """But for what is about Prometheus, or about the one controller."""
    everywhere = {expr for _, expr in expressions() if "$namespace" not in expr} & {
        target.expr for panel in PANELS for target in panel.targets
    }
    assert {name for expr in everywhere for name in series_of(expr)} <= {
        "ALERTS",
        "claudescale_clock_skew_seconds",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_rule_group_last_duration_seconds",
        "up",
        "where:claudescale_errors:increase2m",
        "write:claudescale_conflicts:increase2m",
    }


def test_every_panel_has_its_picture_and_every_picture_its_panel() -> None:
    assert {path.name for path in PICTURES.iterdir()} == {panel.file for panel in PANELS}


@every_panel
def test_a_picture_is_of_its_panel(panel: Panel) -> None:
    """It was drawn from the queries that the panel has now, and shows at least one course."""
    text = (PICTURES / panel.file).read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    picture = ET.fromstring(text)
    told = next(node for node in picture.iter() if node.tag.endswith("}description")).text
    assert json.loads(told or "") == [{"expr": one.expr, "legend": one.legend} for one in panel.targets]
    assert next(node for node in picture.iter() if node.tag.endswith("}title")).text == panel.title
    names = {node.get("id", "") for node in picture.iter()}
    assert any(name.startswith(("line2d_", "FillBetweenPolyCollection")) for name in names)
    assert not [node.tag for node in picture.iter() if node.tag.endswith(("}script", "}image"))]


def test_the_page_shows_every_picture_under_its_dashboard() -> None:
    for one in dashboards():
        chapter = GRAFANA_PAGE.partition(f"### {one.title}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
        shown = re.findall(r"!\[([^\]]+)\]\(dashboards/([\w.-]+)\)", chapter)
        assert shown == [(panel.title, panel.file) for panel in one.panels]
