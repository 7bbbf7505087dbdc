"""A namespace of its own in which the MCP server works as at home: the assistant's account with its live rights."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from tests.cluster.reliability import attach
from tests.cluster.rig import SPACE, until
from tests.support import Cluster

ACCOUNT = "claudescale-sa"
RBAC = "rbac.authorization.k8s.io"
IN_CLUSTER = f"claudescale:{SPACE}:assistant"  # the ClusterRole that it has at home
RIGHTS_SECONDS = 15.0  # for RBAC to know them


@contextmanager
def assisted(cluster: Cluster, prefix: str) -> Iterator[ClusterClient]:
    """A client of the person's for the namespace, where a controller may work too; it goes afterwards, unwaited for."""
    client = attach(cluster, f"{prefix}-{uuid.uuid4().hex[:8]}")
    space, wide = client.namespace, f"/apis/{RBAC}/v1/clusterrolebindings"
    try:
        client.create(
            f"/api/v1/namespaces/{space}/serviceaccounts",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
        )
        rules = cluster.get("role", ACCOUNT, "--namespace", SPACE)["rules"]
        client.create(f"/apis/{RBAC}/v1/namespaces/{space}/roles", rbac("Role", ACCOUNT, rules=rules))
        client.create(f"/apis/{RBAC}/v1/namespaces/{space}/rolebindings", binding("", ACCOUNT, ACCOUNT, space))
        client.create(wide, binding("Cluster", space, IN_CLUSTER, space))
        account = client.as_account(ACCOUNT)
        until(lambda: account.allowed("create", "claudescale.io", "capacityleases", space), RIGHTS_SECONDS)
        until(lambda: account.allowed("list", "", "nodes"), RIGHTS_SECONDS)
        yield client
    finally:
        client.delete(f"{wide}/{space}")
        client.delete(f"/api/v1/namespaces/{space}")


def rbac(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name}, **more}


def binding(wide: str, name: str, role: str, namespace: str) -> dict[str, Any]:
    """Of the namespace's assistant to a Role; `wide` is "Cluster" for the kinds of the whole cluster."""
    ref = {"apiGroup": RBAC, "kind": f"{wide}Role", "name": role}
    subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]
    return rbac(f"{wide}RoleBinding", name, roleRef=ref, subjects=subjects)
