"""The MCP server as a client starts it: a process, its standard streams, its time, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.doors.cluster_double import write_kubeconfig
from tests.doors.lease_double import LEASES
from tests.doors.mcp_double import FULL, McpCluster, Stdio, mcp_cluster
from tests.engine.http_double import refused_address

READY_SECONDS = 2.0  # DESIGN.md's number, on a machine that does nothing else
READS = ["get_current_state", "cluster_status", "get_metrics", "get_records", "generate_report"]
BARE = {"PATH": os.environ["PATH"]}  # a client starts its servers with next to nothing


def options(cluster: McpCluster, folder: Path) -> list[str]:
    kubeconfig = cluster.place(folder).kubeconfig
    assert kubeconfig is not None
    return ["--context", "claudescale", "--namespace", "claudescale", "--kubeconfig", kubeconfig]


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_whole_conversation_and_nothing_else_on_standard_output(cluster: McpCluster, tmp_path: Path) -> None:
    with Stdio(*options(cluster, tmp_path), "--allow-writes", **BARE) as server:
        assert cluster.http.asked == []  # nothing before a call
        assert server.initialized["serverInfo"]["name"] == "claudescale"
        assert "get_current_state" in server.initialized["instructions"]
        tools = [tool["name"] for tool in server.request("tools/list")["tools"]]
        assert tools == [
            *READS, "lease_capacity", "scale_deployment", "end_lease",
        ]  # fmt: skip
        assert len(server.request("resources/list")["resources"]) == 4
        assert len(server.request("prompts/list")["prompts"]) == 7
        assert server.ask("lease_capacity", **FULL).facts["outcome"] == "Created"
        assert server.ask("get_current_state").facts["leases"][0]["name"] == "friday-launch"
        assert server.ask("cluster_status").facts["overall"] == "Well"
        assert "asking every part" in str(server.messages)
        assert server.ask("get_records").facts["whole"]
        assert "friday-launch" in str(server.request("resources/read", {"uri": "claudescale://leases"}))
        assert server.ask("scale_deployment", **{**FULL, "name": "down", "replicas": 1}).facts["code"] == "ScalingDown"
        assert server.ask("end_lease", name="friday-launch").facts["outcome"] == "Ended"
        assert server.ask("lease_capacity", **{**FULL, "replicas": 0}).error
        assert server.ask("nothing").error
    assert (server.code, server.rest) == (0, "")
    assert "Traceback" not in server.log


def test_the_command_serves_too_and_only_reads_by_default(cluster: McpCluster, tmp_path: Path) -> None:
    command = ("-c", "from claudescale_cli.main import main; main()")
    with Stdio(*options(cluster, tmp_path), "mcp", command=command, **BARE) as server:
        assert [tool["name"] for tool in server.request("tools/list")["tools"]] == READS
        told = server.ask("lease_capacity", **FULL)
        assert told.error
        assert "--allow-writes" in told.text
    assert cluster.writes == []


def test_it_is_ready_at_once_with_the_cluster_down(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        kubeconfig = str(write_kubeconfig(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, **BARE) as server:
            busy = cpu_seconds(server.process.pid)
            told = server.ask("get_current_state")
    load = os.getloadavg()[0]
    with capsys.disabled():
        print(
            f"\nMCP server ready after {server.ready_seconds:.2f} s ({busy:.2f} s of CPU, load {load:.1f}); "
            f"the stopped cluster was answered after {told.seconds:.2f} s"
        )
    assert told.error
    assert told.text.startswith("the cluster is stopped: make up")
    # Others' work on this machine counts for the clock, and hardly for the CPU time.
    assert busy < READY_SECONDS * 1.5
    idle = load < (os.cpu_count() or 1) / 2
    assert server.ready_seconds < READY_SECONDS or not idle
    assert told.seconds < 3.0 or not idle


def test_a_stopped_cluster_ends_nothing(tmp_path: Path) -> None:
    kubeconfig = str(write_kubeconfig(tmp_path, refused_address()))
    with Stdio("--context", "claudescale", "--kubeconfig", kubeconfig, **BARE) as server:
        for _ in range(3):
            assert server.ask("get_current_state").text.startswith("the cluster is stopped: make up")
        with mcp_cluster() as started:
            started.place(tmp_path)
            assert not server.ask("get_current_state").error


@pytest.mark.clock
def test_waiting_has_progress_and_can_be_cancelled(cluster: McpCluster, tmp_path: Path) -> None:
    cluster.server.away = True
    with Stdio(*options(cluster, tmp_path), "--allow-writes", **BARE) as server:
        arguments = {"name": "lease_capacity", "arguments": FULL, "_meta": {"progressToken": "p"}}
        asked = server.begin("tools/call", arguments)
        while True:
            message = server.process.stdout.readline()
            if "notifications/progress" in message:
                break
        assert "waiting until the floor stands" in message
        began = time.monotonic()
        server.send("notifications/cancelled", {"requestId": asked, "reason": "enough"})
        again = server.ask("end_lease", name="nobody")
        assert again.error
        assert time.monotonic() - began < 2.0
        # What was asked stays, and the same call finds it.
        assert [item["metadata"]["name"] for item in cluster.server.leases()] == ["friday-launch"]


@pytest.mark.clock
def test_it_ends_when_its_client_goes_away_in_the_middle_of_a_call(cluster: McpCluster, tmp_path: Path) -> None:
    cluster.server.away = True
    with Stdio(*options(cluster, tmp_path), "--allow-writes", **BARE) as server:
        server.begin("tools/call", {"name": "lease_capacity", "arguments": FULL})
        while not [path for method, path in cluster.writes if path == LEASES]:
            time.sleep(0.02)
        began = time.monotonic()
    assert time.monotonic() - began < 2.0
    assert server.code == 0


@pytest.mark.parametrize("how", [None, signal.SIGINT, signal.SIGTERM], ids=str)
def test_it_ends_quietly_and_leaves_no_keys_behind(how: signal.Signals | None, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, refused_address().replace("http:", "https:"))
    content = json.loads(kubeconfig.read_text())
    content["users"][0]["user"] = {"client-key-data": "c2VjcmV0", "client-certificate-data": "Y2VydA=="}
    kubeconfig.write_text(json.dumps(content))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with Stdio("--context", "claudescale", "--kubeconfig", str(kubeconfig), **BARE, TMPDIR=str(scratch)) as server:
        assert server.ask("get_current_state").text.startswith("the cluster is stopped: make up")
        assert list(scratch.iterdir()), "kubernetes writes inline keys into files, or this test tests nothing"
        if how is not None:
            server.process.send_signal(how)
            server.process.wait(5)
    assert list(scratch.iterdir()) == []
    assert server.code == (0 if how is None else 128 + how)
    assert server.log == ""


def test_the_modules_are_light_until_it_serves() -> None:

    program = "import sys, claudescale_mcp.serve; print([name for name in ('fastmcp', 'mcp') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
