"""An API server with one policy, one workload and one autoscaler, and a controller that decides by the real rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.lease import rules, status
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import (
    Autoscaler,
    Lease,
    Policy,
    Workload,
    WorkloadRef,
)

from tests.doors.cluster_double import DEMO, HPA, SPACE, ApiDouble, api_double

GROUP = "/apis/claudescale.io/v1alpha1"
LEASES = f"{GROUP}/{SPACE}/capacityleases"
POLICIES = f"{GROUP}/{SPACE}/scalingpolicies"
POLICY = f"{POLICIES}/deployment.demo-app"
CONTROLLER = f"/apis/apps/v1/{SPACE}/deployments/claudescale-controller"
DEMO_APP = WorkloadRef(kind="Deployment", name="demo-app")
HASH = "ab" * 32


@dataclass
class Server:
    """`away`: the controller does not answer. `reason`: of a lease whose floor does not stand."""

    api: ApiDouble
    away: bool = False
    reason: str | None = None
    mode: str = "Enforce"
    hpa: dict[str, Any] = field(default_factory=dict)

    def leases(self) -> list[Any]:
        found: list[Any] = self.api.objects[LEASES]["items"]
        return found

    def put(self, name: str, *, manager: str = "claudescale-cli", **spec: Any) -> dict[str, Any]:
        """A lease of 4 for 90 s as it would be created now."""
        wanted = {
            "workloadRef": DEMO_APP.to_object(), "replicas": 4, "durationSeconds": 90, "reason": "launch",
            "requestedBy": "person",
        }  # fmt: skip
        return self.keep({"metadata": {"name": name, "namespace": "claudescale"}, "spec": wanted | spec}, manager)

    def keep(self, body: dict[str, Any], manager: str) -> dict[str, Any]:
        made = self.created(body, manager)
        self.leases().append(made)
        self.api.objects[f"{LEASES}/{made['metadata']['name']}"] = made
        if not self.away:
            made["status"] = self.decided(made)
        return made

    def created(self, body: dict[str, Any], manager: str) -> dict[str, Any]:
        meta = {
            "uid": f"u-{body['metadata']['name']}",
            "creationTimestamp": moments.text(time.time() // 1),
            "generation": 1,
            "managedFields": [
                {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:requestedBy": {}}}}
            ],
        }
        return {**body, "metadata": {**meta, **body["metadata"]}}

    def decided(self, item: dict[str, Any]) -> dict[str, Any]:
        lease = Lease.from_object(item)
        policy = self.api.objects.get(POLICY) if lease.workload == DEMO_APP else None
        facts = rules.Facts(
            lease=lease,
            now=time.time(),
            policy=Policy.from_object(policy) if policy else None,
            workload=Workload(ref=DEMO_APP, uid="w", replicas=2) if DEMO in self.api.objects else None,
            autoscalers=(Autoscaler.from_object(self.hpa),),
            base=2,
            earlier=0,
        )
        decision = rules.decide(facts).to_object()
        record = {"sequence": 7, "hash": HASH}
        if not decision["allowed"]:
            return {**status.refusal(lease, decision), "record": record}
        end = moments.text(lease.end)
        words = {
            None: f"the floor of demo-app-hpa stands at 4 until {end}",
            "NotStarted": f"accepted: it starts at {moments.text(lease.start)}",
            "FloorContested": "argocd keeps writing minReplicas of demo-app-hpa: the lease stopped asserting its floor",
        }
        later = lease.start > time.time() + 1
        why = self.reason or ("NotStarted" if later else None)
        stands = {"type": "FloorStands", "status": "False" if why else "True", "reason": why or "FloorStands"}
        return {
            "phase": "Pending" if why == "NotStarted" else "Active",
            "startTime": moments.text(lease.start),
            "endTime": end,
            "decision": decision,
            "message": words[why],
            "conditions": [stands],
            "record": record,
            "floor": {"before": 2, "applied": 4} if why is None else {},
        }

    def on_write(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "POST" and path == LEASES:
            if "dryRun" in query:
                return 201, self.created(body, query["fieldManager"])
            return 201, self.keep(body, query["fieldManager"])
        if method == "PATCH" and path in self.api.objects:
            found = self.api.objects[path]
            if "dryRun" in query:
                return 200, found
            found["spec"]["ended"] = True
            if not self.away:
                found["status"] |= {"phase": "Ended", "message": "over: it was ended before its time"}
                found["status"]["floor"] |= {"after": 2}
            return 200, found
        return 404, {"message": f"{path} not found"}


@contextmanager
def lease_double() -> Iterator[Server]:
    with api_double() as api:
        server = Server(api=api, hpa=autoscaler())
        api.on_write = server.on_write
        api.objects = {
            GROUP: {"resources": []},
            LEASES: {"items": []},
            POLICIES: {"items": [policy()]},
            POLICY: policy(),
            HPA: {"items": [server.hpa]},
            DEMO: {"metadata": {"name": "demo-app", "uid": "w"}, "spec": {"replicas": 2}},
            CONTROLLER: {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}},
        }
        yield server


def policy(mode: str = "Enforce", name: str = "demo-app") -> dict[str, Any]:
    limits = {
        "maxDurationSeconds": 14400, "defaultDurationSeconds": 1800, "maxLeadSeconds": 604800, "maxConcurrent": 10,
    }  # fmt: skip
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {
        "workloadRef": ref, "mode": mode, "minReplicas": 1, "maxReplicas": 5, "maxStep": {"up": 3}, "lease": limits,
    }  # fmt: skip
    return {"metadata": {"name": f"deployment.{name}"}, "spec": spec}


def autoscaler(floor: int = 2, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo-app-hpa", "uid": "h", "resourceVersion": "5", "annotations": annotations},
        "spec": {"scaleTargetRef": DEMO_APP.to_object(), "minReplicas": floor, "maxReplicas": 5},
    }
