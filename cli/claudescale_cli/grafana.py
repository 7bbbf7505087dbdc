"""Grafana's own API, through a port-forward of its own: the API server's proxy would take the password off."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.kubectl import port_forward

TIMEOUTS = (2.0, 10.0)  # connect, read
FORWARD_SECONDS = 15.0
SECRET = "grafana-admin"  # noqa: S105 - the object's name
FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+)")


def credentials(cluster: ClusterClient) -> tuple[str, str]:
    """The administrator's user and password, from the Secret."""
    secret = cluster.find(f"/api/v1/namespaces/{cluster.namespace}/secrets/{SECRET}")
    data = (secret or {}).get("data") or {}
    if "admin-password" not in data:
        raise ClaudeScaleError(f"the Secret {SECRET} in namespace {cluster.namespace} has no admin-password: make up")
    user = data.get("admin-user")
    return _decoded(user) if user else "admin", _decoded(data["admin-password"])


def dashboards(cluster: ClusterClient) -> dict[str, str]:
    """The uid and title of each dashboard that stands in a ConfigMap."""
    found = {}
    for config_map in cluster.items(f"/api/v1/namespaces/{cluster.namespace}/configmaps"):
        for name, text in (config_map.get("data") or {}).items():
            dashboard = _dashboard(text) if name.endswith(".json") else None
            if dashboard:
                found[dashboard["uid"]] = dashboard.get("title", dashboard["uid"])
    if not found:
        raise ClaudeScaleError(f"no ConfigMap in namespace {cluster.namespace} holds a dashboard: make up")
    return found


@contextmanager
def reached(kubectl: str, where: Sequence[str]) -> Iterator[str]:
    """Grafana's address on 127.0.0.1 while the port-forward lasts."""
    with tempfile.TemporaryFile() as log:
        child = port_forward(kubectl, where, "grafana", "", 3000, log=log.fileno())
        watchdog = threading.Timer(FORWARD_SECONDS, child.kill)
        watchdog.start()
        try:
            first = child.stdout.readline() if child.stdout else b""
            watchdog.cancel()
            port = FORWARDING.search(first)
            if port is None:
                log.seek(0)
                words = log.read().decode(errors="replace").strip().splitlines() or ["kubectl said nothing"]
                raise ClaudeScaleError(f"Grafana cannot be reached: {words[-1]}")
            yield f"http://127.0.0.1:{port.group(1).decode()}"
        finally:
            watchdog.cancel()
            _end(child)


def check(address: str, user: str, password: str, wanted: Mapping[str, str]) -> Iterator[str]:
    """A line for each thing that is as it should be; ClaudeScaleError at the first that is not."""
    with requests.Session() as session:
        session.auth = (user, password)
        session.trust_env = False
        yield f"login           ok  as {_asked(session, f'{address}/api/user')['login']}"
        sources = _asked(session, f"{address}/api/datasources")
        if not sources:
            raise ClaudeScaleError("Grafana has no datasource: make up")
        for source in sources:
            health = _asked(session, f"{address}/api/datasources/uid/{source['uid']}/health")
            if health.get("status") != "OK":
                raise ClaudeScaleError(f"Grafana's datasource {source['name']} is not well: {health.get('message')}")
            yield f"datasource      ok  {source['name']}"
        for uid, title in wanted.items():
            _asked(session, f"{address}/api/dashboards/uid/{uid}")
            yield f"dashboard       ok  {title}"


def _asked(session: requests.Session, url: str) -> Any:
    try:
        answer = session.get(url, timeout=TIMEOUTS)
        if answer.status_code == 401:
            raise ClaudeScaleError(f"Grafana refuses the password of the Secret {SECRET}")
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise ClaudeScaleError(f"Grafana does not answer well: {error}") from error


def _dashboard(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "uid" in found and "panels" in found else None


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()
