"""Text that others wrote, made fit to be shown; the state of a namespace and its pages; the last record's search."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.asking import state as states
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean, clean_or_none
from ansible_collections.claudescale.core.plugins.module_utils.asking.gather import last_sequence
from ansible_collections.claudescale.core.plugins.module_utils.asking.state import CountOwner, Objects, page_of, state
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import pod_facts
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from hypothesis import given
from hypothesis import strategies as some

NOW = 1767225600.0  # 2026-01-01T00:00:00Z

CLEANED = [
    pytest.param("a launch at 20:00", "a launch at 20:00", id="as-it-is"),
    pytest.param(" a\r\n\tb\u2028c ", "a b c", id="lines"),
    pytest.param("a\x1b[31;1mred\x1b[0m", "ared", id="colours"),
    pytest.param("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc", id="titles-and-links"),
    pytest.param("a\x9b31mb", "ab", id="eight-bit"),
    pytest.param("a\x1bPq#0\x1b\\b", "ab", id="sixels"),
    pytest.param("a\x1b", "a", id="broken"),
    pytest.param("a\u202eb\u2066c\u200bd", "abcd", id="bidi-and-zero-width"),
    pytest.param("a\U000e0041\U000e0042b\ufe0fc\U000e01efd", "abcd", id="smuggled"),
    pytest.param("a\x00\x07\x7fb", "ab", id="control"),
    pytest.param("größer 大 é", "größer 大 é", id="letters-of-the-world"),
    pytest.param("x" * 21, "x" * 19 + "…", id="cut"),
    pytest.param("\u200b" * 10_000 + "x", "…", id="hidden-and-endless"),
]


@pytest.mark.parametrize(("text", "wanted"), CLEANED)
def test_clean(text: str, wanted: str) -> None:
    assert clean(text, 20) == wanted


@given(some.text(max_size=300), some.integers(min_value=1, max_value=80))
def test_cleaned_text_is_short_and_visible(text: str, longest: int) -> None:
    cleaned = clean(text, longest)
    assert len(cleaned) <= longest
    assert cleaned.isprintable()
    assert clean(cleaned, longest) == cleaned


def test_nothing_stays_nothing() -> None:
    assert (clean_or_none(None), clean_or_none(""), clean_or_none("x")) == (None, None, "x")


@pytest.mark.parametrize("near", [None, -1, 0, 3, 99, 10_000_000_000], ids=str)
@pytest.mark.parametrize("last", [-1, 0, 1, 2, 7, 99, 100, 4096])
def test_the_last_record_is_found_in_few_questions(last: int, near: int | None) -> None:
    asked: list[int] = []

    def exists(sequence: int) -> bool:
        asked.append(sequence)
        return 0 <= sequence <= last

    assert last_sequence(exists, near=near) == last
    assert len(asked) <= 2 * max(last, 1).bit_length() + 4


def objects(**more: Any) -> Objects:
    found: dict[str, Any] = {
        name: [] for name in ("deployments", "statefulsets", "pods", "autoscalers", "policies", "leases", "records")
    }
    return Objects(**{**found, **more})


def workload(name: str, replicas: int = 2, **selector: Any) -> dict[str, Any]:
    wanted = selector or {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": wanted}}


def pod(phase: str = "Running", *, leaving: bool = False, **labels: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "p", "labels": labels, **({"deletionTimestamp": "now"} if leaving else {})}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": meta,
        "spec": {"containers": [{}]},
        "status": {"phase": phase, "conditions": conditions if phase == "Running" else []},
    }


def hpa(name: str, target: str, **annotations: str) -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", "annotations": annotations},
        "spec": {"scaleTargetRef": ref, "minReplicas": 3, "maxReplicas": 9},
    }


def test_who_owns_the_count() -> None:
    found = state(
        objects(
            deployments=[workload("one"), workload("two"), workload("off", 0), workload("none")],
            statefulsets=[workload("one")],
            autoscalers=[hpa("a", "one"), hpa("b", "two"), hpa("c", "two"), hpa("d", "off")],
        ),
        namespace="space",
        now=NOW,
    )
    assert {one.workload: one.count_owner for one in found.workloads} == {
        "Deployment/one": CountOwner.AUTOSCALER,
        "Deployment/two": CountOwner.SEVERAL,
        "Deployment/off": CountOwner.DISABLED,
        "Deployment/none": CountOwner.PEOPLE,
        "StatefulSet/one": CountOwner.PEOPLE,
    }
    codes = [warning.code.value for warning in found.warnings]
    assert codes == ["NoRecords", "AutoscalerDisabled", "SeveralAutoscalers"]


def test_pods_are_counted_by_the_selector() -> None:
    selector = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["x"]},
                                     {"key": "old", "operator": "DoesNotExist"}]}  # fmt: skip
    found = state(
        objects(
            deployments=[workload("app", **selector)],
            pods=[
                pod(tier="x"),
                pod(tier="x", leaving=True),
                pod("Pending", tier="x"),
                pod("Succeeded", tier="x"),
                pod(tier="x", old="yes"),
                pod(tier="y"),
            ],
        ),
        namespace="space",
        now=NOW,
    )
    pods = found.workloads[0].pods
    assert (pods.count, pods.ready) == (3, 1)
    assert {one.reason: one.count for one in pods.waiting} == {"Terminating": 1, "Pending": 1}


def test_base_is_the_annotations_and_else_the_floor() -> None:
    found = state(
        objects(
            deployments=[workload("a"), workload("b")],
            autoscalers=[
                hpa("a", "a", **{"claudescale.io/base": "2"}),
                hpa("b", "b", **{"claudescale.io/base": "two"}),
            ],
        ),
        namespace="space",
        now=NOW,
    )
    assert [(one.autoscaler.floor, one.autoscaler.base) for one in found.workloads if one.autoscaler] == [
        (3, 2),
        (3, 3),
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 30])
def test_every_workload_is_on_one_page(count: int) -> None:
    whole = state(objects(deployments=[workload(f"w{number}") for number in range(count)]), namespace="s", now=NOW)
    pages = page_of(whole, 1).pages
    assert pages == max(1, -(-count // states.WORKLOADS_A_PAGE))
    seen = [one.workload for number in range(1, pages + 1) for one in page_of(whole, number).state.workloads]
    assert sorted(seen) == sorted(f"Deployment/w{number}" for number in range(count))
    assert page_of(whole, 10**6).page == pages


def test_a_page_of_one_workload_has_its_warnings_only() -> None:
    whole = state(
        objects(
            deployments=[workload("a", 0), workload("b", 0)],
            autoscalers=[hpa("a", "a"), hpa("b", "b")],
        ),
        namespace="space",
        now=NOW,
    )
    page = page_of(whole, 1, WorkloadRef(kind="Deployment", name="b"))
    assert page.workloads_total == 1
    assert [(one.code.value, one.workload) for one in page.state.warnings] == [
        ("NoRecords", None),
        ("AutoscalerDisabled", "Deployment/b"),
    ]


def test_every_warning_has_words_of_its_own() -> None:
    assert set(states.WORDS) == set(states.Trouble)
    assert len(set(states.WORDS.values())) == len(states.WORDS)


def container(**state: Any) -> dict[str, Any]:
    return {"ready": False, "restartCount": 2, "state": {name: {"reason": reason} for name, reason in state.items()}}


def a_pod(phase: str, containers: list[dict[str, Any]]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False"}]
    return {
        "metadata": {"name": "a"},
        "spec": {"containers": [{}] * len(containers)},
        "status": {"phase": phase, "containerStatuses": containers, "conditions": conditions},
    }


PODS = [
    pytest.param("Running", [container(waiting="CrashLoopBackOff")], "CrashLoopBackOff", id="waits"),
    pytest.param("Running", [container(terminated="Error")], "Error", id="has-just-crashed"),
    pytest.param("Running", [container(terminated="OOMKilled")], "OOMKilled", id="out-of-memory"),
    pytest.param("Running", [container(terminated="Error"), container(waiting="ErrImagePull")], "ErrImagePull",
                 id="what-waits-comes-first"),
    pytest.param("Pending", [container(waiting="ContainerCreating")], "ContainerCreating", id="begins"),
    pytest.param("Pending", [], "Pending", id="no-container-yet"),
    pytest.param("Running", [container(running=None)], "NotReady", id="runs-and-is-not-ready"),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "containers", "reason"), PODS)
def test_why_a_pod_is_not_ready(phase: str, containers: list[dict[str, Any]], reason: str) -> None:
    found = states.pods_of([a_pod(phase, containers)])
    assert (found.count, found.ready) == (1, 0)
    assert [(one.reason, one.count) for one in found.waiting] == [(reason, 1)]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_has_its_phase_for_a_state(phase: str) -> None:
    assert pod_facts(a_pod(phase, [container(terminated="Completed")]))["state"] == phase
