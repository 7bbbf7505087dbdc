"""The command `claudescale`: what people read when something is wrong, and what it makes of a cluster's answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from claudescale_cli import verify
from claudescale_cli.load import progress_line, summary_lines

from tests.doors.cluster_double import (
    DEMO,
    HPA,
    SPACE,
    ApiDouble,
    api_double,
    deployment,
    hpa,
    sample,
    write_kubeconfig,
)
from tests.doors.command import Said

RUNNING = [
    ("status",),
    ("watch", "--for", "0"),
    ("load", "steady"),
    ("forward", "start"),
    ("verify-prometheus",),
    ("verify-grafana",),
]

REFUSED = [
    pytest.param(("load", "spkie"), "there is no load profile 'spkie'", id="profile"),
    pytest.param(("load", "steady", "--rate", "501"), "a rate of 501 requests per second is out of bounds", id="rate"),
    pytest.param(("load", "steady", "--duration", "5"), "a duration of 5 s is out of bounds", id="duration"),
    pytest.param(
        ("forward", "start", "--port", "web=1"),
        "there is no forward 'web': it is one of prometheus, grafana, demo-app",
        id="forward",
    ),
    pytest.param(
        ("forward", "start", "--port", "grafana=x"),
        "'grafana=x' names no port: write grafana=PORT, 1 to 65535",
        id="port",
    ),
    pytest.param(
        ("forward", "start", "--port", "grafana=9090"),
        "prometheus and grafana cannot have the same port 9090",
        id="same-port",
    ),
    pytest.param(
        ("verify-prometheus", "--page", "/no/such.md"),
        "/no/such.md cannot be read (No such file or directory): name the page by --page",
        id="page",
    ),
]


@pytest.fixture
def claudescale(run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Said]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return run


@pytest.fixture
def api() -> Iterator[ApiDouble]:
    with api_double() as double:
        yield double


@pytest.mark.clock
@pytest.mark.parametrize("command", RUNNING, ids=" ".join)
def test_a_stopped_cluster_is_one_sentence_within_three_seconds(
    claudescale: Any, command: tuple[str, ...], tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        kubeconfig = write_kubeconfig(tmp_path, address)
        began = time.monotonic()
        said = claudescale("--kubeconfig", str(kubeconfig), *command)
    assert said.sentence() == f"the cluster is stopped: make up ({address} refuses connections)"
    assert time.monotonic() - began < 3


def test_an_absent_context_is_the_same_sentence(claudescale: Any, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1", name="other")
    said = claudescale("--kubeconfig", str(kubeconfig), "status")
    assert said.sentence() == "the cluster is stopped: make up (no context claudescale here)"


@pytest.mark.clock
def test_an_address_that_says_nothing(claudescale: Any, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"https://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        said = claudescale("--kubeconfig", str(write_kubeconfig(tmp_path, address)), "status")
    assert said.sentence() == f"the cluster is stopped: make up ({address} does not answer)"
    assert time.monotonic() - began < 3


def test_a_broken_kubeconfig(claudescale: Any, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("clusters: [", encoding="utf-8")
    said = claudescale("--kubeconfig", str(tmp_path / "broken"), "status")
    assert said.sentence().startswith("the kubeconfig cannot be ")


def test_a_refusal_of_the_api_server(claudescale: Any, api: ApiDouble, tmp_path: Path) -> None:
    api.codes["/api/v1/nodes"] = 403
    said = claudescale("--kubeconfig", str(api.kubeconfig(tmp_path)), "status")
    assert said.sentence() == "the API server answered 403: /api/v1/nodes is not for you"


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_bad_input(claudescale: Any, arguments: tuple[str, ...], message: str) -> None:
    assert claudescale(*arguments).sentence().startswith(message)


def test_status(claudescale: Any, api: ApiDouble, tmp_path: Path) -> None:
    node = {
        "metadata": {"name": "claudescale"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.35.1"},
            "capacity": {"cpu": "2", "memory": "4194304Ki"},
        },
    }
    pods = [
        pod("demo-app-a", phase="Running", ready=3),
        pod("demo-app-b", phase="Pending", waiting="ImagePullBackOff"),
        pod("demo-app-c", phase="Running", ready=3, deleted=True),
    ]
    service = {"metadata": {"name": "demo-app"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}
    api.objects = {
        "/api/v1/nodes": {"items": [node]},
        f"/api/v1/{SPACE}/pods": {"items": pods},
        f"/api/v1/{SPACE}/services": {"items": [service]},
        HPA: {"items": [hpa(2, 4, 180)]},
    }
    kubeconfig = str(api.kubeconfig(tmp_path))
    said = claudescale("--kubeconfig", kubeconfig, "status", "-o", "json")
    facts = json.loads(said.out)
    assert [(p["name"], p["state"], p["ready"]) for p in facts["pods"]] == [
        ("demo-app-a", "Running", 3),
        ("demo-app-b", "ImagePullBackOff", 0),
        ("demo-app-c", "Terminating", 3),
    ]
    assert facts["autoscalers"] == [
        {"name": "demo-app-hpa", "workload": "demo-app", "minimum": 2, "maximum": 5, "current": 2, "wanted": 4,
         "cpu_percent": 180, "cpu_target_percent": 50}
    ]  # fmt: skip
    assert facts["forwards"] == []
    table = claudescale("--kubeconfig", kubeconfig, "status")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == [
        "what", "node", "pod", "pod", "pod", "service", "autoscaler", "controller", "leases", "make", "forward",
    ]  # fmt: skip
    assert "2 to 5 replicas of demo-app, CPU 180 % of 50 %" in table.out


def pod(name: str, *, phase: str, ready: int = 0, waiting: str | None = None, deleted: bool = False) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    statuses = [{"ready": number < ready, "restartCount": 0, "state": state} for number in range(3)]
    return {
        "metadata": {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})},
        "spec": {"containers": [{}, {}, {}]},
        "status": {"phase": phase, "containerStatuses": statuses},
    }


def test_watch_without_a_terminal_is_plain_lines(claudescale: Any, api: ApiDouble, tmp_path: Path) -> None:
    api.objects = {
        f"{HPA}/demo-app-hpa": hpa(2, 3, None),
        DEMO: {**deployment("demo-app"), "status": {"readyReplicas": 2}},
    }
    api.queries = {"sum(rate(demo_app_requests_total[1m]))": [sample("12.34")]}
    said = claudescale("--kubeconfig", str(api.kubeconfig(tmp_path)), "watch", "--for", "1.5", "--interval", "1")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["time", "requests/s", "CPU", "target", "wanted", "ready", "bounds"]
    assert [line[1:] for line in lines[1:]] == [["12.3", "-", "50", "%", "3", "2", "2", "to", "5"]] * (len(lines) - 1)
    assert len(lines) >= 3


def test_load_without_a_demo_app(claudescale: Any, api: ApiDouble, tmp_path: Path) -> None:
    api.objects = {f"/apis/batch/v1/{SPACE}/jobs": {"items": []}}
    said = claudescale("--kubeconfig", str(api.kubeconfig(tmp_path)), "load")
    assert said.sentence() == "there is no demo-app in namespace claudescale: make up"
    assert all(method == "GET" for method, _ in api.asked)


def test_load_beside_another_load(claudescale: Any, api: ApiDouble, tmp_path: Path) -> None:
    running = {"metadata": {"name": "load-ramp-x7"}, "status": {"active": 1}}
    api.objects = {f"/apis/batch/v1/{SPACE}/jobs": {"items": [running]}, DEMO: deployment("demo-app")}
    said = claudescale("--kubeconfig", str(api.kubeconfig(tmp_path)), "load")
    assert said.sentence() == (
        "a load runs already: end it where it was started, or by kubectl --context claudescale "
        "--namespace claudescale delete job load-ramp-x7"
    )


PAGE = """# Queries
## CPU of the pods
Some words.
```promql
sum by (pod) (
  cpu
)
```
```text
{pod="a"} 1
```
## Latency
```promql
histogram_quantile(0.5, x)
```
"""


def test_the_pages_queries() -> None:
    found = [(query.name, query.promql) for query in verify.queries_of(PAGE)]
    assert found == [("CPU of the pods", "sum by (pod) (\n  cpu\n)"), ("Latency", "histogram_quantile(0.5, x)")]


def test_the_real_page_has_queries_with_names_of_their_own() -> None:
    names = [query.name for query in verify.queries_of(verify.PAGE.read_text(encoding="utf-8"))]
    assert len(names) >= 8
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("value", "code"), [("0.004", 0), ("NaN", 1)])
def test_verify_prometheus_wants_figures(
    claudescale: Any, api: ApiDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, code: int
) -> None:
    monkeypatch.setattr(verify, "PATIENCE_SECONDS", 0)
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    api.objects = {f"/api/v1/{SPACE}/services/demo-app:80/proxy/work": {}}
    api.queries = {
        "sum by (pod) (\n  cpu\n)": [sample("1"), sample("2")],
        "histogram_quantile(0.5, x)": [sample(value)],
    }
    said = claudescale(
        "--kubeconfig", str(api.kubeconfig(tmp_path)), "verify-prometheus", "--page", str(tmp_path / "page.md")
    )
    assert said.code == code
    if code:
        assert said.sentence() == "1 of 2 queries returned no data: Latency"
    assert [line.split()[-1] for line in said.out.splitlines()[1:3]] == ["ok", "data" if code else "ok"]


@pytest.mark.parametrize("replicas", [None, 0])
def test_verify_grafana_where_it_does_not_run(
    claudescale: Any, api: ApiDouble, tmp_path: Path, replicas: int | None
) -> None:
    if replicas is not None:
        api.objects[f"/apis/apps/v1/{SPACE}/deployments/grafana"] = deployment("grafana", replicas)
    said = claudescale("--kubeconfig", str(api.kubeconfig(tmp_path)), "verify-grafana")
    assert (said.code, said.out) == (0, "not run here: Grafana's pod is not deployed\n")


def test_lines_of_a_load() -> None:
    progress = {"rate": 40, "ok": 38, "failed": 2, "p50_ms": 6.5, "p95_ms": 12.04, "p99_ms": None}
    assert progress_line(progress) == "  40/s wanted,   38 ok, 2 failed, p50 6 ms, p95 12 ms, p99 -"
    summary = {
        "seconds": 12.3, "planned": 400, "sent": 100, "ok": 97, "failed": 3, "unsent": 1, "p50_ms": 6.0, "p95_ms": 7.0,
        "p99_ms": 8.0, "max_ms": 9.0, "codes": {}, "errors": {"503 Service Unavailable": 2}, "interrupted": True,
    }  # fmt: skip
    assert summary_lines(summary) == [
        "100 requests in 12 s, ended early of 400 planned: 97 ok, 3 failed (1 could not be sent)",
        "latency p50 6 ms, p95 7 ms, p99 8 ms, max 9 ms",
        "2 x 503 Service Unavailable",
    ]
