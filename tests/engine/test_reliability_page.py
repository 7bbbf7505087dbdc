"""docs/reliability.md: its lease table is the one of the code, its numbers are the code's, its codes exist.

`python -m tests.engine.test_reliability_page` prints the table, to be put into the page.
"""

from __future__ import annotations

import re

import yaml
from ansible_collections.claudescale.core.plugins.module_utils.asking import door, wish
from ansible_collections.claudescale.core.plugins.module_utils.cluster import clock as clocks
from ansible_collections.claudescale.core.plugins.module_utils.cluster import lists, transport, watch
from ansible_collections.claudescale.core.plugins.module_utils.controller import loop, queue, reconcile
from ansible_collections.claudescale.core.plugins.module_utils.lease import housekeeping, plan, status
from ansible_collections.claudescale.core.plugins.module_utils.lease.table import TABLE, Row

from tests.support import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROLE = ROOT / "collections/ansible_collections/claudescale/core/roles/controller"
HEAD = "| state | what happened | base | floor while a lease is active | record | condition |\n" + "|---" * 6 + "|\n"


def lease_table() -> str:
    """The table of lease/table.py as the page shows it."""
    return HEAD + "".join(
        f"| {state} | {event} | {row.base} | {_floor(row)} | {row.record or ''} | {row.condition or ''} |\n"
        for (state, event), row in TABLE.items()
    )


def _floor(row: Row) -> str:
    return f"{row.floor}; once for each manager" if row.overrules else str(row.floor)


def test_the_lease_table_is_the_one_of_the_code() -> None:
    assert lease_table() in PAGE, "python -m tests.engine.test_reliability_page prints it"


def limits() -> dict[str, float]:
    """The page's table of limits: the first number of each row, by its words."""
    section = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([0-9.,]+)[^|]*\|", section, flags=re.MULTILINE)
    return {words: float(number.replace(",", "")) for words, number in rows}


def test_the_limits_are_those_of_the_code() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert limits() == {
        "lease objects in a namespace": defaults["controller_leases_at_most"],
        "how long a lease stays when it is over": loop.DEFAULT_TTL_SECONDS,
        "the same, where more are over": housekeeping.SHORT_SECONDS,
        "finished leases from which that counts": housekeeping.MANY,
        "finished leases deleted at a time": reconcile.MOST_DELETIONS,
        "requests decided at a time": plan.BATCH,
        "repeats of a refusal make one record in": plan.REPEAT_SECONDS,
        "replicas of a lease": wish.MOST_REPLICAS,
        "characters of a reason": wish.LONGEST_REASON,
        "a look at everything, whatever the watches told": loop.RESYNC_SECONDS,
        "the longest wait of the worker": queue.LONGEST_WAIT_SECONDS,
        "pause after a first failure": queue.BACKOFF_SECONDS[0],
        "pause after many": queue.BACKOFF_SECONDS[1],
        "pause of a watch after many failures": watch.MOST_PAUSE,
        "a connection is given up after": transport.CONNECT_SECONDS,
        "silence in an answer": transport.READ_SECONDS,
        "a whole answer": transport.WHOLE_SECONDS,
        "a worker that does not move is told by `/healthz` after": loop.STUCK_SECONDS,
        "difference of the local clock that is borne": clocks.TOLERATED,
        "a door waits for the controller": door.ANSWER_SECONDS,
        "objects read at a time": lists.PAGE,
    }
    assert defaults["controller_ttl_seconds_after_finished"] == loop.DEFAULT_TTL_SECONDS


def test_every_end_is_explained() -> None:
    rows = re.findall(r"^\| ([A-Z][A-Za-z]+) \| ([^|]+) \|$", PAGE, flags=re.MULTILINE)
    assert dict(rows) == status.ENDS


def test_the_faults_table_is_whole_and_within_what_is_aimed_at() -> None:
    section = PAGE.partition("\n## Faults, as tried\n")[2]
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([0-9.]+) \|$", section, flags=re.MULTILINE)
    assert rows
    assert max(map(float, rows)) <= 10


if __name__ == "__main__":
    print(lease_table(), end="")
