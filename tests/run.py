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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROFILE = "claudescale-test"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the tests: pytest's arguments, and whether they run in the environment that the kit gives."""

    name: str
    arguments: tuple[str, ...]
    cluster: bool = False
    short: bool = True  # belongs to `make test`
    beside: bool = False  # runs beside the part after it, its output shown when it has ended


PARTS = (
    Part(name="lint", arguments=("tests/test_lint.py",), beside=True),
    Part(name="unit", arguments=("tests", "--ignore=tests/test_lint.py", "-m", "not cluster and not long")),
    Part(name="cluster", arguments=("tests/cluster", "-m", "cluster and not long"), cluster=True),
    Part(name="packages", arguments=("tests/doors", "-m", "long and not cluster"), cluster=True, short=False),
    Part(name="module", arguments=("tests/cluster/test_minikube_module.py", "-m", "long"), cluster=True, short=False),
    Part(name="molecule", arguments=("tests/cluster/test_molecule.py", "-m", "long"), cluster=True, short=False),
    Part(name="faults", arguments=("tests/cluster/test_faults.py", "-m", "long"), cluster=True, short=False),
    Part(name="lifecycle", arguments=("tests/cluster/test_lifecycle.py", "-m", "long"), short=False),
)


def start_part(part: Part, report: Path) -> subprocess.Popen[str]:
    """Start one part; what runs beside others is told when it has ended."""
    launcher = [str(ROOT / "tests/kit/run"), "--profile", PROFILE, "--"] if part.cluster else []
    options = ["--junitxml", str(report), "-o", "junit_family=xunit2"]
    if part.name not in ("lint", "unit"):
        options.append("--capture=no")  # long steps show progress
    return subprocess.Popen(
        [*launcher, sys.executable, "-m", "pytest", *part.arguments, *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if part.beside else None,
        stderr=subprocess.STDOUT if part.beside else None,
        text=True,
    )


def end_part(process: subprocess.Popen[str], report: Path) -> tuple[int, int, int]:
    """Wait for a part; (passed, failed, skipped), where a part that ran nothing counts as one failure."""
    output, _ = process.communicate()
    if output:
        print(output, end="", flush=True)
    try:
        suite = ET.parse(report).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        suite = None
    if suite is None:
        return 0, 1, 0
    total, skipped = int(suite.get("tests", "0")), int(suite.get("skipped", "0"))
    failed = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    if failed == 0 and (process.returncode != 0 or total == 0):
        failed = 1
    return max(total - failed - skipped, 0), failed, skipped


def main() -> int:
    """Parse the options, run the parts, print the table of times and the closing line."""
    parser = argparse.ArgumentParser(description="Run the tests.")
    parser.add_argument("--all", action="store_true", help="the long parts too")
    parser.add_argument("--part", choices=[part.name for part in PARTS], help="this part only")
    options = parser.parse_args()
    chosen = [part for part in PARTS if (part.name == options.part if options.part else options.all or part.short)]
    started = time.monotonic()
    rows: list[tuple[str, tuple[int, int, int], float]] = []
    with tempfile.TemporaryDirectory() as folder:
        under_way: list[tuple[Part, subprocess.Popen[str], Path, float]] = []
        for number, part in enumerate(chosen, start=1):
            print(f"== part {number} of {len(chosen)}: {part.name}", flush=True)
            report = Path(folder) / f"{part.name}.xml"
            under_way.insert(0, (part, start_part(part, report), report, time.monotonic()))
            if part.beside and number < len(chosen):
                continue
            for begun, process, place, before in under_way:
                counts = end_part(process, place)
                rows.append((begun.name, counts, time.monotonic() - before))
            under_way = []
    sums = [sum(counts[index] for _, counts, _ in rows) for index in range(3)]
    if any(part.cluster for part in chosen) and not os.environ.get("CLAUDESCALE_KEEP"):
        subprocess.run([str(ROOT / "tests/kit/run"), "--down-if-last"], cwd=ROOT, check=False)
    print(f"\n{'part':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, (passed, failed, skipped), seconds in rows:
        print(f"{name:<12}{passed:>8}{failed:>8}{skipped:>9}{seconds:>9.0f}")
    print(f"{'all':<12}{sums[0]:>8}{sums[1]:>8}{sums[2]:>9}{time.monotonic() - started:>9.0f}")
    print(f"{sums[0]} passed, {sums[1]} failed, {sums[2]} skipped", flush=True)
    return 1 if sums[1] else 0


if __name__ == "__main__":
    sys.exit(main())
