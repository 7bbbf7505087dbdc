# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""The controller: watches fill caches, changes and deadlines fill one queue, one worker empties it.

Level-triggered: an event only says where to look. What is done follows from what is there (reconcile.py), so events may
be lost, doubled or late. A second controller beside this one does no harm: both write with preconditions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ansible_collections.claudescale.core.plugins.module_utils.cluster import watch
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.clock import ServerClock
from ansible_collections.claudescale.core.plugins.module_utils.controller import reconcile
from ansible_collections.claudescale.core.plugins.module_utils.controller.cache import Cache
from ansible_collections.claudescale.core.plugins.module_utils.controller.events import Teller
from ansible_collections.claudescale.core.plugins.module_utils.controller.journal import Overtaken
from ansible_collections.claudescale.core.plugins.module_utils.controller.metrics import Metrics
from ansible_collections.claudescale.core.plugins.module_utils.controller.queue import WorkQueue
from ansible_collections.claudescale.core.plugins.module_utils.controller.space import Space
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Phase, WorkloadRef

DEFAULT_TTL_SECONDS = 900
STUCK_SECONDS = 60.0  # one pass is a few bounded requests
DEFECT_SECONDS = 5.0  # between tries after a defect of ours
LISTING_SECONDS = 0.05  # between looks whether the watches have listed
RESYNC_SECONDS = 60.0  # every workload is looked at again, whatever the watches told
log = logging.getLogger("claudescale.controller")

Key: TypeAlias = "tuple[str, WorkloadRef | None]"  # namespace and workload; None for the namespace's chores


class Controller:
    """`run` until stop is set. `ttl` is ttlSecondsAfterFinished."""

    def __init__(
        self,
        client: ClusterClient,
        namespaces: Sequence[str],
        *,
        ttl: float = DEFAULT_TTL_SECONDS,
        clock: ServerClock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.client = client
        self.ttl = ttl
        self.clock = clock or ServerClock()
        self.metrics = metrics or Metrics()
        self.stop = threading.Event()
        self.queue: WorkQueue[Key] = WorkQueue(self.clock.now)
        self.spaces = {name: Space(client, name, self._wanted_in(name)) for name in namespaces}
        self._loaded: set[str] = set()
        self._ticked = time.monotonic()
        client.on_response.append(self.clock.observe)
        self.metrics.skew(self.clock.skew)
        for name, space in self.spaces.items():
            self.metrics.attached(name, space.autoscalers.all, space.leases_of)
            self.metrics.broken(name, _has_broken_chain(space))
            for phase in Phase:
                self.metrics.leases(name, phase.value, _counter(space, phase))

    @property
    def ready(self) -> bool:
        """Whether every namespace's chain is read and every watch has listed."""
        return len(self._loaded) == len(self.spaces) and all(space.listed for space in self.spaces.values())

    @property
    def alive(self) -> bool:
        """Whether the worker moved lately."""
        return time.monotonic() - self._ticked < STUCK_SECONDS

    def run(self) -> None:
        """Work until `stop` is set; it then returns within about a second."""
        teller = Teller(self.client, self.metrics)
        threads = [
            threading.Thread(target=self._follow, args=(path, cache), name=f"watch {path}", daemon=True)
            for space in self.spaces.values()
            for path, cache in space.watched
        ]
        for thread in threads:
            thread.start()
        log.info("started", extra={"facts": {"namespaces": list(self.spaces)}})
        for name in self.spaces:
            self.queue.add((name, None))
        while not self.stop.is_set():
            self._ticked = time.monotonic()
            key = self.queue.take()
            if key is not None:
                self._work(key, teller)
        for thread in threads:
            thread.join(timeout=2.0)
        teller.close()
        log.info("stopped")

    def _follow(self, path: str, cache: Cache) -> None:
        def failed(error: ClaudeScaleError) -> None:
            self.metrics.error("watch")
            log.warning("watch failed, will try again", extra={"facts": {"path": path, "what": str(error)}})

        while not self.stop.is_set():
            try:
                watch.follow(
                    self.client, path, on_list=cache.replace, on_event=cache.event, on_error=failed, stop=self.stop
                )
            except Exception:
                # A defect of ours must not end the watch for good: the next list may be one that it can take.
                self.metrics.error("defect")
                log.exception("watch failed", extra={"facts": {"path": path}})
                self.stop.wait(DEFECT_SECONDS)

    def _wanted_in(self, namespace: str) -> Callable[[WorkloadRef | None], None]:
        return lambda workload: self.queue.add((namespace, workload))

    def _work(self, key: Key, teller: Teller) -> None:
        """One key; whatever goes wrong is tried again, and the worker lives on."""
        namespace, workload = key
        space = self.spaces[namespace]
        try:
            again = self._look_after(space, workload, teller)
        except Overtaken:
            self.queue.add(key)
        except ClaudeScaleError as error:
            pause = self.queue.failed(key)
            self.metrics.error("reconcile")
            facts = {"namespace": namespace, "workload": str(workload), "what": str(error), "seconds": pause}
            log.warning("failed temporarily, will try again", extra={"facts": facts})
        except Exception:
            self.queue.failed(key)
            self.metrics.error("defect")
            log.exception("failed", extra={"facts": {"namespace": namespace, "workload": str(workload)}})
        else:
            self.queue.succeeded(key)
            if again is not None and again <= self.clock.now():
                self.queue.add(key)  # behind what waits already
            elif again is not None:
                self.queue.add_at(again, key)

    def _look_after(self, space: Space, workload: WorkloadRef | None, teller: Teller) -> float | None:
        if not space.listed:
            # No answer has told the time yet, so that only a pause is sure to end.
            if workload is None:
                self.queue.add_after(LISTING_SECONDS, (space.namespace, None))
            return None
        if space.namespace not in self._loaded:
            space.journal.load(self.clock.now())
            self._loaded.add(space.namespace)
            if space.journal.head is not None:
                self.metrics.head(space.namespace, space.journal.head.sequence)
            for found in space.workloads():
                self.queue.add((space.namespace, found))
        if workload is not None:
            one = reconcile.Pass(
                client=self.client,
                space=space,
                workload=workload,
                now=self.clock.now,
                metrics=self.metrics,
                told=teller.tell,
                pressing=self.queue.is_pressing,
            )
            return one.reconcile()
        for found in space.workloads():
            self.queue.add_after(RESYNC_SECONDS, (space.namespace, found))
        self.queue.add_after(RESYNC_SECONDS, (space.namespace, None))
        return reconcile.do_chores(self.client, space, self.clock.now(), self.ttl, self.metrics)


def _has_broken_chain(space: Space) -> Callable[[], bool]:
    return lambda: space.journal.broken is not None


def _counter(space: Space, phase: Phase) -> Callable[[], float]:
    return lambda: float(sum((item.get("status") or {}).get("phase") == phase.value for item in space.leases.all()))
