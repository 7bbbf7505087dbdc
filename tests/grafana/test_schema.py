"""Every dashboard is what Grafana's own schema of this version says that a dashboard is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.grafana.schema import LOCK, complaints
from tests.support import ROOT
from tools.dashboards.panels import DASHBOARDS

pytestmark = pytest.mark.long

FILES = sorted(DASHBOARDS.glob("*.json"))
MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a name that is no setting": (lambda one: defaults(one).update(unti="s"), "unti"),
    "a name that is no setting of the panel": (lambda one: defaults(one)["custom"].update(lineWith=1), "lineWith"),
    "a text for a number": (lambda one: defaults(one)["custom"].update(lineWidth="1"), "Type 'string'"),
    "an unknown mode": (lambda one: panel(one)["options"]["tooltip"].update(mode="some"), '"some"'),
    "an unknown kind of variable": (lambda one: one["templating"]["list"][0].update(type="quarry"), '"quarry"'),
    "another panel": (lambda one: panel(one).update(type="graph"), '"graph"'),
    "no place": (lambda one: panel(one).update(gridPos={"x": 0, "y": 0, "w": 12}), "Property 'h'"),
    "a legend without what it needs": (lambda one: panel(one)["options"]["legend"].pop("calcs"), "calcs"),
    "a query without its text": (lambda one: panel(one)["targets"][0].pop("expr"), "expr"),
    "no version of the schema": (lambda one: one.pop("schemaVersion"), "schemaVersion"),
}


def panel(one: Any) -> Any:
    return one["panels"][0]


def defaults(one: Any) -> Any:
    return panel(one)["fieldConfig"]["defaults"]


def test_the_schema_has_nothing_against_them(tmp_path: Path) -> None:
    assert len(FILES) == 3
    assert complaints({path.stem: path.read_text(encoding="utf-8") for path in FILES}, tmp_path) == []


def test_it_is_the_schema_of_the_grafana_that_runs() -> None:
    role = ROOT / "collections" / "ansible_collections" / "claudescale" / "core" / "roles" / "monitoring"
    image = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))["monitoring_grafana_image"]
    pinned = json.loads((LOCK / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert image == f"grafana/grafana:{pinned['@grafana/schema']}"


def test_every_mistake_is_noticed(tmp_path: Path) -> None:
    """Each of these, made in a dashboard that is right otherwise, is refused, and what is refused is named."""
    right = json.loads(FILES[0].read_text(encoding="utf-8"))
    texts = {}
    for number, (spoil, _) in enumerate(MISTAKES.values()):
        wrong = copy.deepcopy(right)
        spoil(wrong)
        texts[f"wrong{number}"] = json.dumps(wrong, indent=2)
    lines = complaints(texts, tmp_path)
    for number, (name, (_, word)) in enumerate(MISTAKES.items()):
        said = [line for line in lines if line.startswith(f"wrong{number}.ts(")]
        assert any(word in line for line in said), (name, said)
