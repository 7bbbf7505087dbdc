"""What happened in a window, as generate_report answers it."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean, clean_or_none
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import LONGEST_NAME
from ansible_collections.claudescale.core.plugins.module_utils.evidence import findings, report

from claudescale_mcp import outputs
from claudescale_mcp.converters.metrics import number, reading, reading_line
from claudescale_mcp.converters.quoting import quoted

# What is left out is counted; get_records has all of it.
FINDINGS_SHOWN = 6
DECISIONS_SHOWN = 5
LEASES_SHOWN = 5
FLOORS_SHOWN = 6
GAPS_SHOWN = 2


def report_answer(found: report.Report, plot: str | None) -> outputs.ReportAnswer:
    """The report; `plot`: what is to be said of the picture, None where nobody asked for one."""
    courses = (found.load, found.replicas, found.latency, found.cpu)
    return outputs.ReportAnswer(
        namespace=found.namespace,
        workload=clean(found.workload, LONGEST_NAME),
        start=found.start,
        end=found.end,
        window_seconds=found.seconds,
        findings_total=len(found.findings),
        findings=[_finding(one) for one in found.findings[:FINDINGS_SHOWN]],
        courses=[_course(one) for one in courses if one is not None],
        absent=[outputs.Absent(name=one.name, query=one.query, missing=one.why) for one in found.absent],
        figures=[reading(one) for one in found.figures],
        cost=_cost(found.cost) if found.cost is not None else None,
        allowed=found.allowed,
        refused=found.refused,
        decisions_total=len(found.decisions),
        decisions=[
            outputs.DecisionCount(outcome=one.outcome, code=one.code, count=one.count, first=one.first, last=one.last)
            for one in found.decisions[:DECISIONS_SHOWN]
        ],
        leases_total=len(found.leases),
        leases=[_lease(one) for one in found.leases[-LEASES_SHOWN:]],
        floor_total=len(found.floor),
        floor=[
            outputs.FloorStep(time=one.time, floor=one.floor, base=one.base, held=one.held, leases=len(one.leases))
            for one in found.floor[-FLOORS_SHOWN:]
        ],
        gaps=[outputs.Gap(series=one.series, start=one.start, end=one.end) for one in found.gaps[:GAPS_SHOWN]],
        records_complete=found.records_complete,
        plot=plot,
    )


def report_text(answer: outputs.ReportAnswer) -> str:
    """The answer for a person: a line each."""
    lines = [f"{quoted(answer.workload)} in namespace {answer.namespace}, {answer.start} to {answer.end}"]
    for one in answer.courses:
        lowest, highest = f"{one.lowest:g} at {one.lowest_time}", f"{one.highest:g} at {one.highest_time}"
        lines.append(f"- {one.name} in {one.unit}: lowest {lowest}, highest {highest}, mean {one.mean:g}")
    lines += [f"- {one.name}: none, {one.missing}" for one in answer.absent]
    lines += [reading_line(one) for one in answer.figures]
    if answer.cost is not None:
        lines.append(
            f"- replica-hours: {answer.cost.replica_hours:g}, of them {answer.cost.above_base:g} between base and floor"
        )
    lines.append(f"- decisions: {answer.allowed} allowed, {answer.refused} refused; leases: {answer.leases_total}")
    lines += [f"! {one.code}: {one.message}" for one in answer.findings]
    if answer.plot is not None:
        lines.append(f"picture: {answer.plot}")
    return "\n".join(lines)


def _course(found: report.Course) -> outputs.Course:
    return outputs.Course(
        name=found.name,
        unit=found.unit,
        query=found.query,
        lowest=number(found.lowest.value),
        lowest_time=found.lowest.time,
        highest=number(found.highest.value),
        highest_time=found.highest.time,
        mean=number(found.mean),
        missing_seconds=round(found.missing_seconds),
    )


def _cost(found: report.Cost) -> outputs.Cost:
    return outputs.Cost(
        replica_hours=number(found.replica_hours),
        above_base=number(found.above_base),
        counted_seconds=round(found.counted_seconds),
    )


def _lease(found: report.LeaseSpan) -> outputs.LeaseSpan:
    return outputs.LeaseSpan(
        name=clean(found.name, LONGEST_NAME),
        replicas=found.replicas,
        began=found.began,
        ended=found.ended,
        cause=found.cause,
    )


def _finding(found: findings.Finding) -> outputs.Finding:
    return outputs.Finding(
        code=found.code,
        message=found.message,
        numbers={name: number(float(value)) for name, value in found.numbers.items()},
        lease=clean_or_none(found.lease, LONGEST_NAME),
        refused=found.refused,
        series=found.series,
    )
