"""An API server's answers on loopback, for tests of the doors: what it was asked and what it says, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

SPACE = "namespaces/claudescale"
DEMO = f"/apis/apps/v1/{SPACE}/deployments/demo-app"
HPA = f"/apis/autoscaling/v2/{SPACE}/horizontalpodautoscalers"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
PROMETHEUS = f"/api/v1/{SPACE}/services/prometheus:9090/proxy/api/v1/query"


@dataclass
class ApiDouble:
    """Answers by path; a path that is not there is 404. `queries` are Prometheus' answers by PromQL.

    `on_write(method, path, query, body)` answers whatever is no GET with (code, object); `writes` are those that might
    change something. Who asks is `person`.
    """

    objects: dict[str, Any] = field(default_factory=dict)
    queries: dict[str, list[Any]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    on_write: Callable[[str, str, dict[str, str], Any], tuple[int, Any]] | None = None
    port: int = 0

    def kubeconfig(self, folder: Path, name: str = "claudescale") -> Path:
        """A kubeconfig whose context leads here."""
        return write_kubeconfig(folder, f"http://127.0.0.1:{self.port}", name)


def write_kubeconfig(folder: Path, server: str, name: str = "claudescale") -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": server}}],
                "users": [{"name": name, "user": {"token": "t"}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            }
        ),
        encoding="utf-8",
    )
    return path


@contextmanager
def api_double() -> Iterator[ApiDouble]:
    double = ApiDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            double.asked.append(("GET", self.path))
            if parts.path in double.codes:
                self.answer(double.codes[parts.path], {"message": f"{parts.path} is not for you"})
            elif parts.path == PROMETHEUS:
                result = double.queries.get(parse_qs(parts.query)["query"][0], [])
                self.answer(200, {"status": "success", "data": {"result": result}})
            elif parts.path in double.objects:
                self.answer(200, double.objects[parts.path])
            else:
                self.answer(404, {"message": f"{parts.path} not found"})

        def do_POST(self) -> None:
            self.write()

        def do_PATCH(self) -> None:
            self.write()

        def write(self) -> None:
            parts = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            double.asked.append((self.command, self.path))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path in double.codes:
                self.answer(double.codes[parts.path], {"message": f"{parts.path} is not for you"})
            elif parts.path == REVIEW:
                self.answer(201, {"status": {"userInfo": {"username": "person"}}})
            elif double.on_write is None:
                self.answer(405, {"message": f"{self.command} {parts.path} is not expected here"})
            else:
                if "dryRun" not in query:
                    double.writes.append((self.command, parts.path, body))
                self.answer(*double.on_write(self.command, parts.path, query, body))

        def answer(self, code: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def deployment(name: str, replicas: int | None = None) -> dict[str, Any]:
    worker = {"name": "worker", "image": "claudescale/load:1"}
    spec: dict[str, Any] = {"template": {"spec": {"containers": [worker]}}}
    return {"metadata": {"name": name}, "spec": {**spec, **({} if replicas is None else {"replicas": replicas})}}


def hpa(current: int = 2, wanted: int = 2, cpu: int | None = 7) -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu"}}
    target = {**metric, "resource": {**metric["resource"], "target": {"averageUtilization": 50}}}  # type: ignore[dict-item]
    seen = {**metric, "resource": {**metric["resource"], "current": {"averageUtilization": cpu}}}  # type: ignore[dict-item]
    return {
        "metadata": {"name": "demo-app-hpa", "uid": "h", "resourceVersion": "5"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "demo-app"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": [target],
        },
        "status": {
            "currentReplicas": current,
            "desiredReplicas": wanted,
            "currentMetrics": [seen] if cpu is not None else None,
        },
    }


def sample(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [1700000000.0, value]}
