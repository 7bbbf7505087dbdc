"""The three kinds: exactly the wanted fields, explained, with their defaults; unknown ones are refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.attacking import OURS
from tests.cluster.attacks import lease, policy, record
from tests.support import ROOT, Cluster

pytestmark = pytest.mark.cluster

REFERENCE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "steady"}
WORKLOAD = {"workloadRef.apiVersion", "workloadRef.kind", "workloadRef.name"}
LEASE = {
    *(f"spec.{name}" for name in WORKLOAD),
    *(f"spec.{name}" for name in ("replicas", "startTime", "endTime", "durationSeconds", "reason", "requestedBy")),
    *(f"spec.{name}" for name in ("onBehalfOf", "ended")),
    *(f"status.{name}" for name in ("observedGeneration", "phase", "startTime", "endTime", "message")),
    *(f"status.conditions.{name}" for name in ("type", "status", "observedGeneration", "lastTransitionTime", "reason")),
    "status.conditions.message",
    *(f"status.decision.{name}" for name in ("allowed", "code", "message", "time")),
    *(f"status.decision.rules.{name}" for name in ("rule", "passed", "code", "message", "asked", "limit")),
    *(f"status.floor.{name}" for name in ("before", "applied", "after")),
    *(f"status.record.{name}" for name in ("sequence", "hash")),
}
POLICY = {
    *(f"spec.{name}" for name in WORKLOAD),
    *(f"spec.{name}" for name in ("mode", "minReplicas", "maxReplicas", "maxStep.up")),
    *(
        f"spec.lease.{name}"
        for name in ("maxDurationSeconds", "defaultDurationSeconds", "maxLeadSeconds", "maxConcurrent")
    ),
}
RECORD = {
    *(f"spec.{name}" for name in ("sequence", "previousHash", "hash", "payload")),
    *(f"spec.{name}" for name in ("time", "actor", "door", "workload", "decision", "outcome")),
}
FIELDS = {"capacityleases": LEASE, "scalingpolicies": POLICY, "scalingrecords": RECORD}


def schema(cluster: Cluster, plural: str) -> dict[str, Any]:
    found = cluster.get("crd", f"{plural}.{OURS}")
    versions = found["spec"]["versions"]
    assert [version["name"] for version in versions] == ["v1alpha1"]
    top: dict[str, Any] = versions[0]["schema"]["openAPIV3Schema"]
    return top


def nodes(found: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field's path and schema; a list has the path of its items."""
    for name, inner in (found.get("properties") or found.get("items", {}).get("properties") or {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here, inner
        yield from nodes(inner, here)


@pytest.mark.parametrize("plural", FIELDS)
def test_kind_has_these_fields_and_no_other(cluster: Cluster, plural: str) -> None:
    found = dict(nodes(schema(cluster, plural)))
    leaves = {path for path in found if not any(other.startswith(f"{path}.") for other in found)}
    assert leaves - {"apiVersion", "kind", "metadata"} == FIELDS[plural]


@pytest.mark.parametrize("plural", FIELDS)
def test_every_field_is_explained(cluster: Cluster, plural: str) -> None:
    top = schema(cluster, plural)
    silent = [path for path, inner in nodes(top) if path != "metadata" and not inner.get("description")]
    assert silent == []
    assert top["description"].split()[0] in cluster.kubectl("explain", f"{plural}.{OURS}")


@pytest.mark.parametrize(
    ("made", "unknown"),
    [
        (lease("new", cooldownSeconds=5), "spec.cooldownSeconds"),
        (lease("new", workloadRef={**REFERENCE, "uid": "1"}), "spec.workloadRef.uid"),
        (policy("deployment.steady", approval={"aboveReplicas": 5}), "spec.approval"),
        (policy("deployment.steady", maxStep={"down": 1}), "spec.maxStep.down"),
        (policy("deployment.steady", lease={"freezeWindows": []}), "spec.lease.freezeWindows"),
        (record(note="mine"), "spec.note"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_unknown_field_is_refused_by_name(cluster: Cluster, made: dict[str, Any], unknown: str) -> None:
    said = cluster.kubectl(
        "create", "--validate=strict", "--dry-run=server", "-f", "-", input=json.dumps(made), check=False
    )
    assert f'strict decoding error: unknown field "{unknown}"' in said


def test_four_lines_make_a_policy(cluster: Cluster) -> None:
    made = policy("deployment.steady", maxReplicas=5)
    printed = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(made))
    assert json.loads(printed)["spec"] == {
        "workloadRef": REFERENCE,
        "mode": "Enforce",
        "minReplicas": 1,
        "maxReplicas": 5,
        "maxStep": {"up": 3},
        "lease": {
            "maxDurationSeconds": 14400,
            "defaultDurationSeconds": 1800,
            "maxLeadSeconds": 604800,
            "maxConcurrent": 10,
        },
    }


@pytest.mark.parametrize("page", ["POLICIES", "SECURITY"])
def test_manifests_of_the_docs_are_accepted(cluster: Cluster, page: str) -> None:
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
    assert found
    for manifest in found:
        how = ("--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server")
        cluster.kubectl("apply", *how, "-f", "-", input=manifest)


def test_demo_has_its_policy(cluster: Cluster) -> None:
    spec = cluster.get("scalingpolicy", "deployment.demo-app")["spec"]
    assert (spec["workloadRef"]["name"], spec["mode"], spec["maxReplicas"]) == ("demo-app", "Enforce", 5)


def test_quota_counts_leases(cluster: Cluster) -> None:
    status = cluster.get("resourcequota", "claudescale-leases")["status"]
    assert status["hard"] == {f"count/capacityleases.{OURS}": "500"}
    assert int(status["used"][f"count/capacityleases.{OURS}"]) < 500


def test_deleted_lease_goes_whatever_way_it_is_deleted(cluster: Cluster) -> None:
    """The garbage collector takes its own finalizers off: nobody else may change a lease's metadata."""
    namespace = "claudescale-kinds"
    cluster.kubectl("create", "namespace", namespace)
    try:
        me = json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
        for way in ("background", "foreground", "orphan"):
            cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(lease(way, requestedBy=me)))
            cluster.kubectl("delete", "capacitylease", way, "-n", namespace, f"--cascade={way}", "--timeout=30s")
        assert cluster.get("capacityleases", "-n", namespace)["items"] == []
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--timeout=60s")


POISON = [
    ("endTime", "2026-12-24T20:00:00+24:00"),
    ("endTime", "0000-01-01T00:00:00Z"),
    ("endTime", "2026-12-24T20:00:00.0123456789Z"),
    ("startTime", "9999-12-31T23:59:59Z"),
    ("startTime", "9999-12-31T23:59:59-01:00"),
    ("workloadRef", {**REFERENCE, "name": "../../../../../../version?x="}),
    ("workloadRef", {**REFERENCE, "name": "steady?watch=1"}),
    ("workloadRef", {**REFERENCE, "name": "steady/status"}),
    ("workloadRef", {**REFERENCE, "name": ".."}),
]


@pytest.mark.parametrize(
    ("field", "value"), POISON, ids=[f"{field}-{number}" for number, (field, _) in enumerate(POISON)]
)
def test_what_the_controller_could_not_read_never_gets_in(cluster: Cluster, field: str, value: Any) -> None:
    """A time that cannot be parsed or written, a name that leads a path elsewhere."""
    me = json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    create = ("create", "-n", "claudescale", "--dry-run=server", "-f", "-")
    said = cluster.kubectl(*create, input=json.dumps(lease("poison", requestedBy=me, **{field: value})), check=False)
    assert f"spec.{field}" in said and "should match" in said, said
    good = lease("poison", requestedBy=me, startTime="2026-12-24T20:00:00.5+01:00")
    assert "created" in cluster.kubectl(*create, input=json.dumps(good))


def test_a_policy_for_a_name_that_is_none_never_gets_in(cluster: Cluster) -> None:
    bad = policy("deployment.steady", workloadRef={**REFERENCE, "name": "../steady"})
    said = cluster.kubectl(
        "create", "-n", "claudescale", "--dry-run=server", "-f", "-", input=json.dumps(bad), check=False
    )
    assert "spec.workloadRef.name" in said and "should match" in said, said
