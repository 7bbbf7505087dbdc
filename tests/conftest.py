"""The real cluster of the tests (profile claudescale-test), brought up once by `make up` itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import PROFILE, Cluster, Made, environment_for, other_cluster_objects

# A background job of a shell ignores Ctrl-C, and its children with it: what the tests start must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests' contexts are written."""
    kept = os.environ.get("CLAUDESCALE_KEEP")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("kube")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "config"


@pytest.fixture(scope="session")
def untouched() -> Iterator[None]:
    """A running `claudescale` is the same after the tests as before them."""
    before = other_cluster_objects()
    yield
    if before is not None:
        assert other_cluster_objects() == before


@pytest.fixture(scope="session")
def brought_up(kubeconfig: Path, untouched: None) -> Iterator[tuple[Cluster, Made]]:
    """The cluster of the tests with what `make up` printed; kept where CLAUDESCALE_KEEP names a folder for it."""
    cluster = Cluster(profile=PROFILE, kubeconfig=kubeconfig, environment=environment_for(kubeconfig))
    made = cluster.make("up", timeout=2400)
    if made.code == 0:
        yield cluster, made
    down = None if os.environ.get("CLAUDESCALE_KEEP") else cluster.make("down")
    if made.code != 0:
        pytest.fail(f"make up ended with {made.code}", pytrace=False)
    assert down is None or down.code == 0


@pytest.fixture(scope="session")
def cluster(brought_up: tuple[Cluster, Made]) -> Cluster:
    """The real cluster with the whole stack."""
    return brought_up[0]
