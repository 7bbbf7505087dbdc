"""Warm-up and CPU limit of a comparison: set, and undone exactly, whoever owned the fields or wrote meanwhile."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli.compare import fitting
from claudescale_cli.compare.fitting import FIELD_MANAGER, Fit

from tests.doors.compare_double import demo_app, patched

OURS = fitting.wanted_fit(30, "150m")
WARMUP_5 = {"name": "WARMUP_SECONDS", "value": "5"}


def set_by_us(before: dict[str, Any]) -> dict[str, Any]:
    """A Deployment after our patch, as the API server keeps it."""
    found = deepcopy(before)
    worker = found["spec"]["template"]["spec"]["containers"][1]
    env = [one for one in worker.get("env", []) if one["name"] != "WARMUP_SECONDS"]
    places = [place for place, one in enumerate(worker.get("env", [])) if one["name"] == "WARMUP_SECONDS"]
    env.insert(places[0] if places else len(env), dict(OURS.variable or {}))
    worker["env"] = env
    worker.setdefault("resources", {}).setdefault("limits", {})["cpu"] = OURS.limit
    return found


BEFORE = [
    pytest.param(demo_app(), id="demo-app"),
    pytest.param(demo_app(env=[WARMUP_5, {"name": "WORK_CPU_MS", "value": "5"}]), id="other-order"),
    pytest.param(demo_app(env=[{"name": "WORK_CPU_MS", "value": "5"}]), id="no-variable"),
    pytest.param(
        demo_app(env=[{"name": "WARMUP_SECONDS", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
        id="from-a-configmap",
    ),
    pytest.param(demo_app(limits={"memory": "128Mi"}), id="no-limit"),
]


@pytest.mark.parametrize("before", BEFORE)
def test_values_come_back_exactly(before: dict[str, Any]) -> None:
    now = set_by_us(before)
    assert fitting.fit_of(now) == OURS
    operations = fitting.values_back(now, OURS, fitting.fit_of(before))
    assert patched(now, operations)["spec"] == before["spec"]
    assert fitting.strangers(now, OURS, fitting.fit_of(before)) == []
    assert fitting.values_back(before, OURS, fitting.fit_of(before)) == []


def test_the_patch_is_for_one_version_and_touches_nothing_else() -> None:
    found = fitting.setting(demo_app(), OURS)
    (worker,) = found["spec"].pop("template")["spec"].pop("containers")
    assert found == {"metadata": {"resourceVersion": "7"}, "spec": {}}
    assert worker == {
        "name": "worker",
        "env": [{"name": "WARMUP_SECONDS", "value": "30"}],
        "resources": {"limits": {"cpu": "150m"}},
    }
    elsewhere = demo_app(env=[{"name": "WARMUP_SECONDS", "valueFrom": {}}])
    (worker,) = fitting.setting(elsewhere, OURS)["spec"]["template"]["spec"]["containers"]
    assert worker["env"] == [{"name": "WARMUP_SECONDS", "value": "30", "valueFrom": None}]


def test_settings_that_were_there_before_need_no_way_back() -> None:
    before = set_by_us(demo_app())
    assert fitting.values_back(before, OURS, fitting.fit_of(before)) == []


def test_what_somebody_else_wrote_meanwhile_is_left_alone() -> None:
    before = demo_app()
    now = set_by_us(before)
    now["spec"]["template"]["spec"]["containers"][1]["resources"]["limits"]["cpu"] = "300m"
    found = patched(now, fitting.values_back(now, OURS, fitting.fit_of(before)))
    assert fitting.fit_of(found) == Fit(variable={"name": "WARMUP_SECONDS", "value": "0"}, limit="300m")
    assert fitting.strangers(found, OURS, fitting.fit_of(before)) == ["the CPU limit"]
    now["spec"]["template"]["spec"]["containers"][1]["env"] = []
    assert fitting.values_back(now, OURS, fitting.fit_of(before)) == []
    assert fitting.strangers(now, OURS, fitting.fit_of(before)) == ["WARMUP_SECONDS", "the CPU limit"]


def test_a_container_that_moved_meanwhile_is_not_mistaken() -> None:
    before = demo_app()
    now = set_by_us(before)
    operations = fitting.values_back(now, OURS, fitting.fit_of(before))
    now["spec"]["template"]["spec"]["containers"].reverse()
    with pytest.raises(AssertionError, match="test"):
        patched(now, operations)


def test_a_deployment_without_the_worker_is_one_sentence() -> None:
    other = demo_app()
    other["spec"]["template"]["spec"]["containers"].pop()
    with pytest.raises(ClaudeScaleError, match=r"^demo-app has no container worker, so it is not"):
        fitting.fit_of(other)


# Who owns what

TEMPLATE = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"worker"}': {
        ".": {}, "f:name": {}, "f:image": {},
        "f:env": {'k:{"name":"WARMUP_SECONDS"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}},
    }}}}},
}  # fmt: skip
TAKEN = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"worker"}': {
        "f:env": {'k:{"name":"WARMUP_SECONDS"}': {"f:value": {}}}, "f:resources": {"f:limits": {"f:cpu": {}}},
    }}}}},
}  # fmt: skip
LEFT = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"worker"}': {
        ".": {}, "f:name": {}, "f:image": {},
        "f:env": {'k:{"name":"WARMUP_SECONDS"}': {".": {}, "f:name": {}}},
        "f:resources": {"f:limits": {"f:memory": {}}},
    }}}}},
}  # fmt: skip
SCALE = {"f:spec": {"f:replicas": {}}}
STATUS = {"f:status": {"f:replicas": {}}}


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", subresource: str = "") -> dict[str, Any]:
    found = {"apiVersion": "apps/v1", "manager": manager, "operation": operation, "fieldsV1": deepcopy(fields)}
    return {**found, **({"subresource": subresource} if subresource else {})}


ANSIBLE = entry("claudescale-ansible", TEMPLATE, "Apply")
CONTROLLER = entry("kube-controller-manager", STATUS, subresource="status")
HPA = entry("kube-controller-manager", SCALE, subresource="scale")


def owned(*entries: dict[str, Any]) -> dict[str, Any]:
    found = demo_app()
    found["metadata"]["managedFields"] = list(entries)
    return found


def test_fields_go_back_to_their_owner_and_our_entry_goes() -> None:
    before = owned(ANSIBLE, CONTROLLER)
    later = entry("kube-controller-manager", {"f:status": {"f:readyReplicas": {}}}, subresource="status")
    now = owned(entry("claudescale-ansible", LEFT, "Apply"), entry(FIELD_MANAGER, TAKEN), later)
    found = patched(now, fitting.owners_back(now, before))
    assert found["metadata"]["managedFields"] == [ANSIBLE, later]
    assert fitting.owners_back(found, before) == []


def test_an_owner_who_has_nothing_left_gets_its_entry_again() -> None:
    before = owned(ANSIBLE, HPA)
    now = owned(ANSIBLE, entry(FIELD_MANAGER, SCALE, subresource="scale"))
    found = patched(now, fitting.owners_back(now, before))
    assert found["metadata"]["managedFields"] == [ANSIBLE, HPA]


def test_what_nobody_owned_is_owned_by_nobody() -> None:
    before = owned(CONTROLLER)
    now = owned(CONTROLLER, entry(FIELD_MANAGER, TAKEN), entry(FIELD_MANAGER, SCALE, subresource="scale"))
    assert patched(now, fitting.owners_back(now, before))["metadata"]["managedFields"] == [CONTROLLER]


def test_who_took_the_fields_meanwhile_keeps_them() -> None:
    before = owned(ANSIBLE)
    somebody = entry("kubectl", TAKEN, "Apply")
    now = owned(entry("claudescale-ansible", LEFT, "Apply"), somebody)
    assert fitting.owners_back(now, before) == []


def test_the_way_back_of_owners_is_for_one_version() -> None:
    now = owned(entry(FIELD_MANAGER, TAKEN))
    operations = fitting.owners_back(now, owned(ANSIBLE))
    assert operations[-1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_settings_of_a_killed_comparison_are_recognised() -> None:
    assert fitting.is_fitted(owned(ANSIBLE, entry(FIELD_MANAGER, TAKEN)))
    assert not fitting.is_fitted(owned(ANSIBLE))
    # The scale of a raw write is the autoscaler's to take back.
    assert not fitting.is_fitted(owned(ANSIBLE, entry(FIELD_MANAGER, SCALE, subresource="scale")))


# Rollouts


@pytest.mark.parametrize(
    ("status", "over"),
    [
        ({}, True),
        ({"observedGeneration": 3}, False),
        ({"updatedReplicas": 1}, False),
        ({"readyReplicas": 1}, False),
        ({"availableReplicas": 1}, False),
        ({"replicas": 3}, False),
    ],
)
def test_a_rollout_is_over_when_every_pod_is_new_and_ready(status: dict[str, int], over: bool) -> None:
    found = demo_app()
    found["status"].update(status)
    assert fitting.rolled_out(found) is over


def replica_set(uid: str, template: dict[str, Any], *, replicas: int = 0, owner: str = "d") -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "name": f"demo-app-{uid}", "ownerReferences": [{"uid": owner}]},
        "spec": {"replicas": replicas, "template": template},
        "status": {"replicas": replicas},
    }


def test_only_empty_replica_sets_of_our_settings_are_left_behind() -> None:
    before = demo_app()
    mine, theirs = set_by_us(before)["spec"]["template"], before["spec"]["template"]
    sets = [
        replica_set("mine", mine), replica_set("known", mine), replica_set("runs", mine, replicas=1),
        replica_set("theirs", theirs), replica_set("other", mine, owner="else"),
    ]  # fmt: skip
    found = fitting.left_behind(sets, before, {"known"}, OURS)
    assert [one["metadata"]["uid"] for one in found] == ["mine"]
