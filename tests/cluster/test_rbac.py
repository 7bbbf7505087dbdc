"""Live rights of the assistant, the controller and Prometheus: what docs/SECURITY.md says, and nothing beyond it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support import ROOT, Cluster

pytestmark = pytest.mark.cluster

Right = tuple[str, str, str, str, str]  # API group, resource, names, verbs, scope
HEADER: Right = ("API group", "resource", "names", "verbs", "scope")


def written_rights(title: str) -> set[Right]:
    """The rows of the first table of a section of docs/SECURITY.md."""
    text = (ROOT / "docs/SECURITY.md").read_text(encoding="utf-8")
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == HEADER
    assert all(len(row) == len(HEADER) and all(row) for row in rows), rows
    return {row for row in rows[1:] if not re.fullmatch(r"-+", row[0])}  # type: ignore[misc]


def is_bound(binding: dict[str, Any], account: str, namespace: str) -> bool:
    """Whether a binding names the account itself, its user name, or its namespace's accounts."""
    users = {f"system:serviceaccount:{namespace}:{account}", f"system:serviceaccounts:{namespace}"}
    return any(
        subject["name"] in users
        or (
            subject["kind"] == "ServiceAccount"
            and subject["name"] == account
            and subject.get("namespace", binding["metadata"].get("namespace")) == namespace
        )
        for subject in binding.get("subjects") or []
    )


def live_rights(cluster: Cluster, account: str) -> set[Right]:
    """Everything that bindings of all namespaces give to the account, in the table's words."""
    found: set[Right] = set()
    for binding in cluster.get("rolebindings,clusterrolebindings", "--all-namespaces")["items"]:
        if not is_bound(binding, account, cluster.namespace):
            continue
        home = binding["metadata"].get("namespace")
        scope = {None: "cluster", cluster.namespace: "namespace"}.get(home, f"namespace {home}")
        place = ("--namespace", home) if home else ()
        role = cluster.get(binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"], *place)
        for rule in role["rules"]:
            names = ", ".join(rule.get("resourceNames") or ["all"])
            verbs = ", ".join(rule["verbs"])
            for url in rule.get("nonResourceURLs") or []:
                found.add(("", url, names, verbs, scope))
            for group in rule.get("apiGroups") or []:
                for resource in rule.get("resources") or []:
                    found.add((group or "core", resource, names, verbs, scope))
    return found


def test_assistants_rights_are_the_table(cluster: Cluster) -> None:
    assert live_rights(cluster, "claudescale-sa") == written_rights("What the assistant may do")


def test_controllers_rights_are_the_table(cluster: Cluster) -> None:
    """In its own namespace, and the same in each that another test attached meanwhile."""
    rights = live_rights(cluster, "claudescale-controller")
    assert {right for right in rights if right[-1] == "namespace"} == written_rights("What the controller may do")
    assert {(*right[:-1], right[-1].split()[0]) for right in rights} == written_rights("What the controller may do")


READING = {"get", "list", "watch"}


def writes(cluster: Cluster, account: str) -> set[tuple[str, str]]:
    """(resource, verb) of every right that is not reading."""
    rights = live_rights(cluster, account)
    return {(resource, verb) for _, resource, _, verbs, _ in rights for verb in verbs.split(", ")} - {
        (resource, verb) for _, resource, *_ in rights for verb in READING
    }


def test_assistant_writes_leases_only(cluster: Cluster) -> None:
    assert writes(cluster, "claudescale-sa") == {("capacityleases", "create"), ("capacityleases", "patch")}


def test_controller_has_no_write_on_workloads_and_policies(cluster: Cluster) -> None:
    assert writes(cluster, "claudescale-controller") == {
        ("capacityleases", "delete"),
        ("capacityleases/status", "patch"),
        ("scalingrecords", "create"),
        ("horizontalpodautoscalers", "patch"),
        ("deployments/scale", "patch"),
        ("statefulsets/scale", "patch"),
        ("events", "create"),
        ("events", "patch"),
    }


def can(cluster: Cluster, account: str, *question: str) -> str:
    """The API server's own answer, yes or no; it knows of groups and of roles that others bound."""
    user = f"system:serviceaccount:{cluster.namespace}:{account}"
    return cluster.kubectl("auth", "can-i", *question, "--as", user, check=False).strip().splitlines()[0]


@pytest.mark.parametrize(
    ("account", "question", "answer"),
    [
        ("claudescale-sa", ("get", "services/prometheus:9090", "--subresource=proxy"), "yes"),
        ("claudescale-sa", ("get", "services/demo-app:80", "--subresource=proxy"), "no"),
        ("claudescale-sa", ("create", "services/prometheus:9090", "--subresource=proxy"), "no"),
        ("claudescale-sa", ("get", "secrets"), "no"),
        ("claudescale-sa", ("get", "configmaps"), "no"),
        ("claudescale-sa", ("get", "pods", "--subresource=log"), "no"),
        ("claudescale-sa", ("create", "pods", "--subresource=exec"), "no"),
        ("claudescale-sa", ("get", "pods", "--subresource=exec"), "no"),
        ("claudescale-sa", ("get", "nodes", "--subresource=proxy"), "no"),
        ("claudescale-sa", ("list", "pods", "--namespace", "kube-system"), "no"),
        ("claudescale-sa", ("patch", "deployments.apps", "--subresource=scale"), "no"),
        ("claudescale-sa", ("create", "capacityleases.claudescale.io"), "yes"),
        ("claudescale-sa", ("end", "capacityleases.claudescale.io"), "no"),
        ("claudescale-sa", ("delete", "capacityleases.claudescale.io"), "no"),
        ("claudescale-sa", ("create", "capacityleases.claudescale.io", "--namespace", "default"), "no"),
        ("claudescale-controller", ("patch", "horizontalpodautoscalers.autoscaling"), "yes"),
        ("claudescale-controller", ("patch", "horizontalpodautoscalers.autoscaling", "--namespace", "default"), "no"),
        ("claudescale-controller", ("patch", "deployments.apps"), "no"),
        ("claudescale-controller", ("create", "capacityleases.claudescale.io"), "no"),
        ("claudescale-controller", ("get", "secrets"), "no"),
        ("prometheus", ("get", "nodes", "--subresource=metrics"), "yes"),
        ("prometheus", ("get", "nodes", "--subresource=proxy"), "no"),
        ("prometheus", ("create", "nodes", "--subresource=proxy"), "no"),
        ("prometheus", ("get", "secrets"), "no"),
        ("prometheus", ("list", "pods", "--namespace", "kube-system"), "no"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_api_server_answers(cluster: Cluster, account: str, question: tuple[str, ...], answer: str) -> None:
    assert can(cluster, account, *question) == answer
