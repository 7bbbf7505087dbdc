"""The comparison as one JSON: what was chosen, every run with all that was seen of it, and the figures. Pure.

Figures in it are for readers. Reading takes the observations and computes figures anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load import results

from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import Event, Level, NodeCpu, Run
from claudescale_cli.compare.outcome import aims, outcome, summaries
from claudescale_cli.compare.validity import reasons

KIND = "claudescale-comparison"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison, complete where `why_incomplete` is empty."""

    design: Design
    seed: int
    wanted: int  # runs of each arm
    runs: tuple[Run, ...]
    place: str = ""  # namespace and context
    machine: Mapping[str, Any] | None = None  # what the node is, as far as it is known
    why_incomplete: str = ""


def to_text(report: Report) -> str:
    """The JSON, a line for each run."""
    found = summaries(report.runs, report.design)
    whole = {
        "kind": KIND,
        "version": VERSION,
        "complete": not report.why_incomplete,
        "why_incomplete": report.why_incomplete,
        "place": report.place,
        "machine": dict(report.machine or {}),
        "seed": report.seed,
        "wanted": report.wanted,
        "order": [{"arm": run.arm, "number": run.number, "attempt": run.attempt} for run in report.runs],
        "design": asdict(report.design),
        "aims": [asdict(aim) for aim in aims(found)],
    }
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    runs = ",\n".join(json.dumps(_run_object(run, report.design), ensure_ascii=False) for run in report.runs)
    return f'{head},\n "runs": [\n{runs}\n ]\n}}\n'


def from_text(text: str) -> Report:
    """The comparison of a JSON; ClaudeScaleError where it is none, or damaged."""
    try:
        whole = json.loads(text)
        if whole["kind"] != KIND or whole["version"] != VERSION:
            raise ValueError
        design = Design(**{one.name: whole["design"][one.name] for one in fields(Design)})
        return Report(
            design=design,
            seed=whole["seed"],
            wanted=whole["wanted"],
            runs=tuple(_run(found, design) for found in whole["runs"]),
            place=whole["place"],
            machine=whole["machine"],
            why_incomplete=whole["why_incomplete"],
        )
    except ClaudeScaleError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ClaudeScaleError("this is no report of claudescale compare, or one that is damaged") from error


def _run_object(run: Run, design: Design) -> dict[str, Any]:
    return {
        "arm": run.arm,
        "number": run.number,
        "attempt": run.attempt,
        "valid": run.valid,
        "reasons": list(run.reasons),
        "figures": asdict(outcome(run, design)),
        "began": run.began,
        "acted": run.acted,
        "lease": dict(run.lease),
        "levels": [[one.seconds, one.wanted, one.ready, one.floor] for one in run.levels],
        "events": [[one.seconds, one.words] for one in run.events],
        "cpu": [{"node": one.node, "cores": one.cores, "points": one.points} for one in run.cpu],
        "requests": results.pack(run.requests),
    }


def _run(found: Mapping[str, Any], design: Design) -> Run:
    run = Run(
        arm=Arm(found["arm"]),
        number=found["number"],
        attempt=found["attempt"],
        began=found["began"],
        acted=found["acted"],
        lease=found["lease"],
        levels=tuple(
            Level(seconds=at, wanted=wanted, ready=ready, floor=floor) for at, wanted, ready, floor in found["levels"]
        ),
        events=tuple(Event(seconds=at, words=words) for at, words in found["events"]),
        cpu=tuple(NodeCpu(node=one["node"], cores=one["cores"], points=_points(one["points"])) for one in found["cpu"]),
        requests=tuple(results.unpack(found["requests"])),
    )
    if not run.levels:
        raise ValueError("a run without levels")
    return judged(run, design)


def judged(run: Run, design: Design) -> Run:
    """The run with the reasons why it is INVALID."""
    return replace(run, reasons=reasons(run, design))


def _points(found: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(at), float(used)) for at, used in found)
