"""Every attack is refused by the guard that it names; every guard, left out, is missed.

The attacks and their twins are in `make test`. In `make test-all` each guard is left out once: a right that RBAC
withholds is given, a validation of an admission policy or a rule of a CRD is taken away. Where guards stand one behind
the other, those before it are left out too. Then the next guard must refuse, or, behind the last, the attack must
succeed: as a dry run.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.cluster.attacking import ASSISTANT, OURS, Attack, Guard, Right, Rule, Validation
from tests.cluster.attacks import ATTACKS
from tests.cluster.stage import GRANT, Answer, Stage, is_expected, rules_of, staged
from tests.support import Cluster

pytestmark = pytest.mark.cluster

GUARDS = tuple(dict.fromkeys(guard for attack in ATTACKS for guard in attack.guards))
AT_ONCE = 4  # kubectl's own work is most of a call


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What came of one attack; it is made for real only when its dry run was refused."""

    dry: Answer
    real: Answer
    twin: Answer


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(cluster, tmp_path_factory.mktemp("identities")) as found:
        yield found


def tried(stage: Stage, attack: Attack) -> Seen:
    dry = stage.run(attack.by, attack.call, dry=True)
    real = dry if dry.succeeded or not attack.call.writes else stage.run(attack.by, attack.call, dry=False)
    return Seen(dry=dry, real=real, twin=stage.run(attack.twin_by, attack.twin or attack.call, dry=True))


@pytest.fixture(scope="module")
def seen(stage: Stage) -> dict[str, Seen]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda attack: tried(stage, attack), ATTACKS)
        return {attack.name: one for attack, one in zip(ATTACKS, found, strict=True)}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_refused_by_its_guard(stage: Stage, seen: dict[str, Seen], attack: Attack) -> None:
    for answer in (seen[attack.name].dry, seen[attack.name].real):
        assert not answer.succeeded, f"{attack.name} succeeded: {answer.text}"
        assert attack.guards[0].refuses(answer.text, stage.user(attack.by)), (
            f"{attack.guards[0]} did not say: {answer.text}"
        )


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_twin_is_allowed(seen: dict[str, Seen], attack: Attack) -> None:
    assert seen[attack.name].twin.succeeded, seen[attack.name].twin.text


def test_every_validation_and_rule_is_some_attacks_guard(cluster: Cluster) -> None:
    """So that no guard is added without an attack, and each is left out once."""
    for holder_of, kind in ((Validation, "validatingadmissionpolicies"), (Rule, "customresourcedefinitions")):
        for item in cluster.get(kind, "-l", "app.kubernetes.io/part-of=claudescale")["items"]:
            name = item["metadata"]["name"]
            named = [
                guard
                for guard in GUARDS
                if isinstance(guard, holder_of) and name in (holder(guard), f"{holder(guard)}.{OURS}")
            ]
            for rule in rules_of(item):
                text = rule.get("message", rule.get("messageExpression"))
                assert any(guard.says in text for guard in named), f"{name}: {text}"  # type: ignore[union-attr]


def test_table_of_attacks(seen: dict[str, Seen]) -> None:
    print(f"\n{len(ATTACKS)} attacks, {sum(attack.by == ASSISTANT for attack in ATTACKS)} of them by the assistant")
    for attack in ATTACKS:
        twin = " ".join((attack.twin or attack.call).arguments)  # its answer may be a token
        print(f"\n{attack.name} ({attack.by})\n    guard   {attack.guards[0]}")
        print(f"    answer  {seen[attack.name].real.line()}\n    twin    {attack.twin_by}: {twin}")
    assert sum(attack.by == ASSISTANT for attack in ATTACKS) >= 30
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@dataclass(frozen=True, kw_only=True)
class Step:
    """An attack with its first `open` guards left out."""

    attack: Attack
    open: int

    @property
    def left_out(self) -> tuple[Guard, ...]:
        return self.attack.guards[: self.open]

    @property
    def mutant(self) -> Guard:
        return self.attack.guards[self.open - 1]

    @property
    def next(self) -> Guard | None:
        return self.attack.guards[self.open] if self.open < len(self.attack.guards) else None


