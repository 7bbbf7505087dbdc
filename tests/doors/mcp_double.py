"""A cluster for the MCP server: the leases' double behind real HTTP, with tokens, and who asked for what."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client, FastMCP

from tests.doors.cluster_double import DEMO, HPA, REVIEW, SPACE, ApiDouble, write_kubeconfig
from tests.doors.lease_double import DEMO_APP, GROUP, LEASES, POLICIES, POLICY, Server, autoscaler, policy
from tests.engine.http_double import Asked, HttpDouble, Reply, http_double

TOKEN = f"/api/v1/{SPACE}/serviceaccounts/claudescale-sa/token"
ASSISTANT = "system:serviceaccount:claudescale:claudescale-sa"
PODS = f"/api/v1/{SPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/{SPACE}/deployments"
RECORDS = f"{GROUP}/{SPACE}/scalingrecords"
SECRET = "token-of-the-assistant"
PERSON = "t"  # the token in the double's kubeconfig
FULL = {"name": "friday-launch", "workload": "demo-app", "replicas": 4, "reason": "launch at 20:00"}


@dataclass
class McpCluster:
    """`instead(asked)`: another reply than the double's, None for none. `who` has asked: (token, method, path)."""

    server: Server
    http: HttpDouble
    instead: Callable[[Asked], Reply | None] = lambda asked: None
    who: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def objects(self) -> dict[str, Any]:
        return self.server.api.objects

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What changed something: all but tokens, reviews and dry runs."""
        return [
            (asked.method, asked.path)
            for asked in self.http.asked
            if asked.method != "GET" and asked.path not in (TOKEN, REVIEW) and "dryRun" not in asked.query
        ]

    def place(self, folder: Path) -> Place:
        kubeconfig = write_kubeconfig(folder, self.http.address)
        return Place(context="claudescale", namespace="claudescale", kubeconfig=str(kubeconfig))

    def workload(self, name: str, pods: list[dict[str, Any]], *, kind: str = "deployments") -> None:
        """One more workload with these pods."""
        path = f"/apis/apps/v1/{SPACE}/{kind}"
        item = {
            "metadata": {"name": name, "uid": f"w-{name}"},
            "spec": {"replicas": len(pods), "selector": {"matchLabels": {"app": name}}},
        }
        self.objects[path]["items"].append(item)
        self.objects[f"{path}/{name}"] = item
        self.objects[PODS]["items"] += pods

    def records(self, *fields: dict[str, Any]) -> list[dict[str, Any]]:
        """A chain: its genesis, and a record for each of these."""
        common = {"time": "2026-03-01T10:00:00.000000Z", "actor": CONTROLLER, "door": "claudescale-cli"}
        first = chain.genesis(namespace="claudescale", uid="uid", time=common["time"], actor=CONTROLLER)
        found = [first]
        for more in fields:
            found.append(chain.next_record(found[-1].head, {**common, **more}))
        items = [chain.to_object(record, "claudescale") for record in found]
        for item in items:
            self.objects[f"{RECORDS}/{item['metadata']['name']}"] = item
        return items

    def script(self, asked: Asked) -> Reply:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        self.who.append((token, asked.method, asked.path))
        if (other := self.instead(asked)) is not None:
            return other
        if asked.method == "GET":
            if asked.path == "/version":
                return Reply(body={"major": "1"})
            found = self.objects.get(asked.path)
            return Reply(body=found) if found is not None else not_found(asked.path)
        if asked.path == TOKEN:
            return Reply(status=201, body={"status": {"token": SECRET}, "spec": {"expirationSeconds": 600}})
        if asked.path == REVIEW:
            return Reply(status=201, body={"status": {"userInfo": {"username": ASSISTANT}}})
        code, body = self.server.on_write(asked.method, asked.path, asked.query, asked.body)
        return Reply(status=code, body=body)


def not_found(path: str) -> Reply:
    return Reply(status=404, body={"reason": "NotFound", "message": f"{path} not found"})


def pod(app: str, number: int = 0, *, reason: str | None = None, ready: bool = True) -> dict[str, Any]:
    """A pod of a workload; `reason`: why it is not scheduled."""
    conditions = [{"type": "Ready", "status": "True" if ready and reason is None else "False"}]
    if reason is not None:
        conditions.append({"type": "PodScheduled", "status": "False", "reason": reason})
    return {
        "metadata": {"name": f"{app}-{number}", "uid": f"p-{app}-{number}", "labels": {"app": app}},
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": "Pending" if reason else "Running", "conditions": conditions},
    }


@contextmanager
def mcp_cluster() -> Iterator[McpCluster]:
    """A cluster with demo-app at two ready pods, its autoscaler, its policy and a chain of one record."""
    api = ApiDouble()
    server = Server(api=api, hpa=autoscaler())
    found: list[McpCluster] = []
    # The double of the cluster needs the server that it is the script of.
    with http_double(lambda asked: found[0].script(asked)) as http:  # noqa: PLW0108
        found.append(McpCluster(server=server, http=http))
        api.objects = {
            GROUP: {"resources": []},
            LEASES: {"items": []},
            POLICIES: {"items": [policy()]},
            POLICY: policy(),
            HPA: {"items": [server.hpa]},
            DEPLOYMENTS: {"items": []},
            f"/apis/apps/v1/{SPACE}/statefulsets": {"items": []},
            PODS: {"items": []},
            DEMO: {},
        }
        found[0].workload(DEMO_APP.name, [pod("demo-app", 0), pod("demo-app", 1)])
        found[0].workload(CONTROLLER, [])
        api.objects[DEPLOYMENTS]["items"][1]["status"] = {"readyReplicas": 1}
        found[0].records()
        yield found[0]


@dataclass(frozen=True, kw_only=True)
class Told:
    """A tool's answer as it came; `seconds` until then."""

    error: bool
    text: str
    facts: dict[str, Any]
    seconds: float


