"""One scenario at a time: what is written to the autoscaler, the chain and the lease's status, in which order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.lease import housekeeping, model, plan, status
from ansible_collections.claudescale.core.plugins.module_utils.record import chain, verify

from tests.engine import lease_driver as driver

REQUESTED = "LeaseRequested Accepted"
STARTED = [REQUESTED, "FloorIntended LeaseStart", "FloorWritten LeaseStart"]
OVER = ["FloorRestored Succeeded", "LeaseEnded Expired"]


class World:
    """A namespace with its controller."""

    def __init__(self, *, floor: int = 2, maximum: int = 5) -> None:
        self.server = driver.Server()
        self.hpa = self.server.add_hpa(floor=floor, maximum=maximum)
        self.controller = driver.Controller(self.server)

    def run(self, seconds: float = 0) -> bool:
        self.server.now += seconds
        return self.controller.run()

    def restart(self) -> None:
        self.controller = driver.Controller(self.server)

    def crash_after(self, effects: int) -> None:
        """Die between two effects; the next controller knows only the records."""
        left = [2 * effects]

        def around() -> None:
            left[0] -= 1
            if left[0] == 0:
                raise driver.Crash

        self.controller = driver.Controller(self.server, around=around)
        with pytest.raises(driver.Crash):
            self.controller.run()
        self.restart()

    def status(self, name: str = "a") -> Any:
        return self.server.leases[name].get("status", {})

    def phase(self, name: str = "a") -> str:
        return str(self.status(name)["phase"])

    def conditions(self, name: str = "a") -> dict[str, tuple[str, str]]:
        return {one["type"]: (one["status"], one["reason"]) for one in self.status(name)["conditions"]}

    def last(self, event: str) -> Any:
        return [told for told in self.server.told() if told["event"] == event][-1]

    def annotations(self) -> dict[str, str]:
        return {name.partition("/")[2]: text for name, text in self.hpa.annotations.items()}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def active(world: World) -> World:
    """A lease of 4 over a base of 2, for 600 s, that stands."""
    world.server.add_lease("a", 4)
    assert world.run()
    assert (world.hpa.floor, world.server.story()) == (4, STARTED)
    return world


def test_a_simple_lease(active: World) -> None:
    assert active.annotations() == {"base": "2", "floor": "4", "leases": "a", "record": "2"}
    assert active.server.replicas == 4
    assert active.phase() == "Active"
    assert active.status()["message"] == "the floor of demo stands at 4 until 2026-01-01T00:10:00.000000Z"
    assert active.status()["floor"] == {"before": 2, "applied": 4}
    assert plan.next_deadline(active.controller.look()) == driver.START + 600
    active.run(599)
    assert active.hpa.floor == 4
    active.run(1)
    assert active.hpa.values == {"minReplicas": 2, "maxReplicas": 5}
    assert active.hpa.is_clean()
    assert active.server.story() == [*STARTED, *OVER]
    assert active.phase() == "Ended"
    assert active.status()["message"] == "over: its time is over"
    assert active.status()["floor"] == {"before": 2, "applied": 4, "after": 2}
    assert active.status()["record"]["sequence"] == 5
    assert plan.next_deadline(active.controller.look()) is None
    assert active.server.replicas == 4  # downwards is the autoscaler's own business


def test_what_the_records_of_a_lease_say(active: World) -> None:
    active.run(600)
    requested, intended, written, restored, ended = active.server.told()
    lease = {
        "name": "a", "uid": "lease-2", "replicas": 4, "reason": "a launch",
        "startTime": "2026-01-01T00:00:00.000000Z", "endTime": "2026-01-01T00:10:00.000000Z",
    }  # fmt: skip
    assert requested["lease"] == intended["lease"] == written["lease"] == ended["lease"] == lease
    assert {told["actor"] for told in (requested, intended, written)} == {"alice"}
    assert {told["door"] for told in (requested, intended, written)} == {"kubectl-create"}
    assert {told["actor"] for told in (restored, ended)} == {model.CONTROLLER}
    assert intended["decision"]["allowed"]
    assert intended["floor"] == written["floor"] == {"base": 2, "before": 2, "applied": 4, "held": True}
    assert (intended["outcome"], written["outcome"], written["of"]) == ("Intended", "Succeeded", intended["sequence"])
    assert restored["floor"] == {"base": 2, "before": 4, "applied": 2, "held": False}
    assert {told["workload"]["name"] for told in active.server.told()} == {"demo-app"}
    assert verify.verify(active.server.chain_objects(), namespace_uid=driver.NAMESPACE_UID).broken is None


def test_the_order_of_the_effects(world: World) -> None:
    """The record stands before the raise, pods come at once after it, the outcome follows."""
    world.server.add_lease("a", 4)
    seen = []
    while steps := plan.plan(world.controller.look()):
        seen.append([type(step).__name__ for step in steps])
        for step in steps:
            world.controller._do(step, world.controller.look())
    assert seen == [["Append"], ["Append"], ["WriteFloor"], ["RaiseScale"], ["Append"]]


def test_a_lease_that_starts_later(world: World) -> None:
    world.server.add_lease("a", 4, lead=100)
    world.run()
    assert (world.hpa.floor, world.phase(), world.server.story()) == (2, "Pending", [REQUESTED])
    assert world.conditions() == {"Accepted": ("True", "Allowed"), "FloorStands": ("False", "NotStarted")}
    assert plan.next_deadline(world.controller.look()) == driver.START + 100
    world.run(100)
    assert (world.hpa.floor, world.phase()) == (4, "Active")
    world.run(600)
    assert (world.hpa.floor, world.phase()) == (2, "Ended")


def test_overlapping_leases(active: World) -> None:
    active.server.add_lease("b", 5, seconds=300)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["leases"]) == (5, "a,b")
    active.run(300)
    assert (active.hpa.floor, active.annotations()["leases"]) == (4, "a")
    assert (active.phase("a"), active.phase("b")) == ("Active", "Ended")
    assert active.status("b")["floor"] == {"before": 4, "applied": 5, "after": 4}
    assert active.last("FloorIntended")["cause"] == "LeaseEnd"
    active.run(300)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()


def test_an_extension_is_another_lease(active: World) -> None:
    active.server.now += 590
    active.server.add_lease("b", 4)
    active.run()
    active.run(10)
    assert (active.hpa.floor, active.annotations()["leases"], active.annotations()["base"]) == (4, "b", "2")


def test_ended_early(active: World) -> None:
    active.server.end_lease("a")
    active.run(10)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()
    assert active.server.story()[3:] == ["FloorRestored Succeeded", "LeaseEnded EndedEarly"]
    assert active.last("LeaseEnded")["door"] == "claudescale-cli"
    assert (active.phase(), active.status()["message"]) == ("Ended", "over: it was ended before its time")


def test_deleted_while_the_controller_was_away(active: World) -> None:
    del active.server.leases["a"]
    active.restart()
    active.run(10)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()
    assert active.server.story()[3:] == ["FloorRestored Succeeded", "LeaseEnded Deleted"]
    assert "lease-2" not in active.controller.ledger.leases


def test_a_name_used_again_is_another_lease(active: World) -> None:
    del active.server.leases["a"]
    active.server.add_lease("a", 3)
    active.run(10)
    assert active.hpa.floor == 3
    assert active.server.story()[3:] == [
        "FloorRestored Succeeded", "LeaseEnded Deleted", *STARTED]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "cause", "sentence"),
    [
        pytest.param(None, "PolicyRemoved", "its policy was deleted, which ends leases for good", id="removed"),
        pytest.param(
            "Observe", "PolicyObserves", "its policy was set to Observe, which ends leases for good", id="observes"
        ),
    ],
)
def test_the_kill_switch(active: World, mode: str | None, cause: str, sentence: str) -> None:
    active.server.add_lease("later", 3, lead=50)
    active.run()
    active.server.policy = driver.policy_object(mode=mode) if mode else None
    active.run(1)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()
    assert active.server.story()[4:] == [f"LeaseEnded {cause}", f"LeaseEnded {cause}", "FloorRestored Succeeded"]
    active.server.policy = driver.policy_object()
    active.run(60)
    assert active.hpa.floor == 2  # for good
    assert (active.phase("a"), active.status("a")["message"]) == ("Ended", f"over: {sentence}")
    assert active.phase("later") == "Ended"


def test_observed(world: World) -> None:
    world.server.policy = driver.policy_object(mode="Observe")
    world.server.add_lease("a", 4)
    world.run()
    assert (world.hpa.floor, world.hpa.version, world.server.replicas) == (2, 1, 2)
    assert world.server.story() == ["LeaseRequested Observed"]
    assert (world.phase(), world.status()["decision"]["allowed"]) == ("Observed", True)
    assert (
        world.status()["message"] == "the policy only observes: this would have been allowed, and nothing was changed"
    )


def test_refused(world: World) -> None:
    world.server.add_lease("a", 500)
    world.run()
    assert (world.hpa.version, world.server.story()) == (1, ["LeaseRequested Refused"])
    assert world.phase() == "Refused"
    assert world.conditions() == {"Accepted": ("False", "AbovePolicyMaximum")}
    assert world.status()["message"].startswith("refused: replicas by policy: 500 asked, 5 at most; ")
    assert world.status()["record"]["sequence"] == 1


def test_refused_at_its_start(world: World) -> None:
    world.server.add_lease("a", 4, lead=100)
    world.run()
    world.server.policy = driver.policy_object(maximum=3)
    world.run(100)
    assert (world.hpa.floor, world.hpa.version) == (2, 1)
    assert world.server.story() == [REQUESTED, "LeaseRefused Refused"]
    assert (world.phase(), world.status()["decision"]["code"]) == ("Refused", "AbovePolicyMaximum")
    assert world.conditions()["Accepted"] == ("False", "AbovePolicyMaximum")


def test_refused_at_its_start_lets_the_next_one_start(active: World) -> None:
    active.server.add_lease("b", 5, lead=100)
    active.server.add_lease("c", 3, lead=100)
    active.run()
    active.server.policy = driver.policy_object(maximum=4)
    active.run(100)
    assert [active.phase(name) for name in "abc"] == ["Active", "Refused", "Active"]


def test_the_policy_lowered_its_maximum(active: World) -> None:
    active.server.policy = driver.policy_object(maximum=3)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (3, "2")
    assert active.last("FloorIntended")["cause"] == "LimitsChanged"
    assert active.conditions()["FloorCapped"] == ("True", "MaximumReached")
    active.run(600)
    assert active.hpa.floor == 2


def test_two_autoscalers(world: World) -> None:
    second = world.server.add_hpa("second", floor=3)
    world.server.add_lease("a", 4)
    world.run()
    assert (world.phase(), world.status()["decision"]["code"]) == ("Refused", "SeveralAutoscalers")
    assert (world.hpa.floor, second.floor) == (2, 3)


@pytest.mark.parametrize("strip", [False, True], ids=["annotated", "annotations-lost"])
@pytest.mark.parametrize("name", ["another", "zebra"])
def test_a_second_autoscaler_during_a_lease(active: World, name: str, strip: bool) -> None:
    second = active.server.add_hpa(name, floor=3)
    if strip:
        active.hpa.update("helm", dict.fromkeys(model.ANNOTATIONS))
    active.server.add_lease("b", 5)
    active.run(1)
    assert (active.hpa.floor, second.floor, second.version) == (4, 3, 1)
    assert (active.phase("a"), active.phase("b")) == ("Active", "Refused")
    active.run(600)
    assert (active.hpa.floor, second.floor) == (2, 3)


@pytest.mark.parametrize("name", ["another", "zebra"])
def test_an_autoscaler_copied_with_its_annotations(active: World, name: str) -> None:
    copy = active.server.add_hpa(name)
    copy.update("velero", active.hpa.values)
    active.run(1)
    assert (active.hpa.floor, copy.floor, copy.annotations) == (4, 2, {})
    assert active.annotations()["leases"] == "a"


def test_the_autoscaler_goes_and_comes_back(active: World) -> None:
    del active.server.hpas["demo"]
    active.run(1)
    assert active.phase() == "Active"
    assert active.conditions()["FloorStands"] == ("False", "AutoscalerMissing")
    active.hpa = active.server.add_hpa(floor=1, maximum=3)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (3, "1")
    assert active.last("FloorIntended")["cause"] == "AutoscalerBack"
    active.run(600)
    assert active.hpa.floor == 1
    assert active.hpa.is_clean()


def test_capped(active: World) -> None:
    active.hpa.update("kubectl-edit", {"maxReplicas": 3, "minReplicas": 2})
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"], active.phase()) == (3, "2", "Active")
    assert active.conditions()["FloorCapped"] == ("True", "MaximumReached")
    assert active.last("FloorIntended")["cause"] == "MAXIMUM_LOWERED"
    active.hpa.update("kubectl-edit", {"maxReplicas": 8})
    active.run(1)
    assert active.hpa.floor == 4
    assert "FloorCapped" not in active.conditions()
    active.run(600)
    assert active.hpa.floor == 2


def test_capped_by_who_applies_server_side(active: World) -> None:
    """The maximum's own value as minReplicas is written for the maximum's sake: the base stays."""
    active.hpa.apply("people", {"maxReplicas": 3, "minReplicas": 3}, force=True)
    active.run(1)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (3, "2")
    active.run(600)
    assert active.hpa.floor == 2


def test_another_base(active: World) -> None:
    active.hpa.update("kubectl-edit", {"minReplicas": 3})
    active.run(1)
    assert active.hpa.floor == 4
    assert active.annotations() | {"record": ""} == {
        "base": "3", "floor": "4", "leases": "a", "record": "", "overruled": "kubectl-edit"}  # fmt: skip
    assert active.server.story()[3:] == [
        "BaseChanged VALUE_WRITTEN", "FloorIntended VALUE_WRITTEN", "FloorWritten VALUE_WRITTEN"]  # fmt: skip
    assert active.last("BaseChanged")["manager"] == "kubectl-edit"
    active.run(600)
    assert active.hpa.floor == 3


def test_another_base_written_while_the_controller_was_away_past_the_end(active: World) -> None:
    active.hpa.update("kubectl-edit", {"minReplicas": 3})
    active.restart()
    active.run(700)
    assert active.hpa.floor == 3
    assert active.hpa.is_clean()
    assert active.server.story()[3:] == ["BaseChanged VALUE_WRITTEN", *OVER]


def test_contested(active: World) -> None:
    active.hpa.update("argocd", {"minReplicas": 2})
    active.run(1)
    assert active.hpa.floor == 4
    active.hpa.update("argocd", {"minReplicas": 2})
    active.run(1)
    assert (active.hpa.floor, active.annotations()["contested-by"]) == (2, "argocd")
    assert active.conditions()["FloorContested"] == ("True", "WrittenAgain")
    assert active.conditions()["FloorStands"] == ("False", "FloorContested")
    assert active.status()["message"] == (
        "argocd keeps writing minReplicas of demo: the lease stopped asserting its floor"
    )
    active.hpa.update("kubectl-edit", {"minReplicas": 3})
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (3, "3")
    assert active.server.story().count("FloorContested VALUE_WRITTEN_AGAIN") == 1
    active.run(600)
    assert active.hpa.floor == 3
    assert active.hpa.is_clean()


def test_a_contest_ends_with_its_leases_even_where_their_end_was_not_recorded(active: World) -> None:
    for _ in range(2):
        active.hpa.update("argocd", {"minReplicas": 2})
        active.run(1)
    active.server.records_fail = True
    assert not active.run(600)
    active.server.records_fail = False
    active.server.add_lease("b", 4)
    active.run()
    assert (active.hpa.floor, active.annotations().get("contested-by")) == (4, None)
    active.hpa.update("argocd", {"minReplicas": 2})
    active.run(1)
    assert active.hpa.floor == 4  # once again, as for every lease


@pytest.mark.parametrize("text", ["x", "", "0", "-1", "2.0", "\uff12", "99999999999", None])
@pytest.mark.parametrize("name", sorted({*model.ANNOTATIONS} - {model.CONTESTED_BY}))
def test_one_annotation_is_garbage(active: World, name: str, text: str | None) -> None:
    active.hpa.update("kubectl-annotate", {name: text})
    active.run(1)
    assert active.hpa.floor == 4
    assert {"base": "2", "floor": "4", "leases": "a"}.items() <= active.annotations().items()
    active.run(600)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()


@pytest.mark.parametrize("text", ["x", None])
@pytest.mark.parametrize("value", [4, 3])
@pytest.mark.parametrize("seconds", [1, 700])
def test_all_annotations_are_lost_or_garbage(active: World, text: str | None, value: int, seconds: int) -> None:
    """With another value it is a replace, and the value is the base; else the base comes from the records."""
    active.hpa.update(
        "helm", {**dict.fromkeys(model.ANNOTATIONS, text), model.CONTESTED_BY: None, "minReplicas": value}
    )
    active.restart()
    active.run(seconds)
    base = 2 if value == 4 else 3
    if seconds == 1:
        assert (active.hpa.floor, active.annotations()["base"]) == (4, str(base))
    active.run(600)
    assert active.hpa.floor == base
    assert active.hpa.is_clean()


def test_an_edited_list_of_leases_starts_nothing(active: World) -> None:
    active.server.add_lease("b", 5, lead=50)
    active.run()
    active.server.policy = driver.policy_object(maximum=4)
    active.hpa.update("kubectl-annotate", {model.LEASES: "a,b"})
    active.run(50)
    assert (active.hpa.floor, active.annotations()["leases"], active.phase("b")) == (4, "a", "Refused")


def test_the_base_is_edited_in_its_annotation(active: World) -> None:
    active.hpa.update("kubectl-annotate", {model.BASE: "3"})
    active.run(1)
    assert active.hpa.floor == 4
    assert active.server.story()[3:] == ["BaseChanged BASE_EDITED"]
    assert active.last("BaseChanged")["manager"] == "kubectl-annotate"
    active.run(600)
    assert active.hpa.floor == 3


def test_the_base_is_edited_where_its_owner_applied_the_floor_before(world: World) -> None:
    world.server.add_lease("a", 2)
    world.run()
    assert (world.hpa.floor, world.annotations()["base"]) == (2, "2")
    world.hpa.update("kubectl-annotate", {model.BASE: "1"})
    world.run(1)
    world.run(1)
    assert world.annotations()["base"] == "1"
    world.run(600)
    assert world.hpa.floor == 1


def test_the_floor_is_claimed_server_side(active: World) -> None:
    active.hpa.apply("flux", {"minReplicas": 4}, force=False)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (4, "4")
    assert active.last("BaseChanged")["manager"] == "flux"
    assert active.server.story().count("BaseChanged VALUE_CLAIMED") == 1
    active.run(600)
    assert active.hpa.floor == 4
    assert active.hpa.is_clean()


def test_an_apply_of_another_value_succeeds_without_force_after_the_end(active: World) -> None:
    with pytest.raises(driver.Conflict):
        active.hpa.apply("people", {"minReplicas": 3, "maxReplicas": 5}, force=False)
    active.run(600)
    active.hpa.apply("people", {"minReplicas": 3, "maxReplicas": 5}, force=False)
    assert active.hpa.floor == 3


def test_without_records_nothing_is_raised(world: World) -> None:
    world.server.records_fail = True
    world.server.add_lease("a", 4)
    assert not world.run()
    assert (world.hpa.version, world.server.replicas, world.status()) == (1, 2, {})
    world.server.records_fail = False
    assert world.run(1)
    assert world.hpa.floor == 4


def test_accepted_and_then_no_record_can_be_written(world: World) -> None:
    world.server.add_lease("a", 4, lead=10)
    world.run()
    world.server.records_fail = True
    assert not world.run(10)
    assert (world.hpa.floor, world.phase()) == (2, "Pending")
    assert world.conditions()["FloorStands"] == ("False", "RecordsUnavailable")


def test_without_records_a_restore_happens(active: World) -> None:
    active.server.records_fail = True
    assert not active.run(600)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()
    assert active.server.story() == STARTED
    active.server.records_fail = False
    assert active.run(60)
    assert active.server.story() == [*STARTED, *OVER]
    assert active.phase() == "Ended"


@pytest.mark.parametrize("seconds", [0, 600], ids=["while-it-is-held", "after-its-end"])
def test_a_base_that_became_the_floors_own_value_waits_for_its_record_in_the_annotations(
    active: World, seconds: int
) -> None:
    active.server.records_fail = True
    active.hpa.update("kubectl-annotate", {model.BASE: str(active.hpa.floor)})
    active.run(seconds)
    active.run(600)
    assert (active.hpa.floor, active.annotations()["base"]) == (4, "4")
    active.server.records_fail = False
    assert active.run()
    assert active.hpa.floor == 4
    assert active.hpa.is_clean()
    assert active.last("BaseChanged")["floor"]["base"] == 4


def test_a_write_that_landed_counts_before_its_outcome_is_recorded(world: World) -> None:
    world.server.add_lease("a")
    world.crash_after(3)
    assert world.hpa.floor == 4
    world.server.records_fail = True
    world.hpa.update("kubectl-edit", dict.fromkeys(model.ANNOTATIONS))
    world.run(600)
    assert world.hpa.floor == 2
    assert world.hpa.is_clean()


def test_without_records_a_floor_is_lowered(active: World) -> None:
    active.server.add_lease("b", 5, seconds=300)
    active.run()
    active.server.records_fail = True
    assert not active.run(300)
    assert (active.hpa.floor, active.annotations()["leases"]) == (4, "a")
    active.server.records_fail = False
    assert active.run(1)
    assert active.server.story()[-2:] == ["FloorWritten Found", "LeaseEnded Expired"]
    assert active.last("FloorWritten")["floor"] == {"base": 2, "before": 4, "applied": 4, "held": True}


def test_the_record_of_a_raise_fails_after_its_write(world: World) -> None:
    """The pass ends, and the outcome follows."""
    world.server.add_lease("a", 4)
    world.crash_after(3)
    assert world.hpa.floor == 4
    world.server.records_fail = True
    assert not world.run()
    assert world.hpa.floor == 4
    world.server.records_fail = False
    assert world.run()
    assert world.server.story() == STARTED


def test_lowered_without_records_while_an_outcome_is_missing(active: World) -> None:
    active.server.add_lease("b", 5, seconds=300)
    active.crash_after(3)
    assert active.hpa.floor == 5
    active.server.records_fail = True
    assert not active.run(300)
    assert active.hpa.floor == 4
    active.server.records_fail = False
    assert active.run()
    assert (active.hpa.floor, active.phase("a"), active.phase("b")) == (4, "Active", "Ended")


def test_restored_without_a_record_and_then_the_old_floor_is_what_somebody_wants(active: World) -> None:
    active.server.records_fail = True
    active.run(600)
    active.hpa.update("kubectl-edit", {"minReplicas": 4})
    active.server.records_fail = False
    active.restart()
    active.run(1)
    assert active.hpa.floor == 4
    assert active.hpa.is_clean()


@pytest.mark.parametrize("effects", range(1, 8))
def test_a_crash_anywhere_is_continued(effects: int) -> None:
    world = World()
    world.server.add_lease("a", 4)
    world.crash_after(effects) if effects < 7 else world.run()
    world.run()
    assert world.server.story() == STARTED
    world.server.now += 600
    world.crash_after(min(effects, 4))
    world.run()
    assert world.server.story() == [*STARTED, *OVER]
    assert world.hpa.values == {"minReplicas": 2, "maxReplicas": 5}
    assert world.hpa.is_clean()


def test_away_past_the_end_of_a_lease_that_never_stood(world: World) -> None:
    world.server.add_lease("a", 4, lead=100)
    world.run()
    world.restart()
    world.run(1000)
    assert world.server.story() == [REQUESTED, "LeaseEnded NeverStood"]
    assert (world.phase(), world.hpa.version) == ("Failed", 1)
    assert world.status()["message"] == "over: its time passed before the floor could be raised"


def test_away_for_the_whole_of_a_lease(world: World) -> None:
    world.server.add_lease("a", 4)
    world.run(1000)
    assert world.server.story() == [REQUESTED, "LeaseEnded NeverStood"]
    assert world.phase() == "Failed"


def test_away_past_the_end_of_a_lease_that_stood(world: World) -> None:
    world.server.add_lease("a", 4)
    world.crash_after(3)
    world.run(1000)
    assert world.server.story() == [*STARTED, *OVER]
    assert (world.phase(), world.hpa.floor) == ("Ended", 2)


def test_the_clock_steps_back_over_a_start(active: World) -> None:
    active.run(-3600)
    assert active.hpa.floor == 2
    active.run(3600)
    assert active.hpa.floor == 4
    active.run(600)
    assert active.hpa.floor == 2


def test_pods_are_brought_up_from_above_zero_only(active: World) -> None:
    active.server.replicas = 0
    active.run(1)
    assert active.server.replicas == 0
    active.server.replicas = 1
    active.run(1)
    assert active.server.replicas == 4


def test_pods_are_not_brought_up_to_a_floor_that_is_about_to_fall(active: World) -> None:
    active.server.add_lease("b", 3)
    active.run()
    active.server.end_lease("a")
    active.server.replicas = 2
    active.run(1)
    assert (active.hpa.floor, active.server.replicas) == (3, 3)


def test_ten_leases_at_most(world: World) -> None:
    for number in range(12):
        world.server.add_lease(f"lease-{number:02}", 3)
    world.run()
    phases = [world.phase(f"lease-{number:02}") for number in range(12)]
    assert phases == ["Active"] * 10 + ["Refused"] * 2
    assert len(world.annotations()["leases"].split(",")) == 10
    world.run(600)
    assert world.hpa.floor == 2


def test_a_lease_that_is_over_does_not_count(world: World) -> None:
    world.server.policy = driver.policy_object(concurrent=1)
    world.server.add_lease("a", 3)
    world.run()
    world.server.now += 600
    world.server.add_lease("b", 3)
    world.run()
    assert (world.phase("a"), world.phase("b")) == ("Ended", "Active")


def test_a_flood_of_requests_delays_no_decision_of_the_floor(active: World) -> None:
    for number in range(3 * plan.BATCH):
        active.server.add_lease(f"flood-{number:03}", 500, by=f"mallory-{number}")
    active.server.now += 600
    first = plan.plan(active.controller.look())
    assert [type(step) for step in first] == [plan.Restore]


def test_repeats_make_one_record_a_minute_and_every_one_is_counted(world: World) -> None:
    total = 0
    for _ in range(37):
        for _ in range(4):
            world.server.add_lease(f"loop-{total:04}", 500, by="mallory")
            total += 1
        world.run(5)
    world.run(60)
    world.run(60)
    told = world.server.told()
    counted = sum(record.get("count", 1) for record in told)
    assert counted == total
    assert len(told) <= 9  # in five minutes
    repeated = world.last("RefusalsRepeated")
    assert (repeated["actor"], repeated["decision"]["code"]) == ("mallory", "AbovePolicyMaximum")


def test_other_callers_workloads_and_codes_are_refused_on_their_own(world: World) -> None:
    world.server.add_lease("a", 500, by="mallory")
    world.server.add_lease("b", 500, by="mallory")
    world.server.add_lease("c", 500, by="bob")
    world.server.add_lease("d", 3, by="mallory", seconds=99999)
    world.run()
    assert [(told["actor"], told["decision"]["code"]) for told in world.server.told()] == [
        ("mallory", "AbovePolicyMaximum"), ("bob", "AbovePolicyMaximum"), ("mallory", "TooLong")]  # fmt: skip


def test_finished_leases_go_when_their_record_stands(active: World) -> None:
    active.server.add_lease("refused", 500)
    active.run()
    active.run(600)
    active.run(driver.TTL - 601)
    assert set(active.server.leases) == {"a", "refused"}
    active.run(1)
    assert set(active.server.leases) == {"a"}
    active.run(599)
    assert set(active.server.leases) == {"a"}
    active.run(1)
    assert active.server.leases == {}


def test_many_finished_leases_go_sooner(world: World) -> None:
    for number in range(housekeeping.MANY + 1):
        world.server.add_lease(f"lease-{number}", 500, by=f"caller-{number}")
    world.run()
    assert len(world.server.leases) == housekeeping.MANY + 1
    world.run(housekeeping.SHORT_SECONDS)
    assert world.server.leases == {}


def test_chores_tell_when_to_look_again(world: World) -> None:
    world.server.add_lease("a", 500)
    world.server.add_lease("b", 500)
    world.run()
    leases = model.read_leases(world.server.leases.values())
    chores = housekeeping.chores(leases, world.controller.ledger, world.server.now, driver.TTL)
    assert chores == housekeeping.Chores(repeats=(), deletions=(), again=driver.START + plan.REPEAT_SECONDS)
    assert housekeeping.chores([], world.controller.ledger, world.server.now, driver.TTL).again is None


def test_a_second_pass_changes_nothing(active: World) -> None:
    before = (active.hpa.version, len(active.server.records), active.server.status_writes)
    assert active.run()
    active.run(1)
    assert (active.hpa.version, len(active.server.records), active.server.status_writes) == before


def test_a_condition_keeps_its_time_while_its_status_stays(active: World) -> None:
    active.run(5)
    active.server.end_lease("a")
    active.run(5)
    times = {one["type"]: one["lastTransitionTime"] for one in active.status()["conditions"]}
    assert times == {"Accepted": "2026-01-01T00:00:00.000000Z", "FloorStands": "2026-01-01T00:00:10.000000Z"}
    assert {one["observedGeneration"] for one in active.status()["conditions"]} == {2}
    assert status.statuses(active.controller.look()) == []


def test_the_chain_is_what_a_ledger_is_made_from(active: World) -> None:
    active.run(600)
    anew = driver.ledger_of(active.server)
    assert anew == active.controller.ledger
    assert anew.head is not None
    assert anew.head.hash == chain.from_object(active.server.chain_objects()[-1]).hash


def test_somebody_writes_the_intended_floor_before_the_controller_does(world: World) -> None:
    world.server.add_lease("a", 4)
    world.crash_after(2)
    assert (world.hpa.floor, world.server.story()) == (2, STARTED[:2])
    world.hpa.update("kubectl-edit", {"minReplicas": 4})
    world.run()
    assert (world.hpa.floor, world.annotations()["base"]) == (4, "4")
    world.run(600)
    assert world.hpa.floor == 4


def test_a_lease_that_starts_after_an_unrecorded_restore_inherits_no_contest(active: World) -> None:
    active.server.add_lease("b", 4, lead=700)
    for _ in range(2):
        active.hpa.update("argocd", {"minReplicas": 2})
        active.run(1)
    active.server.records_fail = True
    active.run(600)
    active.server.records_fail = False
    active.run(150)
    assert (active.hpa.floor, active.annotations().get("contested-by")) == (4, None)


def test_a_contest_is_told_once(active: World) -> None:
    for _ in range(2):
        active.hpa.update("argocd", {"minReplicas": 2})
        active.run(1)
    told = [event for event in active.server.story() if event.startswith(("BaseChanged", "FloorContested"))]
    assert told == ["BaseChanged VALUE_WRITTEN", "FloorContested VALUE_WRITTEN_AGAIN"]


def test_lowered_without_records_while_another_lease_would_start(active: World) -> None:
    active.server.add_lease("b", 3)
    active.server.add_lease("c", 3, lead=50)
    active.run()
    active.server.end_lease("a")
    active.server.records_fail = True
    active.run(50)
    assert (active.hpa.floor, active.annotations()["leases"]) == (3, "b")


def test_a_lease_that_ends_in_the_second_in_which_another_starts_does_not_count(active: World) -> None:
    active.server.add_lease("b", 4, lead=600)
    active.run()
    active.server.policy = driver.policy_object(concurrent=1)
    active.run(600)
    assert (active.phase("a"), active.phase("b"), active.hpa.floor) == ("Ended", "Active", 4)


def test_without_records_nothing_is_refused_either(world: World) -> None:
    world.server.records_fail = True
    world.server.add_lease("a", 500)
    world.server.add_lease("b", 500)
    world.run()
    assert (world.status("a"), world.status("b")) == ({}, {})


def test_without_records_an_edited_base_stands_and_its_annotations_wait_for_the_record(active: World) -> None:
    active.server.records_fail = True
    active.hpa.update("kubectl-annotate", {model.BASE: "3"})
    active.run(600)
    assert (active.hpa.floor, active.annotations()["base"]) == (3, "3")
    active.server.records_fail = False
    assert active.run()
    assert active.hpa.floor == 3
    assert active.hpa.is_clean()
    assert active.server.story() == [*STARTED, "BaseChanged BASE_EDITED", *OVER]


@pytest.mark.parametrize("lost", [model.ANNOTATIONS, (model.FLOOR,)], ids=["all", "floor"])
def test_a_floor_that_came_down_without_a_record_is_no_base(active: World, lost: tuple[str, ...]) -> None:
    active.server.records_fail = True
    active.server.policy = driver.policy_object(maximum=3)
    active.run()
    assert active.hpa.floor == 3
    active.hpa.update("kubectl-edit", dict.fromkeys(lost))
    active.run(600)
    assert active.hpa.floor == 2
    assert active.hpa.is_clean()


def test_the_floor_is_claimed_by_who_applied_the_base_before(active: World) -> None:
    active.hpa.apply("people", {"minReplicas": 4, "maxReplicas": 5}, force=False)
    active.run(1)
    assert (active.hpa.floor, active.annotations()["base"]) == (4, "4")


def test_a_write_and_then_a_replace_by_the_same_manager_is_a_contest(active: World) -> None:
    active.hpa.update("helm", {"minReplicas": 3})
    active.run(1)
    active.hpa.update("helm", {**dict.fromkeys(model.ANNOTATIONS), "minReplicas": 3})
    active.run(1)
    assert (active.hpa.floor, active.annotations()["contested-by"]) == (3, "helm")
