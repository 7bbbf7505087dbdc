"""What is seen of the cluster, by watch events only, stamped by one monotonic clock where they arrive."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.asking.door import is_over
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.watch import follow
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import plain
from claudescale_cli.live.seen import Rescale, Seen

READY_SECONDS = 15.0  # until every watch has brought what is there
LEAVE_SECONDS = 2.0


class Observer:
    """Everything seen so far. `seen` grows with each change of replicas, pods ready or floor."""

    def __init__(self, workload: str, autoscaler: str) -> None:
        self.workload = workload
        self.autoscaler = autoscaler
        self.seen: list[Seen] = []
        self.rescales: list[Rescale] = []
        self.hpa: dict[str, Any] = {}  # as last seen
        self.leases: dict[str, dict[str, Any]] = {}  # as last seen, by name
        self.created: dict[str, float] = {}  # when a lease was first seen
        self.over: dict[str, float] = {}  # when a lease was first seen with a phase that is final
        self.news: queue.Queue[Seen | Rescale | BaseException] = queue.Queue()
        self._lock = threading.Lock()
        self._deployment: dict[str, Any] = {}
        self._events: dict[str, int] = {}

    @property
    def now(self) -> Seen:
        """The last that was seen."""
        return self.seen[-1]

    def take(self, source: str, found: dict[str, Any], *, old: bool = False) -> None:
        """Note an object of a watch; `old`: it was there when the watch began."""
        at = time.monotonic()
        with self._lock:
            if source == "events":
                self._event(at, found, old=old)
            elif source == "leases":
                name = found["metadata"]["name"]
                self.leases[name] = found
                self.created.setdefault(name, at)
                if is_over(found):
                    self.over.setdefault(name, at)
            else:
                if source == "autoscaler":
                    self.hpa = found
                else:
                    self._deployment = found
                self._look(at)

    def _look(self, at: float) -> None:
        if not (self.hpa and self._deployment):
            return
        one = Seen(
            at=at,
            replicas=self._deployment["spec"].get("replicas", 1),
            ready=(self._deployment.get("status") or {}).get("readyReplicas", 0),
            floor=self.hpa["spec"].get("minReplicas", 1),
        )
        last = self.seen[-1] if self.seen else None
        if last is None or (last.replicas, last.ready, last.floor) != (one.replicas, one.ready, one.floor):
            self.seen.append(one)
            self.news.put(one)

    def _event(self, at: float, found: Mapping[str, Any], *, old: bool) -> None:
        # An event that comes again is the same object with a higher count.
        uid, count = found["metadata"]["uid"], found.get("count") or 1
        known = self._events.get(uid, 0)
        self._events[uid] = max(count, known)
        if count > known and not old:
            rescale = Rescale(at=at, words=plain(f"{found['reason']}: {found.get('message', '')}"))
            self.rescales.append(rescale)
            self.news.put(rescale)


@contextmanager
def observed(cluster: ClusterClient, observer: Observer) -> Iterator[None]:
    """Watch until the end of the block; ClaudeScaleError where the first look does not succeed in time."""
    space = f"namespaces/{cluster.namespace}"
    about = f"involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={observer.autoscaler}"
    sources = {
        "autoscaler": (
            f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers",
            f"metadata.name={observer.autoscaler}",
        ),
        "workload": (f"/apis/apps/v1/{space}/deployments", f"metadata.name={observer.workload}"),
        "leases": (f"/apis/claudescale.io/v1alpha1/{space}/capacityleases", ""),
        "events": (f"/api/v1/{space}/events", f"{about},reason=SuccessfulRescale"),
    }
    stop = threading.Event()
    readers = [_Reader(observer, source, path, selector) for source, (path, selector) in sources.items()]
    threads = [threading.Thread(target=reader.run, args=(cluster, stop), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        patience = time.monotonic() + READY_SECONDS
        for reader in readers:
            if not reader.ready.wait(max(patience - time.monotonic(), 0)):
                raise ClaudeScaleError(f"the {reader.source} cannot be watched: {reader.why}")
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=LEAVE_SECONDS)


class _Reader:
    """One watch, in a thread of its own."""

    def __init__(self, observer: Observer, source: str, path: str, selector: str) -> None:
        self.source = source
        self.ready = threading.Event()  # what is there has been seen
        self.why = "nothing comes"
        self._observer = observer
        self._path = path
        self._query = {"fieldSelector": selector} if selector else {}

    def run(self, cluster: ClusterClient, stop: threading.Event) -> None:
        """Until the stop; an error that ends it is news, too."""
        try:
            follow(
                cluster,
                self._path,
                on_list=self._list,
                on_event=self._event,
                on_error=self._error,
                stop=stop,
                query=self._query,
            )
        except Exception as error:  # noqa: BLE001 - raised again where news are read
            self._observer.news.put(error)

    def _list(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            self._observer.take(self.source, item, old=not self.ready.is_set())
        self.ready.set()

    def _error(self, error: ClaudeScaleError) -> None:
        self.why = str(error)  # another attempt follows

    def _event(self, kind: str, found: dict[str, Any]) -> None:
        if kind != "DELETED":
            self._observer.take(self.source, found)


def wait(
    observer: Observer, until: Callable[[], bool], seconds: float, tell: Callable[[Seen | Rescale | None], None]
) -> bool:
    """Tell every change, and None in between, until something holds (True) or the time is over (False)."""
    deadline = time.monotonic() + seconds
    while True:
        drain(observer, tell)
        if until():
            return True
        if time.monotonic() >= deadline:
            return False
        tell(None)
        try:
            _tell(observer.news.get(timeout=0.25), tell)
        except queue.Empty:
            continue


def drain(observer: Observer, tell: Callable[[Seen | Rescale | None], None]) -> None:
    """Tell what has come meanwhile."""
    while True:
        try:
            _tell(observer.news.get_nowait(), tell)
        except queue.Empty:
            return


def _tell(what: Seen | Rescale | BaseException, tell: Callable[[Seen | Rescale | None], None]) -> None:
    if isinstance(what, BaseException):
        raise what
    tell(what)
