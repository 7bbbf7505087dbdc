"""A login that can make the assistant's tokens and nothing else, made by the commands of docs/SECURITY.md."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ApiError, ClusterClient

from tests.cluster.rig import SPACE
from tests.doors.mcp_double import Stdio
from tests.doors.mcp_sweep import stdio_calls, stdio_sweep
from tests.support import ROOT, Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NAME = "assistant-login"
FILE = "login.kubeconfig"
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(context: str) -> str:
    page = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    (block,) = (one for one in FENCE.findall(page) if NAME in one)
    return block.replace("CONTEXT=claudescale\n", f"CONTEXT={context}\n")


@pytest.fixture
def login(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """Its kubeconfig; what was made in the cluster is taken out again."""
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands(cluster.context)],
            cwd=tmp_path, env=cluster.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield tmp_path / FILE
    finally:
        kinds = [f"{kind}/{NAME}" for kind in ("rolebinding", "role", "serviceaccount")]
        cluster.kubectl("delete", "--namespace", SPACE, "--ignore-not-found", *kinds)


def test_a_login_that_only_makes_tokens_is_enough_for_the_server(cluster: Cluster, login: Path) -> None:
    where = ("--context", cluster.context, "--namespace", SPACE, "--kubeconfig", str(login))
    with Stdio(*where, PATH=cluster.environment["PATH"]) as server:
        answers = stdio_sweep(server, [call for call in stdio_calls(server) if call.reads_cluster])
    assert answers
    assert [said.text for said in answers if said.error] == []
    alone = ClusterClient(context=cluster.context, namespace=SPACE, kubeconfig=str(login))
    assert alone.whoami() == f"system:serviceaccount:{SPACE}:{NAME}"
    for path in ("pods", "secrets", "serviceaccounts"):
        with pytest.raises(ApiError) as refused:
            alone.get(f"/api/v1/namespaces/{SPACE}/{path}")
        assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        alone.as_account("claudescale-controller").whoami()
    assert refused.value.status == 403
    assert alone.as_account("claudescale-sa").whoami() == f"system:serviceaccount:{SPACE}:claudescale-sa"
