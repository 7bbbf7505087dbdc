"""The official conformance suite: every server scenario of both eras of the protocol, with our middleware on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.mcp.programs import Programs
from tests.support import ROOT

pytestmark = pytest.mark.long

REVISIONS = ("2025-11-25", "2026-07-28")  # the last one with sessions, and the first one without
EXPECTED = Path(__file__).parent / "expected_failures.yaml"
MOST_EXPECTED = 10
SUITE_SECONDS = 600


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server with the fixtures is."""
    folder = tmp_path_factory.mktemp("fixture")
    with (folder / "log").open("w") as log, subprocess.Popen(
        [sys.executable, "-m", "tests.mcp.fixture_server", str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
    ) as server:  # fmt: skip
        address = server.stdout.readline().strip()
        assert address, (folder / "log").read_text()
        yield address
        server.stdin.close()
        assert server.wait(15) == 0


def suite(npm: Programs, address: str, folder: Path, *options: str) -> tuple[int, str, dict[str, list[dict[str, str]]]]:
    """(exit code, what it printed, the checks of each scenario)."""
    results = folder / "results"
    command = npm.command("conformance", "server", "--url", address, "--output-dir", str(results), *options)
    done = npm.run(command, home=folder / "home", seconds=SUITE_SECONDS)
    found = {}
    for file in sorted(results.glob("*/checks.json")):
        found[re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)] = json.loads(file.read_text())
    return done.code, done.text, found


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_applies(
    npm: Programs, address: str, revision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--suite", "all", "--spec-version", revision, "--expected-failures", str(EXPECTED))
    code, printed, scenarios = suite(npm, address, tmp_path, *options)
    checks = [(name, check) for name, every in scenarios.items() for check in every]
    passed = [name for name, check in checks if check["status"] == "SUCCESS"]
    with capsys.disabled():
        counted = Counter(check["status"] for _, check in checks)
        print(f"\nconformance {revision}: {len(scenarios)} scenarios, {dict(counted)}")
    assert code == 0, printed[-6000:]
    listed = npm.run(npm.command("conformance", "list", "--server", "--spec-version", revision), home=tmp_path / "home")
    applicable = re.findall(r"^ +- (\S+) \[", listed.out, flags=re.MULTILINE)
    assert set(scenarios) == set(applicable)
    expected = set(yaml.safe_load(EXPECTED.read_text())["server"])
    for name, check in checks:
        if check["status"] not in ("SUCCESS", "INFO", "SKIPPED"):
            assert f"{name}:{check['id']}" in expected, check
    assert set(scenarios) - set(passed) <= {entry.partition(":")[0] for entry in expected}, "nothing was looked at"


def test_a_failure_that_is_not_expected_is_one(npm: Programs, address: str, tmp_path: Path) -> None:
    code, printed, _ = suite(npm, address, tmp_path, "--scenario", "resources-subscribe")
    assert code != 0, printed


def test_an_expected_failure_that_passes_is_one(npm: Programs, address: str, tmp_path: Path) -> None:
    stale = tmp_path / "stale.yaml"
    stale.write_text("server:\n  - ping\n")
    code, printed, _ = suite(npm, address, tmp_path, "--scenario", "ping", "--expected-failures", str(stale))
    assert code != 0, printed


def test_each_expected_failure_has_its_reason() -> None:
    lines = EXPECTED.read_text().splitlines()
    entries = [number for number, line in enumerate(lines) if line.startswith("  - ")]
    assert len(entries) == len(yaml.safe_load(EXPECTED.read_text())["server"]) <= MOST_EXPECTED
    for number in entries:
        assert lines[number - 1].startswith("  # "), lines[number]
