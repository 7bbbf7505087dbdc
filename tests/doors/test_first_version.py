"""Each script of the first version has a successor in docs/FROM_THE_FIRST_VERSION.md, and what that names exists."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import PROFILES
from claudescale_cli.main import app

from tests.support import ROOT

SCRIPTS = ("start-claudescale.sh", "stop-claudescale.sh", "status.sh", "verify-prometheus.sh", "generate-load.sh",
           "generate-load-simple.sh", "stress-until-scale.sh", "watch-autoscaling.sh", "test-mcp-server.sh",
           "manual-test-tools.py")  # fmt: skip
PAGE = (ROOT / "docs" / "FROM_THE_FIRST_VERSION.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|$", PAGE, flags=re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
ROOT_COMMAND: Any = typer.main.get_command(app)


def test_every_script_has_a_successor() -> None:
    assert tuple(ROWS) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_successor_exists(script: str) -> None:
    calls = re.findall(r"`([^`]+)`", ROWS[script])
    assert calls
    for call in calls:
        program, name, *words = call.split()
        if program == "make":
            assert name in TARGETS, call
            given = dict(word.split("=", 1) for word in words)
            assert given.get("PROFILE", "steady") in PROFILES, call
            continue
        assert program == "claudescale", call
        command = ROOT_COMMAND.commands[name]
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert set(words) <= known, call
