"""The comparison as lines of text: a table of figures and arms, and what is to be said of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from claudescale_cli.compare.arms import Arm, Design
from claudescale_cli.compare.observed import Run
from claudescale_cli.compare.outcome import Outcome, Spread, Summary, aims, summaries

GAP = 2
FROM = {Arm.HPA: "from the launch", Arm.RAW: "from the write", Arm.LEASE: "from its start"}


def lines(runs: Sequence[Run], design: Design, *, seed: int, why_incomplete: str = "") -> list[str]:
    """The table, then aims, invalid runs, and whether all of it is there."""
    found = summaries(runs, design)
    rows = [["", *(summary.arm.words for summary in found)]]
    rows += [[words, *(cell(summary) for summary in found)] for words, cell in _rows(design)]
    told = [*_aligned(rows), ""]
    if any(summary.outcomes and len(summary.outcomes) > 1 for summary in found):
        told.append("Each figure is the median over the valid runs, then the least and the most.")
    told += [
        f"Shares and latencies: of the {design.end - design.launch} s of the launch.",
        f"Replica-seconds: of the {design.end - design.act} s from the raw write's time to the load's end.",
        f"Chosen before the first run: {design_words(design)}; seed {seed}.",
        *(f"aim: {aim.words}: {aim.came}{_met(aim.met)}" for aim in aims(found)),
        *(
            f"INVALID: {run.arm.words}, run {run.number}, attempt {run.attempt}: {'; '.join(run.reasons)}"
            for run in runs
            if not run.valid
        ),
    ]
    if design.shortened:
        told.append(f"SHORTENED: the launch is {design.ahead} s after the write, so this is a trial and no comparison.")
    if why_incomplete:
        told.append(f"INCOMPLETE: {why_incomplete}")
    return told


def design_words(design: Design) -> str:
    """What was chosen, in one line."""
    return (
        f"objective {design.objective:g} s, {design.warmup} s of warm-up and {design.limit} CPU for each worker,"
        f" {design.calm_rate}/s and {design.launch_rate}/s from the launch on, {design.asked} replicas asked for"
        f" {design.ahead} s ahead"
    )


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One figure of an arm for a picture; `spread` is "" where there is one run."""

    figure: str
    words: str
    spread: str


def headlines(summary: Summary, design: Design) -> tuple[Headline, ...]:
    """An arm's three figures: share, p99, replica-seconds."""
    return (
        _headline(
            summary.spread(lambda one: 100 * one.share), ".1f", " %", f"slower than {design.objective:g} s or failed"
        ),
        _headline(summary.spread(lambda one: one.p99), ".2f", " s", "p99 of the answers"),
        _headline(summary.spread(lambda one: one.ready_seconds), ".0f", "", "replica-seconds"),
    )


def _headline(found: Spread | None, form: str, unit: str, words: str) -> Headline:
    if found is None:
        return Headline(figure="-", words=words, spread="")
    spread = f"{found.least:{form}} to {found.most:{form}}" if found.count > 1 else ""
    return Headline(figure=f"{found.median:{form}}{unit}", words=words, spread=spread)


def _rows(design: Design) -> list[tuple[str, Callable[[Summary], str]]]:
    def figure(
        words: Callable[[Spread | None], str], value: Callable[[Outcome], float | None]
    ) -> Callable[[Summary], str]:
        return lambda summary: words(summary.spread(value))

    return [
        (f"slower than {design.objective:g} s, or failed", figure(_percent, lambda one: one.share)),
        ("  of them failed", figure(_percent, lambda one: one.failed / one.requests if one.requests else None)),
        ("p50 of what was answered", figure(_seconds, lambda one: one.p50)),
        ("p95", figure(_seconds, lambda one: one.p95)),
        ("p99", figure(_seconds, lambda one: one.p99)),
        ("replica-seconds of ready pods", figure(_whole, lambda one: one.ready_seconds)),
        ("replica-seconds wanted", figure(_whole, lambda one: one.wanted_seconds)),
        ("pods ready at the launch", figure(_whole, lambda one: one.ready_at_launch)),
        (f"until {design.asked} pods were ready", _to_ready),
        ("  after the launch", lambda summary: _ready(summary, lambda one: one.launch_to_ready)),
        ("events that undid something", figure(_whole, lambda one: len(one.undone))),
        ("busiest 15 s of CPU", figure(_cpu, lambda one: one.cpu)),
        ("valid runs", lambda summary: f"{len(summary.outcomes)} of {summary.made}"),
    ]


def _to_ready(summary: Summary) -> str:
    found = _ready(summary, lambda one: one.to_ready)
    return f"{FROM[summary.arm]}: {found}" if summary.outcomes else found


def _ready(summary: Summary, value: Callable[[Outcome], float | None]) -> str:
    """A time until pods were ready, which may never have come."""
    found = summary.spread(value)
    return "never" if found is None and summary.outcomes else _short(found)


def _met(met: bool | None) -> str:
    return "" if met is None else ", met" if met else ", NOT met"


def _spread(found: Spread | None, words: Callable[[float], str], unit: str) -> str:
    """The median with its unit, then least and most where there are several runs."""
    if found is None:
        return "-"
    told = f"{words(found.median)}{unit}"
    if found.count > 1:
        told += f" ({words(found.least)}..{words(found.most)})"
    return told + (f", {found.missing} never" if found.missing else "")


def _percent(found: Spread | None) -> str:
    return _spread(found, lambda value: f"{100 * value:.2f}", " %")


def _cpu(found: Spread | None) -> str:
    return _spread(found, lambda value: f"{100 * value:.0f}", " %")


def _seconds(found: Spread | None) -> str:
    return _spread(found, lambda value: f"{value:.3f}", " s")


def _short(found: Spread | None) -> str:
    return _spread(found, lambda value: f"{value:.0f}", " s")


def _whole(found: Spread | None) -> str:
    return _spread(found, lambda value: f"{value:.0f}", "")


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (" " * GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
