"""What people in a cluster, and a client, may write to harm: it is data, cleaned, cut and marked, or a refusal.

The texts, and what may come back of them, are in mcp_untrusted.py; which tools and resources there are, the server
says.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from claudescale_mcp.link import Place
from claudescale_mcp.server import build

from tests.doors.cluster_double import DEMO, HPA, SPACE, write_kubeconfig
from tests.doors.lease_double import DEMO_APP, GROUP, LEASES, POLICIES, POLICY, policy
from tests.doors.mcp_double import FULL, SECRET, TOKEN, McpCluster, Stdio, Told, ask, asked, pod
from tests.doors.mcp_sweep import SENTENCE, Call, Said, listed, stdio_sweep, sweep, texts
from tests.doors.mcp_untrusted import (
    INVISIBLE,
    LOOK_ALIKES,
    MARK,
    NAME,
    TEXTS,
    check,
    check_visible,
    untrusted_fields,
)
from tests.engine.http_double import Asked, Reply, refused_address

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("short_wait")]

BARE = {"PATH": os.environ["PATH"]}
NOWHERE = Place(context="nowhere", namespace="claudescale", kubeconfig="/nonexistent")
CALLS = [call for call in listed(build(NOWHERE, allow_writes=True)) if call.reads_cluster]
TOOLS = [call for call in CALLS if call.schema is not None]
UNTRUSTED = untrusted_fields(CALLS)
PROMETHEUS = f"/api/v1/{SPACE}/services/prometheus:9090/proxy/"


# What others wrote


def metadata(name: str, text: str, **labels: str) -> dict[str, Any]:
    """The metadata of an object, with all that people can write there."""
    return {
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-03-01T10:00:00Z",
        "labels": {"app": name, "note": text, text: "x", **labels},
        "annotations": {"note": text, text: "x", "kubernetes.io/change-cause": text},
        "managedFields": [{"manager": text, "operation": "Apply", "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}],
    }


def hostile_pods(app: str, text: str) -> list[dict[str, Any]]:
    """Pods of a workload that wait, each for a reason that stands in another place."""
    condition = {"type": "PodScheduled", "status": "False", "reason": text, "message": text}
    waiting = {"name": NAME, "ready": False, "restartCount": 7, "state": {"waiting": {"reason": text, "message": text}}}
    over = {"name": NAME, "ready": False, "restartCount": 7, "state": {"terminated": {"reason": text, "exitCode": 1}}}
    statuses: list[dict[str, Any]] = [
        {"phase": "Pending", "conditions": [condition]},
        {"phase": "Pending", "containerStatuses": [waiting]},
        {"phase": "Pending", "initContainerStatuses": [waiting]},
        {"phase": "Running", "containerStatuses": [over], "reason": text, "message": text},
        {"phase": "Unknown", "reason": text, "message": text},
    ]
    container = {"name": NAME, "image": text, "env": [{"name": text, "value": text}], "command": [text]}
    return [
        {
            "metadata": {**metadata(f"{NAME}-{number}", text), "labels": {"app": app, "note": text}},
            "spec": {"containers": [container], "nodeName": NAME},
            "status": status,
        }
        for number, status in enumerate(statuses)
    ]


def hostile_samples(text: str) -> dict[str, Any]:
    """Prometheus' answer to any query: a vector and a matrix in one."""
    labels = {"pod": text, "container": text, "job": text, "instance": text, "__name__": text, "up": "1", text: "x"}
    now = int(time.time())
    series = {"metric": labels, "value": [now, "1"], "values": [[now - 60, "1"], [now, "2"]]}
    return {"status": "success", "data": {"resultType": "vector", "result": [series]}, "warnings": [text]}


def plant(cluster: McpCluster, text: str) -> None:
    """The text in all places where people, programs and nodes can leave some."""
    objects = cluster.objects
    condition = {"type": "AbleToScale", "status": "False", "reason": text, "message": text}
    cluster.workload(NAME, [])
    cluster.workload("queue", [])
    for name in (NAME, "queue"):
        item = objects[f"/apis/apps/v1/{SPACE}/deployments/{name}"]
        item["metadata"] = {**metadata(name, text), "uid": f"w-{name}"}
        item["status"] = {"conditions": [condition]}
        objects[f"/api/v1/{SPACE}/pods"]["items"] += hostile_pods(name, text)
    hpa = cluster.server.hpa
    hpa["metadata"] = {**metadata("demo-app-hpa", text), "uid": "h"}
    hpa["metadata"]["annotations"] |= {
        "claudescale.io/base": "2",
        "claudescale.io/floor": text,
        "claudescale.io/leases": f"{text},{text}",
        "claudescale.io/contested-by": text,
        "claudescale.io/overruled": text,
        "claudescale.io/record": text,
    }
    hpa["status"] = {"currentReplicas": 2, "desiredReplicas": 4, "conditions": [condition]}
    for lease in ("others", NAME):
        put = cluster.server.put(lease, reason=text, onBehalfOf=text, requestedBy=text, manager=text)
        put["metadata"] |= {"labels": {"note": text}, "annotations": {"note": text}}
        put["status"]["message"] = text
        put["status"]["decision"]["message"] = text
        for one in put["status"]["conditions"]:
            one["message"] = text
        for rule in put["status"]["decision"]["rules"]:
            rule["message"] = text
    objects[POLICIES]["items"].append({**policy(name=f"{NAME}-gone"), "metadata": metadata("x", text)})
    plain = text.encode(errors="replace").decode()  # a record is hashed as UTF-8
    lease_of = {"lease": {"name": plain, "reason": plain, "requestedBy": plain, "onBehalfOf": plain}}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": plain}
    common = {"event": "LeaseRequested", "outcome": "Refused", "workload": workload, "door": plain, "actor": plain}
    cluster.records({**common, **lease_of, "manager": plain}, {**common, **lease_of})
    event = {
        "metadata": metadata("event", text),
        "reason": text,
        "message": text,
        "note": text,
        "type": text,
        "count": 3,
    }
    event |= {"involvedObject": {"kind": "Pod", "name": text}, "source": {"component": text}}
    usage = {"cpu": "5m", "memory": "5Mi"}
    sample = {"metadata": metadata(NAME, text), "timestamp": text, "containers": [{"name": text, "usage": usage}]}
    info = {"kubeletVersion": text, "osImage": text, "containerRuntimeVersion": text}
    status = {"conditions": [condition], "nodeInfo": info, "capacity": {"cpu": "2", "memory": "4028000Ki"}}
    node = {"metadata": metadata(NAME, text), "status": status}
    service = {"type": "ClusterIP", "clusterIP": text, "selector": {text: text}}
    service |= {"ports": [{"port": 80, "name": text, "protocol": text, "targetPort": text}]}
    for path, items in {
        f"/api/v1/{SPACE}/events": [event],
        f"/apis/events.k8s.io/v1/{SPACE}/events": [event],
        f"/api/v1/{SPACE}/services": [{"metadata": metadata(NAME, text), "spec": service}],
        f"/apis/apps/v1/{SPACE}/replicasets": [{"metadata": metadata(NAME, text), "spec": {}}],
        f"/apis/metrics.k8s.io/v1beta1/{SPACE}/pods": [sample],
        "/apis/metrics.k8s.io/v1beta1/nodes": [sample],
        "/api/v1/nodes": [node],
    }.items():
        objects[path] = {"items": [*objects.get(path, {"items": []})["items"], *items]}
    cluster.instead = lambda one: Reply(body=hostile_samples(text)) if one.path.startswith(PROMETHEUS) else None


