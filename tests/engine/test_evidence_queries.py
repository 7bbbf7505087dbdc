"""The PromQL of the figures: nobody's text changes it, it means one workload's pods, and Prometheus computes it so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from ansible_collections.claudescale.core.plugins.module_utils.evidence.queries import FIGURES, Query, Subject, newest
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import WorkloadRef
from hypothesis import given
from hypothesis import strategies as some

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claudescale" / "kit" / "bin"
PROMTOOL = shutil.which("promtool", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{CACHE}")


def subject(name: str = "demo-app", kind: str = "Deployment", namespace: str = "space") -> Subject:
    return Subject(namespace=namespace, workload=WorkloadRef(kind=kind, name=name))


def pods_of(asked: Subject) -> re.Pattern[str]:
    found = re.fullmatch(r'namespace="space", pod=~"([^"\\]+)"', asked.labels)
    assert found
    return re.compile(found[1])


LONG = "a" * 50
VERY_LONG = "a" * 60
PODS = [
    ("Deployment", "demo-app", "demo-app-7c9d4f5b6-x2k4p", True),
    ("Deployment", "demo-app", "demo-app-db-0", False),
    ("Deployment", "demo-app", "demo-app-7c9d4f5b6-x2k4p-2", False),
    ("Deployment", "demo-app", "my-demo-app-7c9d4f5b6-x2k4p", False),
    ("Deployment", "demo", "demo-app-7c9d4f5b6-x2k4p", False),
    ("Deployment", "demo", "demo-app-0", False),
    ("Deployment", "demo", "demo-app", False),
    ("Deployment", "a.b", "a.b-7c9d4f5b6-x2k4p", True),
    ("Deployment", "a.b", "axb-7c9d4f5b6-x2k4p", False),
    ("Deployment", LONG, f"{LONG}-7c9d4f5x2k4p", True),  # the hash is cut, and its hyphen gone
    ("Deployment", LONG, f"{LONG}-x-0", False),
    ("Deployment", VERY_LONG, f"{VERY_LONG[:58]}x2k4p", True),
    ("Deployment", VERY_LONG, f"{VERY_LONG[:58]}-x2k4p", False),
    ("StatefulSet", "db", "db-0", True),
    ("StatefulSet", "db", "db-12", True),
    ("StatefulSet", "db", "db-x2k4p", False),
    ("StatefulSet", "db", "db-7c9d4f5b6-x2k4p", False),
]


@pytest.mark.parametrize(("kind", "name", "pod", "its"), PODS)
def test_pods(kind: str, name: str, pod: str, its: bool) -> None:
    assert bool(pods_of(subject(name, kind)).fullmatch(pod)) is its


HOSTILE = [
    'x"} or vector(1) #', "x.*", "x|y", "x\\", 'x"', "x\n", "", "X", "-x", "x-", "x y", "%(of)s", "{}", "\uff58",
    "x" * 254,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ClaudeScaleError, match="is no workload's name"):
        subject(text)
    with pytest.raises(ClaudeScaleError, match="is no namespace"):
        subject(namespace=text)
    with pytest.raises(ClaudeScaleError, match="is no kind of workload"):
        subject(kind=text)


@pytest.mark.parametrize("text", ["a.b", "x" * 64])
def test_a_namespace_is_a_label(text: str) -> None:
    with pytest.raises(ClaudeScaleError, match="is no namespace"):
        subject(namespace=text)


@given(
    some.one_of(some.text(max_size=80), some.from_regex(r"[a-z0-9.\-]{1,80}", fullmatch=True)),
    some.sampled_from(FIGURES),
)
def test_no_text_changes_a_query(text: str, query: Query) -> None:
    """Whatever is a name gives the query of any other name with other labels, and nothing else."""
    try:
        mine = subject(text)
    except ClaudeScaleError:
        return
    assert re.fullmatch(r"[a-z0-9.-]+", text)
    plain = subject("x")
    assert query.promql(mine, 60).replace(mine.labels, "") == query.promql(plain, 60).replace(plain.labels, "")
    assert re.fullmatch(r'namespace="space", pod=~"[^"\\]*"', mine.labels)


@pytest.mark.parametrize("seconds", [-1, 0, 59, 604_801])
def test_windows_have_bounds(seconds: int) -> None:
    with pytest.raises(ClaudeScaleError, match="ask for 60 to 604800 seconds"):
        queries.REQUEST_RATE.promql(subject(), seconds)
    with pytest.raises(ClaudeScaleError, match="ask for 60 to 604800 seconds"):
        newest(queries.CPU, subject(), seconds)


@pytest.mark.parametrize("seconds", [60, 300, 301, 3600, 86_400, 604_800])
def test_the_newest_sample_is_looked_for_often_enough(seconds: int) -> None:
    found = re.search(rf"\[{seconds}s:([0-9]+)s\]", newest(queries.CPU, subject(), seconds))
    assert found
    assert 5 <= int(found[1]) <= 300
    assert seconds / int(found[1]) <= 2016 + 1


def test_figures_are_told_apart() -> None:
    assert len({query.name for query in FIGURES}) == len(FIGURES)
    for query in FIGURES:
        text = query.promql(subject(), 300)
        assert text.count("{") == text.count("}")
        assert "%" not in text
        assert 'namespace="space"' in text
        assert ("[300s]" in text) is ("rate(" in text or "over_time(" in text)


# With Prometheus' own evaluation


FIRST, SECOND, FOREIGN = "demo-app-7c9d4f5b6-x2k4p", "demo-app-7c9d4f5b6-zz9vq", "demo-app-db-0"
MINUTES = 20
COUNT = MINUTES * 12  # samples, 5 s apart


def sampled(series: str, pod: str, container: str, values: str, **labels: str) -> dict[str, str]:
    said = {"namespace": "space", "pod": pod, **({"container": container} if container else {}), **labels}
    return {
        "series": f"{series}{{{', '.join(f'{key}={json.dumps(text)}' for key, text in said.items())}}}",
        "values": values,
    }


def twice(*series: dict[str, str]) -> list[dict[str, str]]:
    """As a node with two trees of cgroups tells it: each container under both paths."""
    return [
        {**one, "series": one["series"].replace("}", f", id={json.dumps(path)}}}")}
        for one in series
        for path in ("/kubepods/a", "/claudescale/kubepods/a")
    ]


def of_twenty_minutes() -> list[dict[str, str]]:
    cpu, memory, starts = (
        "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds",
    )  # fmt: skip
    requests, buckets = "demo_app_requests_total", "demo_app_request_duration_seconds_bucket"
    return [
        *twice(
            sampled(cpu, FIRST, "worker", f"0+0.5x{COUNT}"),
            sampled(cpu, SECOND, "worker", f"0+1x{COUNT}"),
            sampled(cpu, FIRST, "", f"0+99x{COUNT}"),  # the pod's own control group: both are in it already
            sampled(cpu, FOREIGN, "db", f"0+50x{COUNT}"),
            sampled(memory, FIRST, "worker", f"100x{COUNT}"),
            sampled(memory, SECOND, "worker", f"200x{COUNT}"),
            sampled(memory, FOREIGN, "db", f"9000x{COUNT}"),
        ),
        sampled(requests, FIRST, "worker", f"0+45x{COUNT}", code="200"),
        sampled(requests, FIRST, "worker", f"0+5x{COUNT}", code="503"),
        sampled(buckets, FIRST, "worker", f"0+25x{COUNT}", le="0.1"),
        sampled(buckets, FIRST, "worker", f"0+50x{COUNT}", le="0.2"),
        sampled(buckets, FIRST, "worker", f"0+50x{COUNT}", le="+Inf"),
        # A container that is restarted is another one.
        *twice(
            sampled(starts, FIRST, "worker", "1x120 stale", name="a1"),
            sampled(starts, FIRST, "worker", "_x121 600x60 stale", name="a2"),
            sampled(starts, FIRST, "worker", "_x185 900x55", name="a3"),
            sampled(starts, SECOND, "worker", f"2x{COUNT}", name="b1"),
            sampled(starts, FOREIGN, "db", f"2x{COUNT}", name="o1"),
        ),
        sampled("up", FIRST, "worker", f"1x{COUNT}"),
        sampled("up", FIRST, "exporter", f"0x{COUNT}"),
        sampled("up", SECOND, "worker", f"0x{COUNT}"),
        sampled("up", FOREIGN, "db", f"1x{COUNT}"),
        # A workload that nobody asks anything, and one whose requests all go well.
        sampled(requests, "idle-7c9d4f5b6-x2k4p", "worker", f"7x{COUNT}", code="200"),
        sampled(buckets, "idle-7c9d4f5b6-x2k4p", "worker", f"7x{COUNT}", le="0.1"),
        sampled(buckets, "idle-7c9d4f5b6-x2k4p", "worker", f"7x{COUNT}", le="+Inf"),
        sampled(requests, "good-7c9d4f5b6-x2k4p", "worker", f"0+1x{COUNT}", code="200"),
    ]


FOUND = {
    "cpu_cores": 0.3,
    "cpu_cores_per_pod_max": 0.2,
    "memory_bytes": 300,
    "request_rate": 10,
    "failed_share": 0.1,
    "latency_p50": 0.1,
    "latency_p95": 0.19,
    "latency_p99": 0.198,
    "restarts": 2,
    "pods_ready": 1,
    "pods_running": 2,
}


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here")
def test_prometheus_computes_what_is_meant(tmp_path: Path) -> None:
    def case(promql: str, minutes: int, *values: float) -> dict[str, Any]:
        samples = [{"labels": "{}", "value": value} for value in values]
        return {"expr": promql, "eval_time": f"{minutes}m", "exp_samples": samples}

    seconds, absent = MINUTES * 60, subject("nothing")
    cases = [
        *(case(query.promql(subject(), seconds), MINUTES, FOUND[query.name]) for query in FIGURES),
        *(case(query.promql(absent, seconds), MINUTES) for query in FIGURES),
        # Ten minutes later the samples are older than what Prometheus takes for present ones.
        *(
            case(newest(query.source, subject(), seconds), MINUTES + late, seconds)
            for query in FIGURES
            for late in (0, 10)
        ),
        *(case(newest(query.source, absent, seconds), MINUTES) for query in FIGURES),
        case(queries.MEMORY_BYTES.promql(subject("demo-app-db", "StatefulSet"), 60), MINUTES, 9000),
        case(queries.FAILED_SHARE.promql(subject("good"), seconds), MINUTES, 0),
        case(f"{queries.FAILED_SHARE.promql(subject('idle'), seconds)} != bool 0", MINUTES, 1),  # NaN is not 0
        case(f"{queries.LATENCY_P95.promql(subject('idle'), seconds)} != bool 0", MINUTES, 1),
    ]
    told = {"interval": "5s", "input_series": of_twenty_minutes(), "promql_expr_test": cases}
    page = tmp_path / "queries.json"  # JSON is YAML
    page.write_text(json.dumps({"evaluation_interval": "5s", "fuzzy_compare": True, "tests": [told]}), encoding="utf-8")
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", page], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr
