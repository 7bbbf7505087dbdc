"""`claudescale verify-grafana`'s questions, asked of a server on loopback that answers as Grafana's API does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli import grafana

from tests.doors.cluster_double import SPACE, api_double

GOOD = {
    "/api/user": {"login": "admin"},
    "/api/datasources": [{"uid": "p1", "name": "Prometheus"}],
    "/api/datasources/uid/p1/health": {"status": "OK"},
    "/api/dashboards/uid/claudescale": {"dashboard": {}},
}

BAD = [
    pytest.param("wrong", {}, "Grafana refuses the password of the Secret grafana-admin", id="password"),
    pytest.param("right", {"/api/datasources": []}, "Grafana has no datasource: make up", id="no-datasource"),
    pytest.param(
        "right",
        {"/api/datasources/uid/p1/health": {"status": "ERROR", "message": "connection refused"}},
        "Grafana's datasource Prometheus is not well: connection refused",
        id="datasource",
    ),
    pytest.param(
        "right", {"/api/dashboards/uid/claudescale": None}, "Grafana does not answer well: 404", id="dashboard"
    ),
]


@contextmanager
def grafana_double(answers: dict[str, Any]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = base64.b64encode(b"admin:right").decode()
            if self.headers.get("Authorization") != f"Basic {known}":
                self.send_error(401)
            elif answers.get(self.path) is None:
                self.send_error(404)
            else:
                body = json.dumps(answers[self.path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def test_everything_in_place() -> None:
    with grafana_double(GOOD) as address:
        lines = list(grafana.check(address, "admin", "right", {"claudescale": "ClaudeScale"}))
    assert [line.split() for line in lines] == [
        ["login", "ok", "as", "admin"],
        ["datasource", "ok", "Prometheus"],
        ["dashboard", "ok", "ClaudeScale"],
    ]


@pytest.mark.parametrize(("password", "changed", "message"), BAD)
def test_what_is_wrong(password: str, changed: dict[str, Any], message: str) -> None:
    with grafana_double({**GOOD, **changed}) as address, pytest.raises(ClaudeScaleError) as refused:
        list(grafana.check(address, "admin", password, {"claudescale": "ClaudeScale"}))
    assert str(refused.value).startswith(message)


def test_password_and_dashboards_come_from_the_cluster(tmp_path: Any) -> None:
    with api_double() as api:
        cluster = ClusterClient(
            context="claudescale", namespace="claudescale", kubeconfig=str(api.kubeconfig(tmp_path))
        )
        with pytest.raises(ClaudeScaleError, match="has no admin-password: make up"):
            grafana.credentials(cluster)
        secret = {"data": {"admin-user": "YWRtaW4=", "admin-password": "cmlnaHQ="}}
        maps = [
            {"data": {"claudescale.json": json.dumps({"uid": "claudescale", "title": "ClaudeScale", "panels": []})}},
            {"data": {"other.json": "[1]", "nginx.conf": "{}", "broken.json": "{"}},
            {},
        ]
        api.objects = {
            f"/api/v1/{SPACE}/secrets/grafana-admin": secret,
            f"/api/v1/{SPACE}/configmaps": {"items": maps},
        }
        assert grafana.credentials(cluster) == ("admin", "right")
        assert grafana.dashboards(cluster) == {"claudescale": "ClaudeScale"}
