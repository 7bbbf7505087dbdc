"""Load on the real cluster: the autoscaler goes up and comes back, Prometheus tells idle from load."""

from __future__ import annotations

import math
import re
import signal
import subprocess

import pytest

from tests.cluster.climb import QUERIES, UP_SECONDS, Seen, samples
from tests.cluster.rig import until
from tests.support import Cluster, run

pytestmark = pytest.mark.cluster


def test_every_target_is_up(cluster: Cluster) -> None:
    jobs = {"prometheus", "cadvisor", "demo-app", "claudescale-controller"}
    # The controller was started last: Prometheus finds it within a scrape or two.
    until(lambda: {labels["job"] for labels, value in samples(cluster, "up") if value == 1} == jobs, 30, pause=1)
    targets = samples(cluster, "up")
    assert [labels for labels, value in targets if value != 1] == []
    assert len([1 for labels, _ in targets if labels["job"] == "demo-app"]) >= 4, "exporter and worker of two pods"


def test_the_autoscaler_goes_from_two_to_five(seen: Seen) -> None:
    assert seen.load.code == 0
    before = [event for event in seen.events if event.seconds < seen.began]
    assert (before[-1].current, before[-1].wanted) == (2, 2)
    full = next(event for event in seen.events if event.current == 5)
    print(f"2 to 5 after {full.seconds - seen.began:.0f} s of load")
    assert full.seconds - seen.began <= UP_SECONDS
    assert "demo-app-hpa: at its maximum of 5" in seen.load.text


@pytest.mark.parametrize("name", QUERIES)
def test_idle_and_load_differ(seen: Seen, name: str) -> None:
    idle, loaded = seen.idle[name], seen.loaded[name]
    print(f"{name}: idle {idle:.4g}, load {loaded:.4g}")
    assert math.isfinite(idle) and math.isfinite(loaded)
    assert idle != loaded


def test_load_is_more_than_idle(seen: Seen) -> None:
    assert seen.loaded["requests per second"] > 10 * seen.idle["requests per second"]
    assert seen.loaded["CPU cores"] > 3 * seen.idle["CPU cores"]
    assert seen.loaded["memory bytes"] > seen.idle["memory bytes"]


def test_the_load_was_answered_and_left_nothing(cluster: Cluster, seen: Seen) -> None:
    summary = re.search(r"(\d+) requests in \d+ s.*: (\d+) ok, (\d+) failed", seen.load.text)
    assert summary, seen.load.text[-2000:]
    sent, ok, failed = (int(word) for word in summary.groups())
    assert ok + failed == sent
    assert failed <= sent / 100
    assert cluster.kubectl("get", "jobs,pods", "-l", "claudescale.io/load", "-o", "name") == ""


def test_vegetas_own_report_stands_beside_ours(seen: Seen) -> None:
    ours = re.search(
        r"(\d+) requests in \d+ s.*\n.* latency p50 (\d+) ms.*\n(?:.* x .*\n)*.* % slower than 500 ms or failed: "
        r"\d+ and \d+ of (\d+)",
        seen.load.text,
    )
    theirs = re.search(r"vegeta report: (\d+) requests, [0-9.]+ % success, latency p50 (\d+) ms", seen.load.text)
    assert ours and theirs, seen.load.text[-2000:]
    assert ours[1] == ours[3]
    assert abs(int(theirs[1]) - int(ours[1])) <= int(ours[1]) / 100
    assert int(theirs[2]) <= int(ours[2]), "ours count from when a request was due, which is before it is sent"


def test_prometheus_saw_the_generator(cluster: Cluster, seen: Seen) -> None:
    """Whether its counts are exactly ours is asked in test_load_faults.py, of a load that lives on to be scraped."""
    name = re.search(r"(load-stress-until-scale-\w+): ", seen.load.text)
    assert name
    pods = f'pod=~"{name[1]}-.*"'
    total = re.search(r"(\d+) requests in \d+ s.*: \d+ ok", seen.load.text)
    assert total
    ended = sum(
        value for _, value in samples(cluster, f"max_over_time(claudescale_load_requests_total{{{pods}}}[10m])")
    )
    assert 0.8 * int(total[1]) <= ended <= int(total[1])
    ((_, rate),) = samples(cluster, f"max_over_time(claudescale_load_wanted_rate{{{pods}}}[10m])")
    assert 50 <= rate <= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_leaves_nothing_running(cluster: Cluster, number: signal.Signals) -> None:
    command = ["claudescale", "--context", cluster.context, "load", "steady", "--rate", "5", "--duration", "120"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=cluster.environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if "5/s wanted" in line:
                break
        process.send_signal(number)
        rest, _ = process.communicate(timeout=60)
    print(rest)
    assert process.returncode == 128 + number
    assert "ended early" in rest
    assert cluster.kubectl("get", "jobs,pods", "-l", "claudescale.io/load", "-o", "name") == ""


def test_watch_shows_the_live_numbers(cluster: Cluster) -> None:
    command = ["claudescale", "--context", cluster.context, "watch", "--for", "5"]
    lines = run(command, cluster.environment, timeout=30).text.splitlines()
    assert lines[0].split() == ["time", "requests/s", "CPU", "target", "wanted", "ready", "bounds"]
    assert len(lines) >= 3
    for line in lines[1:]:
        assert re.fullmatch(r"[0-9:]{8} +[0-9.]+ +[0-9]+ % +50 % +[2-5] +[2-5] +2 to 5", line), line
