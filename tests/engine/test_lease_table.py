"""DESIGN's table "what happens during a lease", row by row; and that code and table know the same combinations."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.lease import model, table
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Held, Owner
from ansible_collections.claudescale.core.plugins.module_utils.lease.table import Event, Known, State

OURS = Owner(manager=model.CONTROLLER, operation="Update")
ARGO = Owner(manager="argocd", operation="Update")
FLUX = Owner(manager="flux", operation="Apply")
HPA = model.Autoscaler(
    name="demo", uid="1", resource_version="1", workload=model.WorkloadRef(kind="Deployment", name="demo-app"),
    floor=4, maximum=6, held=Held(base=2, floor=4, leases=("a",), record=7), owners=(OURS,),
    base_owner=model.CONTROLLER,
)  # fmt: skip
KNOWN = Known(base=2, applied=4, held=True)
RESTORED = Known(base=2, applied=2, held=False)
CONTESTED = Known(base=3, applied=3, held=True, overruled=("argocd",), contested_by="argocd")
OVERRULED = Held(base=2, floor=4, leases=("a",), overruled=("argocd",))
FOUGHT = Held(base=3, floor=3, leases=("a",), overruled=("argocd",), contested_by="argocd")

Wanted = tuple[State, Event, str | None, int, bool, str | None, str | None]


def row(name: str, hpa: model.Autoscaler, known: Known | None, wanted: Wanted, *, in_force: bool = True) -> object:
    return pytest.param(hpa, known, in_force, wanted, id=name)


# wanted: state, event, manager, base, whether the floor is asserted, record, condition
ROWS = [
    row("nobody wrote, no lease", replace(HPA, held=None, floor=2, owners=(FLUX,)), None,
        (State.FREE, Event.NOTHING, None, 2, True, None, None), in_force=False),
    row("another lease starts or ends", HPA, KNOWN,
        (State.HELD, Event.NOTHING, None, 2, True, None, None)),
    row("somebody writes another minReplicas", replace(HPA, floor=3, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "argocd", 3, True, "BaseChanged", None)),
    row("somebody writes the base's own value", replace(HPA, floor=2, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "argocd", 2, True, "BaseChanged", None)),
    row("somebody writes more than the floor", replace(HPA, floor=6, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "argocd", 6, True, "BaseChanged", None)),
    row("the API server does not know who wrote", replace(HPA, floor=3, owners=()), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "unknown", 3, True, "BaseChanged", None)),
    row("the floor's own value by a plain update leaves no trace", HPA, KNOWN,
        (State.HELD, Event.NOTHING, None, 2, True, None, None)),
    row("the floor's own value by server-side apply", replace(HPA, owners=(OURS, FLUX)), KNOWN,
        (State.HELD, Event.VALUE_CLAIMED, "flux", 4, True, "BaseChanged", None)),
    row("who applied the floor's value before claims nothing new", replace(HPA, owners=(OURS, FLUX)),
        replace(KNOWN, claimants=("flux",)), (State.HELD, Event.NOTHING, None, 2, True, None, None)),
    row("a second one applies the floor's value", replace(HPA, owners=(FLUX, Owner(manager="helm", operation="Apply"))),
        replace(KNOWN, claimants=("flux",)), (State.HELD, Event.VALUE_CLAIMED, "helm", 4, True, "BaseChanged", None)),
    row("the annotation base is edited", replace(HPA, held=replace(OVERRULED, base=3), base_owner="kubectl"), KNOWN,
        (State.HELD, Event.BASE_EDITED, "kubectl", 3, True, "BaseChanged", None)),
    row("the annotation base is edited before its record", replace(HPA, held=replace(OVERRULED, base=3)), None,
        (State.HELD, Event.NOTHING, None, 3, True, None, None)),
    row("the annotation base is garbage", replace(HPA, held=replace(OVERRULED, base=None), base_owner="kubectl"), KNOWN,
        (State.HELD, Event.BASE_UNREADABLE, "kubectl", 2, True, None, None)),
    row("the annotation base is garbage and a value is written",
        replace(HPA, held=replace(OVERRULED, base=None, overruled=()), floor=3, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "argocd", 3, True, "BaseChanged", None)),
    row("the annotation floor is garbage and a value is written",
        replace(HPA, held=Held(base=2, floor=None), floor=3, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "argocd", 3, True, "BaseChanged", None)),
    row("the same manager writes a second time", replace(HPA, held=OVERRULED, floor=3, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN_AGAIN, "argocd", 3, False, "FloorContested", "FloorContested")),
    row("the same manager writes again, its first time known from the records only",
        replace(HPA, floor=3, owners=(ARGO,)), replace(KNOWN, overruled=("argocd",)),
        (State.HELD, Event.VALUE_WRITTEN_AGAIN, "argocd", 3, False, "FloorContested", "FloorContested")),
    row("another manager writes after it", replace(HPA, held=OVERRULED, floor=3, owners=(FLUX,)), KNOWN,
        (State.HELD, Event.VALUE_WRITTEN, "flux", 3, True, "BaseChanged", None)),
    row("the same manager replaces a second time", replace(HPA, held=None, floor=3, owners=(ARGO,)),
        replace(KNOWN, overruled=("argocd",)),
        (State.HELD, Event.VALUE_WRITTEN_AGAIN, "argocd", 3, False, "FloorContested", "FloorContested")),
    row("maxReplicas falls under the floor, with the base's value", replace(HPA, floor=2, maximum=3, owners=(ARGO,)),
        KNOWN, (State.HELD, Event.MAXIMUM_LOWERED, "argocd", 2, True, None, "FloorCapped")),
    row("maxReplicas falls under the floor, with its own value", replace(HPA, floor=3, maximum=3, owners=(ARGO,)),
        KNOWN, (State.HELD, Event.MAXIMUM_LOWERED, "argocd", 2, True, None, "FloorCapped")),
    row("maxReplicas falls under the floor, with another value", replace(HPA, floor=1, maximum=3, owners=(ARGO,)),
        KNOWN, (State.HELD, Event.VALUE_WRITTEN, "argocd", 1, True, "BaseChanged", None)),
    row("annotations vanish, value unchanged", replace(HPA, held=None), KNOWN,
        (State.HELD, Event.ANNOTATIONS_LOST, None, 2, True, None, None)),
    row("annotations vanish, value unchanged, the lease is over", replace(HPA, held=None), KNOWN,
        (State.HELD, Event.ANNOTATIONS_LOST, None, 2, True, None, None), in_force=False),
    row("annotations vanish, the floor's value is claimed", replace(HPA, held=None, owners=(OURS, FLUX)), KNOWN,
        (State.HELD, Event.VALUE_CLAIMED, "flux", 4, True, "BaseChanged", None)),
    row("a replace strips annotations and writes a value", replace(HPA, held=None, floor=3, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.REPLACED, "argocd", 3, True, "BaseChanged", None)),
    row("a replace strips annotations and writes the base", replace(HPA, held=None, floor=2, owners=(ARGO,)), KNOWN,
        (State.HELD, Event.REPLACED, "argocd", 2, True, "BaseChanged", None)),
    row("restored by us, its record missing", replace(HPA, held=None, floor=2), KNOWN,
        (State.FREE, Event.NOTHING, None, 2, True, None, None), in_force=False),
    row("restored by us, its record missing, and in force again", replace(HPA, held=None, floor=2), KNOWN,
        (State.FREE, Event.NOTHING, None, 2, True, None, None)),
    row("restored, its record missing, then somebody wrote the old floor", replace(HPA, held=None, owners=(ARGO,)),
        KNOWN, (State.HELD, Event.REPLACED, "argocd", 4, True, "BaseChanged", None), in_force=False),
    row("restored and recorded, then somebody wrote the old floor", replace(HPA, held=None, owners=(ARGO,)), RESTORED,
        (State.FREE, Event.NOTHING, None, 4, True, None, None), in_force=False),
    row("annotations vanish under a floor that was no higher than the base", replace(HPA, held=None),
        replace(KNOWN, base=4), (State.HELD, Event.ANNOTATIONS_LOST, None, 4, True, None, None)),
    row("restored to a base as high as the floor, its record missing", replace(HPA, held=None), replace(KNOWN, base=4),
        (State.FREE, Event.NOTHING, None, 4, True, None, None), in_force=False),
    row("autoscaler recreated", replace(HPA, uid="2", held=None, floor=3, owners=(FLUX,)), None,
        (State.FREE, Event.NOTHING, None, 3, True, None, None)),
    row("contested", replace(HPA, held=FOUGHT, floor=3, owners=(ARGO,)), CONTESTED,
        (State.CONTESTED, Event.NOTHING, None, 3, False, None, "FloorContested")),
    row("contested, its annotation not written yet", replace(HPA, held=OVERRULED, floor=3, owners=(ARGO,)), CONTESTED,
        (State.CONTESTED, Event.VALUE_WRITTEN, "argocd", 3, False, "BaseChanged", "FloorContested")),
    row("contested, and written again", replace(HPA, held=FOUGHT, floor=5, owners=(FLUX,)), CONTESTED,
        (State.CONTESTED, Event.VALUE_WRITTEN, "flux", 5, False, "BaseChanged", "FloorContested")),
    row("contested, the base edited", replace(HPA, held=replace(FOUGHT, base=1), floor=3, base_owner="kubectl"),
        CONTESTED, (State.CONTESTED, Event.BASE_EDITED, "kubectl", 1, False, "BaseChanged", "FloorContested")),
    row("contested, the base garbage", replace(HPA, held=replace(FOUGHT, base=None), floor=3), CONTESTED,
        (State.CONTESTED, Event.BASE_UNREADABLE, model.CONTROLLER, 3, False, None, "FloorContested")),
    row("contested, annotations lost", replace(HPA, held=None, floor=3, owners=(ARGO,)), CONTESTED,
        (State.CONTESTED, Event.ANNOTATIONS_LOST, None, 3, False, None, "FloorContested")),
    row("contested, replaced", replace(HPA, held=None, floor=5, owners=(ARGO,)), CONTESTED,
        (State.CONTESTED, Event.REPLACED, "argocd", 5, False, "BaseChanged", "FloorContested")),
]  # fmt: skip


@pytest.mark.parametrize(("hpa", "known", "in_force", "wanted"), ROWS)
def test_row(hpa: model.Autoscaler, known: Known | None, in_force: bool, wanted: Wanted) -> None:
    ground = table.apply(hpa, known, in_force=in_force)
    seen, line = ground.seen, ground.row
    found = (seen.state, seen.event, seen.manager, ground.base, ground.asserted, line.record, line.condition)
    assert found == wanted


def test_who_is_overruled_and_who_contests_is_kept() -> None:
    first = table.apply(replace(HPA, floor=3, owners=(ARGO,)), KNOWN, in_force=True)
    assert (first.overruled, first.contested_by) == (("argocd",), None)
    second = table.apply(replace(HPA, held=OVERRULED, floor=3, owners=(ARGO,)), KNOWN, in_force=True)
    assert (second.overruled, second.contested_by) == (("argocd",), "argocd")
    lost = table.apply(replace(HPA, held=None, floor=3, owners=(ARGO,)), CONTESTED, in_force=True)
    assert (lost.overruled, lost.contested_by) == (("argocd",), "argocd")
    claimed = table.apply(replace(HPA, owners=(OURS, FLUX)), KNOWN, in_force=True)
    assert claimed.overruled == ()  # its value stands: nothing was written over
    free = table.apply(replace(HPA, held=None, floor=2), replace(CONTESTED, held=False), in_force=False)
    assert (free.overruled, free.contested_by) == ((), None)


SIZES = range(1, 5)
OWNERS = ((), (OURS,), (ARGO,), (FLUX,), (OURS, FLUX))


def everything() -> Iterator[tuple[model.Autoscaler, Known | None, bool]]:
    """Small sizes, exhausted: floors, maxima, bases 1 to 4, annotations there, gone or garbage, all owners."""
    helds = [
        None,
        *(
            Held(base=base, floor=floor, overruled=overruled, contested_by=contested)
            for base, floor in itertools.product((None, *SIZES), repeat=2)
            for overruled, contested in (((), None), (("argocd",), None), (("argocd",), "argocd"))
        ),
    ]
    knowns = [
        None,
        *(
            Known(base=base, applied=applied, held=held, overruled=overruled, contested_by=contested, claimants=claims)
            for base, applied in itertools.product((1, 2, 4), repeat=2)
            for held, overruled, contested, claims in (
                (False, (), None, ()),
                (True, (), None, ()),
                (True, ("argocd",), None, ("flux",)),
                (True, ("argocd",), "argocd", ()),
            )
        ),
    ]
    for floor, maximum in itertools.combinations_with_replacement(SIZES, 2):
        for held, owners in itertools.product(helds, OWNERS):
            hpa = replace(HPA, floor=floor, maximum=maximum, held=held, owners=owners)
            for known in knowns:
                yield hpa, known, True
                if held is None:
                    yield hpa, known, False


def test_code_and_table_know_the_same_combinations() -> None:
    seen = Counter[tuple[State, Event]]()
    for hpa, known, in_force in everything():
        found = table.read(hpa, known, in_force=in_force)
        seen[found.state, found.event] += 1
        if hpa.held is not None or (known is not None and known.held):
            continue
        assert (found.state, found.event) == (State.FREE, Event.NOTHING)
    assert set(seen) == set(table.TABLE)
    assert seen.total() > 100_000


def test_what_holds_for_every_combination() -> None:
    told = {row.record for row in table.TABLE.values()}
    assert told == {None, table.BASE_CHANGED, table.FLOOR_CONTESTED}
    for (state, event), line in table.TABLE.items():
        left = line.floor is table.FloorTo.LEFT
        assert left is (state is State.CONTESTED or event is Event.VALUE_WRITTEN_AGAIN)
        assert left is (line.condition == table.FLOOR_CONTESTED)
        assert not (line.overrules and left)  # what is written over is asserted
        if line.base is table.BaseFrom.LIVE and state is not State.FREE:
            assert line.record is not None  # a base that changed is told


def markdown() -> str:
    """The table for docs/, one line a row."""
    lines = ["| state | event | base | floor | record | condition |", "|---|---|---|---|---|---|"]
    for (state, event), line in table.TABLE.items():
        cells = (state, event, line.base, line.floor, line.record or "", line.condition or "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_can_be_printed() -> None:
    printed = markdown().splitlines()
    assert len(printed) == len(table.TABLE) + 2
    assert {line.count("|") for line in printed} == {7}
    assert "| held | another minReplicas was written | the live minReplicas | max(base, active leases), " in markdown()
    print(markdown())
