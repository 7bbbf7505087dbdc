"""Load profiles and the Job that they become."""

from __future__ import annotations

import json

import pytest
from ansible_collections.claudescale.core.images import load_runner
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import (
    LABEL,
    MAX_RATE,
    MAX_SECONDS,
    MIN_SECONDS,
    PROFILES,
    START_SECONDS,
    LoadRefused,
    job_manifest,
    make_plan,
)
from hypothesis import given
from hypothesis import strategies as st

rates = st.integers(min_value=1, max_value=MAX_RATE)
durations = st.integers(min_value=MIN_SECONDS, max_value=MAX_SECONDS)

SHAPES = [
    pytest.param("steady", 20, 60, [(20, 60)], id="steady"),
    pytest.param("ramp", 50, 100, [(5 * step, 10) for step in range(1, 11)], id="ramp"),
    pytest.param("ramp", 3, 25, [(1, 2)] * 6 + [(2, 2)] * 3 + [(3, 7)], id="ramp-small"),
    pytest.param("spike", 40, 61, [(10, 20), (40, 20), (10, 21)], id="spike"),
    pytest.param(
        "stress-until-scale", 40, 70, [(10 * quarter, 7) for quarter in (2, 3, 4, 4, 5, 5, 6, 6, 8, 8)], id="stress"
    ),
]

KNOWN = "steady, ramp, spike, stress-until-scale"
RATES = "requests per second is out of bounds: 1 to 500 are allowed"
PEAK = "rises to 800, and 500 are allowed: ask for 250 at most"
DURATIONS = "is out of bounds: 10 to 1800 are allowed"
REFUSED = [
    pytest.param("spkie", None, None, f"there is no load profile 'spkie': it is one of {KNOWN}", id="unknown"),
    pytest.param("steady", 0, None, f"a rate of 0 {RATES}", id="zero"),
    pytest.param("steady", -5, None, f"a rate of -5 {RATES}", id="minus"),
    pytest.param("steady", 501, None, f"a rate of 501 {RATES}", id="fast"),
    pytest.param("steady", None, 9, f"a duration of 9 s {DURATIONS}", id="short"),
    pytest.param("steady", None, 1801, f"a duration of 1801 s {DURATIONS}", id="long"),
    pytest.param("stress-until-scale", 400, None, f"stress-until-scale at 400 requests per second {PEAK}", id="peak"),
]


@pytest.mark.parametrize(("profile", "rate", "seconds", "segments"), SHAPES)
def test_shape(profile: str, rate: int, seconds: int, segments: list[tuple[int, int]]) -> None:
    plan = make_plan(profile, rate=rate, seconds=seconds)
    assert [(segment.rate, segment.seconds) for segment in plan.segments] == segments


@pytest.mark.parametrize(("profile", "rate", "seconds", "message"), REFUSED)
def test_refused(profile: str, rate: int | None, seconds: int | None, message: str) -> None:
    with pytest.raises(LoadRefused) as refused:
        make_plan(profile, rate=rate, seconds=seconds)
    assert str(refused.value) == message


@given(profile=st.sampled_from(sorted(PROFILES)), rate=rates, seconds=durations)
def test_every_plan_keeps_its_bounds(profile: str, rate: int, seconds: int) -> None:
    try:
        plan = make_plan(profile, rate=rate, seconds=seconds)
    except LoadRefused:
        assert profile == "stress-until-scale" and 2 * rate > MAX_RATE
        return
    assert plan.seconds == seconds
    assert all(1 <= segment.rate <= MAX_RATE and segment.seconds >= 1 for segment in plan.segments)
    assert plan.requests <= plan.peak * seconds
    assert rate in [segment.rate for segment in plan.segments]
    if profile in {"ramp", "stress-until-scale"}:
        assert sorted(plan.segments, key=lambda segment: segment.rate) == list(plan.segments)


@given(profile=st.sampled_from(sorted(PROFILES)), rate=st.integers(1, 250), seconds=durations)
def test_the_runner_reads_what_the_engine_plans(profile: str, rate: int, seconds: int) -> None:
    plan = make_plan(profile, rate=rate, seconds=seconds)
    container = job_manifest(plan, name="n", image="i", namespace="shop")["spec"]["template"]["spec"]["containers"][0]
    read = load_runner.read_plan(container["env"][0]["value"])
    assert read.target == "http://demo-app.shop.svc/work"
    assert read.segments == tuple((segment.rate, segment.seconds) for segment in plan.segments)
    assert (read.seconds, read.requests) == (plan.seconds, plan.requests)


def test_bounds_are_the_same_on_both_sides() -> None:
    assert (load_runner.MAX_RATE, load_runner.MAX_SECONDS) == (MAX_RATE, MAX_SECONDS)


def test_job_ends_by_itself_and_has_no_rights() -> None:
    plan = make_plan("steady", rate=5, seconds=30)
    job = job_manifest(plan, name="load-steady-1", image="claudescale/load:1", namespace="claudescale")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert job["metadata"]["name"] == "load-steady-1"
    assert job["metadata"]["labels"][LABEL] == "steady"
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] >= 30 + START_SECONDS
    assert spec["ttlSecondsAfterFinished"] > 0
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["resources"]["limits"].keys() == {"cpu", "memory"}
    json.dumps(job)
