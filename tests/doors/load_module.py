"""The module load_scenario in this process, and a cluster with a demo app for it, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError
from ansible_collections.claudescale.core.plugins.modules import load_scenario

from tests.doors import lease_module
from tests.doors.cluster_double import write_kubeconfig
from tests.doors.lease_module import Said
from tests.engine.http_double import Asked, HttpDouble, Reply, a_status, http_double
from tests.engine.load_double import JOBS, POD, PODS, LoadCluster


def module(options: dict[str, Any], *, check: bool = False) -> Said:
    """Run the module with options, those that are None left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease_module, "capacity_lease", load_scenario)
        return lease_module.module(options, check=check)


@dataclass
class LoadServer:
    """`cluster` is what is there; `log` is what the load's pod says, each float so many seconds of silence.

    When the log was read to its end the Job is over, with `outcome`. Requests that begin with one of `refused`, such as
    "DELETE /apis", are answered 503.
    """

    http: HttpDouble
    cluster: LoadCluster = field(default_factory=LoadCluster)
    log: list[str | float] = field(default_factory=list)
    outcome: str = "Complete"
    cut: bool = False
    refused: set[str] = field(default_factory=set)

    def kubeconfig(self, folder: Path) -> Path:
        return write_kubeconfig(folder, self.http.address)

    def writes(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.http.asked if asked.method != "GET"]

    def answer(self, asked: Asked) -> Reply:
        try:
            return self._answer(asked)
        except ApiError as error:
            return Reply(status=error.status, body=a_status(error.status, error.reason, str(error)))

    def _answer(self, asked: Asked) -> Reply:
        if any(f"{asked.method} {asked.path}".startswith(one) for one in self.refused):
            raise ApiError("nobody is there", 503)
        if asked.path == f"{PODS}/{POD}/log":
            stream = [part if isinstance(part, float) else part.encode() + b"\n" for part in self.log]
            for name in self.cluster.jobs() if not self.cut else ():
                self.cluster.finish(name, self.outcome)
            return Reply(stream=stream, cut=self.cut)
        if asked.method == "POST":
            return Reply(status=201, body=self.cluster.create(asked.path, asked.body))
        if asked.method == "DELETE":
            self.cluster.delete(asked.path, uid=(asked.body.get("preconditions") or {}).get("uid"))
            return Reply(body={})
        if asked.path in (JOBS, PODS):
            return Reply(body={"items": self.cluster.items(asked.path, asked.query)})
        found = self.cluster.find(asked.path)
        if found is None:
            return Reply(status=404, body=a_status(404, "NotFound", f"{asked.path} not found"))
        return Reply(body=found)


@contextmanager
def load_server() -> Iterator[LoadServer]:
    with http_double(lambda _asked: Reply(status=500)) as http:
        server = LoadServer(http=http)
        http.script = server.answer
        yield server
