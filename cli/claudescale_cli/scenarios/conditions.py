"""What must hold before a scenario touches anything, and what of it is checked again when everything is put back."""

from __future__ import annotations

import time

from ansible_collections.claudescale.core.plugins.module_utils.asking.reading import Reader
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.overview import scaling
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import CONTROLLER, Phase, WorkloadRef
from ansible_collections.claudescale.core.plugins.module_utils.load.profiles import LABEL
from ansible_collections.claudescale.core.plugins.module_utils.load.run import load_image

from claudescale_cli.capacity import user_words
from claudescale_cli.common import plain
from claudescale_cli.live.conditions import WORKLOAD, Ground, Missing, check, differences, read_autoscaler
from claudescale_cli.live.screen import Screen
from claudescale_cli.scenarios import crash, outage

REST_SECONDS = 240.0  # what a load and a lease leave behind is gone by then
LOOK_SECONDS = 2.0
REF = WorkloadRef(kind="Deployment", name=WORKLOAD)

Lines = list[tuple[str, str]]


def found(cluster: ClusterClient) -> tuple[Ground, Lines]:
    """What is there, for a scenario that only looks. Missing, or LoadRefused, where the demo app is not there."""
    load_image(cluster)
    main = next((one for one in Reader(cluster).autoscalers() if one.workload == REF), None)
    if main is None:
        raise Missing(f"{WORKLOAD} in namespace {cluster.namespace} has no autoscaler: make up")
    hpa, person = read_autoscaler(cluster, main.name), cluster.whoami()
    ground = Ground(person=person, autoscaler=main.name, base=main.floor, hpa=hpa)
    lines = [
        ("autoscaler", f"{main.name}: floor {main.floor}, maximum {main.maximum}"),
        ("you", f"{plain(user_words(person))}, with your own kubeconfig's rights"),
    ]
    return ground, lines


def at_rest(cluster: ClusterClient, screen: Screen) -> tuple[Ground, Lines]:
    """The same for a scenario that acts: waits for what goes by itself, and raises Missing for what does not."""
    load_image(cluster)
    busy = running_loads(cluster)
    if busy:
        where = f"--context {cluster.context} --namespace {cluster.namespace}"
        raise Missing(
            f"a load runs already: end it where it was started, or by kubectl {where} delete job {plain(busy[0])}"
        )
    for sentence in mend_what_was_left(cluster):
        screen.line(f"  {sentence}")
    deadline = time.monotonic() + REST_SECONDS
    with screen.waiting(f"waiting for {WORKLOAD} to be at rest"):
        while (words := _unrest(cluster)) and time.monotonic() < deadline:
            screen.progress(f"{words}: waiting for it to be at rest")
            time.sleep(LOOK_SECONDS)
    return check(cluster)


def running_loads(cluster: ClusterClient) -> list[str]:
    """The names of the Jobs that send load now."""
    jobs = cluster.items(f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs", {"labelSelector": LABEL})
    return [str(job["metadata"]["name"]) for job in jobs if (job.get("status") or {}).get("active")]


def mend_what_was_left(cluster: ClusterClient) -> list[str]:
    """Put back what a run that was killed could not; a sentence about each."""
    ways = outage.ways(cluster) if cluster.find(outage.METRICS_API) is not None else ()
    mended = [way.words for way in ways if outage.mend(cluster, way)]
    said = [f"the way to {words} was left cut by an earlier run: it is back" for words in mended]
    for name in crash.left(cluster):
        crash.remove(cluster, name)
        said.append(f"Deployment {plain(name)} was left by an earlier run: it is deleted")
    return said


def left_over(cluster: ClusterClient, ground: Ground) -> list[str]:
    """What is not as it was found, in words: the autoscaler, replicas, leases and loads of the workload."""
    said = differences(ground.hpa, read_autoscaler(cluster, ground.autoscaler), CONTROLLER)
    workload = Reader(cluster).workload(REF)
    replicas = workload.replicas if workload is not None else 0
    if replicas != ground.base:
        said.append(f"{replicas} replicas, {ground.base} were found")
    said += [
        f"lease {plain(one.name)} is open" for one in Reader(cluster).leases() if _is_open(one.workload, one.phase)
    ]
    return said + [f"load {plain(name)} runs" for name in running_loads(cluster)]


def replicas_words(cluster: ClusterClient) -> str:
    """How many replicas there are, and who lowers them."""
    main = next((one for one in Reader(cluster).autoscalers() if one.workload == REF), None)
    workload = Reader(cluster).workload(REF)
    if main is None or workload is None:
        return f"{WORKLOAD} or its autoscaler is not there any more"
    if workload.replicas <= main.floor:
        return f"{WORKLOAD} is at {workload.replicas} replicas, its floor is {main.floor}"
    return (
        f"{WORKLOAD} is at {workload.replicas} replicas: its autoscaler, whose floor is {main.floor}, lowers them by"
        " itself within some minutes"
    )


def _is_open(workload: WorkloadRef, phase: Phase | None) -> bool:
    return workload == REF and (phase is None or not phase.is_final)


def _unrest(cluster: ClusterClient) -> str:
    """What is not at rest and will be by itself, "" where that is nothing: the conditions say the rest."""
    main = next((one for one in Reader(cluster).autoscalers() if one.workload == REF), None)
    if main is None or main.held is not None:
        return ""
    now = scaling(read_autoscaler(cluster, main.name))
    app = cluster.get(REF.path(cluster.namespace))
    ready = (app.get("status") or {}).get("readyReplicas", 0)
    counts = {now.current, now.wanted, app["spec"].get("replicas", 1), ready}
    if counts != {main.floor}:
        return f"{WORKLOAD} has {ready} pods ready of {app['spec'].get('replicas', 1)}, its base is {main.floor}"
    return "" if now.cpu_percent is not None else f"{main.name} does not know the CPU yet"
