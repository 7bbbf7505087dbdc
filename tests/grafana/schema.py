"""Grafana's published schema of dashboards, npm's @grafana/schema, pinned by node/package-lock.json; installed once.

The package has types of TypeScript and no JSON schema, so TypeScript's compiler is asked: a dashboard's JSON is also an
expression of that language, and a literal may have no property that its type does not know.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.mcp.programs import Programs, cache, once, programs, step

HERE = Path(__file__).resolve().parent
LOCK = HERE / "node"
FILES = ("package.json", "package-lock.json")
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext",
           "--moduleResolution", "nodenext", "--pretty", "false")  # fmt: skip


def modules() -> Path:
    """Where the packages are; AssertionError where they cannot be installed."""
    pins = b"".join((LOCK / name).read_bytes() for name in FILES)
    place = cache() / f"grafana-schema-{hashlib.sha256(pins).hexdigest()[:12]}"
    once(place, _install)
    return place / "node_modules"


def _install(place: Path) -> None:
    place.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(LOCK / name, place / name)
    node = programs().node
    npm = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    step([str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], place)


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
