"""A cluster with a demo app in which loads run, as the engine's client shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterStopped

SPACE = "namespaces/claudescale"
PODS = f"/api/v1/{SPACE}/pods"
SERVICES = f"/api/v1/{SPACE}/services"
JOBS = f"/apis/batch/v1/{SPACE}/jobs"
DEMO = f"/apis/apps/v1/{SPACE}/deployments/demo-app"
POD = "load-x-1"
WORKER = {"name": "worker", "image": "claudescale/load:7"}
DEPLOYMENT = {"spec": {"template": {"spec": {"containers": [{"name": "nginx", "image": "n"}, WORKER]}}}}
RUNNING = {"metadata": {"name": POD}, "status": {"phase": "Running"}}


def progress(second: int, ok: int = 0, failed: int = 0) -> str:
    return json.dumps({"kind": "progress", "second": second, "ok": ok, "failed": failed})


@dataclass
class LoadCluster:
    """At most one pod; `logs` are the answers to successive requests for its log, the last one for all later ones.

    `before_create(path)` is called before an object is created. With `mute`, what is created is never answered.
    """

    pods: list[dict[str, Any]] = field(default_factory=lambda: [RUNNING])
    logs: list[list[str | Exception]] = field(default_factory=list)
    phase: str | None = "Running"
    mute: bool = False
    objects: dict[str, dict[str, Any]] = field(default_factory=lambda: {DEMO: DEPLOYMENT})
    deleted: list[str] = field(default_factory=list)
    patched: list[tuple[str, Any]] = field(default_factory=list)
    before_create: Callable[[str], None] | None = None
    context: str = "c"
    namespace: str = "claudescale"

    def jobs(self) -> dict[str, dict[str, Any]]:
        return {path.rpartition("/")[2]: one for path, one in self.objects.items() if path.startswith(f"{JOBS}/")}

    def finish(self, name: str, outcome: str = "Complete") -> None:
        """The Job is over."""
        self.objects[f"{JOBS}/{name}"]["status"] = {"conditions": [{"type": outcome, "status": "True"}]}

    def items(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        if path == JOBS:
            assert query == {"labelSelector": "claudescale.io/load"}
            return [job for job in self.jobs().values() if "claudescale.io/load" in job["metadata"].get("labels", {})]
        assert path == PODS
        name = query["labelSelector"].removeprefix("batch.kubernetes.io/job-name=")
        return self.pods if f"{JOBS}/{name}" in self.objects else []

    def find(self, path: str) -> dict[str, Any] | None:
        if path == f"{PODS}/{POD}":
            return {"status": {"phase": self.phase}} if self.phase else None
        return self.objects.get(path)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.before_create is not None:
            self.before_create(path)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise ApiError(f"the API server answered 409: {where} already exists", 409, reason="AlreadyExists")
        self.objects[where] = {**body, "metadata": {**body["metadata"], "uid": f"u-{len(self.objects)}-{where[-8:]}"}}
        if self.mute:
            raise ClusterStopped("no answer")
        return self.objects[where]

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.patched.append((path, body))
        return body

    def delete(self, path: str, *, uid: str | None = None) -> None:
        self.deleted.append(path)
        found = self.objects.get(path)
        if found is not None and uid not in (None, found["metadata"]["uid"]):
            raise ApiError("the API server answered 409: the UID is another one", 409, reason="Conflict")
        self.objects.pop(path, None)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        assert (path, query) == (f"{PODS}/{POD}/log", {"follow": "true"})
        log = (self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]) if self.logs else []
        for line in log:
            if isinstance(line, Exception):
                raise line
            yield line
