"""Rules and dashboards on the running cluster: evaluated, provisioned, with data, and telling load from idle.

One load with two leases is sent. Afterwards Prometheus is asked for each expression's course over it, as Grafana asks.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus

from tests.cluster.climb import BACK_SECONDS
from tests.cluster.rig import Workload, connect, until
from tests.support import ROOT, Cluster, run
from tools.dashboards.panels import DASHBOARDS, dashboards

pytestmark = pytest.mark.cluster

NAMESPACE = "claudescale"
RULES = ROOT / "monitoring" / "rules"
RATE, SECONDS = 140, 110  # more than two pods can answer
LEASES = ((15.0, 4, 25), (60.0, 5, 25))  # seconds into the load, replicas, how long in seconds
BEFORE, AFTER, STEP = 30, 20, 5  # seconds

# What rightly need not change because of load, and why. A key is a dashboard's panel, or a recording rule.
STEADY = {
    "claudescale/Replicas/base of {{autoscaler}}": "people's configuration",
    "claudescale/Replicas/maximum of {{autoscaler}}": "people's configuration",
    "claudescale/CPU against the target/target of {{autoscaler}}": "people's configuration",
    "claudescale-load/CPU per pod/limit of a pod": "the pods' configuration",
    "claudescale-load/Connections/waiting": "requests come on connections of their own",
    "claudescale-controller/Later than the aim/starts": "no start is late",
    "claudescale-controller/Later than the aim/restores": "no restore is late",
    "claudescale-controller/Errors/{{where}}": "nothing fails",
    "claudescale-controller/Writes overtaken/{{write}}": "whether somebody writes at the same moment is chance",
    "claudescale-controller/Ready, and chain broken/ready": "it stays ready",
    "claudescale-controller/Ready, and chain broken/chain broken": "it stays whole",
    "claudescale-controller/Trouble with floors/contested": "nobody else writes",
    "claudescale-controller/Trouble with floors/capped": "nobody lowers a maximum",
    "claudescale-controller/Clock/difference": "0 up to a difference of 2 s",
    "claudescale-controller/Memory/resident": "a lease more takes no memory that the process has not had before",
    "claudescale-controller/Prometheus: rules that failed/failed": "no rule fails",
    "namespace:claudescale_starts_late:increase10m": "no start is late",
    "namespace:claudescale_restores_late:increase10m": "no restore is late",
    "where:claudescale_errors:increase2m": "nothing fails",
    "write:claudescale_conflicts:increase2m": "whether somebody writes at the same moment is chance",
    # Another lease with the same lag leaves a quantile where it was.
    **{
        f"claudescale-controller/Lag of {what}/{quantile}": "leases alike give the same quantile"
        for what in ("starts", "restores")
        for quantile in ("p50", "p99")
    },
    **{
        f"namespace:claudescale_{what}_lag_seconds:{quantile}_rate1h": "leases alike give the same quantile"
        for what in ("start", "restore")
        for quantile in ("p50", "p99")
    },
}
# What the worker refuses is counted, and nothing need be refused.
MAY_STAY = {
    "claudescale/Requests/failed": "two pods and their queues may bear it until there are more",
    "namespace:demo_app_requests_failed:rate1m": "two pods and their queues may bear it until there are more",
}

Shown = frozenset[tuple[str, float]]


def rules(kind: str) -> dict[str, str]:
    """The expressions of the rules of a kind by their names."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return {
        rule[kind]: rule["expr"]
        for file in files
        for group in file["groups"]
        for rule in group["rules"]
        if kind in rule
    }


PANELS = {
    f"{panel.dashboard}/{panel.title}/{target.legend}": target.promql(NAMESPACE)
    for one in dashboards()
    for panel in one.panels
    for target in panel.targets
}
EXPRESSIONS = {**PANELS, **rules("record")}


@dataclass(frozen=True, kw_only=True)
class Course:
    """What an expression gave: at each time, its series with their values. Times count from the load's beginning."""

    at: dict[float, Shown]

    @property
    def has_data(self) -> bool:
        return any(self.at.values())

    @property
    def before(self) -> Shown:
        """What stood right before the load."""
        return self.at[max(time for time in self.at if time <= 0)]

    @property
    def since(self) -> list[Shown]:
        """What stood at each look after that, where anything did."""
        return [shown for time, shown in sorted(self.at.items()) if time > 0 and shown]

    @property
    def differs(self) -> bool:
        """Whether anything during the load was other than right before it."""
        return any(shown != self.before for shown in self.since)


