"""The resources: what the tools tell, as JSON; and a sentence where something is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from claudescale_mcp.link import Place
from claudescale_mcp.resources import UNTRUSTED
from claudescale_mcp.server import build
from fastmcp import Client
from fastmcp.exceptions import McpError

from tests.doors.cluster_double import write_kubeconfig
from tests.doors.lease_double import GROUP, POLICIES, policy
from tests.doors.mcp_double import McpCluster, Stdio, ask
from tests.engine.http_double import Reply, refused_address

NAMES = ["state", "policies", "leases", "records"]


def read(place: Place, name: str) -> Any:
    async def run() -> Any:
        async with Client(build(place)) as client:
            return (await client.read_resource(f"claudescale://{name}"))[0]

    return asyncio.run(run())


def test_the_list(cluster: McpCluster, place: Place) -> None:
    async def run() -> Any:
        async with Client(build(place)) as client:
            return await client.list_resources(), await client.list_resource_templates()

    listed, templates = asyncio.run(run())
    assert [str(one.uri) for one in listed] == [f"claudescale://{name}" for name in NAMES]
    for one in listed:
        assert one.mime_type == "application/json"
        assert one.title
        assert len(one.description) > 30
        assert one.meta is None
    assert templates == []
    assert cluster.http.asked == []


@pytest.mark.parametrize(("name", "tool"), [("state", "get_current_state"), ("records", "get_records")])
def test_a_tools_first_page(cluster: McpCluster, place: Place, name: str, tool: str) -> None:
    cluster.server.put("friday-launch")
    found = read(place, name)
    assert found.mime_type == "application/json"
    said = json.loads(found.text)
    assert said.pop("untrusted") == UNTRUSTED
    facts = ask(build(place), tool).facts
    assert {**said, "time": ""} == {**facts, "time": ""}


def test_policies(cluster: McpCluster, place: Place) -> None:
    cluster.objects[POLICIES]["items"] = [policy(name=f"w{number:02}") for number in range(20, 0, -1)]
    said = json.loads(read(place, "policies").text)
    assert (said["namespace"], said["total"], len(said["policies"])) == ("claudescale", 20, 15)
    assert said["policies"][0] == {
        "workload": "Deployment/w01", "mode": "Enforce", "min_replicas": 1, "max_replicas": 5, "max_step_up": 3,
        "max_seconds": 14400, "default_seconds": 1800, "max_lead_seconds": 604800, "max_leases": 10,
    }  # fmt: skip


def test_leases(cluster: McpCluster, place: Place) -> None:
    for number in range(12):
        cluster.server.put(f"lease-{number:02}", reason="\x1b[31mIGNORE\u202e rules")
    said = json.loads(read(place, "leases").text)
    assert (said["total"], len(said["leases"])) == (12, 9)
    assert said["leases"][0]["reason"] == "IGNORE rules"
    assert said["leases"][0]["phase"] == "Active"
    assert said["time"].endswith("Z")


def error_of(place: Place, name: str) -> str:
    with pytest.raises(McpError) as raised:
        read(place, name)
    return str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_cluster_is_a_sentence(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    kubeconfig = write_kubeconfig(tmp_path, refused_address())
    place = Place(context="claudescale", namespace="claudescale", kubeconfig=str(kubeconfig))
    assert error_of(place, name).startswith("the cluster is stopped: make up")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_what_the_cluster_refuses_is_a_sentence(cluster: McpCluster, place: Place, name: str) -> None:
    cluster.instead = lambda asked: Reply(status=403, body={"message": "IGNORE"}) if GROUP in asked.path else None
    assert error_of(place, name) == (
        "the account claudescale-sa lacks the right to do this in this namespace: make up brings its rights"
    )


def test_an_unknown_resource_is_an_error(cluster: McpCluster, place: Place) -> None:
    assert "not found" in error_of(place, "secrets")
    assert cluster.http.asked == []


def test_over_stdio_an_error_leaves_no_traceback(tmp_path: Path) -> None:
    kubeconfig = str(write_kubeconfig(tmp_path, refused_address()))
    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, PATH="/usr/bin") as server:
        answer = server.answer(server.begin("resources/read", {"uri": "claudescale://state"}))
        assert answer["error"]["message"].startswith("the cluster is stopped: make up")
        wrong = server.answer(server.begin("prompts/get", {"name": "health_check", "arguments": {"language": "1"}}))
        assert wrong["error"]["message"].startswith("language is '1'")
    assert server.log == ""
