"""Leases, ends, edits by others, crashes, refused records and clock steps in any order, against a plain reference.

The reference knows what others did, in the words of DESIGN's table, and never looks at what the engine makes of it.
What the API server cannot show is no fault of the engine: of several writes between two looks only the last one counts,
and a plain update with the floor's own value is no write at all, unless the value was another one in between, the
annotations are gone and no lease asks for it any more: then its owner wants it.

Invariants, after every write of the controller: the floor is not under the base, not above maxReplicas, not above
max(base, policy's bound), and every raise has its FloorIntended as the last record of that autoscaler, notes of what
others did aside. After every whole pass: each floor is the reference's, a second pass does nothing, the chain verifies,
and a ledger made anew from it is the same. Over at last: every base stands, and nothing of ours is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.lease import model, plan, view
from ansible_collections.claudescale.core.plugins.module_utils.record import verify
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine import lease_driver as driver

THOROUGH = os.environ.get("CLAUDESCALE_THOROUGH") == "1"
UPDATERS = ("kubectl-edit", "argocd", "helm")
APPLIERS = ("flux", "people")
NAMES = ("a", "b", "c")
NOTES = ("BaseChanged", "FloorContested")
FLOORS = st.integers(1, 6)
MAXIMA = st.integers(2, 8)


def owners(hpa: driver.Hpa) -> set[str]:
    """Who owns minReplicas by server-side apply."""
    return {entry.manager for entry in hpa.entries if entry.operation == "Apply" and "minReplicas" in entry.fields}


@dataclass
class Reference:
    """One autoscaler as DESIGN's table wants it."""

    hpa: driver.Hpa
    held: bool = False
    ours: int = 0  # the floor that the controller wrote last
    settled: int = 0  # the base, if nobody wrote a value since
    recorded: int = 0  # the base in the last record: what is left when the annotation is not
    claimed: bool = False  # the floor's own value was applied server-side by a new owner
    stripped: bool = False
    contested: bool = False
    owners: frozenset[str] = frozenset()  # by server-side apply, when the controller looked last
    holding: frozenset[str] = frozenset()  # UIDs of the leases that were in force at its last write
    in_force: bool = False  # one of these still is

    @property
    def base(self) -> int:
        value = self.hpa.floor
        if not self.held:
            return value
        if value == self.ours:
            return value if self.taken or (self.claimed and not self.contested) else self.settled
        lowered = self.hpa.maximum < self.ours and value in (self.settled, self.hpa.maximum)
        return self.settled if lowered and not self.contested and not self.stripped else value

    @property
    def taken(self) -> bool:
        """The floor's value is somebody else's by now, and nothing says otherwise."""
        owned = {entry.manager for entry in self.hpa.entries if "minReplicas" in entry.fields}
        return bool(owned) and model.CONTROLLER not in owned and not self.hpa.annotations and not self.in_force

    def floor(self, leases: list[int]) -> int:
        if self.contested and leases:
            return self.hpa.floor
        return min(max([self.base, *leases]), self.hpa.maximum)

    def look(self, active: Iterable[str]) -> None:
        """Whether a lease that held the floor when the controller wrote last is in force still."""
        self.in_force = not self.holding.isdisjoint(active)

    def wrote(self, step: plan.WriteFloor | plan.Restore, base: int) -> None:
        self.settled, self.ours = base, step.floor
        self.held = isinstance(step, plan.WriteFloor)
        self.claimed = self.stripped = False
        self.contested = self.contested and self.held
        self.owners = frozenset(owners(self.hpa))


class LeaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.server = driver.Server()
        self.references: dict[str, Reference] = {}
        self.countdown = -1  # effects until something happens in the middle of a pass
        self.middle: Callable[[], None] = lambda: None
        self.controller = self._controller()
        self.awake = True  # a controller that is awake makes a pass after everything that happens

    # What others do.

    @initialize(floor=st.integers(1, 3), maximum=st.integers(3, 8), replicas=st.sampled_from((None, 2, 3, 4, 4, 4)))
    def begin(self, floor: int, maximum: int, replicas: int | None) -> None:
        self._add("demo", floor, maximum)
        if replicas:
            self.server.add_lease("a", replicas, seconds=3000)

    @rule(name=st.sampled_from(NAMES), replicas=FLOORS, seconds=st.sampled_from((30, 300, 3000)),
          lead=st.sampled_from((None, None, 0, 40)))  # fmt: skip
    def lease(self, name: str, replicas: int, seconds: int, lead: float | None) -> None:
        if name not in self.server.leases:
            self.server.add_lease(name, replicas, seconds=seconds, lead=lead)

    @rule(name=st.sampled_from(NAMES))
    def end(self, name: str) -> None:
        if name in self.server.leases:
            self.server.end_lease(name)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.server.leases.pop(name, None)

    @rule(seconds=st.sampled_from((1, 29, 30, 60, 300, 1000, -20, -3600)))
    def clock(self, seconds: int) -> None:
        self.server.now += seconds

    @rule(manager=st.sampled_from(UPDATERS), value=FLOORS)
    def write(self, manager: str, value: int) -> None:
        self._others(lambda hpa: hpa.update(manager, {"minReplicas": value}))

    @rule(manager=st.sampled_from(UPDATERS))
    def write_the_base(self, manager: str) -> None:
        reference = self._some()
        if reference:
            self._others(lambda hpa: hpa.update(manager, {"minReplicas": reference.base}))

    @rule(manager=st.sampled_from(APPLIERS), value=FLOORS, force=st.booleans())
    def apply(self, manager: str, value: int, force: bool) -> None:
        self._apply(manager, value, force=force)

    @rule(manager=st.sampled_from(APPLIERS))
    def apply_the_floor(self, manager: str) -> None:
        reference = self._some()
        if reference:
            self._apply(manager, reference.hpa.floor, force=False)

    @rule(manager=st.sampled_from(UPDATERS), maximum=MAXIMA, to_base=st.booleans())
    def set_maximum(self, manager: str, maximum: int, to_base: bool) -> None:
        reference = self._some()
        if reference:
            low = min(reference.base, maximum) if to_base else maximum
            floor = min(reference.hpa.floor, low) if reference.hpa.floor > maximum else reference.hpa.floor
            self._others(lambda hpa: hpa.update(manager, {"maxReplicas": maximum, "minReplicas": floor}))

    @precondition(lambda self: self._is_annotated())
    @rule(text=st.sampled_from(("1", "2", "3", "4", "x", "", None)))
    def edit_base(self, text: str | None) -> None:
        reference = self._some()
        if reference and reference.held and model.BASE in reference.hpa.annotations:
            self._others(lambda hpa: hpa.update("kubectl-annotate", {model.BASE: text}))
            reference.settled = int(text) if text and text.isdigit() else reference.recorded

    @precondition(lambda self: self._is_annotated())
    @rule(name=st.sampled_from((model.FLOOR, model.LEASES, model.OVERRULED, model.CONTESTED_BY)),
          text=st.sampled_from((None, "x", "a", "c,b")))  # fmt: skip
    def garble(self, name: str, text: str | None) -> None:
        reference = self._some()
        if reference and name in reference.hpa.annotations:
            garbage = None if name == model.CONTESTED_BY else text
            self._others(lambda hpa: hpa.update("kubectl-annotate", {name: garbage}))

    @precondition(lambda self: self._is_annotated())
    @rule(manager=st.sampled_from(UPDATERS), value=st.none() | FLOORS)
    def strip(self, manager: str, value: int | None) -> None:
        """All annotations vanish; with a value: a replace."""
        reference = self._some()
        if reference is None or not reference.hpa.annotations:
            return
        changes: dict[str, Any] = dict.fromkeys(model.ANNOTATIONS)
        if value is not None:
            changes["minReplicas"] = min(value, reference.hpa.maximum)
        self._others(lambda hpa: hpa.update(manager, changes))
        reference.settled, reference.stripped = reference.recorded, True

    @rule(floor=st.integers(1, 3), maximum=MAXIMA)
    def recreate(self, floor: int, maximum: int) -> None:
        self._add("demo", min(floor, maximum), maximum)

    @rule()
    def remove_autoscaler(self) -> None:
        if self.server.hpas:
            name = min(self.server.hpas)
            del self.server.hpas[name], self.references[name]

    @rule(floor=st.integers(1, 3))
    def add_second_autoscaler(self, floor: int) -> None:
        if "second" not in self.server.hpas:
            self._add("second", floor, 6)

    @rule(mode=st.sampled_from(("Enforce", "Enforce", "Observe", None)), maximum=MAXIMA, step=st.integers(1, 6))
    def policy(self, mode: str | None, maximum: int, step: int) -> None:
        self.server.policy = driver.policy_object(mode=mode, maximum=maximum, step=step) if mode else None

    @rule(replicas=st.sampled_from((0, 1, 2, 4, None)))
    def pods(self, replicas: int | None) -> None:
        self.server.replicas = replicas

    @rule(fail=st.booleans())
    def records_fail(self, fail: bool) -> None:
        self.server.records_fail = fail

    # What the controller does.

    @rule()
    def whole_pass(self) -> None:
        complete = self.controller.run()
        self._check_floors(complete)

    @rule(effects=st.integers(1, 24))
    def crash(self, effects: int) -> None:
        self._in_the_middle(effects, self._die)

    @rule(effects=st.integers(1, 16), manager=st.sampled_from(UPDATERS), value=FLOORS)
    def write_in_the_middle(self, effects: int, manager: str, value: int) -> None:
        self._in_the_middle(effects, lambda: self.write(manager, value))

    @rule(effects=st.integers(1, 16), name=st.sampled_from(NAMES))
    def end_in_the_middle(self, effects: int, name: str) -> None:
        self._in_the_middle(effects, lambda: self.end(name))

    @rule(effects=st.integers(1, 16))
    def strip_in_the_middle(self, effects: int) -> None:
        self._in_the_middle(effects, lambda: self.strip("helm", None))

    @rule(effects=st.integers(1, 16))
    def records_fail_in_the_middle(self, effects: int) -> None:
        self._in_the_middle(effects, lambda: setattr(self.server, "records_fail", True))

    @rule()
    def sleep_or_wake(self) -> None:
        self.awake = not self.awake

    @invariant()
    def look(self) -> None:
        if self.awake:
            self._check_floors(self.controller.run())

    def teardown(self) -> None:
        """Over at last."""
        self.server.records_fail = False
        for name in self.server.leases:
            self.server.end_lease(name)
        assert self.controller.run()
        self._check_floors(complete=True)
        assert all(reference.hpa.is_clean() for reference in self.references.values())
        assert not any(facts.open for facts in self.controller.ledger.leases.values())
        assert not any(facts.held for uid, facts in self.controller.ledger.floors.items() if self._is_there(uid))
        assert not self.controller.ledger.intents
        assert verify.verify(self.server.chain_objects(), namespace_uid=driver.NAMESPACE_UID).broken is None

    # How it is done and compared.

    def _controller(self) -> driver.Controller:
        return driver.Controller(self.server, around=self._around, written=self._written, recorded=self._recorded)

    def _in_the_middle(self, effects: int, what: Callable[[], None]) -> None:
        self.countdown, self.middle = effects, what
        try:
            complete = self.controller.run()
        except driver.Crash:
            self.controller = self._controller()
            return
        happened = self.countdown < 0
        self.countdown = -1
        if not happened:
            self._check_floors(complete)
        # Nobody else wrote after the middle, so one more pass sees everything.
        self._check_floors(self.controller.run())

    def _around(self) -> None:
        if self.countdown == 0:
            self.countdown = -1
            self.middle()
        elif self.countdown > 0:
            self.countdown -= 1

    def _die(self) -> None:
        raise driver.Crash

    def _add(self, name: str, floor: int, maximum: int) -> None:
        self.references[name] = Reference(hpa=self.server.add_hpa(name, floor=floor, maximum=maximum))

    def _some(self) -> Reference | None:
        """The autoscaler that others write: the one that is held, else the first."""
        found = sorted(self.references.values(), key=lambda reference: (not reference.held, reference.hpa.name))
        return found[0] if found else None

    def _is_annotated(self) -> bool:
        reference = self._some()
        return reference is not None and bool(reference.hpa.annotations)

    def _others(self, write: Callable[[driver.Hpa], Any]) -> None:
        reference = self._some()
        if reference is None:
            return
        try:
            write(reference.hpa)
        except (driver.Conflict, driver.Invalid):
            return
        if reference.hpa.floor != reference.ours:
            reference.claimed = False

    def _apply(self, manager: str, value: int, *, force: bool) -> None:
        reference = self._some()
        if reference is None:
            return
        self._others(lambda hpa: hpa.apply(manager, {"minReplicas": value}, force=force))
        if manager in owners(reference.hpa) - reference.owners and reference.hpa.floor == reference.ours:
            reference.claimed = True

    def _is_there(self, uid: str) -> bool:
        return any(hpa.uid == uid for hpa in self.server.hpas.values())

    def _written(self, hpa: driver.Hpa, step: plan.Step, snapshot: view.Snapshot) -> None:
        assert isinstance(step, plan.WriteFloor | plan.Restore)
        reference = self.references[hpa.name]
        active = self._active()
        reference.look(active)
        before = replace(reference, hpa=replace(hpa, values={**hpa.values, "minReplicas": step.autoscaler.floor}))
        base = before.base
        left = before.contested and isinstance(step, plan.WriteFloor)  # a contested floor is what the other one wrote
        assert left or step.floor >= min(base, hpa.maximum), f"{step} is under the base {base}"
        assert step.floor <= hpa.maximum
        bound = snapshot.policy.maximum if snapshot.policy else 0
        if isinstance(step, plan.Restore):
            assert step.floor == min(base, hpa.maximum)
        elif not before.contested:
            assert step.floor <= max(base, bound)
            assert step.held.base == base
        # Up to the base only is a restore, whose annotations wait for a record.
        if isinstance(step, plan.WriteFloor) and step.floor > max(step.autoscaler.floor, base):
            told = [
                told
                for told in self.server.told()
                if told.get("autoscaler", {}).get("uid") == hpa.uid and told["event"] not in NOTES
            ][-1]
            assert (told["event"], told["floor"]["applied"]) == ("FloorIntended", step.floor)
        reference.wrote(step, base)
        reference.holding = frozenset(active)

    def _recorded(self, told: Mapping[str, Any]) -> None:
        reference = next(
            (one for one in self.references.values() if one.hpa.uid == told.get("autoscaler", {}).get("uid")), None
        )
        if reference is None or "floor" not in told:
            return
        reference.look(self._active())
        if told["event"] in NOTES:
            reference.contested = reference.contested or told["event"] == "FloorContested"
            assert told["floor"]["base"] == reference.base, f"{told} and not {reference.base}"
        if told["event"] == "FloorRestored":
            reference.held = reference.claimed = reference.stripped = reference.contested = False
        if told["outcome"] in ("Succeeded", "Intended"):
            reference.recorded = told["floor"]["base"]

    def _active(self) -> dict[str, int]:
        """What the leases that are in force ask for, by UID: accepted, in time, under a policy that is enforced."""
        policy = self.server.policy
        if policy is None or policy["spec"]["mode"] != "Enforce":
            return {}
        facts = self.controller.ledger.leases
        return {
            lease.uid: min(lease.replicas, policy["spec"]["maxReplicas"])
            for lease in model.read_leases(self.server.leases.values())
            if lease.uid in facts
            and facts[lease.uid].open
            and not lease.ended
            and lease.start <= self.server.now < lease.end
        }

    def _check_floors(self, complete: bool) -> None:
        active = self._active()
        for reference in self.references.values():
            reference.look(active)
            if not active:
                assert reference.hpa.floor == min(reference.base, reference.hpa.maximum)
                # Annotations may stay where only they tell that the value is the base.
                assert reference.hpa.is_clean() or (not complete and reference.held), reference.hpa
            elif complete and (reference.held or len(self.references) == 1):
                assert reference.held
                assert reference.hpa.floor == reference.floor(list(active.values()))
        if complete:
            self._check_rest()

    def _check_rest(self) -> None:
        before = (
            [hpa.version for hpa in self.server.hpas.values()],
            len(self.server.records),
            self.server.status_writes,
        )
        assert self.controller.run()
        after = (
            [hpa.version for hpa in self.server.hpas.values()],
            len(self.server.records),
            self.server.status_writes,
        )
        assert before == after, self.server.story()
        anew, live = driver.ledger_of(self.server), self.controller.ledger
        there = {lease["metadata"]["uid"] for lease in self.server.leases.values()}
        assert {uid: facts for uid, facts in anew.leases.items() if uid in there} == live.leases
        assert (anew.floors, anew.intents, anew.refusals, anew.head) == (
            live.floors, live.intents, live.refusals, live.head)  # fmt: skip
        self._check_phases()

    def _check_phases(self) -> None:
        for lease in self.server.leases.values():
            assert lease["status"]["phase"]


LeaseMachine.TestCase.settings = settings(
    max_examples=3000 if THOROUGH else 150,
    stateful_step_count=50 if THOROUGH else 25,
    deadline=None,
    derandomize=not THOROUGH,  # `make test` finds the same everywhere; the thorough part searches
    suppress_health_check=list(HealthCheck),
)
TestLeaseMachine = LeaseMachine.TestCase
