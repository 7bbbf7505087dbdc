"""The engine's answers as the tools': pure, and the only place where both are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import door, state
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Lease, Phase

from claudescale_mcp import outputs, words

LONGEST_MESSAGE = 160
TOLD = {
    Phase.ENDED: "the lease is over",
    Phase.FAILED: "the lease is over, and its floor never stood",
    Phase.OBSERVED: "the policy only observes: nothing was changed",
}


def lease_answer(answer: door.Answer, *, dry_run: bool) -> outputs.LeaseAnswer:
    """What came of asking for a lease."""
    explanation, next_step = _asked(answer, dry_run=dry_run)
    if not answer.changed and not dry_run:
        explanation = f"nothing new was created, because this lease was there already: {explanation}"
    spec, decision = answer.lease["spec"], answer.decision
    start, until = _times(answer)
    return outputs.LeaseAnswer(
        outcome=_outcome(answer, dry_run=dry_run),
        allowed=decision["allowed"] if decision is not None else None,
        changed=answer.changed and not dry_run,
        explanation=explanation,
        next_step=next_step,
        name=answer.lease["metadata"]["name"],
        workload=_workload(answer),
        replicas=spec["replicas"],
        phase=answer.phase,
        floor_stands=answer.stands,
        start=start,
        until=until,
        floor=_floor(answer),
        code=decision["code"] if decision is not None else None,
        decided_by=None if decision is None else ("preview" if answer.preview else "controller"),
        rules=[_rule(rule) for rule in decision["rules"]] if decision is not None else [],
        record=door.record_of(answer.lease),
    )


def end_answer(answer: door.Answer, *, dry_run: bool) -> outputs.EndAnswer:
    """What came of ending a lease."""
    floor = answer.status.get("floor")
    stands = f"; the floor is {floor['after']} now" if floor and "after" in floor else ""
    common = {
        "name": answer.lease["metadata"]["name"],
        "workload": _workload(answer),
        "replicas": answer.lease["spec"]["replicas"],
        "phase": answer.phase,
        "floor": _floor(answer),
        "record": door.record_of(answer.lease),
        "changed": answer.changed and not dry_run,
    }
    if dry_run and answer.changed:
        told = ("WouldEnd", "it would end now, and the floor without it would stand", "call again without dry_run")
    elif not answer.over:
        told = (
            "Ending",
            "the lease is to end, and the controller has not ended it yet; it does so when it is back",
            "look with get_current_state; tell the person if it stays so",
        )
    elif answer.changed:
        told = ("Ended", f"the lease has ended before its time{stands}", "nothing")
    else:
        told = ("AlreadyOver", f"the lease was over already, and nothing was changed{stands}", "nothing")
    outcome, explanation, next_step = told
    return outputs.EndAnswer.model_validate(
        {"outcome": outcome, "explanation": explanation, "next_step": next_step, **common}
    )


def state_answer(page: state.Page, writes: outputs.Writes) -> outputs.StateAnswer:
    """One page of the state."""
    found = page.state
    return outputs.StateAnswer(
        namespace=found.namespace,
        time=found.time,
        controller=found.controller,
        writes=writes,
        warnings=[outputs.Warned.model_validate(asdict(one)) for one in found.warnings],
        page=page.page,
        pages=page.pages,
        workloads_total=page.workloads_total,
        leases_total=page.leases_total,
        workloads=[outputs.Workload.model_validate(asdict(one)) for one in found.workloads],
        leases=[outputs.Lease.model_validate(asdict(one)) for one in found.leases],
        last_decisions=[outputs.Decision.model_validate(asdict(one)) for one in found.records],
        head=found.head,
    )


def lease_text(answer: outputs.LeaseAnswer | outputs.EndAnswer) -> str:
    """The answer for a person; the lease's name is the caller's own."""
    return f"{answer.outcome}, lease {answer.name}: {answer.explanation}. Next: {answer.next_step}."


def state_text(answer: outputs.StateAnswer) -> str:
    """The answer for a person: a line each, the names of others in quotes."""
    where = f"namespace {answer.namespace}, page {answer.page} of {answer.pages}"
    lines = [f"{where}; controller: {answer.controller}; writes: {'on' if answer.writes.enabled else 'off'}"]
    for workload in answer.workloads:
        scaling = workload.autoscaler
        floor = f", floor {scaling.floor} (base {scaling.base}, maximum {scaling.maximum})" if scaling else ""
        bound = f", policy {workload.policy.mode} up to {workload.policy.max_replicas}" if workload.policy else ""
        pods = f"{workload.pods.ready} of {workload.pods.count} pods ready"
        lines.append(f'- "{workload.workload}": {pods}{floor}{bound}')
    for lease in answer.leases:
        phase = lease.phase or "not seen yet"
        lines.append(f'- lease "{lease.name}" for "{lease.workload}": {lease.replicas} until {lease.until}, {phase}')
    warnings = Counter(f"! {warning.code}: {warning.message}" for warning in answer.warnings)
    lines += [line if count == 1 else f"{line} ({count} times)" for line, count in warnings.items()]
    return "\n".join(lines)


def condition_reason(answer: door.Answer) -> str | None:
    """Why the floor stands, or does not; None while nobody said."""
    conditions = answer.status.get("conditions") or []
    return next((one["reason"] for one in conditions if one["type"] == "FloorStands"), None)


def _asked(answer: door.Answer, *, dry_run: bool) -> tuple[str, str]:
    """(what stands, what to do)."""
    if _is_refused(answer, dry_run=dry_run):
        why, advice = words.refused(answer.decision["rules"] if answer.decision else [])
        return f"{'would be refused' if dry_run and answer.phase is None else 'refused'}: {why}", advice
    start, until = _times(answer)
    if dry_run and answer.phase is None:
        return f"would be allowed, from {start} until {until}", "call again without dry_run, if it is what is wanted"
    if answer.phase is None:
        why, advice = words.UNDECIDED
        return f"{why}{_foretold(answer)}", advice
    if answer.stands:
        floor = (answer.status.get("floor") or {}).get("applied")
        return f"the floor stands at {floor} until {until}, and ends by itself", "nothing"
    told = TOLD.get(Phase(answer.phase))
    if told is not None:
        return told, "nothing"
    why, advice = words.waits(condition_reason(answer))
    return f"{why} (from {start} until {until})", advice


def _foretold(answer: door.Answer) -> str:
    if answer.decision is None:
        return ""
    if answer.decision["allowed"]:
        return "; by the rules it would be allowed"
    return f"; by the rules it would be refused: {words.refused(answer.decision['rules'])[0]}"


def _outcome(
    answer: door.Answer, *, dry_run: bool
) -> Literal["Created", "Unchanged", "WouldBeCreated", "Refused", "WouldBeRefused"]:
    if _is_refused(answer, dry_run=dry_run):
        return "Refused" if answer.phase is not None else "WouldBeRefused"
    if not answer.changed:
        return "Unchanged"
    return "WouldBeCreated" if dry_run else "Created"


def _is_refused(answer: door.Answer, *, dry_run: bool) -> bool:
    """A preview of a lease that exists and is not decided is no refusal: it waits."""
    return answer.refused and (answer.phase is not None or dry_run)


def _workload(answer: door.Answer) -> str:
    ref = answer.lease["spec"]["workloadRef"]
    return clean(f"{ref['kind']}/{ref['name']}", state.LONGEST_NAME)


def _floor(answer: door.Answer) -> outputs.Floor | None:
    floor = answer.status.get("floor")
    return outputs.Floor.model_validate(floor) if floor else None


def _rule(rule: Mapping[str, Any]) -> outputs.Rule:
    return outputs.Rule(
        rule=rule["rule"],
        passed=rule["passed"],
        code=rule["code"],
        message=clean(rule["message"], LONGEST_MESSAGE),
        asked=rule.get("asked"),
        limit=rule.get("limit"),
    )


def _times(answer: door.Answer) -> tuple[str, str]:
    lease = Lease.from_object(answer.lease)
    return f"{moments.text(lease.start)[:19]}Z", f"{moments.text(lease.end)[:19]}Z"
