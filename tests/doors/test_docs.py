"""What the documentation names is there: files behind links, headings, make's targets, commands, parts of the tests.

And what stands in fenced blocks of a language is of that language.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from claudescale_cli.main import app

from tests.run import PARTS
from tests.support import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "mcp_plugin" / "README.md",
    ROOT / "tests" / "kit" / "README.md",
    ROOT / "collections" / "ansible_collections" / "claudescale" / "core" / "README.md",
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CALL = re.compile(r"claudescale(?: --(?:context|namespace|kubeconfig) \S+)* ([a-z][a-z-]*)(.*)")
ROOT_COMMAND: Any = typer.main.get_command(app)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", text_of(page))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def typed(page: Path) -> Iterator[str]:
    """What a reader would type: inline code, and each line of a block without its prompt."""
    yield from CODE.findall(prose_of(page))
    for _, block in FENCE.findall(text_of(page)):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose_of(page)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            assert urllib.parse.urlsplit(target).scheme == "https", link
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {link}"
        assert file.is_relative_to(ROOT), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors_of(file), f"{page.name} links to {link}: {sorted(anchors_of(file))}"


def test_every_page_can_be_reached_from_the_first() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(prose_of(PAGES[0]))}
    assert set(PAGES[1:]) <= linked


@every_page
def test_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    for line in typed(page):
        for call in re.findall(r"^(?:[A-Z_]+=\S+ )*make (.*)", line):
            words = call.partition(" #")[0].split()
            named = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
            assert not named or named[0] in targets, f"{page.name}: make {call}"
            parts = [word.removeprefix("PART=") for word in words if word.startswith("PART=")]
            assert set(parts) - {"NAME"} <= {part.name for part in PARTS}, f"{page.name}: make {call}"


@every_page
def test_commands_exist(page: Path) -> None:
    for line in typed(page):
        found = re.match(
            r"(?:\.venv/bin/)?claudescale(?: --(?:context|namespace|kubeconfig) \S+)* ([a-z][a-z-]*)(.*)", line
        )
        if not found:
            continue
        name, rest = found.groups()
        assert name in ROOT_COMMAND.commands, f"{page.name}: {line}"
        command = ROOT_COMMAND.commands[name]
        below = re.match(r" ([a-z]+)\b", rest)
        if below and hasattr(command, "commands"):
            assert below.group(1) in command.commands, f"{page.name}: {line}"
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        for option in re.findall(r"(?<= )--[a-z-]+", rest) if not hasattr(command, "commands") else ():
            assert option in known, f"{page.name}: {line}"


@every_page
def test_blocks_of_a_language_are_of_that_language(page: Path) -> None:
    for language, block in FENCE.findall(text_of(page)):
        if language == "python":
            ast.parse(block)
        elif language == "json":
            json.loads(block)
        elif language == "yaml":
            assert list(yaml.safe_load_all(block))
        elif language in ("sh", "bash"):
            done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        else:
            assert language in ("", "console", "text", "promql"), language


def test_the_parts_of_the_tests_are_told() -> None:
    section = text_of(PAGES[0]).partition("\n## Tests\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z-]+)`", section)) - {"claudescale", "claudescale-test"}
    assert told <= {part.name for part in PARTS if not part.short}


def test_the_collections_page_lists_what_is_in_it() -> None:
    page = PAGES[-1]
    there = {f"claudescale.core.{file.stem}" for file in (page.parent / "playbooks").glob("*.yml")}
    there |= {f"claudescale.core.{file.stem}" for file in (page.parent / "plugins" / "modules").glob("*.py")}
    there |= {folder.name for folder in (page.parent / "roles").iterdir() if folder.is_dir()} - {"common"}
    told = re.findall(r"^\| `([a-z_.]+)` \| [^|]*[^|` ][^|]* \|$", text_of(page), flags=re.MULTILINE)
    assert {name for name in told if not name.startswith("claudescale_")} == there