@pytest.mark.parametrize("kind", TEXTS)
def test_what_others_wrote_is_data(cluster: McpCluster, place: Place, kind: str) -> None:
    plant(cluster, TEXTS[kind])
    answers = sweep(build(place, allow_writes=True))
    for said in answers:
        check(said, UNTRUSTED)
    assert [said.call.what for said in answers if not said.error]
    if kind == "instructions":  # so it is looked for where it is
        state = next(said for said in answers if said.call.what == "get_current_state")
        shown = json.dumps(state.facts)
        assert MARK in shown.replace(NAME, "")
        assert NAME in shown


def test_every_page_and_every_workload_is_as_clean(cluster: McpCluster, place: Place) -> None:
    plant(cluster, TEXTS["instructions"])
    server = build(place)
    (first,) = (said for said in sweep(server) if said.call.what == "get_current_state")
    pages = [{"page": page} for page in range(1, first.facts["pages"] + 1)]
    for arguments in [*pages, {"workload": NAME}, {"workload": "queue"}, {"workload": "demo-app"}]:
        check(as_said(first.call, ask(server, "get_current_state", **arguments)), UNTRUSTED)


def as_said(call: Call, told: Told) -> Said:
    result = {"content": [{"text": told.text}], "structuredContent": told.facts, "isError": told.error}
    return Said(call=call, message={"result": result}, seconds=told.seconds)


def hostile_refusal(status: int, path: str) -> Callable[[Asked], Reply | None]:
    body = {"kind": "Status", "reason": TEXTS["instructions"], "message": TEXTS["quotes"]}
    return lambda one: Reply(status=status, body=body) if one.path.startswith(path) else None


def says(status: int, path: str, body: Any) -> Callable[[Asked], Reply | None]:
    return lambda one: Reply(status=status, body=body) if one.path.startswith(path) else None


