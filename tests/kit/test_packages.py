"""Debian packages: installed as root, named otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from claudescale_kit import packages
from claudescale_kit.errors import KitError

APT = """#!/bin/sh
echo "$@ $DEBIAN_FRONTEND policy=$(cat {policy} 2>/dev/null | tail -n 1)" >> {calls}
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without the packages, whose apt-get only writes down what it was asked for."""
    for name, text in (
        ("apt-get", APT.format(policy=tmp_path / "policy", calls=tmp_path / "calls")),
        ("go", "#!/bin/sh\necho go version go1.26.8 linux/amd64\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "cat", "tail"):
        (tmp_path / name).symlink_to(f"/bin/{name}" if name == "sh" else f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy")
    return tmp_path


def test_root_installs_them_and_starts_no_service(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    packages.ensure(said.append, host / "log")
    update, install = (host / "calls").read_text().splitlines()
    assert update.startswith("update -q")
    assert install.startswith("install -y --no-install-recommends docker.io mmdebstrap iptables nftables gcc")
    assert install.endswith("noninteractive policy=exit 101")
    assert not (host / "policy").exists()
    assert len(said) == 1


def test_a_policy_that_the_host_has_stays(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (host / "policy").write_text("#!/bin/sh\nexit 102\n")
    packages.ensure(lambda text: None, host / "log")
    assert (host / "policy").read_text().endswith("exit 102\n")


def test_others_are_told_what_to_type(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(KitError, match=r"sudo apt-get install -y --no-install-recommends docker\.io"):
        packages.ensure(lambda text: None, host / "log")
    assert not (host / "calls").exists()


@pytest.mark.parametrize(("version", "fits"), [("1.26.0", True), ("1.27.1", True), ("2.0", True), ("1.25.9", False)])
def test_the_age_of_go(host: Path, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    monkeypatch.setattr(packages, "_NEEDED", {})
    (host / "go").write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    if fits:
        packages.ensure(lambda text: None, host / "log")
    else:
        with pytest.raises(KitError, match=r"1\.26 or newer"):
            packages.ensure(lambda text: None, host / "log")


def test_no_go_at_all_is_said_in_one_line(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_NEEDED", {})
    (host / "go").unlink()
    with pytest.raises(KitError, match="no `go` in PATH"):
        packages.ensure(lambda text: None, host / "log")
