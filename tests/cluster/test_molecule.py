"""Molecule's sequence for every role, on the live cluster: converge, idempotence, check mode, verify."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, Cluster, run

pytestmark = [pytest.mark.cluster, pytest.mark.long]

COLLECTION = ROOT / "collections/ansible_collections/claudescale/core"
INTERNAL = {"common"}
ROLES = sorted(path.name for path in (COLLECTION / "roles").iterdir() if path.is_dir() and path.name not in INTERNAL)


@pytest.mark.parametrize("role", ROLES)
def test_sequence(cluster: Cluster, role: str) -> None:
    programs = Path(sys.executable).parent  # molecule looks for ansible-config on PATH
    path = os.pathsep.join([str(programs), cluster.environment["PATH"]])
    environment = cluster.environment | {"CLAUDESCALE_PROFILE": cluster.profile, "PATH": path}
    molecule = str(programs / "molecule")
    made = run([molecule, "test", "--scenario-name", role], environment, timeout=600, folder=COLLECTION)
    assert made.code == 0, made.text[-3000:]
    for action in ("converge", "idempotence", "verify"):
        assert action in made.text
