"""The figures of a workload, as get_metrics answers them."""

from __future__ import annotations

from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import LONGEST_NAME
from ansible_collections.claudescale.core.plugins.module_utils.evidence import metrics, model

from claudescale_mcp import outputs
from claudescale_mcp.converters.quoting import quoted

DIGITS = 6


def number(value: float) -> float:
    """A figure with so many digits as anybody needs; a whole number as it is."""
    return value if value.is_integer() else float(f"{value:.{DIGITS}g}")


def metrics_answer(found: metrics.Metrics) -> outputs.MetricsAnswer:
    """The figures."""
    return outputs.MetricsAnswer(
        namespace=found.namespace,
        workload=clean(found.workload, LONGEST_NAME),
        time=found.time,
        window_seconds=found.seconds,
        readings=[reading(one) for one in found.readings],
    )


def reading(found: model.Reading) -> outputs.Reading:
    """One figure."""
    return outputs.Reading(
        name=found.name,
        unit=found.unit,
        query=found.query,
        value=number(found.value) if found.value is not None else None,
        time=found.time,
        stale=found.stale or None,
        missing=found.missing,
        error=found.error,
    )


def reading_line(found: outputs.Reading) -> str:
    """One figure for a person."""
    if found.value is None:
        return f"- {found.name}: none, {found.missing or found.error}"
    time = f" at {found.time}" if found.time else ""
    return f"- {found.name}: {found.value:.{DIGITS + 6}g} {found.unit}{time}{', an old sample' if found.stale else ''}"


def metrics_text(answer: outputs.MetricsAnswer) -> str:
    """The answer for a person: a line each."""
    where = f"{quoted(answer.workload)} in namespace {answer.namespace}"
    lines = [f"{where}, the {answer.window_seconds} s before {answer.time}"]
    return "\n".join(lines + [reading_line(one) for one in answer.readings])