@dataclass(kw_only=True)
class Round:
    """Steps that are made together: of each policy and each CRD one guard at most is left out."""

    steps: list[Step] = field(default_factory=list)

    @property
    def left_out(self) -> set[Guard]:
        return {guard for step in self.steps for guard in step.left_out}

    def takes(self, step: Step) -> bool:
        """Whether the step can be made here, and all the others answer the same with it."""
        left_out = self.left_out | set(step.left_out)
        holders = [holder(guard) for guard in left_out if not isinstance(guard, Right)]
        if len(holders) != len(set(holders)):
            return False
        return all(
            next((guard for guard in one.attack.guards if guard not in left_out), None) == one.next
            for one in [*self.steps, step]
        )


def holder(guard: Guard) -> str:
    return guard.policy if isinstance(guard, Validation) else guard.plural if isinstance(guard, Rule) else str(guard)


def rounds() -> list[Round]:
    """Every step of every attack. RBAC's rights are given one by one; the others, which are slow, in rounds."""
    found: list[Round] = []
    rights: dict[tuple[object, ...], Round] = {}
    for attack in ATTACKS:
        for count in range(1, len(attack.guards) + 1):
            step = Step(attack=attack, open=count)
            if all(isinstance(guard, Right) for guard in step.left_out):
                rights.setdefault((attack.by, *step.left_out), Round()).steps.append(step)
                continue
            fitting = next((one for one in found if one.takes(step)), None)
            if fitting is None:
                fitting = Round()
                found.append(fitting)
            fitting.steps.append(step)
    return [*rights.values(), *found]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step's attack answered, and whether that is what must happen without the guard."""

    step: Step
    answer: Answer
    noticed: bool


def outcomes_of(stage: Stage, one: Round) -> list[Outcome]:
    """Leave the round's guards out and make its steps."""
    left_out = sorted(one.left_out, key=str)
    stage.leave_out(guard for guard in left_out if not isinstance(guard, Right))
    rights = {
        (stage.user(step.attack.by), guard) for step in one.steps for guard in step.left_out if isinstance(guard, Right)
    }
    found = []
    with stage.granted(sorted(rights, key=str)):
        for step in one.steps:
            answer = stage.until(step.attack.by, step.attack.call, step.next)
            noticed = is_expected(answer, step.next, stage.user(step.attack.by))
            found.append(Outcome(step=step, answer=answer, noticed=noticed))
    return found


@pytest.fixture(scope="module")
def outcomes(stage: Stage) -> list[Outcome]:
    found = [outcome for one in rounds() for outcome in outcomes_of(stage, one)]
    stage.leave_out(())
    return found


@pytest.mark.long
@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_missing_guard_is_noticed(outcomes: list[Outcome], guard: Guard) -> None:
    mine = [outcome for outcome in outcomes if outcome.step.mutant == guard]
    assert mine
    for outcome in mine:
        assert outcome.noticed, (
            f"{outcome.step.attack.name} without {', '.join(map(str, outcome.step.left_out))}: "
            f"{outcome.step.next or 'success'} expected, but: {outcome.answer.text}"
        )


@pytest.mark.long
def test_table_of_mutants(outcomes: list[Outcome]) -> None:
    print(f"\n{len(GUARDS)} mutants")
    for guard in GUARDS:
        caught = [outcome.step.attack.name for outcome in outcomes if outcome.step.mutant == guard and outcome.noticed]
        print(f"    {guard}\n        caught by {', '.join(caught) or 'NOTHING'}")


@pytest.mark.long
def test_guards_stand_again(stage: Stage, outcomes: list[Outcome]) -> None:
    behind_rbac = [attack for attack in ATTACKS if not isinstance(attack.guards[0], Right)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda attack: stage.until(attack.by, attack.call, attack.guards[0]), behind_rbac)
        for attack, answer in zip(behind_rbac, answers, strict=True):
            assert is_expected(answer, attack.guards[0], stage.user(attack.by)), f"{attack.name}: {answer.text}"
    for kind in ("role", "rolebinding", "clusterrole", "clusterrolebinding"):
        assert stage.cluster.get(kind, "--all-namespaces", "-l", f"attacks={GRANT}")["items"] == []
