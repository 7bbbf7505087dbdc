"""Who owned minReplicas before a lease can write it after one, without force, however it was applied first."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.rig import SPACE, Workload, connect, image_of, manifests, until
from tests.support import Cluster

pytestmark = pytest.mark.cluster

Apply = Callable[[Cluster, dict[str, Any]], None]


def server_side(cluster: Cluster, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest)
    cluster.kubectl("apply", "-n", SPACE, "--server-side", "--field-manager=owners", "-f", "-", input=text)


def client_side(cluster: Cluster, manifest: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-n", SPACE, "-f", "-", input=json.dumps(manifest))


def by_ansible(cluster: Cluster, manifest: dict[str, Any]) -> None:
    definition = {**manifest, "metadata": {**manifest["metadata"], "namespace": SPACE}}
    arguments = {
        "context": cluster.context,
        "kubeconfig": str(cluster.kubeconfig),
        "apply": True,
        "server_side_apply": {"field_manager": "playbook-of-people"},
        "resource_definition": definition,
    }
    program = str(Path(sys.executable).with_name("ansible"))
    done = subprocess.run(
        [program, "localhost", "-m", "kubernetes.core.k8s", "-a", json.dumps(arguments)],
        env=cluster.environment | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


WAYS: dict[str, Apply] = {"server-side": server_side, "client-side": client_side, "kubernetes.core": by_ansible}


@pytest.fixture(params=WAYS)
def applied(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[tuple[Workload, Callable[[int], None]]]:
    """A workload whose autoscaler was applied in one of the ways, and the same way with another minReplicas."""
    workload = Workload(client=connect(cluster), name=f"rig-{uuid.uuid4().hex[:6]}")
    kinds = {one["kind"]: one for one in manifests(workload.name, image_of(cluster), paused=True)}
    for kind in ("Deployment", "ScalingPolicy"):
        server_side(cluster, kinds[kind])

    def apply(floor: int) -> None:
        hpa = kinds["HorizontalPodAutoscaler"]
        WAYS[request.param](cluster, {**hpa, "spec": {**hpa["spec"], "minReplicas": floor}})

    apply(2)
    yield workload, apply
    names = [f"deployment.apps/{workload.name}", f"hpa/{workload.name}", f"scalingpolicy/deployment.{workload.name}"]
    cluster.kubectl("delete", "-n", SPACE, *names)


def test_the_original_manager_writes_another_value_without_force(
    applied: tuple[Workload, Callable[[int], None]],
) -> None:
    workload, apply = applied
    lease = workload.lease(4, 3)
    until(lambda: workload.floor() == 4, 10)
    until(lambda: workload.phase(lease) == "Ended" and workload.restored(), 15)
    assert not [
        entry
        for entry in workload.autoscaler()["metadata"]["managedFields"]
        if "f:minReplicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    ], "nobody need own it now"
    apply(3)
    assert workload.floor() == 3
