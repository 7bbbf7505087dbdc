"""From nothing to a cluster and back: `make down` leaves nothing, `make stop` keeps data. About ten minutes.

Not run inside the kit's environment: the kit's daemon must be free to come and go with the profile. Another cluster may
run meanwhile; one that is started, stopped or removed meanwhile is a difference, too.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import PROFILE, ROOT, Cluster, environment_for

pytestmark = [pytest.mark.cluster, pytest.mark.long]


def lines_of(*command: str) -> set[str]:
    """The lines that a command prints; nothing where the command is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return set()
    return set(done.stdout.splitlines())


def in_a_container(process: Path) -> bool:
    """Whether a process of /proc has other process ids than ours; False where we may not know."""
    try:
        return (process / "ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    except PermissionError:
        return False


def processes() -> set[str]:
    """The command lines, without their ids, of all that a cluster is made of.

    Not of what runs in a container, where somebody else's pods come and go: each container has its shim outside.
    """
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                inside = in_a_container(folder)
            except OSError:
                continue
            names = ("dockerd", "containerd", "minikube", "port-forward", "docker-proxy")
            if not inside and any(name in command for name in names):
                found.add(command)
    return found


def traces(kubeconfig: Path) -> dict[str, set[str]]:
    """Everything that a cluster could leave on this machine, by kind."""
    contexts = yaml.safe_load(kubeconfig.read_text()) if kubeconfig.exists() else {}
    return {
        "containers": lines_of("docker", "ps", "--all", "--format", "{{.Names}}"),
        "docker networks": lines_of("docker", "network", "ls", "--format", "{{.Name}}"),
        "docker volumes": lines_of("docker", "volume", "ls", "--format", "{{.Name}}"),
        "processes": processes(),
        "network links": {line.split(": ")[1] for line in lines_of("ip", "-o", "link")},
        "firewall rules": {
            line for table in ("filter", "nat", "mangle", "raw") for line in lines_of("iptables", "-t", table, "-S")
        },
        "mounts": {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()},
        "cgroup folders": {str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()},
        "contexts": {entry["name"] for entry in (contexts or {}).get("contexts") or []},
    }


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory, untouched: None) -> Iterator[Cluster]:
    """The tests' profile, not up yet; gone afterwards."""
    kubeconfig = tmp_path_factory.mktemp("lifecycle") / "config"
    cluster = Cluster(profile=PROFILE, kubeconfig=kubeconfig, environment=environment_for(kubeconfig))
    yield cluster
    cluster.make("down")


def kubectl(cluster: Cluster, *arguments: str) -> str:
    """kubectl in the environment that the kit gives, which may bring kubectl itself."""
    done = subprocess.run(
        ["tests/kit/run", "--profile", cluster.profile, "--", "kubectl", "--context", cluster.context, *arguments],
        cwd=ROOT,
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


def samples_before(cluster: Cluster, moment: float) -> int:
    """How many samples of `up` Prometheus holds from the five minutes before a moment (seconds since the epoch)."""
    query = urllib.parse.urlencode({"query": "sum(count_over_time(up[5m]))", "time": f"{moment:.0f}"})
    path = f"/api/v1/namespaces/{cluster.namespace}/services/http:prometheus:9090/proxy/api/v1/query?{query}"
    result = json.loads(kubectl(cluster, "get", "--raw", path))["data"]["result"]
    return int(float(result[0]["value"][1])) if result else 0


def test_down_leaves_nothing_and_up_works_again(lone: Cluster) -> None:
    before = traces(lone.kubeconfig)
    for time_round in ("first", "second"):
        assert lone.make("up", timeout=2400).code == 0, time_round
        assert traces(lone.kubeconfig) != before
        assert lone.make("forward").code == 0
        assert lone.make("down").code == 0, time_round
        after = traces(lone.kubeconfig)
        left = {kind: after[kind] - before[kind] for kind in before if after[kind] - before[kind]}
        lost = {kind: before[kind] - after[kind] for kind in before if before[kind] - after[kind]}
        assert (left, lost) == ({}, {}), time_round


def test_stop_and_up_keep_prometheus_data(lone: Cluster) -> None:
    assert lone.make("up", timeout=2400).code == 0
    time.sleep(30)
    moment = time.time()
    held = samples_before(lone, moment)
    assert held > 0
    volume = kubectl(lone, "get", "pvc", "prometheus-data", "-o", "jsonpath={.metadata.uid}")
    assert lone.make("stop").code == 0
    stopped = lone.make("status")
    assert stopped.code != 0
    assert "the cluster is stopped" in stopped.text
    assert lone.make("up").code == 0
    assert samples_before(lone, moment) >= held
    assert kubectl(lone, "get", "pvc", "prometheus-data", "-o", "jsonpath={.metadata.uid}") == volume
    assert lone.make("down").code == 0