FAILURES = {
    "api-401": hostile_refusal(401, GROUP),
    "api-403": hostile_refusal(403, GROUP),
    "api-404": hostile_refusal(404, GROUP),
    "api-409": hostile_refusal(409, GROUP),
    "api-429": hostile_refusal(429, GROUP),
    "api-500": hostile_refusal(500, GROUP),
    "everything-503": hostile_refusal(503, "/api"),
    "token-403": hostile_refusal(403, TOKEN),
    "token-404": hostile_refusal(404, TOKEN),
    "no-json": says(200, GROUP, TEXTS["xml"].encode()),
    "a-list": says(200, GROUP, [TEXTS["json"]]),
    "prometheus-400": says(400, PROMETHEUS, {"status": "error", "errorType": MARK, "error": TEXTS["quotes"]}),
    "prometheus-503": says(503, PROMETHEUS, TEXTS["instructions"].encode()),
    "prometheus-html": says(200, PROMETHEUS, TEXTS["xml"].encode()),
    "prometheus-nonsense": says(200, PROMETHEUS, {"status": "success", "data": {"result": [{"metric": MARK}]}}),
    "prometheus-strings": says(
        200, PROMETHEUS, {"status": "success", "data": {"result": [{"metric": {}, "value": [MARK, MARK]}]}}
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_others_wrote_is_no_part_of_a_refusal(cluster: McpCluster, place: Place, failure: str) -> None:
    plant(cluster, TEXTS["instructions"])
    cluster.instead = FAILURES[failure]
    for said in sweep(build(place, allow_writes=True)):
        check(said, UNTRUSTED)


def test_a_name_that_others_took_says_nothing_of_theirs(cluster: McpCluster, place: Place) -> None:
    plant(cluster, TEXTS["instructions"])
    cluster.server.put("friday-launch", reason=TEXTS["instructions"], requestedBy=TEXTS["quotes"])
    server = build(place, allow_writes=True)
    told = ask(server, "lease_capacity", **FULL)
    assert told.error
    assert MARK not in told.text
    for call in TOOLS:
        if call.writes:
            check(as_said(call, ask(server, call.what, **call.params["arguments"])), UNTRUSTED)


# What a client asks


@pytest.mark.parametrize("call", TOOLS, ids=lambda call: call.what)
def test_there_is_no_argument_for_another_namespace_or_account(call: Call, cluster: McpCluster, place: Place) -> None:
    elsewhere = {"namespace", "context", "kubeconfig", "account", "requested_by", "phase", "status"}
    assert not elsewhere & set(call.takes["properties"])
    assert call.takes["additionalProperties"] is False
    for name in ("namespace", "requestedBy", "requested_by", "spec", "metadata", "apiVersion", "\u202enamespace", ""):
        told = ask(place, call.what, **call.params["arguments"], **{name: "kube-system"})
        assert told.error
        assert f"{call.what} has no argument " in told.text
        assert re.search(": (valid are |it takes none)", told.text)
        check_visible(told.text)
    assert cluster.http.asked == []


@pytest.mark.parametrize("kind", TEXTS)
def test_what_a_client_writes_comes_back_clean(cluster: McpCluster, place: Place, kind: str) -> None:
    """In every text of every tool, and as an argument's, a tool's, a resource's and a prompt's name."""
    text = TEXTS[kind].encode(errors="replace").decode()
    server = build(place, allow_writes=True)
    calls = [(text, {})]
    for call in TOOLS:
        calls.append((call.what, {**call.params["arguments"], text: 1}))
        calls += [
            (call.what, {**call.params["arguments"], name: text})
            for name, field in call.takes["properties"].items()
            if field["type"] == "string"
        ]
    for told in asked(server, calls):
        for line in told.text.split("\n"):
            check_visible(line)
        assert len(told.text) < SENTENCE + 300
        assert "mistake of its own" not in told.text, told.text
        for one in texts(told.facts):
            check_visible(one)
    for lease in cluster.server.leases():
        for name in ("reason", "onBehalfOf"):
            assert not [one for one in lease["spec"].get(name, "") if unicodedata.category(one) in INVISIBLE]


OTHER_WORKLOADS = ["queue", "Deployment/claudescale-controller", "statefulset/demo-app", "Deployment/nobody"]
NO_WORKLOADS = [
    "kube-system/coredns",
    "../../kube-system/deployments/coredns",
    "demo-app/../../../kube-system",
    "Deployment/demo-app/scale",
    "demo-app?dryRun=All",
    "demo-app%2f..%2fcoredns",
    "DaemonSet/demo-app",
    "Deployment/demo-app\u200b",
    "Deployment".translate(LOOK_ALIKES) + "/demo-app",
    "demo-app\n",
]


@pytest.mark.parametrize("workload", OTHER_WORKLOADS)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_lease_for_a_workload_without_policy_is_refused(
    cluster: McpCluster, place: Place, workload: str, dry_run: bool
) -> None:
    cluster.workload("queue", [pod("queue")])
    before = json.dumps([cluster.server.hpa, cluster.objects[DEMO]], sort_keys=True)
    told = ask(place, "lease_capacity", **{**FULL, "workload": workload}, dry_run=dry_run)
    assert not told.error, told.text
    assert (told.facts["allowed"], told.facts["code"]) == (False, "NoPolicy"), told
    assert told.facts["outcome"] == ("WouldBeRefused" if dry_run else "Refused")
    assert "do not try other workloads" in told.text
    assert json.dumps([cluster.server.hpa, cluster.objects[DEMO]], sort_keys=True) == before
    assert all(path.startswith(LEASES) for _, path in cluster.writes)


@pytest.mark.parametrize("workload", NO_WORKLOADS)
def test_a_workload_that_leads_elsewhere_is_none(cluster: McpCluster, place: Place, workload: str) -> None:
    for call in TOOLS:
        if "workload" in call.takes["properties"]:
            told = ask(place, call.what, **{**call.params["arguments"], "workload": workload})
            assert told.error, told
            check_visible(told.text)
    assert cluster.http.asked == []


# A request again


def lower_the_maximum(cluster: McpCluster) -> None:
    cluster.objects[POLICY]["spec"]["maxReplicas"] = 2


def change_the_default(cluster: McpCluster) -> None:
    cluster.objects[POLICY]["spec"]["lease"]["defaultDurationSeconds"] = 60


def forget_the_policy(cluster: McpCluster) -> None:
    del cluster.objects[POLICY]
    cluster.objects[POLICIES]["items"].clear()


def forget_the_workload(cluster: McpCluster) -> None:
    del cluster.objects[DEMO]


def forget_the_autoscaler(cluster: McpCluster) -> None:
    cluster.objects[HPA]["items"].clear()


def end_it(cluster: McpCluster) -> None:
    lease = cluster.server.leases()[0]
    lease["spec"]["ended"] = True
    lease["status"]["phase"] = "Ended"


def is_ending(cluster: McpCluster) -> None:
    cluster.server.leases()[0]["spec"]["ended"] = True


def refuse_it(cluster: McpCluster) -> None:
    lease = cluster.server.leases()[0]
    lease["status"] = {**lease["status"], "phase": "Refused", "conditions": []}


def is_somebody_elses(cluster: McpCluster) -> None:
    cluster.server.leases()[0]["spec"]["requestedBy"] = "eve"


def controller_goes(cluster: McpCluster) -> None:
    cluster.server.away = True


# What changed meanwhile: what the same request is answered with then.
MEANWHILE: dict[str, tuple[Callable[[McpCluster], None], str]] = {
    "nothing": (lambda _: None, "Unchanged"),
    "the-maximum-was-lowered": (lower_the_maximum, "Unchanged"),
    "the-policys-default-changed": (change_the_default, "Unchanged"),
    "the-policy-went": (forget_the_policy, "Unchanged"),
    "the-workload-went": (forget_the_workload, "Unchanged"),
    "the-autoscaler-went": (forget_the_autoscaler, "Unchanged"),
    "the-controller-went": (controller_goes, "Unchanged"),
    "it-ended": (end_it, "use another name"),
    "it-is-ending": (is_ending, "use another name"),
    "it-was-refused": (refuse_it, "Unchanged"),
    "it-is-somebody-elses": (is_somebody_elses, "use another name"),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_request_again_creates_nothing_more(cluster: McpCluster, place: Place, meanwhile: str) -> None:
    change, answer = MEANWHILE[meanwhile]
    server = build(place, allow_writes=True)
    assert ask(server, "lease_capacity", **FULL).facts["outcome"] == "Created"
    change(cluster)
    before = json.dumps(cluster.server.leases(), sort_keys=True)
    for _ in range(3):
        told = ask(server, "lease_capacity", **FULL)
        if answer == "Unchanged":
            assert told.facts["outcome"] in ("Unchanged", "Refused"), told
            assert told.facts["changed"] is False
        else:
            assert told.error
            assert answer in told.text
    assert cluster.writes == [("POST", LEASES)]
    assert json.dumps(cluster.server.leases(), sort_keys=True) == before


def test_an_end_again_ends_nothing_more(cluster: McpCluster, place: Place) -> None:
    calls = [("lease_capacity", FULL), *[("end_lease", {"name": "friday-launch"})] * 3]
    first, *others = asked(place, calls)
    assert [one.facts["outcome"] for one in (first, *others)] == ["Created", "Ended", "AlreadyOver", "AlreadyOver"]
    assert [method for method, _ in cluster.writes] == ["POST", "PATCH"]


def test_an_answer_that_was_lost_is_found_by_the_same_request(cluster: McpCluster, place: Place) -> None:
    """The lease was created, and the connection broke before anybody heard of it."""
    script = cluster.http.script

    def lost(one: Asked) -> Reply:
        reply = script(one)
        if one.method == "POST" and one.path == LEASES:
            raise ConnectionResetError
        return reply

    cluster.http.script = lost
    server = build(place, allow_writes=True)
    first = ask(server, "lease_capacity", **FULL)
    cluster.http.script = script
    second = ask(server, "lease_capacity", **FULL)
    assert [one.facts.get("outcome") for one in (first, second) if not one.error][-1] == "Unchanged"
    assert len(cluster.server.leases()) == 1
    assert cluster.writes == [("POST", LEASES)]


# Too much

HUGE = 5_000_000
HUGE_SECONDS = 2.0
HUGE_MEMORY = 400_000  # KiB more than before, at most: the line, its text, and some copies of its values


def most_memory(process: int) -> int:
    """The most that it ever held, KiB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text()).group(1))


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


HUGE_ARGUMENTS: tuple[Callable[[], Any], ...] = (
    lambda: "x" * HUGE,
    lambda: [1] * (HUGE // 2),
    lambda: "\u200b" * (HUGE // 6),
    lambda: {f"key{number}": number for number in range(HUGE // 20)},
    lambda: "\x1b[" * (HUGE // 7),
    lambda: int("9" * 4000),
)


def test_five_megabytes_are_one_short_sentence(
    cluster: McpCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In two arguments of each tool, as an argument's name, and as a tool's."""
    kubeconfig = str(write_kubeconfig(tmp_path, cluster.http.address))
    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, "--allow-writes", **BARE) as server:
        calls: list[tuple[str, dict[str, Any]]] = [("x" * HUGE, {})]
        for number, call in enumerate(TOOLS):
            names = list(call.takes["properties"]) or ["none"]
            for offset in (0, 1):
                name, make = names[(number + offset) % len(names)], HUGE_ARGUMENTS[(2 * number + offset) % 6]
                calls.append((call.what, {**call.params["arguments"], name: make()}))
        calls.append((TOOLS[0].what, {**TOOLS[0].params["arguments"], "x" * HUGE: 1}))
        assert not server.ask("get_current_state").error
        before, seen = most_memory(server.process.pid), len(cluster.http.asked)
        worst = 0.0
        for tool, arguments in calls:
            busy = cpu_seconds(server.process.pid)
            told = server.ask(tool, **arguments)
            worst = max(worst, cpu_seconds(server.process.pid) - busy)
            assert told.error, tool[:100]
            assert len(told.text) < SENTENCE
            check_visible(told.text)
        grown = most_memory(server.process.pid) - before
        assert len(cluster.http.asked) == seen
        assert not server.ask("get_current_state").error
    with capsys.disabled():
        print(f"\n5 MB: {worst:.2f} s of CPU at most, {grown / 1024:.0f} MiB more memory at most")
    assert worst < HUGE_SECONDS  # of CPU: others' work on this machine counts for the clock
    assert grown < HUGE_MEMORY


# A client that vanishes


@pytest.mark.parametrize("moment", ["before its answer", "after its answer"])
@pytest.mark.parametrize("tool", ["lease_capacity", "end_lease"])
def test_a_client_that_vanishes_leaves_nothing_half_done(
    cluster: McpCluster, tmp_path: Path, tool: str, moment: str
) -> None:
    """In the middle of a write, and while its outcome is waited for."""
    write = ("POST", LEASES) if tool == "lease_capacity" else ("PATCH", f"{LEASES}/friday-launch")
    kubeconfig = str(write_kubeconfig(tmp_path, cluster.http.address))
    script = cluster.http.script

    def slow(one: Asked) -> Reply:
        reply = script(one)
        if (one.method, one.path) == write and "dryRun" not in one.query and moment == "before its answer":
            return Reply(status=reply.status, body=reply.body, hold=5.0)
        return reply

    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, "--allow-writes", **BARE) as server:
        if tool == "end_lease":
            assert server.ask("lease_capacity", **FULL).facts["outcome"] == "Created"
        cluster.server.away = True
        cluster.http.script = slow
        arguments = FULL if tool == "lease_capacity" else {"name": "friday-launch"}
        server.begin("tools/call", {"name": tool, "arguments": arguments})
        while write not in cluster.writes:
            time.sleep(0.02)
        if moment == "after its answer":
            time.sleep(0.5)
    assert server.code == 0
    writes, asked_then = list(cluster.writes), len(cluster.http.asked)
    time.sleep(1.0)
    assert (cluster.writes, len(cluster.http.asked)) == (writes, asked_then)  # nobody goes on in its name
    (lease,) = cluster.server.leases()
    assert lease["metadata"]["name"] == "friday-launch"
    assert lease["spec"].get("ended", False) is (tool == "end_lease")
    assert {name: lease["spec"][name] for name in ("replicas", "reason", "workloadRef")} == {
        "replicas": 4,
        "reason": FULL["reason"],
        "workloadRef": DEMO_APP.to_object(),
    }
    assert writes.count(write) == 1


# Secrets

CANARY = "cnry"  # every secret begins with it
VERSION = "client.authentication.k8s.io/v1"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def program(script: str) -> dict[str, Any]:
    environment = [{"name": "PLUGIN_SECRET", "value": f"{CANARY}-plugin-env"}]
    return {"exec": {"apiVersion": VERSION, "command": "sh", "args": ["-c", script], "env": environment}}


CREDENTIAL = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": {"token": f"{CANARY}-exec-token"}})
USERS: dict[str, Any] = {
    "a-token": {"token": f"{CANARY}-token"},
    "a-token-with-a-line-break": {"token": f"{CANARY}-token\n"},
    "a-token-of-other-letters": {"token": f"{CANARY}-tökén-…"},
    "a-password": {"username": "ana", "password": f"{CANARY}-password"},
    "keys": {
        "client-certificate-data": encoded(f"{CANARY}-certificate"),
        "client-key-data": encoded(f"{CANARY}-key"),
        "token": f"{CANARY}-token",
    },
    "keys-that-are-none": {"client-certificate-data": f"{CANARY}-no-base64!", "client-key-data": f"{CANARY}-x"},
    "a-program": program(f"echo '{CREDENTIAL}'"),
    "a-program-that-fails": program('echo "no login: $PLUGIN_SECRET" >&2; exit 1'),
    "a-program-that-talks": program('echo "hello $PLUGIN_SECRET"'),
}
TEXT_FAULTS = {
    "an-alias": ('"t"', f"*{CANARY}-alias"),
    "a-tag": ('"t"', f"!{CANARY}-tag x"),
    "no-yaml": ('"t"', f'"{CANARY}-open'),
    "an-address-with-a-password": ("//127.0.0.1", f"//ana:{CANARY}-in-address@127.0.0.1"),
}


def kubeconfig_with(folder: Path, address: str, kind: str) -> Path:
    """A kubeconfig with secrets in the way of `kind`, and those of other clusters beside them."""
    path = write_kubeconfig(folder, address)
    config = json.loads(path.read_text())
    if kind in USERS:
        config["users"][0]["user"] = USERS[kind]
    config["users"].append({"name": "prod", "user": {"token": f"{CANARY}-prod", "password": f"{CANARY}-prod"}})
    config["contexts"].append({"name": "prod", "context": {"cluster": "claudescale", "user": "prod"}})
    text = json.dumps(config)
    if kind == "keys-that-are-none":
        text = text.replace("http://", "https://")
    if kind in TEXT_FAULTS:
        text = text.replace(*TEXT_FAULTS[kind])
    path.write_text(text)
    return path


def plant_secrets(cluster: McpCluster) -> None:
    """In a Secret, a ConfigMap, a pod's environment, and the annotation in which kubectl repeats it."""
    data = {"password": f"{CANARY}-secret"}
    for plural in ("secrets", "configmaps"):
        cluster.objects[f"/api/v1/{SPACE}/{plural}"] = {"items": [{"metadata": {"name": "x"}, "data": data}]}
        cluster.objects[f"/api/v1/{SPACE}/{plural}/x"] = {"metadata": {"name": "x"}, "data": data}
    container = {
        "name": "app",
        "image": f"registry.example/app:{CANARY}",
        "env": [{"name": "PASSWORD", "value": f"{CANARY}-env"}],
        "args": [f"--password={CANARY}-argument"],
    }
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": f"{CANARY}-applied"})}
    for item in [*cluster.objects[f"/api/v1/{SPACE}/pods"]["items"], cluster.objects[DEMO], cluster.server.hpa]:
        item["metadata"]["annotations"] = {**item["metadata"].get("annotations", {}), **applied}
        item["spec"]["containers"] = [container]
    cluster.objects[DEMO]["spec"]["template"] = {"spec": {"containers": [container]}}


ENVIRONMENT = {
    "ANTHROPIC_API_KEY": f"{CANARY}-anthropic",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws",
    "GITHUB_TOKEN": f"{CANARY}-github",
    "HTTP_PROXY_PASSWORD": f"{CANARY}-proxy",
}


@pytest.mark.parametrize("kind", [*USERS, *TEXT_FAULTS])
def test_secrets_never_come_back(cluster: McpCluster, tmp_path: Path, kind: str) -> None:
    """Neither while all is well, nor from any failure; not in an answer, not in the log, not in what is written."""
    plant_secrets(cluster)
    kubeconfig = str(kubeconfig_with(tmp_path, cluster.http.address, kind))
    command = ("--context", "claudescale", "--kubeconfig", kubeconfig, "--allow-writes")
    worked = kind in ("a-token", "a-password", "keys", "a-program", "an-address-with-a-password")
    with Stdio(*command, **BARE, **ENVIRONMENT) as server:
        answers = stdio_sweep(server)
        assert any(not said.error and said.call.reads_cluster for said in answers) is worked, answers
        if worked:
            for instead in (FAILURES["everything-503"], FAILURES["api-401"], FAILURES["prometheus-400"]):
                cluster.instead = instead
                stdio_sweep(server)
            cluster.instead = lambda _: None
            cluster.http.script = lambda one: Reply(status=500, body={"message": one.headers.get("authorization")})
            stdio_sweep(server)
            cluster.http.script = hang_up
            stopped = stdio_sweep(server)
            assert not [
                said for said in stopped if said.call.reads_cluster and "the cluster is stopped" not in said.text
            ]
            assert ("***@" in stopped[0].text) is (kind == "an-address-with-a-password")
        server.ask("lease_capacity", **{**FULL, "replicas": [1]}, nonsense=1)
    said = json.dumps(server.messages) + server.rest
    assert CANARY not in said, around(said)
    assert CANARY not in server.log, around(server.log)
    assert SECRET not in said + server.log
    assert "Traceback" not in server.log
    written = json.dumps([one.body for one in cluster.http.asked])
    assert CANARY not in written
    assert not [one.path for one in cluster.http.asked if re.search("secret|configmap|/log$|/exec|/attach", one.path)]


def hang_up(_: Asked) -> Reply:
    raise ConnectionResetError


def around(text: str) -> str:
    place = text.index(CANARY)
    return text[max(0, place - 300) : place + 100]


def test_a_mistake_of_the_servers_own_logs_no_credentials(cluster: McpCluster, tmp_path: Path) -> None:
    """The log has the traceback, whoever made the mistake, and neither header nor token in it."""
    noisy = f"""
from claudescale_mcp import handlers
def boom(*_, **__):
    raise KeyError("the header was Bearer {CANARY}-bearer, Basic {CANARY}-basic, at https://ana:{CANARY}-x@host")
handlers.Handlers._use = boom
from claudescale_mcp.__main__ import main
main()
"""
    kubeconfig = str(write_kubeconfig(tmp_path, refused_address()))
    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, command=("-c", noisy), **BARE) as server:
        told = server.ask("get_current_state")
        assert "mistake of its own (KeyError)" in told.text
    assert "Traceback" in server.log
    assert "the header was Bearer ***" in server.log
    assert CANARY not in server.log + json.dumps(server.messages)
