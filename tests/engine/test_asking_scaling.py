"""What becomes of a wish for a count: a lease upward, nothing where it is so, a refusal with its reason otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.asking.scaling import Course, Ruling, rule
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Autoscaler, Workload, WorkloadRef
from hypothesis import given
from hypothesis import strategies as some

REF = WorkloadRef(kind="Deployment", name="demo-app")


def workload(replicas: int) -> Workload:
    return Workload(ref=REF, uid="w", replicas=replicas)


def hpa(floor: int = 2, *, keda: bool = False, **annotations: str) -> Autoscaler:
    named = {f"claudescale.io/{name}": value for name, value in annotations.items()}
    labels = {"scaledobject.keda.sh/name": "x"} if keda else {}
    return Autoscaler.from_object(
        {
            "metadata": {"name": "h", "uid": "h", "resourceVersion": "1", "annotations": named, "labels": labels},
            "spec": {"scaleTargetRef": REF.to_object(), "minReplicas": floor, "maxReplicas": 9},
        }
    )


HELD = hpa(4, base="2", leases="one,two")
TABLE: list[Any] = [
    # asked, workload, autoscalers, course, code, (present, floor, base, held by)
    pytest.param(3, workload(2), [hpa()], Course.LEASE, "Upward", (2, 2, 2, ()), id="up"),
    pytest.param(500, workload(2), [hpa()], Course.LEASE, "Upward", (2, 2, 2, ()), id="up-too-far-is-for-the-rules"),
    pytest.param(5, workload(4), [HELD], Course.LEASE, "Upward", (4, 4, 2, ("one", "two")), id="up-over-a-lease"),
    pytest.param(4, workload(3), [HELD], Course.LEASE, "Upward", (3, 4, 2, ("one", "two")), id="up-to-the-floor"),
    pytest.param(2, workload(2), [hpa()], Course.UNCHANGED, "AlreadySo", (2, 2, 2, ()), id="equal"),
    pytest.param(4, workload(4), [HELD], Course.UNCHANGED, "AlreadySo", (4, 4, 2, ("one", "two")), id="equal-by-lease"),
    pytest.param(3, workload(6), [hpa()], Course.REFUSED, "ScalingDown", (6, 2, 2, ()), id="down"),
    pytest.param(1, workload(2), [hpa()], Course.REFUSED, "ScalingDown", (2, 2, 2, ()), id="down-under-the-base"),
    pytest.param(3, workload(4), [HELD], Course.REFUSED, "ScalingDown", (4, 4, 2, ("one", "two")), id="down-held"),
    pytest.param(3, workload(5), [hpa(4, base="two", leases="one")], Course.REFUSED, "ScalingDown",
                 (5, 4, 4, ("one",)), id="down-base-not-known"),
    pytest.param(3, None, [], Course.REFUSED, "WorkloadNotFound", (None, None, None, ()), id="no-workload"),
    pytest.param(3, None, [hpa()], Course.REFUSED, "WorkloadNotFound", (None, None, None, ()), id="only-an-autoscaler"),
    pytest.param(3, workload(2), [], Course.REFUSED, "NoAutoscaler", (2, None, None, ()), id="no-autoscaler"),
    pytest.param(2, workload(2), [], Course.REFUSED, "NoAutoscaler", (2, None, None, ()), id="no-autoscaler-equal"),
    pytest.param(3, workload(2), [hpa(), hpa()], Course.REFUSED, "SeveralAutoscalers", (2, None, None, ()),
                 id="several"),
    pytest.param(3, workload(2), [hpa(keda=True)], Course.REFUSED, "ManagedByKeda", (2, None, None, ()), id="keda"),
    pytest.param(1, workload(0), [hpa()], Course.REFUSED, "AutoscalerDisabled", (0, None, None, ()), id="disabled"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "found", "autoscalers", "course", "code", "numbers"), TABLE)
def test_the_table(
    asked: int, found: Workload | None, autoscalers: list[Autoscaler], course: Course, code: str, numbers: Any
) -> None:
    present, floor, base, held_by = numbers
    assert rule(asked, found, autoscalers) == Ruling(
        course=course, code=code, present=present, floor=floor, base=base, held_by=held_by
    )


@pytest.mark.parametrize(("asked", "found", "autoscalers", "course", "code", "numbers"), TABLE)
def test_a_repeat_is_for_the_door_whatever_stands_now(
    asked: int, found: Workload | None, autoscalers: list[Autoscaler], course: Course, code: str, numbers: Any
) -> None:
    ruling = rule(asked, found, autoscalers, is_named_already=True)
    assert (ruling.course, ruling.code, ruling.present) == (Course.LEASE, "NamedAlready", numbers[0])


@given(some.integers(1, 50), some.integers(0, 50), some.integers(1, 50))
def test_never_down_and_never_from_zero(asked: int, present: int, floor: int) -> None:
    ruling = rule(asked, workload(present), [hpa(floor)])
    assert (ruling.course is Course.LEASE) == (asked > present > 0)
    assert (ruling.course is Course.UNCHANGED) == (asked == present)
