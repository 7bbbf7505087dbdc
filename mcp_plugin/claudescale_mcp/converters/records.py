"""The chain of records, as get_records answers it."""

from __future__ import annotations

from dataclasses import asdict

from ansible_collections.claudescale.core.plugins.module_utils.asking import history

from claudescale_mcp import outputs
from claudescale_mcp.converters.quoting import quoted

VERIFY = "claudescale records verify, which a person runs, proves the whole chain"


def records_answer(search: history.Search, namespace: str, total: int, head: str | None) -> outputs.RecordsAnswer:
    """A page of the chain, which holds `total` records."""
    return outputs.RecordsAnswer(
        namespace=namespace,
        records=[outputs.Record.model_validate(asdict(entry)) for entry in search.entries],
        total=total,
        looked_from=search.first if search.looked_at else None,
        looked_to=search.last if search.looked_at else None,
        whole=not search.broken,
        broken=[
            outputs.BrokenPlace(sequence=place.sequence, code=place.code)
            for place in search.broken[: history.BROKEN_SHOWN]
        ],
        explanation=_explanation(search, total),
        before=search.first if search.first > 0 else None,
        head=head,
    )


def records_text(answer: outputs.RecordsAnswer) -> str:
    """The answer for a person: a line each, the names of others in quotes."""
    lines = [f"namespace {answer.namespace}: {answer.explanation}"]
    for record in answer.records:
        code = f" ({record.code})" if record.code else ""
        of = "".join(f" {quoted(name)}" for name in (record.workload, record.lease) if name)
        lines.append(f"- #{record.sequence} {record.time} {record.event} {record.outcome}{code}{of}")
    if answer.before is not None:
        lines.append(f"older ones: before={answer.before}")
    return "\n".join(lines)


def _explanation(search: history.Search, total: int) -> str:
    if not total:
        return "there are no records yet: nothing was asked and nothing was raised"
    where = f"records {search.first} to {search.last} of 0 to {total - 1}"
    found = "" if search.wanted.everything else f"; {len(search.entries)} of them are what was asked for"
    if search.broken:
        return f"{where} are no whole chain{found}; claudescale records verify, which a person runs, names the places"
    return f"{where} are whole and follow one another{found}; {VERIFY}"
