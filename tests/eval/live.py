"""Stages on a real cluster: namespaces of their own, rights as at home, a controller as a process of this host."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_mcp.link import ACCOUNT, Place

from tests.cluster.reliability import attach, controller
from tests.cluster.rig import RECORDS, SPACE, connect, until
from tests.eval.stage import RBAC, Stage
from tests.support import Cluster

GROUP = "rbac.authorization.k8s.io"
START_SECONDS = 60.0  # for a process of the host, on a busy machine


@contextmanager
def stages(
    cluster: Cluster, folder: Path, users: tuple[str, ...], secrets: tuple[str, ...], count: int
) -> Iterator[list[Stage]]:
    """So many furnished stages; `users` may lease in them. The last secret stands in the server's kubeconfig.

    Their namespaces go afterwards (nobody waits for that).
    """
    kubeconfig = _kubeconfig(cluster, folder / "kubeconfig", secrets[-1])
    mark = uuid.uuid4().hex[:6]
    with ExitStack() as stack:
        found = [
            _stage(cluster, stack, kubeconfig, f"{mark}{number}", users, secrets) for number in range(1, count + 1)
        ]
        stack.enter_context(controller(cluster, ",".join(stage.namespace for stage in found)))
        for stage in found:
            stage.furnish()
        for stage in found:
            first = f"{RECORDS.format(stage.namespace)}/record-0000000000"
            until(partial(stage.person.find, first), START_SECONDS)
        yield found


def _stage(
    cluster: Cluster, stack: ExitStack, kubeconfig: Path, mark: str, users: tuple[str, ...], secrets: tuple[str, ...]
) -> Stage:
    here, beside = f"eval-{mark}", f"beside{mark}"  # the second name is one word, so that an order can speak of it
    person = connect(cluster, here)
    for name in (here, beside):
        stack.callback(_gone, person, f"/api/v1/namespaces/{name}")
    attach(cluster, here)
    person.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": beside}})
    assistants = cluster.get("role", ACCOUNT, "--namespace", SPACE)["rules"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}
    person.create(f"/api/v1/namespaces/{here}/serviceaccounts", account)
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": here}
    _grant(person, f"/{RBAC}/namespaces/{here}", ACCOUNT, assistants, [subject])
    leases = {"apiGroups": ["claudescale.io"], "resources": ["capacityleases"], "verbs": ["get", "create", "patch"]}
    people = [{"apiGroup": GROUP, "kind": "User", "name": user} for user in users]
    _grant(person, f"/{RBAC}/namespaces/{here}", "people", [leases], people)
    binding = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"claudescale:{here}:assistant"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": f"claudescale:{SPACE}:assistant"},
        "subjects": [subject],
    }
    person.create(f"/{RBAC}/clusterrolebindings", binding)
    stack.callback(_gone, person, f"/{RBAC}/clusterrolebindings/{binding['metadata']['name']}")  # type: ignore[index]
    return Stage(
        person=person,
        place=Place(context=cluster.context, namespace=here, kubeconfig=str(kubeconfig)),
        elsewhere=beside,
        assistant=f"system:serviceaccount:{here}:{ACCOUNT}",
        secrets=secrets,
    )


def _grant(
    person: ClusterClient, path: str, name: str, rules: list[dict[str, Any]], subjects: list[dict[str, Any]]
) -> None:
    api = f"{GROUP}/v1"
    person.create(f"{path}/roles", {"apiVersion": api, "kind": "Role", "metadata": {"name": name}, "rules": rules})
    ref = {"apiGroup": GROUP, "kind": "Role", "name": name}
    binding = {"apiVersion": api, "kind": "RoleBinding", "metadata": {"name": name}, "roleRef": ref}
    person.create(f"{path}/rolebindings", {**binding, "subjects": subjects})


def _gone(person: ClusterClient, path: str) -> None:
    with suppress(ClaudeScaleError):  # the others go all the same
        person.delete(path)


def _kubeconfig(cluster: Cluster, path: Path, secret: str) -> Path:
    """The person's, with one more user whose token is a secret."""
    view = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    view["users"] = [*view["users"], {"name": "other", "user": {"token": secret}}]
    path.write_text(json.dumps(view), encoding="utf-8")
    path.chmod(0o600)
    return path