def ask(server: FastMCP | Place, tool: str, /, **arguments: Any) -> Told:
    """One call through FastMCP's in-memory client; a place gets a server with writes."""
    return asked(server, [(tool, arguments)])[0]


def asked(server: FastMCP | Place, calls: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    async def run() -> list[Told]:
        found = []
        async with Client(build(server, allow_writes=True) if isinstance(server, Place) else server) as client:
            for tool, arguments in calls:
                began = time.monotonic()
                result = await client.call_tool(tool, arguments, raise_on_error=False)
                text = "".join(block.text for block in result.content)
                found.append(
                    Told(
                        error=result.is_error,
                        text=text,
                        facts=result.structured_content or {},
                        seconds=time.monotonic() - began,
                    )
                )
        return found

    return asyncio.run(run())


class Stdio:
    """The real server as a client starts it; every line on its standard output is kept, and must be JSON-RPC."""

    def __init__(self, *options: str, command: tuple[str, ...] = ("-m", "claudescale_mcp"), **environment: str) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.messages: list[dict[str, Any]] = []
        self._last = -1

    def __enter__(self) -> Stdio:
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        self.initialized = self.request("initialize", client)
        self.ready_seconds = time.monotonic() - self.began
        self.send("notifications/initialized")
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.rest = self.process.stdout.read()
            self.log = self.process.stderr.read()
            self.process.stdout.close()
            self.process.stderr.close()

    def send(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {}), **more}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def begin(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request; its id."""
        self._last += 1
        self.send(method, params, id=self._last)
        return self._last

    def answer(self, wanted: int) -> dict[str, Any]:
        """The answer to a request, whatever comes before it."""
        while True:
            line = self.process.stdout.readline()
            assert line, f"the server ended: {self.process.stderr.read()}"
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            self.messages.append(message)
            if message.get("id") == wanted:
                return message

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of a request; KeyError where it is an error of the protocol."""
        return self.answer(self.begin(method, params))["result"]

    def ask(self, tool: str, /, **arguments: Any) -> Told:
        began = time.monotonic()
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": "p"}}
        result = self.request("tools/call", params)
        return Told(
            error=result["isError"],
            text="".join(block["text"] for block in result["content"]),
            facts=result.get("structuredContent", {}),
            seconds=time.monotonic() - began,
        )
