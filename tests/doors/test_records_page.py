"""docs/RECORDS.md says what the tests' chain, the codes and the command really are."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from ansible_collections.claudescale.core.plugins.module_utils.lease import ledger
from ansible_collections.claudescale.core.plugins.module_utils.record.flaws import Flaw

from tests.engine.records import EXPORT, HEAD, ROOT, UID, good

PAGE = (ROOT / "docs" / "RECORDS.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_example_is_record_3() -> None:
    item, payload = map(json.loads, blocks("json"))
    spec = good()[3]["spec"]
    shown = item["spec"]["payload"].removesuffix("…")
    assert {**item, "spec": {**item["spec"], "payload": None}} == {**good()[3], "spec": {**spec, "payload": None}}
    assert spec["payload"].replace('"name":', '"name": ').startswith(shown)
    assert payload == json.loads(spec["payload"])


def test_the_checker_of_the_page_prints_the_head() -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program], input=EXPORT.read_bytes(), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.decode()) == (0, f"{HEAD}\n")
    changed = EXPORT.read_bytes().replace(b"500 asked", b"501 asked", 1)
    done = subprocess.run([sys.executable, "-c", program], input=changed, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"broken at record 4\n")


def test_every_code_is_explained() -> None:
    codes = re.findall(r"^\| ([A-Z][A-Za-z]+) \| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    assert sorted(codes) == sorted(Flaw)


def test_every_event_is_explained() -> None:
    events = re.findall(r"^\| ([A-Z][A-Za-z, ]+) \| [^|]+ \| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    known = {value for name, value in vars(ledger).items() if name in EVENTS}
    assert {event for row in events for event in row.split(", ")} == known


EVENTS = ("GENESIS", "LEASE_REQUESTED", "LEASE_REFUSED", "REFUSALS_REPEATED", "LEASE_ENDED", "FLOOR_INTENDED",
          "FLOOR_WRITTEN", "FLOOR_RESTORED", "BASE_CHANGED", "FLOOR_CONTESTED")  # fmt: skip


def test_the_heads_and_sizes_are_those_of_the_chain() -> None:
    assert f"(UID {UID})" in PAGE
    heads = {f"{item['spec']['sequence']}:{item['spec']['hash']}" for item in good()}
    assert set(re.findall(r"\d+:[0-9a-f]{64}", PAGE)) <= heads
    sizes = [len(line) for line in EXPORT.read_bytes().splitlines(keepends=True)]
    lease = [sizes[place] for place in (1, 2, 3, 6, 7)]
    assert f"{sum(lease):,} bytes of an export together, {min(lease)} to {max(lease):,} bytes each" in PAGE
