"""What a command with the kit finds around it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from claudescale_kit import layout, packages, programs, traces
from claudescale_kit.paths import CLONE, Paths

PATHS = Paths(Path("/cache/claudescale"))


def test_the_cache_is_where_xdg_says() -> None:
    assert Paths.from_environment({"XDG_CACHE_HOME": "/x", "HOME": "/h"}).kit == Path("/x/claudescale/kit")
    assert Paths.from_environment({"HOME": "/h"}).kit == Path("/h/.cache/claudescale/kit")


def test_a_socket_fits_into_its_107_characters() -> None:
    assert len(str(Paths(Path("/" + "long/" * 60)).socket)) < 100


def test_the_environment_adds_and_takes_nothing() -> None:
    given = {"PATH": "/usr/bin", "HOME": "/h"}
    once = layout.environment(PATHS, given, "unix:///run/s")
    assert once["PATH"] == "/usr/bin:/cache/claudescale/kit/bin"
    assert once["DOCKER_HOST"] == "unix:///run/s"
    assert once["MINIKUBE_HOME"] == "/cache/claudescale/kit/home"
    assert once["ANSIBLE_INVENTORY"] == f"{CLONE}/inventory,/cache/claudescale/kit/inventory"
    assert once["HOME"] == "/h"
    assert layout.environment(PATHS, once, "unix:///run/s") == once
    assert given == {"PATH": "/usr/bin", "HOME": "/h"}


def test_a_daemon_of_the_user_is_left_in_the_environment() -> None:
    assert "DOCKER_HOST" not in layout.environment(PATHS, {"PATH": "/usr/bin"}, "")


def test_every_step_comes_after_those_it_needs() -> None:
    seen: set[str] = set()
    for step in layout.ALL:
        assert {earlier.name for earlier in step.after} <= seen
        assert step.name not in seen
        seen.add(step.name)


@pytest.mark.parametrize(
    ("group", "module", "version"),
    [
        ("kubernetes", "k8s.io/kubernetes", programs.KUBERNETES),
        ("minikube", "k8s.io/minikube", programs.MINIKUBE),
        ("containerd", "github.com/containerd/containerd/v2", "v" + programs.CONTAINERD),
        ("prometheus", "github.com/prometheus/prometheus", "v0." + programs.PROMETHEUS.replace(".", "", 1)),
        ("nginx-exporter", "github.com/nginx/nginx-prometheus-exporter", "v" + programs.EXPORTER),
        ("vegeta", "github.com/tsenart/vegeta/v12", "v12.13.0"),
    ],
)
def test_a_program_says_the_version_that_its_module_has(group: str, module: str, version: str) -> None:
    text = (programs.GO / group / "go.mod").read_text()
    if group == "prometheus":
        version = "v0.316.0"
        assert programs.PROMETHEUS == "3.16.0"
    assert re.search(rf"^\s*(require )?{re.escape(module)} {re.escape(version)}\b", text, re.MULTILINE)
    sums = (programs.GO / group / "go.sum").read_text()
    assert f"{module} {version} h1:" in sums


def test_the_second_inventory_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, value in ((first, "official"), (second, "kit")):
        (folder / "group_vars").mkdir(parents=True)
        (folder / "group_vars/all.yml").write_text(json.dumps({"image": value}))
    (first / "hosts.yml").write_text("all: {hosts: {localhost: {}}}\n")
    (second / "kit.yml").write_text("---\nall: {}\n")
    command: list[str | Path] = [
        Path(sys.executable).with_name("ansible-inventory"),
        "-i",
        first,
        "-i",
        second,
        "--host",
        "localhost",
    ]
    shown = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["image"] == "kit"


def test_packages_are_named_once_and_missing_ones_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert {"docker.io", "mmdebstrap", "iptables"} <= set(packages.missing())


BEFORE = ["-P FORWARD ACCEPT", "-N OTHER", "-A FORWARD -j OTHER", "-A FORWARD -o eth9 -j DROP"]
AFTER = [
    "-P FORWARD DROP", "-N OTHER", "-N DOCKER", "-N DOCKER-USER",
    "-A FORWARD -j DOCKER-USER", "-A FORWARD -o br-0123456789ab -j DOCKER", "-A FORWARD -j OTHER",
    "-A FORWARD -o eth9 -j DROP", "-A FORWARD -s 10.9.9.9/32 -j DROP", "-A DOCKER-USER -o eth0 -j REJECT",
]  # fmt: skip


def test_firewall_rules_that_docker_did_not_make_stay() -> None:
    undo = [" ".join(words) for words in traces.undoing(BEFORE, AFTER)]
    assert undo == [
        "-D FORWARD -j DOCKER-USER",
        "-D FORWARD -o br-0123456789ab -j DOCKER",
        "-D DOCKER-USER -o eth0 -j REJECT",
        "-F DOCKER",
        "-F DOCKER-USER",
        "-X DOCKER",
        "-X DOCKER-USER",
        "-P FORWARD ACCEPT",
    ]


def test_chains_that_were_there_before_stay() -> None:
    before = [*BEFORE, "-N DOCKER", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"]
    undo = [" ".join(words) for words in traces.undoing(before, AFTER)]
    assert "-X DOCKER" not in undo
    assert "-D FORWARD -j DOCKER-USER" not in undo
