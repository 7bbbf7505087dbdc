"""What comes of asking for capacity and of ending it, as the tools answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking import door
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.asking.scaling import Course, Ruling
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import LONGEST_NAME
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import Wish
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


def scale_answer(wish: Wish, ruling: Ruling, answer: door.Answer | None, *, dry_run: bool) -> outputs.ScaleAnswer:
    """What came of asking for a count; `answer` is that of the lease which it became, None where it became none."""
    if answer is None:
        is_unchanged = ruling.course is Course.UNCHANGED
        explanation, next_step = words.unscaled(ruling, wish.replicas)
        return outputs.ScaleAnswer(
            outcome="Unchanged" if is_unchanged else ("WouldBeRefused" if dry_run else "Refused"),
            became_lease=False,
            changed=False,
            explanation=explanation,
            next_step=next_step,
            name=wish.name,
            workload=clean(wish.workload, LONGEST_NAME),
            replicas=wish.replicas,
            replicas_before=ruling.present,
            code=ruling.code,
        )
    lease = lease_answer(answer, dry_run=dry_run)
    seconds = answer.lease["spec"].get("durationSeconds") if answer.changed else None
    return outputs.ScaleAnswer(
        outcome=lease.outcome,
        became_lease=not dry_run,
        changed=lease.changed,
        explanation=f"{words.as_lease(seconds, dry_run=dry_run)}: {lease.explanation}",
        next_step=lease.next_step,
        name=lease.name,
        workload=lease.workload,
        replicas=lease.replicas,
        replicas_before=ruling.present,
        floor_stands=lease.floor_stands,
        until=lease.until,
        code=lease.code,
        record=lease.record,
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


def lease_text(answer: outputs.LeaseAnswer | outputs.ScaleAnswer | outputs.EndAnswer) -> str:
    """The answer for a person; the lease's name is the caller's own."""
    what = "request" if isinstance(answer, outputs.ScaleAnswer) and not answer.became_lease else "lease"
    return f"{answer.outcome}, {what} {answer.name}: {answer.explanation}. Next: {answer.next_step}."


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
    return clean(f"{ref['kind']}/{ref['name']}", LONGEST_NAME)


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
    return moments.to_the_second(lease.start), moments.to_the_second(lease.end)
