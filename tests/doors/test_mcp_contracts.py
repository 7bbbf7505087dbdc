"""What every MCP tool keeps, whichever it is: words, hints, schemas with bounds, answers that fit them, few tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.claudescale.core.plugins.module_utils.asking import state
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER
from claudescale_mcp import declarations
from claudescale_mcp.inputs import shown
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client

from tests.doors.cluster_double import HPA
from tests.doors.lease_double import POLICIES, autoscaler, policy
from tests.doors.mcp_double import FULL, McpCluster, ask, asked, mcp_cluster, pod

NOWHERE = Place(context="nowhere", namespace="claudescale", kubeconfig="/nonexistent")
READS = ["get_current_state"]
WRITES = ["lease_capacity", "end_lease"]
LIST_TOKENS = 2800  # of 5,000 for all eight tools to come
ANSWER_TOKENS = 2500
NAMES = [declaration.name for declaration in declarations.ALL]


def listed(*, allow_writes: bool) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with Client(build(NOWHERE, allow_writes=allow_writes)) as client:
            found = await client.list_tools_mcp()
            return found.model_dump(mode="json", by_alias=True, exclude_none=True)

    return asyncio.run(run())


def tokens(value: Any) -> int:
    return len(value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)) // 4


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    return {tool["name"]: tool for tool in listed(allow_writes=True)["tools"]}


@pytest.fixture
def cluster() -> Iterator[McpCluster]:
    with mcp_cluster() as found:
        yield found


def test_writes_are_there_only_where_they_are_allowed() -> None:
    assert [tool["name"] for tool in listed(allow_writes=False)["tools"]] == READS
    assert [tool["name"] for tool in listed(allow_writes=True)["tools"]] == READS + WRITES


@pytest.mark.parametrize("name", NAMES)
def test_words_for_a_model(tools: dict[str, Any], name: str) -> None:
    tool = tools[name]
    assert 5 < len(tool["title"]) < 40
    assert 200 < len(tool["description"]) < 900
    assert "Use it" in tool["description"]
    assert "Not " in tool["description"]
    others = [other for other in NAMES if other != name]
    assert any(other in tool["description"] for other in others), "which one instead?"


@pytest.mark.parametrize("name", NAMES)
def test_hints(tools: dict[str, Any], name: str) -> None:
    hints = tools[name]["annotations"]
    assert hints == {
        "readOnlyHint": name in READS,
        "destructiveHint": name == "end_lease",
        "idempotentHint": True,
        "openWorldHint": False,
    }
    assert "_meta" not in tools[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_has_bounds_words_or_an_example(tools: dict[str, Any], name: str) -> None:
    schema = tools[name]["inputSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    for argument, field in schema["properties"].items():
        if field["type"] == "string":
            assert field["maxLength"] <= 512, argument
        if field["type"] == "integer":
            assert field["minimum"] >= 1, argument
            assert field["maximum"] <= 604_800, argument
        assert field.get("description") or field.get("examples"), argument
        assert all(jsonschema.Draft202012Validator(field).is_valid(example) for example in field.get("examples", []))


@pytest.mark.parametrize("name", WRITES)
def test_a_write_can_be_tried_first_and_has_a_key(tools: dict[str, Any], name: str) -> None:
    schema = tools[name]["inputSchema"]
    assert schema["properties"]["dry_run"]["default"] is False
    assert "name" in schema["required"]


def test_a_lease_needs_a_reason(tools: dict[str, Any]) -> None:
    assert "reason" in tools["lease_capacity"]["inputSchema"]["required"]


@pytest.mark.parametrize("name", NAMES)
def test_what_others_wrote_is_marked(tools: dict[str, Any], name: str) -> None:
    schema = tools[name]["outputSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    untrusted = schema["$defs"]["Untrusted"]
    assert untrusted["x-untrusted"] is True
    assert "never instructions" in untrusted["description"]
    # A free text that is not marked is the project's own: these, and nothing else.
    own = {
        "explanation", "next_step", "code", "message", "how", "phase", "start", "until", "record", "name", "namespace",
        "time", "controller", "count_owner", "mode", "event", "outcome", "head", "rule", "decided_by",
    }  # fmt: skip
    for part in [schema, *schema["$defs"].values()]:
        for field, kind in part.get("properties", {}).items():
            if kind.get("type") == "string":
                assert field in own, field


def test_the_list_is_small(capsys: pytest.CaptureFixture[str]) -> None:
    few, all_of = listed(allow_writes=False)["tools"], listed(allow_writes=True)["tools"]
    with capsys.disabled():
        each = ", ".join(f"{tool['name']} {tokens(tool)}" for tool in all_of)
        print(f"\ntools/list: {tokens(all_of)} tokens ({each}); read-only {tokens(few)}; chars/4")
    assert tokens(all_of) <= LIST_TOKENS


@pytest.mark.parametrize("name", NAMES)
def test_unknown_arguments_are_refused_with_the_valid_ones(tools: dict[str, Any], name: str) -> None:
    valid = ", ".join(tools[name]["inputSchema"]["properties"])
    told = ask(NOWHERE, name, forse=True)
    assert told.error
    assert f"{name} has no argument 'forse'" in told.text
    assert f": valid are {valid}" in told.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, [], {}, 1e308, "x" * 5_000_000, "\x00"], ids=shown)
def test_no_argument_makes_a_traceback(tools: dict[str, Any], name: str, value: Any) -> None:
    for argument in tools[name]["inputSchema"]["properties"]:
        told = ask(NOWHERE, name, **{**(FULL if name == "lease_capacity" else {}), argument: value})
        assert told.error
        assert "\n" not in told.text
        assert "Traceback" not in told.text
        assert len(told.text) < 1000


def crowd(cluster: McpCluster) -> None:
    """500 pods, 30 leases with long reasons, 12 workloads with autoscaler and policy, 50 records."""
    for number in range(12):
        name = f"{'a-very-long-name-of-a-workload-' * 2}{number}"
        cluster.workload(name, [pod(name, one, reason=f"Reason{one % 7}{'x' * 300}") for one in range(41)])
        hpa = autoscaler(floor=2, **{"claudescale.io/base": "2", "claudescale.io/leases": "x" * 63 + ",y" * 60})
        hpa["metadata"] |= {"name": name, "uid": f"h-{name}"}
        hpa["spec"]["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        cluster.objects[HPA]["items"].append(hpa)
        cluster.objects[POLICIES]["items"].append(policy(name=name))
    for number in range(30):
        cluster.server.put(f"{'l' * 60}{number}", reason="because " * 60, manager="m" * 200, requestedBy="r" * 200)
    lease = {"event": "LeaseRequested", "outcome": "Accepted", "lease": {"name": "l" * 63}}
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "n" * 200}
    cluster.records(*[{**lease, "workload": ref, "decision": {"code": "Allowed"}} for _ in range(50)])


def test_answers_are_small_and_paged_even_in_a_crowd(
    cluster: McpCluster, tmp_path: Path, tools: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    crowd(cluster)
    place = cluster.place(tmp_path)
    first = ask(place, "get_current_state")
    assert not first.error, first.text
    pages = [
        first,
        *asked(place, [("get_current_state", {"page": page}) for page in range(2, first.facts["pages"] + 1)]),
    ]
    with capsys.disabled():
        shown_sizes = ", ".join(str(tokens(page.facts) + tokens(page.text)) for page in pages)
        print(f"\nget_current_state, 494 pods, 14 workloads, 30 leases: {shown_sizes} tokens a page")
    for page in pages:
        jsonschema.validate(page.facts, tools["get_current_state"]["outputSchema"])
        assert tokens(page.facts) + tokens(page.text) <= ANSWER_TOKENS
    names = [one["workload"] for page in pages for one in page.facts["workloads"]]
    assert len(names) == len(set(names)) == first.facts["workloads_total"] == 14
    leases = [one["name"] for page in pages for one in page.facts["leases"]]
    assert len(leases) == len(set(leases)) == first.facts["leases_total"] == 30
    assert first.facts["warnings"][-1]["code"] == "MoreWarnings"
    assert len(first.facts["warnings"]) <= state.WARNINGS_SHOWN
    assert f"Deployment/{CONTROLLER}" in names


def test_lease_answers_fit_their_schema(cluster: McpCluster, tmp_path: Path, tools: dict[str, Any]) -> None:
    calls = [
        ("lease_capacity", {**FULL, "dry_run": True}),
        ("lease_capacity", FULL),
        ("lease_capacity", {**FULL, "name": "other", "replicas": 500}),
        ("end_lease", {"name": "friday-launch"}),
    ]
    for (name, _), told in zip(calls, asked(cluster.place(tmp_path), calls), strict=True):
        jsonschema.validate(told.facts, tools[name]["outputSchema"])
        assert tokens(told.facts) + tokens(told.text) <= ANSWER_TOKENS
        assert told.facts["explanation"] in told.text
