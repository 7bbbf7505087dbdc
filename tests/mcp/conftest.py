"""The programs of npm, installed once; all tests of this folder belong to `make test-all`."""

from __future__ import annotations

import pytest

from tests.mcp.programs import Programs, programs


@pytest.fixture(scope="session")
def npm() -> Programs:
    return programs()
