"""The one client of the API server: whose credentials travel, what is asked, and what errors say."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster import accounts, transport
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import (
    ApiError,
    ClusterClient,
    ClusterStopped,
)
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from kubernetes.client import Configuration
from kubernetes.config import incluster_config

from tests.doors.cluster_double import write_kubeconfig
from tests.engine.http_double import Asked, HttpDouble, Reply, a_list, a_status, http_double, refused_address

LEASES = "/apis/claudescale.io/v1alpha1/namespaces/space/capacityleases"


@pytest.fixture
def api() -> Iterator[HttpDouble]:
    with http_double(lambda asked: Reply(body={})) as double:
        yield double


# What is asked


PATCHES = [
    pytest.param("merge", {"spec": {"minReplicas": 4}}, "application/merge-patch+json", id="merge"),
    pytest.param("json", [{"op": "remove", "path": "/a"}], "application/json-patch+json", id="json"),
    pytest.param("apply", {"kind": "Event"}, "application/apply-patch+yaml", id="apply"),
    pytest.param("strategic", {"spec": {}}, "application/strategic-merge-patch+json", id="strategic"),
]


@pytest.mark.parametrize(("kind", "body", "content_type"), PATCHES)
def test_patches(api: HttpDouble, kind: Any, body: Any, content_type: str) -> None:
    api.script = lambda asked: Reply(body={"kind": "Patched"})
    answer = api.client().patch(f"{LEASES}/a", body, kind=kind, field_manager="me", query={"force": "true"})
    assert answer == {"kind": "Patched"}
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.body) == ("PATCH", f"{LEASES}/a", body)
    assert asked.headers["content-type"] == content_type
    assert asked.query == {"fieldManager": "me", "force": "true"}


def test_an_empty_body_is_sent_as_one(api: HttpDouble) -> None:
    api.client().patch(f"{LEASES}/a", {})
    assert api.asked[0].body == {}
    assert api.asked[0].headers["content-type"] == "application/merge-patch+json"


def test_create_with_manager_and_dry_run(api: HttpDouble) -> None:
    client = api.client()
    client.create(LEASES, {"kind": "CapacityLease"})
    client.create(LEASES, {"kind": "CapacityLease"}, field_manager="claudescale-cli", dry_run=True)
    plain, dry = api.asked
    assert (plain.method, plain.body, plain.query) == ("POST", {"kind": "CapacityLease"}, {})
    assert dry.query == {"fieldManager": "claudescale-cli", "dryRun": "All"}


def test_delete_with_a_uid(api: HttpDouble) -> None:
    client = api.client()
    client.delete(f"{LEASES}/a", uid="u1")
    assert api.asked[0].body == {"propagationPolicy": "Background", "preconditions": {"uid": "u1"}}
    api.script = lambda asked: Reply(status=404, body=a_status(404, "NotFound", "gone"))
    client.delete(f"{LEASES}/a")
    api.script = lambda asked: Reply(status=409, body=a_status(409, "Conflict", "another uid"))
    with pytest.raises(ApiError, match="another uid"):
        client.delete(f"{LEASES}/a", uid="u1")


def test_whoami_and_allowed(api: HttpDouble) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("selfsubjectreviews"):
            return Reply(status=201, body={"status": {"userInfo": {"username": "system:serviceaccount:space:sa"}}})
        return Reply(status=201, body={"status": {"allowed": asked.body["spec"]["resourceAttributes"]["name"] == "a"}})

    api.script = script
    client = api.client()
    assert client.whoami() == "system:serviceaccount:space:sa"
    assert client.allowed("patch", "apps", "deployments/scale", "space", "a")
    assert not client.allowed("patch", "apps", "deployments/scale", "space", "b")
    assert api.asked[1].body["spec"]["resourceAttributes"] == {
        "verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale",
        "namespace": "space", "name": "a",
    }  # fmt: skip


# Paged lists


def paged(expire: list[str]) -> Any:
    """a, b, c, d two at a time; a token in `expire` is answered 410, each entry once."""

    def script(asked: Asked) -> Reply:
        token = asked.query.get("continue", "")
        if token in expire:
            expire.remove(token)
            return Reply(status=410, body=a_status(410, "Expired", "the continue token is too old"))
        if not token:
            return Reply(body=a_list("a", "b", version=f"1{len(expire)}", token="t"))
        return Reply(body=a_list("c", "d", version=f"1{len(expire)}"))

    return script


@pytest.mark.parametrize(
    ("expired", "requests"), [pytest.param([], 2, id="whole"), pytest.param(["t"], 4, id="expired")]
)
def test_pages(api: HttpDouble, expired: list[str], requests: int) -> None:
    api.script = paged([*expired])
    client = api.client()
    names = [item["metadata"]["name"] for item in client.pages(LEASES, {"labelSelector": "a=b"}, limit=2)]
    assert names == ["a", "b", "c", "d"]
    assert len(api.asked) == requests
    assert {asked.query["limit"] for asked in api.asked} == {"2"}
    assert {asked.query["labelSelector"] for asked in api.asked} == {"a=b"}

    api.script = paged([*expired])
    items, version = client.listed(LEASES, limit=2)
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c", "d"]
    assert version == "10"  # the second beginning's


def test_pages_do_not_begin_for_ever(api: HttpDouble) -> None:
    api.script = paged(["t"] * 100)
    with pytest.raises(ApiError) as refused:
        list(api.client().pages(LEASES, limit=2))
    assert (refused.value.status, refused.value.reason) == (410, "Expired")
    assert len(api.asked) == 8


# Errors


BUSY, DOWN = "TooManyRequests", "ServiceUnavailable"
DATE = {"Retry-After": "Tue, 24 Nov 2026 13:39:13 GMT"}
DETAILS = {"retryAfterSeconds": 2}
REFUSALS = [
    pytest.param(409, a_status(409, "AlreadyExists", "it is"), {}, "AlreadyExists", None, "it is", id="exists"),
    pytest.param(422, a_status(422, "Invalid", "no"), {}, "Invalid", None, "no", id="invalid"),
    pytest.param(429, a_status(429, BUSY, "slow"), {"Retry-After": "3"}, BUSY, 3.0, "slow", id="retry-after"),
    pytest.param(503, a_status(503, DOWN, "no", details=DETAILS), {}, DOWN, 2.0, "no", id="retry-in-details"),
    pytest.param(500, b"plain\n words", DATE, "", None, "plain words", id="no-status"),
    pytest.param(502, b"", {}, "", None, "GET /x", id="empty"),
    pytest.param(500, b"[1]", {}, "", None, "[1]", id="other-json"),
]


@pytest.mark.parametrize(("status", "body", "headers", "reason", "after", "message"), REFUSALS)
def test_refusals(
    api: HttpDouble, status: int, body: Any, headers: dict[str, str], reason: str, after: float | None, message: str
) -> None:
    api.script = lambda asked: Reply(status=status, body=body, headers=headers)
    with pytest.raises(ApiError) as refused:
        api.client().get("/x")
    assert str(refused.value) == f"the API server answered {status}: {message}"
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (status, reason, after)
    assert len(api.asked) == 1  # nothing is repeated behind the caller's back


def test_nothing_listens(tmp_path: Path) -> None:
    address = refused_address()
    with pytest.raises(ClusterStopped) as stopped:
        ClusterClient.from_configuration(Configuration(host=address), namespace="space").get("/x")
    assert str(stopped.value) == f"the API server at {address} refuses connections"
    kubeconfig = write_kubeconfig(tmp_path, address)
    with pytest.raises(ClusterStopped) as stopped:
        ClusterClient(context="claudescale", namespace="space", kubeconfig=str(kubeconfig)).get("/x")
    assert str(stopped.value) == f"the cluster is stopped: make up ({address} refuses connections)"


@pytest.mark.clock
def test_nothing_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):  # fills the queue of those who wait
            client = ClusterClient.from_configuration(
                Configuration(host=f"http://127.0.0.1:{address[1]}"), namespace="space"
            )
            started = time.monotonic()
            with pytest.raises(ClusterStopped):
                client.text("/x", seconds=0.3)
            assert time.monotonic() - started < 1


@pytest.mark.clock
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(hold=5.0), id="no-head"),
        pytest.param(Reply(stream=[b'{"a":', 5.0]), id="no-body"),
        pytest.param(Reply(stream=[b"{", *[0.05, b" "] * 100]), id="trickle"),
    ],
)
def test_an_answer_is_bounded_in_time(api: HttpDouble, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    monkeypatch.setattr(transport, "WHOLE_SECONDS", 0.4)
    api.script = lambda asked: reply
    client = api.client()
    started = time.monotonic()
    with pytest.raises(ClusterStopped, match="does not answer"):
        client.text("/x", seconds=0.2)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("stream", [[b'{"items": ['], []], ids=["half", "nothing"])
def test_a_cut_answer(api: HttpDouble, stream: list[bytes | float]) -> None:
    api.script = lambda asked: Reply(stream=stream, cut=True)
    with pytest.raises(ClusterStopped, match="cannot be reached"):
        api.client().get("/x")
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_no_api_server_answers(api: HttpDouble, body: bytes) -> None:
    api.script = lambda asked: Reply(body=body)
    with pytest.raises(ClaudeScaleError, match="is no API server: GET /x"):
        api.client().get("/x")


# Connections, threads, dates


def test_threads_share_a_client(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(body={"path": asked.path}, hold=0.02)
    client = api.client()
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda number: client.get(f"/x/{number}")["path"], range(60)))
    assert answers == [f"/x/{number}" for number in range(60)]
    assert api.connections <= 20  # one a thread, used again


def test_dates_are_told(api: HttpDouble) -> None:
    client = api.client()
    told: list[tuple[str, float, float]] = []
    client.on_response.append(lambda *facts: told.append(facts))
    before = time.monotonic()
    client.get(LEASES)
    api.script = lambda asked: Reply(status=404, body={})
    client.find(f"{LEASES}/a")
    after = time.monotonic()
    assert len(told) == 2
    for date, sent, received in told:
        assert date.endswith("GMT")
        assert before <= sent <= received <= after


SERVICE = "/api/v1/namespaces/space/services/prometheus:9090/proxy"
DATES = [
    ("/api/v1/namespaces/space", True),
    ("/apis/autoscaling/v2/namespaces/space/horizontalpodautoscalers", True),
    ("/apis/authentication.k8s.io/v1/selfsubjectreviews", True),
    (SERVICE, False),
    (f"{SERVICE}/api/v1/query", False),
    ("/apis/metrics.k8s.io/v1beta1/nodes", False),
    ("/apis/custom.metrics.k8s.io/v1beta1/namespaces/space", False),
    ("/healthz", False),
]


@pytest.mark.parametrize(("path", "told"), DATES)
def test_another_machines_date_is_not_told(api: HttpDouble, path: str, told: bool) -> None:
    client = api.client()
    heard: list[str] = []
    client.on_response.append(lambda date, sent, received: heard.append(date))
    client.text(path)
    assert len(heard) == told


# Whose credentials


def token_server(lives: list[float], refused: set[str]) -> Any:
    """Makes tokens t1, t2, ... with these lives in seconds; `refused` ones are answered 401."""
    made = 0
    lock = threading.Lock()

    def script(asked: Asked) -> Reply:
        nonlocal made
        if asked.path.endswith("/token"):
            with lock:
                made += 1
                life = lives[min(made, len(lives)) - 1]
                answer = {"spec": {"expirationSeconds": life}, "status": {"token": f"t{made}"}}
            return Reply(status=201, body=answer, hold=0.02)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token in refused:
            return Reply(status=401, body=a_status(401, "Unauthorized", "Unauthorized"))
        return Reply(body={"token": token})

    return script


def test_an_account_uses_its_token_only(api: HttpDouble, tmp_path: Path) -> None:
    api.script = token_server([600], set())
    configuration = api.configuration()
    configuration.cert_file = configuration.key_file = str(tmp_path / "person.pem")
    configuration.username, configuration.password, configuration.access_token = "person", "secret", "person"
    configuration.tls_server_name = "kubernetes"
    person = ClusterClient.from_configuration(configuration, namespace="space")
    account = person.as_account("claudescale-sa")
    assert api.asked == []  # made when it is needed: a server may start while the cluster is away
    assert account.get("/x") == {"token": "t1"}
    request, read = api.asked
    assert request.path == "/api/v1/namespaces/space/serviceaccounts/claudescale-sa/token"
    assert request.body["spec"] == {"expirationSeconds": 600}
    assert request.headers["authorization"] == "Bearer person"
    assert read.headers["authorization"] == "Bearer t1"
    kept = account.configuration
    assert (kept.cert_file, kept.key_file, kept.username, kept.password, kept.access_token) == (None,) * 5
    assert kept.tls_server_name == "kubernetes"
    assert "person" not in str(kept.api_key)
    assert account.authorization() == "Bearer t1"
    assert account.namespace == "space"


def test_a_token_is_made_again_in_time() -> None:
    moment = [100.0]
    made: list[float] = []

    def create(path: str, body: Any) -> dict[str, Any]:
        made.append(moment[0])
        return {"spec": {"expirationSeconds": 1000}, "status": {"token": f"t{len(made)}"}}

    token = accounts.AccountToken(create, "space", "sa", seconds=600, monotonic=lambda: moment[0])
    for moment[0] in (100.0, 500.0, 899.0, 900.0, 1699.0, 1700.0):
        token.value()
    assert made == [100.0, 900.0, 1700.0]  # 80 % of what was granted, not of what was asked for
    token.refuse("t2")  # an old one: the newer stays
    assert token.value() == "t3"
    token.refuse("t3")
    assert token.value() == "t4"


def test_a_refused_token_is_replaced_once(api: HttpDouble) -> None:
    refused: set[str] = set()
    api.script = token_server([600], refused)
    account = api.client().as_account("sa")
    assert account.get("/x") == {"token": "t1"}
    refused.add("t1")  # a computer that slept, or an account that was made anew
    assert account.patch("/x", {"a": 1}) == {"token": "t2"}
    assert [asked.body for asked in api.asked if asked.method == "PATCH"] == [{"a": 1}, {"a": 1}]
    refused.update({"t2", "t3"})
    with pytest.raises(ApiError) as error:
        account.get("/x")
    assert error.value.status == 401


def test_threads_make_one_token(api: HttpDouble) -> None:
    refused: set[str] = set()
    api.script = token_server([600], refused)
    account = api.client().as_account("sa")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: account.get("/x")["token"], range(32))) == {"t1"}
        refused.add("t1")
        assert set(threads.map(lambda _: account.get("/x")["token"], range(32))) == {"t2"}


def test_no_token_is_made(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(status=403, body=a_status(403, "Forbidden", "you may not"))
    with pytest.raises(ApiError, match="403: you may not"):
        api.client().as_account("sa").get("/x")
    api.script = lambda asked: Reply(status=201, body={"status": {}})
    with pytest.raises(ClaudeScaleError, match=r"made no token at .*/serviceaccounts/sa/token"):
        api.client().as_account("sa").get("/x")


def test_prometheus_is_asked_with_the_token_of_the_moment(api: HttpDouble) -> None:
    tokens = token_server([0.001, 600], set())  # the first is over at once

    def script(asked: Asked) -> Reply:
        return tokens(asked) if asked.method == "POST" else Reply(body={"status": "success", "data": {"result": []}})

    api.script = script
    prometheus = Prometheus(api.client().as_account("sa"))
    assert prometheus.query("up") == prometheus.query("up") == []
    assert [asked.headers["authorization"] for asked in api.asked if asked.method == "GET"] == [
        "Bearer t1",
        "Bearer t2",
    ]


def test_another_configuration_is_copied(api: HttpDouble) -> None:
    other = api.configuration()
    client = ClusterClient.from_configuration(other, namespace="space")
    other.api_key["BearerToken"] = "Bearer other"
    client.get("/x")
    assert api.asked[0].headers["authorization"] == "Bearer person"
    assert other.retries is None


def test_a_refresh_hook_travels(api: HttpDouble) -> None:
    tokens = iter(["one", "two"])

    def renew(configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {next(tokens)}"

    other = Configuration(host=api.address, api_key={"authorization": "Bearer old"})
    other.refresh_api_key_hook = renew
    client = ClusterClient.from_configuration(other, namespace="space")
    client.get("/x")
    client.get("/x")
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer one", "Bearer two"]
    with pytest.raises(StopIteration):
        client.authorization()


def test_in_a_pod(api: HttpDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClaudeScaleError, match="no pod with a service account"):
        ClusterClient.in_cluster(namespace="space")
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first", encoding="utf-8")
    authority.write_text("a certificate", encoding="utf-8")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    client = ClusterClient.in_cluster(namespace="space")
    assert client.configuration.host == "https://10.0.0.1:443"
    assert (client.namespace, client.context) == ("space", "")
    assert client.authorization().lower() == "bearer first"
    token.write_text("second", encoding="utf-8")
    assert client.authorization().lower() == "bearer first"
    later = incluster_config.datetime.datetime.now() + incluster_config.datetime.timedelta(minutes=2)

    class Later(incluster_config.datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return later

    monkeypatch.setattr(incluster_config.datetime, "datetime", Later)
    assert client.authorization().lower() == "bearer second"
    monkeypatch.undo()
    token.unlink()


def test_a_lost_token_file_is_one_sentence(api: HttpDouble) -> None:
    def renew(configuration: Any) -> None:
        raise FileNotFoundError("no token")

    other = api.configuration()
    other.refresh_api_key_hook = renew
    with pytest.raises(ClaudeScaleError, match="the credentials cannot be renewed: no token"):
        ClusterClient.from_configuration(other, namespace="space").get("/x")


# Streams


def test_lines_and_the_rest(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(stream=[b"one\ntw", b"o\n\nthree"])
    assert list(api.client().lines("/log")) == ["one", "two", "", "three"]


def test_a_last_line_that_ends_has_no_rest(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(stream=[b"one\ntwo\n"])
    assert list(api.client().lines("/log")) == ["one", "two"]


def test_a_cut_line_is_not_given(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(stream=[b"one\ntw"], cut=True)
    got = []
    with pytest.raises(ClusterStopped):
        for line in api.client().lines("/log"):
            got.append(line)  # noqa: PERF402 - what came before the error counts
    assert got == ["one"]


def test_a_silent_stream_is_an_error(api: HttpDouble) -> None:
    api.script = lambda asked: Reply(stream=[b"one\n", 5.0])
    with pytest.raises(ClusterStopped, match="does not answer"):
        list(api.client().lines("/log", silence=0.2))


def test_a_watch_that_ends_with_an_error(api: HttpDouble) -> None:
    event = json.dumps({"type": "ERROR", "object": a_status(410, "Expired", "too old resource version")}).encode()
    api.script = lambda asked: Reply(stream=[event + b"\n"])
    with pytest.raises(ApiError) as ended:
        list(api.client().watch(LEASES))
    assert (ended.value.status, ended.value.reason) == (410, "Expired")
    assert str(ended.value) == "the watch ended: too old resource version"
