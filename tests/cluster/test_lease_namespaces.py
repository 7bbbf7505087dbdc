"""Namespaces that go while a lease is active: nothing hangs, and the others are served."""

from __future__ import annotations

import time

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient

from tests.cluster.reliability import add_workload, attach, check_chain, controller, ended
from tests.cluster.rig import Workload, connect, until, workloads
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

GONE_SECONDS = 60


def seconds_until_gone(client: ClusterClient, namespace: str) -> float:
    path = f"/api/v1/namespaces/{namespace}"
    began = time.monotonic()
    client.delete(path)
    until(lambda: client.find(path) is None, GONE_SECONDS, pause=0.5)
    return time.monotonic() - began


def test_a_second_namespace_goes_and_the_first_is_served(cluster: Cluster) -> None:
    first = attach(cluster, f"rig-first-{time.time_ns():x}")
    second = attach(cluster, f"rig-second-{time.time_ns():x}")
    try:
        one, other = add_workload(cluster, first), add_workload(cluster, second)
        with controller(cluster, f"{first.namespace},{second.namespace}"):
            other.lease(4, 120)
            until(lambda: other.floor() == 4, 30)
            seconds = seconds_until_gone(second, second.namespace)
            print(f"a second namespace with an active lease is gone after {seconds:.1f} s", flush=True)
            lease = one.lease(4, 3)
            until(lambda: one.floor() == 4, 10)
            ended(one, lease)
            check_chain(first)
    finally:
        first.delete(f"/api/v1/namespaces/{first.namespace}")
        second.delete(f"/api/v1/namespaces/{second.namespace}")


def test_the_controllers_own_namespace_goes(cluster: Cluster) -> None:
    client = connect(cluster)
    with workloads(cluster, 1, ready=False, paused=True) as rig:
        rig[0].lease(4, 120)
        until(lambda: rig[0].floor() == 4, 10)
        seconds = seconds_until_gone(client, client.namespace)
        print(f"the controller's own namespace with an active lease is gone after {seconds:.1f} s", flush=True)
        assert cluster.make("up").code == 0
    with workloads(cluster, 1, ready=False, paused=True) as rig:
        serves(rig[0])


def serves(workload: Workload) -> None:
    lease = workload.lease(4, 3)
    until(lambda: workload.floor() == 4, 30)
    ended(workload, lease)
    check_chain(workload.client)
