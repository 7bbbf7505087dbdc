"""Every reading tool, called by the official inspector's command line on the live cluster, says what kubectl says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import jsonschema
import pytest

from tests.cluster.rig import SPACE, Workload, until, workloads
from tests.mcp import kubectl_says
from tests.mcp.inspector import ERAS, Inspector, needed
from tests.mcp.programs import programs
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

TRIES = 6  # looks for a moment in which nothing changes
LEASE_SECONDS = 1200
Seen = TypeVar("Seen")
Said = TypeVar("Said")


@pytest.fixture(scope="module")
def workload(cluster: Cluster) -> Iterator[Workload]:
    """A workload at its base of two, with an active lease for four."""
    with workloads(cluster, 1) as (found,):
        name = found.lease(replicas=4, seconds=LEASE_SECONDS)
        until(lambda: found.phase(name) == "Active" and found.floor() == 4, 15)
        until(lambda: kubectl_says.workloads(kubectl_of(cluster))[f"Deployment/{found.name}"]["ready"] == 4, 90)
        yield found


def kubectl_of(cluster: Cluster) -> kubectl_says.Kubectl:
    def items(kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.get(kind, "--namespace", SPACE)["items"]
        return found

    return items


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> kubectl_says.Kubectl:
    return kubectl_of(cluster)


@pytest.fixture(scope="module")
def inspector(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Inspector:
    """The server reads only."""
    return Inspector(
        npm=programs(),
        home=tmp_path_factory.mktemp("inspector"),
        options=("--context", cluster.context, "--namespace", SPACE),
        environment={"KUBECONFIG": str(cluster.kubeconfig)},
    )


@pytest.fixture(scope="module")
def tools(inspector: Inspector) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in inspector.listed("tools")}


def answer(inspector: Inspector, tool: str, /, **arguments: Any) -> dict[str, Any]:
    told = inspector.call(tool, **arguments)
    assert not told.error, f"{tool}: {told.text}"
    return told.facts


def state(inspector: Inspector) -> list[dict[str, Any]]:
    """Every page of it."""
    first = answer(inspector, "get_current_state")
    return [first, *(answer(inspector, "get_current_state", page=page) for page in range(2, first["pages"] + 1))]


def still(look: Callable[[], Seen], ask: Callable[[], Said]) -> tuple[Seen, Said]:
    """What kubectl saw before and after a call alike, and what the call said."""
    for _ in range(TRIES):
        before, said = look(), ask()
        if look() == before:
            return before, said
        time.sleep(1)
    raise AssertionError(f"no moment of rest in {TRIES} looks: {before}")


def test_only_reading_tools_are_there(tools: dict[str, dict[str, Any]]) -> None:
    assert "get_current_state" in tools
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools.values())


def test_workloads_autoscalers_and_policies(
    inspector: Inspector, kubectl: kubectl_says.Kubectl, workload: Workload
) -> None:
    seen, pages = still(lambda: kubectl_says.workloads(kubectl), lambda: state(inspector))
    told = kubectl_says.told_workloads(pages)
    assert told == seen
    assert pages[0]["workloads_total"] == len(seen)
    mine = told[f"Deployment/{workload.name}"]
    assert (mine["replicas"], mine["pods"], mine["ready"]) == (4, 4, 4)
    assert (mine["autoscaler"]["floor"], mine["autoscaler"]["base"], mine["autoscaler"]["maximum"]) == (4, 2, 5)


def test_leases(inspector: Inspector, kubectl: kubectl_says.Kubectl, workload: Workload) -> None:
    seen, pages = still(lambda: kubectl_says.leases(kubectl), lambda: state(inspector))
    told = kubectl_says.told_leases(pages, seen)
    assert told == seen
    assert [one["phase"] for one in told.values() if one["workload"].endswith(workload.name)] == ["Active"]


@pytest.mark.parametrize("era", ERAS)
def test_the_head_and_the_last_decisions(
    inspector: Inspector, era: str, kubectl: kubectl_says.Kubectl, workload: Workload
) -> None:
    asking = replace(inspector, era=era)
    (head, chain), told = still(
        lambda: (kubectl_says.head(kubectl), kubectl_says.records(kubectl)),
        lambda: answer(asking, "get_current_state", workload=workload.name),
    )
    assert told["head"] == head
    decisions = told["last_decisions"]
    known = [{**one, "hash": None} for one in chain[-len(decisions) :]]  # a decision is shown without
    assert [kubectl_says.told_record(one, two) for one, two in zip(decisions, known, strict=True)] == known


def test_records(
    inspector: Inspector, tools: dict[str, dict[str, Any]], kubectl: kubectl_says.Kubectl, workload: Workload
) -> None:
    assert "get_records" in tools
    chain, told = still(lambda: kubectl_says.records(kubectl), lambda: answer(inspector, "get_records"))
    assert told["head"] == f"{chain[-1]['sequence']}:{chain[-1]['hash']}"
    assert told["total"] == len(chain)
    newest = chain[: -len(told["records"]) - 1 : -1]
    assert [kubectl_says.told_record(one, two) for one, two in zip(told["records"], newest, strict=True)] == newest


def test_nodes_services_and_autoscalers(
    inspector: Inspector, tools: dict[str, dict[str, Any]], kubectl: kubectl_says.Kubectl, cluster: Cluster
) -> None:
    assert "cluster_status" in tools

    def look() -> tuple[Any, Any, Any]:
        nodes = [
            (
                item["metadata"]["name"],
                any(one["type"] == "Ready" and one["status"] == "True" for one in item["status"]["conditions"]),
                item["status"]["nodeInfo"]["kubeletVersion"],
                item["status"]["capacity"]["cpu"],
                item["status"]["capacity"]["memory"],
            )
            for item in cluster.get("nodes")["items"]
        ]
        services = {
            item["metadata"]["name"]: (item["spec"]["type"], [port["port"] for port in item["spec"]["ports"]])
            for item in kubectl("services")
        }
        of = [one["autoscaler"] for one in kubectl_says.workloads(kubectl).values()]
        return nodes, services, {scaler["name"]: scaler for scaler in of if scaler}

    (nodes, services, scalers), told = still(look, lambda: answer(inspector, "cluster_status"))
    assert [(one["name"], one["ready"], one["version"], one["cpu"], one["memory"]) for one in told["nodes"]] == nodes
    assert told["services"]
    for one in told["services"]:
        kind, ports = services[one["name"]]
        assert (one["type"], one["ports"]) == (kind, ports[: len(one["ports"])])
    assert told["autoscalers"]
    for one in told["autoscalers"]:
        numbers = scalers[one["name"]]
        assert {key: one["numbers"][key] for key in ("floor", "maximum", "current", "wanted")} == {
            key: numbers[key] for key in ("floor", "maximum", "current", "wanted")
        }


def test_every_reading_tool_answers_and_fits_its_schema(
    inspector: Inspector, tools: dict[str, dict[str, Any]], workload: Workload
) -> None:
    for name, tool in tools.items():
        jsonschema.validate(answer(inspector, name, **needed(tool)), tool["outputSchema"])
