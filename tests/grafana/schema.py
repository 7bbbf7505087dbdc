"""Grafana's published schema of dashboards, npm's @grafana/schema, pinned by node/package-lock.json; installed once.

The package has types of TypeScript and no JSON schema, so TypeScript's compiler is asked: a dashboard's JSON is also an
expression of that language, and a literal may have no property that its type does not know.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.mcp.programs import Programs, packages, programs

HERE = Path(__file__).resolve().parent
LOCK = HERE / "node"
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext",
           "--moduleResolution", "nodenext", "--pretty", "false")  # fmt: skip


def modules() -> Path:
    """Where the packages are; AssertionError where they cannot be installed."""
    return packages("grafana-schema", LOCK)


def complaints(dashboards: Mapping[str, str], folder: Path) -> list[str]:
    """What the schema has against dashboards, by their names as JSON: a line each, NAME.ts(LINE,COLUMN): words."""
    (folder / "node_modules").symlink_to(modules())
    shutil.copyfile(HERE / "ours.ts", folder / "ours.ts")
    for name, text in dashboards.items():
        head = 'import type { Ours } from "./ours.js"; export const dashboard: Ours ='
        (folder / f"{name}.ts").write_text(f"{head} {text}", encoding="utf-8")
    npm: Programs = programs()
    compiler = str(folder / "node_modules" / "typescript" / "bin" / "tsc")
    done = npm.run(
        [str(npm.node), compiler, *OPTIONS, *(f"{name}.ts" for name in dashboards)],
        home=folder / "home",
        folder=folder,
    )
    assert bool(done.code) == bool(done.text.strip()), done.text
    return done.text.splitlines()
