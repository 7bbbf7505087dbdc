"""What is decided from what is seen: the table, and the settings that may, may not and must not change."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import plan as minikube_plan
from ansible_collections.claudescale.core.plugins.module_utils.minikube.model import (
    Condition,
    Observed,
    Request,
    Settings,
    Step,
    Wanted,
)

MADE = Settings(
    driver="docker",
    memory_mb=4096,
    cpus=2,
    kubernetes_version="v1.35.1",
    container_runtime="containerd",
    base_image="node:1",
    cni="bridge",
    addons=frozenset({"storage-provisioner", "metrics-server"}),
)
WITHOUT_SETTINGS = (Condition.ABSENT,)


def seen(condition: Condition, **changes: object) -> Observed:
    settings = None if condition in WITHOUT_SETTINGS else replace(MADE, **changes)
    return Observed(condition=condition, settings=settings)


def wanted(state: Wanted = Wanted.STARTED, **changes: object) -> Request:
    return Request(wanted=state, **changes)


def test_every_condition_has_an_answer_for_every_wanted_state() -> None:
    assert set(minikube_plan.STEPS) == set(itertools.product(Condition, Wanted))


TABLE = [
    (Condition.ABSENT, "start", "", ""),
    (Condition.HALF_MADE, "delete start", "delete", "delete"),
    (Condition.INTERRUPTED, "start", "stop", "delete"),
    (Condition.RUNNING, "", "stop", "delete"),
    (Condition.STOPPED, "start", "", "delete"),
    (Condition.PAUSED, "unpause", "unpause stop", "delete"),
    (Condition.MISCONFIGURED, "update-context", "stop", "delete"),
    (Condition.GONE, "start", "", "delete"),
    (Condition.BROKEN, "start", "stop", "delete"),
]


@pytest.mark.parametrize(("condition", "started", "stopped", "absent"), TABLE, ids=[row[0].value for row in TABLE])
def test_steps(condition: Condition, started: str, stopped: str, absent: str) -> None:
    for state, expected in zip(Wanted, (started, stopped, absent), strict=True):
        plan = minikube_plan.decide(wanted(state), seen(condition))
        assert plan.refusal is None
        assert " ".join(step.value for step in plan.steps) == expected


SAID = {
    Condition.INTERRUPTED: "the last start of claudescale had been interrupted: it is started again",
    Condition.HALF_MADE: "the first start of claudescale had never been finished: what was left of it is removed",
    Condition.PAUSED: "claudescale was paused: it is unpaused",
    Condition.MISCONFIGURED: "minikube's kubeconfig entry of claudescale was missing or stale: it is written anew",
    Condition.GONE: "the container of claudescale was gone: it is made again",
    Condition.BROKEN: "claudescale was running only in parts: it is started again",
}


@pytest.mark.parametrize("condition", Condition)
def test_what_is_mended_is_said(condition: Condition) -> None:
    plan = minikube_plan.decide(wanted(), seen(condition))
    assert plan.repairs == ((SAID[condition],) if condition in SAID else ())
    assert minikube_plan.decide(wanted(Wanted.ABSENT), seen(condition)).repairs == ()


def test_a_container_that_was_killed_is_told_from_one_that_was_stopped() -> None:
    killed = replace(seen(Condition.STOPPED), left_running=True)
    said = "claudescale had stopped without being asked to (killed, or the host restarted): it is started again"
    assert minikube_plan.decide(wanted(), killed).repairs == (said,)
    assert minikube_plan.decide(wanted(), seen(Condition.STOPPED)).repairs == ()
    assert minikube_plan.decide(wanted(Wanted.STOPPED), killed).repairs == ()


REFUSED = [
    (
        {"driver": "podman"},
        (
            "profile claudescale was made with the driver docker, podman is wanted (GUEST_DRIVER_MISMATCH): "
            "delete it first (state: absent, its data is lost) or set driver to docker."
        ),
    ),
    (
        {"container_runtime": "cri-o"},
        (
            "profile claudescale runs on containerd, cri-o is wanted, and minikube would damage it (RUNTIME_CHANGE): "
            "delete it first (state: absent, its data is lost) or set container_runtime to containerd."
        ),
    ),
    (
        {"kubernetes_version": "1.34.9"},
        (
            "profile claudescale has Kubernetes v1.35.1, v1.34.9 is wanted, and Kubernetes cannot go back "
            "(K8S_DOWNGRADE_UNSUPPORTED): delete it first (state: absent, its data is lost) or set "
            "kubernetes_version to v1.35.1."
        ),
    ),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[next(iter(row[0])) for row in REFUSED])
@pytest.mark.parametrize("condition", [one for one in Condition if one not in (Condition.ABSENT, Condition.HALF_MADE)])
def test_dangerous_changes_are_refused_with_no_step(
    change: dict[str, str], sentence: str, condition: Condition
) -> None:
    plan = minikube_plan.decide(wanted(**change), seen(condition))
    assert str(plan.refusal) == sentence
    assert plan.steps == ()


@pytest.mark.parametrize("change", [row[0] for row in REFUSED], ids=lambda change: next(iter(change)))
def test_dangerous_changes_do_not_hinder_stop_delete_and_a_new_start(change: dict[str, str]) -> None:
    for state, condition in (
        (Wanted.STOPPED, Condition.RUNNING),
        (Wanted.ABSENT, Condition.RUNNING),
        (Wanted.STARTED, Condition.HALF_MADE),
        (Wanted.STARTED, Condition.ABSENT),
    ):
        assert minikube_plan.decide(wanted(state, **change), seen(condition)).refusal is None


@pytest.mark.parametrize(
    ("change", "stays", "name"),
    [
        ({"memory_mb": 8192}, "4096, 8192", "memory_mb"),
        ({"cpus": 4}, "2, 4", "cpus"),
        ({"base_image": "node:2"}, "node:1, node:2", "base_image"),
        ({"cni": "flannel"}, "bridge, flannel", "cni"),
    ],
)
def test_what_minikube_would_ignore_is_a_warning_with_its_remedy(
    change: dict[str, object], stays: str, name: str
) -> None:
    plan = minikube_plan.decide(wanted(**change), seen(Condition.RUNNING))
    assert plan.steps == ()
    assert plan.warnings == (
        (
            f"{name} of profile claudescale stays {stays} is wanted: minikube cannot change it on an existing profile; "
            "state: absent and then started makes it anew (its data is lost)"
        ),
    )


def test_no_warning_where_nothing_differs_or_nothing_is_asked() -> None:
    assert minikube_plan.decide(wanted(base_image=""), seen(Condition.RUNNING)).warnings == ()
    assert minikube_plan.decide(wanted(cni=""), seen(Condition.RUNNING, cni="kindnet")).warnings == ()
    assert minikube_plan.decide(wanted(Wanted.STOPPED, cpus=8), seen(Condition.RUNNING)).warnings == ()


def test_a_newer_kubernetes_is_an_upgrade() -> None:
    newer = wanted(kubernetes_version="v1.36.0")
    assert minikube_plan.decide(newer, seen(Condition.RUNNING)).steps == (Step.START,)
    assert minikube_plan.decide(newer, seen(Condition.PAUSED)).steps == (Step.UNPAUSE, Step.START)
    assert minikube_plan.decide(newer, seen(Condition.STOPPED)).steps == (Step.START,)


@pytest.mark.parametrize(
    ("condition", "steps", "addons"),
    [
        (Condition.RUNNING, (Step.ENABLE_ADDONS,), ("ingress",)),
        (Condition.STOPPED, (Step.START, Step.ENABLE_ADDONS), ("ingress",)),
        (Condition.PAUSED, (Step.UNPAUSE, Step.ENABLE_ADDONS), ("ingress",)),
        (Condition.ABSENT, (Step.START,), ("metrics-server", "ingress")),
        (Condition.HALF_MADE, (Step.DELETE, Step.START), ("metrics-server", "ingress")),
    ],
)
def test_only_addons_that_are_not_enabled_are_enabled(
    condition: Condition, steps: tuple[Step, ...], addons: tuple[str, ...]
) -> None:
    plan = minikube_plan.decide(wanted(addons=("metrics-server", "ingress", "ingress")), seen(condition))
    assert plan.steps == steps
    assert plan.addons == addons


GOOD = [
    {"profile": "ab"},
    {"profile": "claudescale-test"},
    {"kubernetes_version": "1.35.1"},
    {"driver": "kvm"},
    {"memory_mb": 1800},
    {"cpus": 2},
    {"wait": ()},
    {"namespace": "x"},
]
BAD = [
    ({"profile": "a"}, "MK_USAGE", "profile 'a' is no name minikube takes"),
    ({"profile": "../x"}, "MK_USAGE", "profile '../x' is no name minikube takes"),
    ({"profile": "UP"}, "MK_USAGE", "profile 'UP' is no name minikube takes"),
    ({"profile": "a" * 64}, "MK_USAGE", f"profile '{'a' * 64}' is no name minikube takes"),
    ({"profile": "ab\n"}, "MK_USAGE", "profile 'ab\\n' is no name minikube takes"),
    ({"namespace": "a/b"}, "BadNamespace", "namespace 'a/b' is no name Kubernetes takes"),
    ({"driver": "abacus"}, "DRV_UNSUPPORTED", "driver 'abacus' is unknown to minikube"),
    ({"memory_mb": 1799}, "RSRC_INSUFFICIENT_REQ_MEMORY", "memory_mb is 1799 MB, minikube needs at least 1800 MB"),
    ({"cpus": 1}, "RSRC_INSUFFICIENT_CORES", "cpus is 1, Kubernetes needs at least 2"),
    ({"kubernetes_version": "latest"}, "BadKubernetesVersion", "kubernetes_version 'latest' is no version"),
    ({"container_runtime": "rkt"}, "RUNTIME_ENABLE", "container_runtime 'rkt' is unknown to minikube"),
    ({"wait": ("pods",)}, "MK_USAGE", "wait names the unknown components pods"),
    ({"timeout": 0}, "BadTimeout", "timeout is 0 s"),
]


@pytest.mark.parametrize("changes", GOOD, ids=str)
def test_good_requests(changes: dict[str, object]) -> None:
    made = wanted(**changes)
    assert made.kubernetes_version == "v1.35.1"
    assert made.driver in ("docker", "kvm2")


@pytest.mark.parametrize(("changes", "code", "what"), BAD, ids=[str(row[0])[:40] for row in BAD])
def test_bad_requests_do_not_come_to_exist(changes: dict[str, object], code: str, what: str) -> None:
    with pytest.raises(Fault) as caught:
        wanted(**changes)
    assert (caught.value.code, caught.value.what) == (code, what)
    assert caught.value.advice
