"""One caller that never stops asking for what is refused: others are served, and the chain does not grow with it."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.housekeeping import MANY

from tests.cluster.rig import AUTOSCALERS, LEASES, SPACE, connect, records, until, watched, workloads
from tests.support import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

FLOOD_SECONDS = 60
MOST_RECORDS = 20
AFTER_SECONDS = 60
LATE_SECONDS = 3.0
HPA = AUTOSCALERS.format(SPACE)


def flood(client: ClusterClient, workload: str, stop: threading.Event, answers: Counter[str]) -> None:
    """Ask for 500 replicas, again and again, as fast as one caller can."""
    user = client.whoami()
    while not stop.is_set():
        spec = {
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
            "replicas": 500,
            "durationSeconds": 60,
            "reason": "more",
            "requestedBy": user,
        }
        body = {
            "apiVersion": "claudescale.io/v1alpha1",
            "kind": "CapacityLease",
            "metadata": {"name": f"flood-{uuid.uuid4().hex}"},
            "spec": spec,
        }
        try:
            client.create(LEASES.format(SPACE), body)
            answers["created"] += 1
        except ApiError as error:
            answers[f"{error.status} {error.reason}"] += 1
        except ClaudeScaleError as error:
            answers[type(error).__name__] += 1


def test_a_flood_of_refused_requests_delays_nobody(cluster: Cluster) -> None:
    client = connect(cluster)
    assistant = client.as_account("claudescale-sa")
    answers: Counter[str] = Counter()
    stop = threading.Event()
    with workloads(cluster, 2, ready=False, paused=True) as (one, other), watched(client, HPA) as seen:
        start = time.time() + 20
        ending = one.lease(4, 35)
        until(lambda: one.floor() == 4, 10)
        starting = other.lease(4, 15, startTime=moments.text(start))
        until(lambda: other.phase(starting) == "Pending", 10)
        end = moments.parse(one.status(ending)["endTime"])
        before = len(records(client))
        thread = threading.Thread(target=flood, args=(assistant, one.name, stop, answers))
        thread.start()
        time.sleep(FLOOD_SECONDS)
        stop.set()
        thread.join()
        finished = time.monotonic()
        began = time.monotonic() - time.time()
        raised = seen.first(
            HPA, lambda _k, item: item["metadata"]["name"] == other.name and item["spec"]["minReplicas"] == 4
        )
        lowered = seen.first(
            HPA,
            lambda _k, item: item["metadata"]["name"] == one.name and item["spec"]["minReplicas"] == 2,
            end + began,
        )
        assert raised is not None and lowered is not None

        def accepted() -> bool:
            try:
                lease = other.lease(4, 5)
            except ApiError:
                return False  # the quota is still full
            return bool(until(lambda: other.phase(lease) in ("Pending", "Active"), AFTER_SECONDS))

        until(accepted, AFTER_SECONDS, pause=0.5)
        served = time.monotonic() - finished
        until(lambda: flooded(client) <= MANY, 120, pause=2)
        added = [told for told in records(client)[before:] if told["actor"] == assistant.whoami()]
        counted = sum(told.get("count", 1) for told in added)
        print(
            f"flood of {FLOOD_SECONDS} s: {dict(answers)}; {len(added)} records for {counted} refusals; a lease started"
            f" {raised - start - began:.2f} s and one ended {lowered - end - began:.2f} s after its time; another"
            f" caller's lease was accepted {served:.1f} s after it",
            flush=True,
        )
        assert answers["created"] > 50
        assert counted == answers["created"]
        assert len(added) <= MOST_RECORDS
        assert raised - start - began <= LATE_SECONDS
        assert lowered - end - began <= LATE_SECONDS
        assert served <= AFTER_SECONDS


def flooded(client: ClusterClient) -> int:
    """How many of the flood's leases are still there."""
    return sum(item["metadata"]["name"].startswith("flood-") for item in client.pages(LEASES.format(SPACE)))
