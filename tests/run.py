"""Run the project's tests, part by part, each with its time: `make test` and `make test-all`.

The last line is `N passed, N failed`; the exit code is 0 only when nothing failed and every part ran something.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROFILE = os.environ.get("CLAUDESCALE_TEST_PROFILE", "claudescale-test")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the tests: pytest's arguments, and whether they run in the environment that the kit gives."""

    name: str
    arguments: tuple[str, ...]
    cluster: bool = False
    short: bool = True  # belongs to `make test`
    beside: bool = False  # runs beside the others
    alone: bool = False  # runs after all others
    settings: tuple[tuple[str, str], ...] = ()  # of its environment


PARTS = (
    Part(name="lint", arguments=("tests/test_lint.py",), beside=True),
    Part(
        name="unit",
        arguments=("tests", "--ignore=tests/test_lint.py", "-m", "not cluster and not long and not clock"),
        beside=True,
    ),
    Part(name="cluster", arguments=("tests/cluster", "-m", "cluster and not long"), cluster=True),
    Part(name="clock", arguments=("tests/doors", "tests/engine", "tests/kit", "-m", "clock and not long"), alone=True),
    Part(
        name="thorough",
        arguments=("tests/engine/test_lease_machine.py", "tests/engine/test_lease_rules.py"),
        short=False,
        settings=(("CLAUDESCALE_THOROUGH", "1"),),
    ),
    Part(
        name="packages",
        arguments=(
            "tests/doors/test_packages.py",
            "tests/doors/test_bootstrap.py",
            "tests/doors/test_cli_forward.py",
            "-m",
            "long and not cluster",
        ),
        cluster=True,
        short=False,
    ),
    Part(
        name="mcp",
        arguments=(
            "tests/mcp",
            "tests/grafana",
            "tests/doors/test_mcp_identity.py",
            "tests/doors/test_mcp_hostile.py",
            "tests/doors/test_mcp_security_page.py",
            "tests/doors/test_cli_mcp_test.py",
            "tests/cluster/test_mcp_inspector.py",
            "tests/cluster/test_mcp_hostile.py",
            "tests/cluster/test_mcp_login.py",
            "tests/cluster/test_mcp_outages.py",
            "-m",
            "long",
        ),
        cluster=True,
        short=False,
    ),
    Part(name="module", arguments=("tests/cluster/test_minikube_module.py", "-m", "long"), cluster=True, short=False),
    Part(name="molecule", arguments=("tests/cluster/test_molecule.py", "-m", "long"), cluster=True, short=False),
    Part(name="guards", arguments=("tests/cluster/test_attacks.py", "-m", "long"), cluster=True, short=False),
    Part(name="faults", arguments=("tests/cluster/test_faults.py", "-m", "long"), cluster=True, short=False),
    Part(name="timing", arguments=("tests/benchmarks",), cluster=True, short=False),
    Part(
        name="reliability",
        arguments=(
            "tests/cluster/test_lease_faults.py",
            "tests/cluster/test_lease_flood.py",
            "tests/cluster/test_lease_sleep.py",
            "tests/cluster/test_lease_namespaces.py",
        ),
        cluster=True,
        short=False,
    ),
    Part(name="demo", arguments=("tests/cluster/test_demo.py", "-m", "long"), cluster=True, short=False),
    Part(name="eval", arguments=("tests/eval/test_eval.py",), cluster=True, short=False),
    Part(
        name="load",
        arguments=("tests/cluster/test_load_faults.py", "tests/cluster/test_dashboards.py", "-m", "long"),
        cluster=True,
        short=False,
    ),
    Part(name="scenarios", arguments=("tests/cluster/test_scenarios.py", "-m", "long"), cluster=True, short=False),
    Part(name="compare", arguments=("tests/cluster/test_compare.py", "-m", "long"), cluster=True, short=False),
    Part(name="lifecycle", arguments=("tests/cluster/test_lifecycle.py", "-m", "long"), short=False),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one part; a part that ran nothing counts as one failure."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0


def run_part(part: Part, folder: Path) -> Outcome:
    """Run one part to its end; what runs beside others gives way to them, and is shown when it has ended."""
    report = folder / f"{part.name}.xml"
    launcher = [str(ROOT / "tests/kit/run"), "--profile", PROFILE, "--"] if part.cluster else []
    if part.beside:
        launcher = ["nice"]
    options = ["--junitxml", str(report), "-o", "junit_family=xunit2"]
    if not (part.beside or part.alone):
        options.append("--capture=no")  # long steps show progress
    print(f"== {part.name} begins", flush=True)
    began = time.monotonic()
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "pytest", *part.arguments, *options],
        cwd=ROOT,
        env={**os.environ, **dict(part.settings)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if part.beside else None,
        stderr=subprocess.STDOUT if part.beside else None,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    print(f"{done.stdout or ''}== {part.name} ended after {seconds:.0f} s", flush=True)
    passed, failed, skipped = counts(report)
    if failed == 0 and (done.returncode != 0 or passed + skipped == 0):
        failed = 1
    return Outcome(name=part.name, passed=passed, failed=failed, skipped=skipped, seconds=seconds)


def counts(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) by pytest's report; (0, 1, 0) where there is none."""
    try:
        suite = ET.parse(report).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        suite = None
    if suite is None:
        return 0, 1, 0
    total, skipped = int(suite.get("tests", "0")), int(suite.get("skipped", "0"))
    failed = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    return max(total - failed - skipped, 0), failed, skipped


def main() -> int:
    """Parse the options, run the parts, print the table of times and the closing line."""
    parser = argparse.ArgumentParser(description="Run the tests.")
    parser.add_argument("--all", action="store_true", help="the long parts too")
    parser.add_argument("--part", choices=[part.name for part in PARTS], help="this part only")
    options = parser.parse_args()
    chosen = [part for part in PARTS if (part.name == options.part if options.part else options.all or part.short)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as pool:
        folder = Path(name)
        beside = [pool.submit(run_part, part, folder) for part in chosen if part.beside]
        outcomes = [run_part(part, folder) for part in chosen if not part.beside and not part.alone]
        outcomes = [future.result() for future in beside] + outcomes
        outcomes += [run_part(part, folder) for part in chosen if part.alone]
    if any(part.cluster for part in chosen) and not os.environ.get("CLAUDESCALE_KEEP"):
        subprocess.run([str(ROOT / "tests/kit/run"), "--down-if-last"], cwd=ROOT, check=False)
    outcomes.append(
        Outcome(
            name="all",
            passed=sum(outcome.passed for outcome in outcomes),
            failed=sum(outcome.failed for outcome in outcomes),
            skipped=sum(outcome.skipped for outcome in outcomes),
            seconds=time.monotonic() - started,
        )
    )
    print(f"\n{'part':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for row in outcomes:
        print(f"{row.name:<12}{row.passed:>8}{row.failed:>8}{row.skipped:>9}{row.seconds:>9.0f}")
    every = outcomes[-1]
    print(f"{every.passed} passed, {every.failed} failed, {every.skipped} skipped", flush=True)
    return 1 if every.failed else 0


if __name__ == "__main__":
    sys.exit(main())
