"""A run's report on disk: a page and a JSON of the same facts, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.scenarios.facts import Facts
from claudescale_cli.scenarios.page import page

ELSEWHERE = "name another folder by --report"


def prepare(folder: Path) -> None:
    """Make the folder, whose parent must be there. ClaudeScaleError where nothing can be written into it."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ClaudeScaleError(f"{folder} cannot be made ({error.strerror}): {ELSEWHERE}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ClaudeScaleError(f"nothing can be written into {folder}: {ELSEWHERE}")


def write(facts: Facts, folder: Path, name: str) -> Path:
    """Write both files in the place of older ones; where the page is. ClaudeScaleError where that fails."""
    clock = moments.to_the_second(facts.began)
    told = facts.to_object(clock)
    shown = folder / f"{name}.html"
    _replace(folder / f"{name}.json", json.dumps(told, indent=2) + "\n")
    _replace(shown, page(facts, told, clock))
    return shown.resolve()


def _replace(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ClaudeScaleError(f"{file} cannot be written ({error.strerror}): {ELSEWHERE}") from error
