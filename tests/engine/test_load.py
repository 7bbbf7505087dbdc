"""Load profiles and the Job that they become."""

from __future__ import annotations

import json

import pytest
from ansible_collections.claudescale.core.images import load_plan, load_runner
from ansible_collections.claudescale.core.plugins.module_utils.load.manifests import (
    METRICS_PORT,
    RUNNER,
    START_SECONDS,
    job_manifest,
    plan_in,
    service_manifest,
)
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import (
    LABEL,
    MAX_RATE,
    MAX_SECONDS,
    MIN_SECONDS,
    PROFILES,
    LoadRefused,
    launch_plan,
    make_plan,
    plan_of,
)
from hypothesis import given
from hypothesis import strategies as st

rates = st.integers(min_value=1, max_value=MAX_RATE)
durations = st.integers(min_value=MIN_SECONDS, max_value=MAX_SECONDS)

SHAPES = [
    pytest.param("steady", 20, 60, [(20, 60)], id="steady"),
    pytest.param("ramp", 50, 100, [(5 * step, 10) for step in range(1, 11)], id="ramp"),
    pytest.param("ramp", 3, 25, [(1, 2)] * 6 + [(2, 2)] * 3 + [(3, 7)], id="ramp-small"),
    pytest.param("step", 40, 61, [(10, 15), (20, 15), (30, 15), (40, 16)], id="step"),
    pytest.param("launch", 80, 181, [(20, 60), (80, 121)], id="launch"),
    pytest.param("launch", 3, 10, [(1, 3), (3, 7)], id="launch-small"),
    pytest.param("spike", 40, 61, [(10, 20), (40, 20), (10, 21)], id="spike"),
    pytest.param(
        "stress-until-scale", 40, 70, [(10 * quarter, 7) for quarter in (2, 3, 4, 4, 5, 5, 6, 6, 8, 8)], id="stress"
    ),
]

KNOWN = "steady, ramp, step, spike, stress-until-scale, launch"
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
    if profile not in {"spike"}:
        assert sorted(plan.segments, key=lambda segment: segment.rate) == list(plan.segments)


@given(profile=st.sampled_from(sorted(PROFILES)), rate=st.integers(1, 250), seconds=durations)
def test_the_runner_reads_what_the_engine_plans(profile: str, rate: int, seconds: int) -> None:
    plan = make_plan(profile, rate=rate, seconds=seconds)
    container = job_manifest(plan, name="n", image="i", namespace="shop")["spec"]["template"]["spec"]["containers"][0]
    read = load_plan.read_plan(container["env"][0]["value"])
    assert read.target == "http://demo-app.shop.svc/work"
    assert read.segments == tuple((segment.rate, segment.seconds) for segment in plan.segments)
    assert (read.seconds, read.requests) == (plan.seconds, plan.requests)
    for second in (0, 1, seconds // 3, seconds):
        assert plan.due_in(0, second) == read.due_by(second)


def test_bounds_are_the_same_on_both_sides() -> None:
    assert (load_plan.MAX_RATE, load_plan.MAX_SECONDS) == (MAX_RATE, MAX_SECONDS)
    assert load_runner.__name__ == RUNNER


OWN_REFUSED = [
    pytest.param("Mine!", [(5, 20)], "'Mine!' is no name of a plan: use 1 to 40 lower-case letters, digits and hyphens",
                 id="name"),
    pytest.param("mine", [], "a plan of 0 segments is out of bounds: 1 to 100 are allowed", id="nothing"),
    pytest.param("mine", [(1, 1)] * 101, "a plan of 101 segments is out of bounds: 1 to 100 are allowed", id="many"),
    pytest.param("mine", [(5, 20), (501, 5)], "a segment of 501 requests per second for 5 s is out of bounds: 1 to 500 "
                 "are allowed, for 1 s or more", id="fast"),
    pytest.param("mine", [(0, 20)], "a segment of 0 requests per second for 20 s is out of bounds: 1 to 500 are "
                 "allowed, for 1 s or more", id="pause"),
    pytest.param("mine", [(5, 20), (5, 0)], "a segment of 5 requests per second for 0 s is out of bounds: 1 to 500 are "
                 "allowed, for 1 s or more", id="no-time"),
    pytest.param("mine", [(5, 5), (6, 4)], f"a duration of 9 s {DURATIONS}", id="short"),
    pytest.param("mine", [(5, 1800), (6, 1)], f"a duration of 1801 s {DURATIONS}", id="long"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "segments", "message"), OWN_REFUSED)
def test_a_plan_of_ones_own_has_the_same_bounds(name: str, segments: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(LoadRefused) as refused:
        plan_of(name, segments)
    assert str(refused.value) == message


def test_a_launch_has_a_known_second() -> None:
    plan = launch_plan(calm=15, calm_seconds=60, seconds=90)
    assert [(segment.rate, segment.seconds) for segment in plan.segments] == [(15, 60), (60, 90)]
    assert launch_plan(calm=15, calm_seconds=60, seconds=90, rate=100).peak == 100
    assert (plan.due_in(0, 60), plan.due_in(60, 150), plan.due_in(59.9, 60.1)) == (900, 5400, 2 + 6)


def test_job_ends_by_itself_and_has_no_rights() -> None:
    plan = make_plan("steady", rate=5, seconds=30)
    job = job_manifest(plan, name="load-steady-1", image="claudescale/load:1", namespace="claudescale")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert job["metadata"]["name"] == "load-steady-1"
    assert job["metadata"]["labels"][LABEL] == "steady"
    assert spec["backoffLimit"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["activeDeadlineSeconds"] >= 30 + START_SECONDS
    assert spec["ttlSecondsAfterFinished"] > 0
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["resources"]["limits"].keys() == {"cpu", "memory"}
    json.dumps(job)


def test_a_job_that_is_kept_goes_only_when_somebody_deletes_it() -> None:
    job = job_manifest(make_plan("steady"), name="load-x", image="i", namespace="n", keep=True)
    assert "ttlSecondsAfterFinished" not in job["spec"]


@given(profile=st.sampled_from(sorted(PROFILES)), rate=st.integers(1, 250), seconds=durations)
def test_a_job_tells_its_plan(profile: str, rate: int, seconds: int) -> None:
    plan = make_plan(profile, rate=rate, seconds=seconds)
    assert plan_in(job_manifest(plan, name="n", image="i", namespace="shop")) == plan


@pytest.mark.parametrize("job", [{}, {"spec": {"template": {"spec": {"containers": [{"name": "x"}]}}}}])
def test_a_job_that_is_no_load_has_no_plan(job: dict[str, object]) -> None:
    assert plan_in(job) is None


def test_the_service_goes_with_its_job_and_is_found_by_prometheus() -> None:
    job = job_manifest(make_plan("steady"), name="load-x", image="i", namespace="shop")
    service = service_manifest({**job, "metadata": {**job["metadata"], "uid": "u-1"}})
    assert service["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "load-x", "uid": "u-1"}
    ]
    assert service["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": "load-x"}
    (port,) = service["spec"]["ports"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (port["name"], port["targetPort"]) == ("metrics", container["ports"][0]["name"])
    assert container["ports"][0]["containerPort"] == METRICS_PORT
    assert {"name": "METRICS_PORT", "value": str(METRICS_PORT)} in container["env"]
