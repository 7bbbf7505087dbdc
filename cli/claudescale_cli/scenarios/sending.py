"""A load beside a scenario: sent by a Job in the cluster, its seconds noted as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LoadPlan
from ansible_collections.claudescale.core.plugins.module_utils.load.run import LoadRun


class Sending:
    """One load. `news` gets (monotonic seconds, line) of each second; what breaks goes to `failed`."""

    def __init__(
        self,
        cluster: ClusterClient,
        plan: LoadPlan,
        news: Callable[[float, Mapping[str, Any]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.plan = plan
        self.summary: Mapping[str, Any] | None = None
        self.began: float | None = None  # monotonic, when the first second was over
        self._run = LoadRun(cluster, plan)
        self._news = news
        self._failed = failed
        self._stopped = False

    @property
    def name(self) -> str:
        """The Job's, "" before there is one."""
        return self._run.name

    @property
    def sent_seconds(self) -> float | None:
        """How long it sends already; None before its first second."""
        return None if self.began is None else time.monotonic() - self.began

    def start(self) -> None:
        """Create the Job; LoadRefused where another load runs."""
        self._run.start()
        threading.Thread(target=self._follow, daemon=True).start()

    def stop(self) -> str:
        """Delete the Job and wait for its pod to go; what was done, in words."""
        self._stopped = True
        self._run.stop()
        return f"load {self.name}: its Job is gone" if self.name else "no load was started"

    def _follow(self) -> None:
        try:
            for line in self._run.follow():
                self._take(line)
        except ClaudeScaleError as error:
            if not self._stopped:
                self._failed(error)

    def _take(self, line: Mapping[str, Any]) -> None:
        kind = line.get("kind")
        if kind == "progress":
            now = time.monotonic()
            self.began = now - 1.0 if self.began is None else self.began
            self._news(now, line)
        elif kind == "summary":
            self.summary = line
        elif kind == "error" and not self._stopped:
            self._failed(ClaudeScaleError(f"the load could not run: {line.get('message', 'it does not say why')}"))
