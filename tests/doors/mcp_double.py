"""A cluster for the MCP server: the leases' double behind real HTTP, with tokens, and who asked for what."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.asking.checkup import TARGETS
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER
from ansible_collections.claudescale.core.plugins.module_utils.record import chain
from claudescale_mcp.link import Place
from claudescale_mcp.server import build
from fastmcp import Client, FastMCP

from tests.doors.cluster_double import DEMO, HPA, PROMETHEUS, REVIEW, SPACE, ApiDouble, sample, write_kubeconfig
from tests.doors.lease_double import DEMO_APP, GROUP, LEASES, POLICIES, POLICY, Server, autoscaler, policy
from tests.engine.http_double import Asked, HttpDouble, Reply, http_double

TOKEN = f"/api/v1/{SPACE}/serviceaccounts/claudescale-sa/token"
ASSISTANT = "system:serviceaccount:claudescale:claudescale-sa"
PODS = f"/api/v1/{SPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/{SPACE}/deployments"
CONTROLLERS = f"{DEPLOYMENTS}/{CONTROLLER}"
RECORDS = f"{GROUP}/{SPACE}/scalingrecords"
NODES = "/api/v1/nodes"
SERVICES = f"/api/v1/{SPACE}/services"
SAMPLES = f"/apis/metrics.k8s.io/v1beta1/{SPACE}/pods"
PROMETHEUS_RANGE = f"{PROMETHEUS}_range"
# The figures of demo-app, by a part of their query: the first that fits.
FIGURES = (
    ("histogram_quantile(0.5,", 0.012), ("histogram_quantile(0.95,", 0.04), ("histogram_quantile(0.99,", 0.09),
    ("code!~", 0.0), ("container_start_time_seconds", 0.0), ("up{", 2.0), ("count(count by (pod)", 2.0),
    ("max(sum by (pod)", 0.0875), ("container_memory", 134_217_728.0), ("container_cpu", 0.15),
    ("demo_app_requests_total", 12.5),
)  # fmt: skip
SAMPLE_SECONDS = 3.0  # the age of the newest sample
SECRET = "token-of-the-assistant"
PERSON = "t"  # the token in the double's kubeconfig
FULL = {"name": "friday-launch", "workload": "demo-app", "replicas": 4, "reason": "launch at 20:00"}


@dataclass
class McpCluster:
    """`instead(asked)`: another reply than the double's, None for none. `who` has asked: (token, method, path).

    `figures(promql, time)`: what Prometheus has at a time, None for nothing.
    """

    server: Server
    http: HttpDouble
    instead: Callable[[Asked], Reply | None] = lambda asked: None
    figures: Callable[[str, float], float | None] = lambda promql, at: figure(promql, at)  # noqa: PLW0108 - comes later
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
            if asked.path == PROMETHEUS_RANGE or (asked.path == PROMETHEUS and asked.query["query"] != TARGETS):
                return Reply(body=self.prometheus(asked.query))
            found = self.objects.get(asked.path)
            return Reply(body=found) if found is not None else not_found(asked.path)
        if asked.path == TOKEN:
            return Reply(status=201, body={"status": {"token": SECRET}, "spec": {"expirationSeconds": 600}})
        if asked.path == REVIEW:
            return Reply(status=201, body={"status": {"userInfo": {"username": ASSISTANT}}})
        code, body = self.server.on_write(asked.method, asked.path, asked.query, asked.body)
        return Reply(status=code, body=body)

    def prometheus(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer to an instant query, or to one about a range: one series, or none."""
        if "step" not in query:
            at = float(query["time"])
            value = self.figures(query["query"], at)
            found = [] if value is None else [{"metric": {}, "value": [at, str(value)]}]
        else:
            start, end, step = (float(query[name]) for name in ("start", "end", "step"))
            times = [start + index * step for index in range(int((end - start) // step) + 1)]
            values = [(at, self.figures(query["query"], at)) for at in times]
            points = [[at, str(value)] for at, value in values if value is not None]
            found = [{"metric": {}, "values": points}] if points else []
        return {"status": "success", "data": {"result": found}}


def figure(promql: str, at: float) -> float | None:
    """What Prometheus has of demo-app at a time; of others it has nothing."""
    if 'pod=~"demo-app-' not in promql:
        return None
    if "timestamp(" in promql:
        return at - SAMPLE_SECONDS
    return next(value for part, value in FIGURES if part in promql)


def node(name: str = "claudescale", *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": f"n-{name}"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {"kubeletVersion": "v1.34.0"},
            "capacity": {"cpu": "2", "memory": "4028000Ki"},
        },
    }


def service(name: str, port: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"s-{name}"}, "spec": {"type": "ClusterIP", "ports": [{"port": port}]}}


def targets(up: int, down: int = 0) -> dict[str, Any]:
    """Prometheus' answer to how many targets are up and how many are down."""
    counts = [sample(str(count), up=text) for text, count in (("1", up), ("0", down)) if count]
    return {"status": "success", "data": {"result": counts}}


def sampled(name: str, age: float = 5.0) -> dict[str, Any]:
    """metrics-server's sample of a pod."""
    return {"metadata": {"name": name}, "timestamp": moments.text(time.time() - age), "containers": []}


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
            NODES: {"items": [node()]},
            SERVICES: {"items": [service("demo-app", 80), service("prometheus", 9090)]},
            PROMETHEUS: targets(3),
            SAMPLES: {"items": [sampled("demo-app-0"), sampled("demo-app-1", 20.0)]},
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
    images: tuple[bytes, ...] = ()


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
                text = "".join(block.text for block in result.content if block.type == "text")
                found.append(
                    Told(
                        error=result.is_error,
                        text=text,
                        facts=result.structured_content or {},
                        seconds=time.monotonic() - began,
                        images=tuple(base64.b64decode(one.data) for one in result.content if one.type == "image"),
                    )
                )
        return found

    return asyncio.run(run())


class Process:
    """Any MCP server as a client starts it; every line on its standard output is kept, and must be JSON-RPC."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
            cwd=folder,
        )
        self.messages: list[dict[str, Any]] = []
        self._last = -1

    def __enter__(self) -> Self:
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
            text="".join(block.get("text", "") for block in result["content"]),
            facts=result.get("structuredContent", {}),
            seconds=time.monotonic() - began,
        )


class Stdio(Process):
    """The real server."""

    def __init__(self, *options: str, command: tuple[str, ...] = ("-m", "claudescale_mcp"), **environment: str) -> None:
        super().__init__([sys.executable, *command, *options], environment)
