"""The official inspector's command line against the server over stdio; the cluster is a double.

The same against a real cluster, with kubectl beside it, is tests/cluster/test_mcp_inspector.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.doors.cluster_double import HPA
from tests.doors.lease_double import POLICIES
from tests.doors.mcp_double import DEPLOYMENTS, FULL, PODS, RECORDS, McpCluster, ask, mcp_cluster
from tests.mcp import kubectl_says
from tests.mcp.inspector import ERAS, Inspector, needed
from tests.mcp.programs import Programs

pytestmark = pytest.mark.long

STATEFULSETS = DEPLOYMENTS.replace("deployments", "statefulsets")


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


def kubectl_of(cluster: McpCluster) -> kubectl_says.Kubectl:
    """The double's objects, as kubectl would give them."""
    lists = {
        "deployments": DEPLOYMENTS,
        "statefulsets": STATEFULSETS,
        "pods": PODS,
        "hpa": HPA,
        "scalingpolicies": POLICIES,
    }

    def items(kind: str) -> list[dict[str, Any]]:
        if kind == "capacityleases":
            return cluster.server.leases()
        if kind == "scalingrecords":
            return [item for path, item in cluster.objects.items() if path.startswith(f"{RECORDS}/")]
        found: list[dict[str, Any]] = cluster.objects[lists[kind]]["items"]
        return found

    return items


@pytest.fixture
def inspector(npm: Programs, cluster: McpCluster, tmp_path: Path) -> Inspector:
    kubeconfig = str(cluster.place(tmp_path).kubeconfig)
    options = ("--context", "claudescale", "--namespace", "claudescale", "--kubeconfig", kubeconfig, "--allow-writes")
    return Inspector(npm=npm, home=tmp_path / "home", options=options)


@pytest.mark.parametrize("era", ERAS)
def test_the_state_is_told_as_it_is(inspector: Inspector, era: str, cluster: McpCluster, tmp_path: Path) -> None:
    told = replace(inspector, era=era).call("get_current_state", workload="demo-app")
    assert not told.error, told.text
    same = ask(cluster.place(tmp_path), "get_current_state", workload="demo-app")
    assert {**told.facts, "time": None} == {**same.facts, "time": None}
    assert told.text == same.text
    assert told.facts["workloads"][0]["autoscaler"]["floor"] == 2


def test_the_list_is_the_same_in_both_eras(inspector: Inspector) -> None:
    """--strict has the inspector look for what other clients cannot read in the schemas; it ends with 6 then."""
    legacy, modern = (replace(inspector, era=era).listed("tools") for era in ERAS)
    assert legacy
    assert modern == legacy


def test_every_reading_tool_fits_its_schema_and_writes_nothing(inspector: Inspector, cluster: McpCluster) -> None:
    reads = [tool for tool in inspector.listed("tools") if tool["annotations"]["readOnlyHint"]]
    assert "get_current_state" in [tool["name"] for tool in reads]
    for tool in reads:
        told = inspector.call(tool["name"], **needed(tool))
        if told.error:  # the double has no Prometheus, for example
            assert "\n" not in told.text, tool["name"]
            assert "mistake of its own" not in told.text, tool["name"]
        else:
            jsonschema.validate(told.facts, tool["outputSchema"])
    assert cluster.writes == []


def test_a_lease_begins_is_told_as_it_stands_and_ends(inspector: Inspector, cluster: McpCluster) -> None:
    assert inspector.call("lease_capacity", **FULL).facts["outcome"] == "Created"
    told = inspector.call("get_current_state").facts
    seen = kubectl_says.leases(kubectl_of(cluster))
    assert kubectl_says.told_leases([told], seen) == seen
    assert seen["friday-launch"]["replicas"] == 4
    assert kubectl_says.told_workloads([told]) == kubectl_says.workloads(kubectl_of(cluster))
    assert told["head"] == kubectl_says.head(kubectl_of(cluster))
    assert inspector.call("end_lease", name="friday-launch").facts["outcome"] == "Ended"


def test_what_is_wrong_with_a_call_is_one_sentence(inspector: Inspector) -> None:
    told = inspector.call("get_current_state", forse=True)
    assert told.error
    assert told.text.startswith("get_current_state has no argument 'forse'")


def test_resources_and_prompts_are_read(inspector: Inspector) -> None:
    for resource in inspector.listed("resources"):
        code, result, wrong = inspector.ask("resources/read", "--uri", resource["uri"])
        assert code == 0, wrong
        assert result["contents"][0]["text"]
    for prompt in inspector.listed("prompts"):
        wanted = [argument["name"] for argument in prompt.get("arguments", []) if argument.get("required")]
        given = [f"{name}=20:00" if name == "start" else f"{name}=demo-app" for name in wanted]
        code, result, wrong = inspector.ask(
            "prompts/get", "--prompt-name", prompt["name"], *(["--prompt-args", *given] if given else [])
        )
        assert code == 0, wrong
        assert result["messages"][0]["content"]["text"]
