"""`make up` on the real cluster: what it leaves, that it changes nothing twice, and that it mends what was changed."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support import Cluster, Made

pytestmark = pytest.mark.cluster

SECOND_RUN_AIM_SECONDS = 45
STALL_FACTOR = 5  # a test fails on time only beyond this many times the aim


@pytest.fixture(scope="module")
def second(cluster: Cluster) -> Made:
    """A second `make up`."""
    return cluster.make("up")


def test_up_ends_with_a_table_of_what_runs(brought_up: tuple[Cluster, Made]) -> None:
    _, made = brought_up
    assert made.code == 0
    tail = made.text[made.text.rindex("PLAY RECAP") :]
    for word in ("demo-app", "prometheus", "demo-app-hpa"):
        assert word in tail, tail
    print(f"make up: {made.seconds:.0f} s")


def test_second_up_changes_nothing(second: Made) -> None:
    assert second.code == 0
    assert second.changes() == []
    assert second.changed == 0
    print(f"second make up: {second.seconds:.0f} s")
    assert second.seconds < STALL_FACTOR * SECOND_RUN_AIM_SECONDS


def test_context_has_the_namespace_as_its_default(cluster: Cluster) -> None:
    text = cluster.kubectl("get", "deploy,hpa,svc,cm,pods", "-o", "name")
    for name in ("deployment.apps/demo-app", "deployment.apps/prometheus", "service/demo-app", "service/prometheus"):
        assert name in text
    assert "horizontalpodautoscaler.autoscaling/demo-app-hpa" in text


def test_top_and_autoscaler_know_the_load(cluster: Cluster) -> None:
    assert "demo-app" in cluster.kubectl("top", "pods")
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        line = cluster.kubectl("get", "hpa", "demo-app-hpa", "--no-headers")
        assert "<unknown>" not in line
        assert re.search(r"cpu: \d+%/50%", line), line
        time.sleep(2)


@pytest.fixture(scope="module")
def spoiled(cluster: Cluster, second: Made) -> dict[str, str]:
    """Three things changed by hand, and the values that they had."""
    configmap = cluster.get("configmap", "demo-app")
    key = sorted(configmap["data"])[0]
    before = {"data": json.dumps(configmap["data"], sort_keys=True)}
    cluster.kubectl("patch", "configmap", "demo-app", "-p", json.dumps({"data": {key: "# spoiled by hand\n"}}))
    cluster.kubectl("label", "service", "demo-app", "--overwrite", "app.kubernetes.io/part-of=somebody-else")
    cluster.kubectl("patch", "hpa", "demo-app-hpa", "-p", '{"spec":{"maxReplicas":9}}')
    return before


def is_spoiled(cluster: Cluster, before: dict[str, str]) -> list[bool]:
    """For each of the three things, whether it differs from what the playbooks want."""
    data = json.dumps(cluster.get("configmap", "demo-app")["data"], sort_keys=True)
    label = cluster.get("service", "demo-app")["metadata"]["labels"]["app.kubernetes.io/part-of"]
    maximum = cluster.get("hpa", "demo-app-hpa")["spec"]["maxReplicas"]
    return [data != before["data"], label != "claudescale", maximum != 5]


SPOILED = {"ConfigMap/demo-app", "Service/demo-app", "HorizontalPodAutoscaler/demo-app-hpa"}


def test_check_mode_shows_the_three_and_makes_none(cluster: Cluster, spoiled: dict[str, str]) -> None:
    made = cluster.site("--check", "--diff")
    assert made.code == 0
    assert is_spoiled(cluster, spoiled) == [True, True, True]
    for shown in ("spoiled by hand", "somebody-else", "maxReplicas: 9"):
        assert re.search(rf"^-.*{shown}", made.text, re.MULTILINE), shown
    assert set(made.changes()) == SPOILED


def test_up_mends_the_three_and_nothing_else(cluster: Cluster, spoiled: dict[str, str]) -> None:
    # By a label that is not spoiled: other tests' workloads come and go.
    ours = ("get", "deploy,hpa,svc,cm,pvc,sa", "-l", "app.kubernetes.io/instance=claudescale")
    uids = cluster.kubectl(*ours, "-o", "jsonpath={.items[*].metadata.uid}")
    made = cluster.site()
    assert made.code == 0
    assert is_spoiled(cluster, spoiled) == [False, False, False]
    assert set(made.changes()) == SPOILED
    assert uids == cluster.kubectl(*ours, "-o", "jsonpath={.items[*].metadata.uid}")