def course(prometheus: Prometheus, promql: str, began: float, ended: float) -> Course:
    start, end = began - BEFORE, ended + AFTER
    found: dict[float, set[tuple[str, float]]] = {
        int(start) + index * STEP - began: set() for index in range(int(end - start) // STEP)
    }
    for track in prometheus.tracks(promql, start=start, end=end, step=STEP):
        labels = json.dumps(track.labels, sort_keys=True)
        for moment, value in track.points:
            if math.isfinite(value) and moment - began in found:
                found[moment - began].add((labels, value))
    return Course(at={moment: frozenset(shown) for moment, shown in found.items()})


def api(cluster: Cluster, path: str) -> Any:
    raw = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus:9090/proxy/api/v1/{path}"
    answer = json.loads(cluster.kubectl("get", "--raw", raw))
    assert answer["status"] == "success", answer
    return answer["data"]


def parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of an expression, as Prometheus parsed it."""
    if isinstance(tree, dict):
        if "type" in tree:
            yield tree
        for value in tree.values():
            yield from parts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from parts(value)


def selectors(tree: Any) -> list[str]:
    """The series that an expression reads, each as a query of its own."""
    return [
        "{" + ",".join(f"{one['name']}{one['type']}{json.dumps(one['value'])}" for one in node["matchers"]) + "}"
        for node in parts(tree)
        if node["type"] in ("vectorSelector", "matrixSelector")
    ]


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster) -> Prometheus:
    return Prometheus(connect(cluster))


def test_every_rule_is_loaded_and_evaluated_without_an_error(cluster: Cluster) -> None:
    wanted = {**rules("record"), **rules("alert")}

    def evaluated() -> bool:
        return all(rule["health"] == "ok" for group in api(cluster, "rules")["groups"] for rule in group["rules"])

    until(evaluated, 60, pause=2)
    groups = api(cluster, "rules")["groups"]
    assert {rule["name"] for group in groups for rule in group["rules"]} == set(wanted)
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []


def test_no_expression_is_a_constant_to_prometheus(cluster: Cluster) -> None:
    for name, promql in {**EXPRESSIONS, **rules("alert")}.items():
        tree = api(cluster, f"parse_query?query={quote(promql)}")
        assert selectors(tree), name
        calls = {node["func"]["name"] for node in parts(tree) if node["type"] == "call"}
        assert not calls & {"vector", "scalar", "time", "pi"}, name


def test_everything_that_an_alert_reads_is_there(cluster: Cluster, prometheus: Prometheus) -> None:
    """An alert that reads what does not exist is silent for ever."""
    for name, promql in rules("alert").items():
        found = selectors(api(cluster, f"parse_query?query={quote(promql)}"))
        assert found, name
        for selector in found:
            assert until(lambda selector=selector: prometheus.query(selector), 60, pause=2), f"{name}: {selector}"


def test_the_dashboards_are_provisioned_as_they_are(cluster: Cluster) -> None:
    data = cluster.get("configmap", "grafana-dashboards")["data"]
    assert {name: json.loads(text) for name, text in data.items()} == {
        path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS.glob("*.json")
    }


def test_the_rules_are_provisioned_as_they_are(cluster: Cluster) -> None:
    data = cluster.get("configmap", "prometheus-rules")["data"]
    assert data == {path.name: path.read_text(encoding="utf-8") for path in RULES.glob("*.yml")}


@pytest.fixture(scope="module")
def courses(cluster: Cluster, prometheus: Prometheus) -> dict[str, Course]:
    """One load from a cluster at rest, with leases during it; what each expression showed meanwhile."""
    until(lambda: at_rest(prometheus), BACK_SECONDS, pause=3)
    time.sleep(2 * STEP)  # what is recorded follows
    began = now(prometheus)
    demo = Workload(client=connect(cluster), name="demo-app-hpa")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-app"}
    load = ["load", "steady", "--rate", str(RATE), "--duration", str(SECONDS)]
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(
            run, ["claudescale", "--context", cluster.context, *load], cluster.environment, timeout=SECONDS + 90
        )
        for seconds, replicas, lasts in LEASES:
            time.sleep(max(0.0, began + seconds - now(prometheus)))
            demo.lease(replicas, lasts, workloadRef=target)
        assert sent.result().code == 0
    ended = now(prometheus)
    until(demo.restored, 30)
    time.sleep(AFTER + STEP)
    return {name: course(prometheus, promql, began, ended) for name, promql in EXPRESSIONS.items()}


def now(prometheus: Prometheus) -> float:
    found = prometheus.value("time()")
    assert found is not None
    return found


def at_rest(prometheus: Prometheus) -> bool:
    """Nobody has asked anything within the minute that windows have, and the autoscaler is back at its floor."""
    asked = prometheus.value(f'sum(increase(demo_app_requests_total{{namespace="{NAMESPACE}"}}[1m]))')
    above = prometheus.value("max(claudescale_autoscaler_current_replicas - claudescale_autoscaler_base_replicas)")
    return asked is not None and asked < 1 and above == 0


@pytest.mark.long
def test_the_lists_of_reasons_name_what_there_is() -> None:
    assert {*STEADY, *MAY_STAY} <= set(EXPRESSIONS)
    assert len({*STEADY, *MAY_STAY}) < len(EXPRESSIONS) / 2


@pytest.mark.long
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_has_data_and_tells_load_from_idle(courses: dict[str, Course], name: str) -> None:
    assert courses[name].has_data, EXPRESSIONS[name]
    if name not in {*STEADY, *MAY_STAY}:
        assert courses[name].differs, EXPRESSIONS[name]


@pytest.mark.long
def test_the_panels_tell_the_story(courses: dict[str, Course]) -> None:
    """From rest, over the load with its two leases, back to the base."""

    def highest(shown: Shown) -> float:
        return max(value for _, value in shown)

    def values(name: str) -> list[float]:
        found = courses[name]
        return [highest(shown) for shown in (found.before, *found.since) if shown]

    floors = values("claudescale/Replicas/floor of {{autoscaler}}")
    assert (floors[0], max(floors), floors[-1]) == (2, 5, 2)
    assert set(values("claudescale/Replicas/base of {{autoscaler}}")) == {2}
    assert max(values("claudescale/Replicas/replicas of {{autoscaler}}")) == 5
    assert max(values("claudescale-load/Load: wanted and sent/wanted")) == RATE
    asked = values("claudescale/Requests/asked")
    assert max(asked) > RATE / 2 > 10 * asked[0]
    assert max(values("claudescale/Held over the base/{{autoscaler}}")) == 3
    allowed = values("claudescale/Decisions/{{code}}")
    assert allowed[-1] - allowed[0] == len(LEASES)
