"""The module as Ansible runs it: its arguments, its refusals, its documentation; nothing here needs a cluster."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils.minikube import download
from ansible_collections.claudescale.core.plugins.modules import minikube

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - claudescale.core.minikube: "{{ item }}"
      loop: "{{ runs }}"
      register: answer
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ answer.results | to_json }}"
        dest: "{{ answer_file }}"
        mode: "0600"
      check_mode: false
"""
PROGRAM = b"""#!/bin/sh
case "$*" in
  "version -o json") echo '{"minikubeVersion": "v1.38.1"}' ;;
  "version --client -o json") echo '{"clientVersion": {"gitVersion": "v1.35.1"}}' ;;
  *) exit 85 ;;
esac
"""
SUM = hashlib.sha256(PROGRAM).hexdigest()


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system's programs without those that the module looks for."""
    folder = tmp_path_factory.mktemp("bin")
    for path in {path.name: path for parent in ("/bin", "/usr/bin") for path in Path(parent).iterdir()}.values():
        if path.name not in ("minikube", "kubectl", "docker"):
            (folder / path.name).symlink_to(path)
    return folder


@dataclass(frozen=True, kw_only=True)
class Home:
    """A home of its own, on a machine with neither minikube nor Docker."""

    folder: Path
    tools: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def play(self, *runs: dict[str, Any], check: bool = False) -> list[dict[str, Any]]:
        """The module's answers, one for each run's options."""
        (self.folder / "play.yml").write_text(PLAYBOOK)
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        self.home.mkdir(exist_ok=True)
        ours = ("ANSIBLE_", "MINIKUBE", "XDG", "KUBECONFIG")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "HOME": str(self.home),
            "PATH": str(self.tools),
            "NO_PROXY": "127.0.0.1",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_REMOTE_TMP": str(self.folder / "tmp"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        }
        variables = json.dumps({"runs": runs, "answer_file": str(answer), "ansible_python_interpreter": sys.executable})
        done = subprocess.run(
            [BIN / "ansible-playbook", "play.yml", "-i", "localhost,", "-c", "local", "-e", variables]
            + (["--check"] if check else []),
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert answer.exists(), done.stdout + done.stderr
        found: list[dict[str, Any]] = json.loads(answer.read_text())
        return found

    def left(self) -> list[str]:
        """What the runs left in the home."""
        paths = (path.relative_to(self.home) for path in self.home.rglob("*"))
        return sorted(str(path) for path in paths if ".ansible" not in path.parts)


@pytest.fixture
def home(tmp_path: Path, tools: Path) -> Home:
    return Home(folder=tmp_path, tools=tools)


BAD = [
    ({"state": "there"}, "value of state must be one of: started, stopped, absent, got: there"),
    ({"container_runtime": "rkt"}, "value of container_runtime must be one of: containerd, docker, cri-o, got: rkt"),
    ({"memory": 4096}, "Unsupported parameters for (claudescale.core.minikube) module: memory."),
    (
        {"memory_mb": 900},
        (
            "memory_mb is 900 MB, minikube needs at least 1800 MB (RSRC_INSUFFICIENT_REQ_MEMORY): "
            "set memory_mb to 1800 or more (4096 fits the whole stack)."
        ),
    ),
    ({"driver": "abacus"}, "driver 'abacus' is unknown to minikube (DRV_UNSUPPORTED): use one of docker, podman, "),
    ({"profile": "../../x"}, "profile '../../x' is no name minikube takes (MK_USAGE): "),
]


def test_bad_arguments_are_one_sentence_and_change_nothing(home: Home) -> None:
    for (_options, sentence), answer in zip(BAD, home.play(*(options for options, _ in BAD)), strict=True):
        assert answer["failed"] is True
        assert answer["msg"].startswith(sentence)
        assert "Traceback" not in answer["msg"]
    assert home.left() == []


def test_a_broken_kubeconfig_is_refused_before_anything_is_downloaded(home: Home) -> None:
    path = home.folder / "config"
    path.write_text("clusters: [unclosed\n")
    (answer,) = home.play({"kubeconfig": str(path), "minikube_base_url": "http://127.0.0.1:9"})
    assert (answer["failed"], answer["reason"], answer["exit_code"]) == (True, "KubeconfigBroken", None)
    assert path.read_text() == "clusters: [unclosed\n"
    assert home.left() == []


class Site(http.server.BaseHTTPRequestHandler):
    """A release site: every program is PROGRAM, every checksum is `checksum`."""

    checksum: ClassVar[str] = SUM
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.checksum.encode() if self.path.endswith(".sha256") else PROGRAM
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[dict[str, str]]:
    Site.checksum, Site.asked = SUM, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield {"minikube_base_url": f"{url}/minikube", "kubectl_base_url": f"{url}/kubectl"}
        server.shutdown()
        thread.join()


def test_programs_that_are_missing_are_downloaded(home: Home, site: dict[str, str]) -> None:
    (foretold,) = home.play(site, check=True)
    assert foretold["changed"] is True
    assert foretold["binaries"]["minikube"] == {"path": None, "source": "would be downloaded"}
    (missing,) = home.play({"state": "absent", **site})
    assert (missing["changed"], missing["binaries"]["kubectl"]) == (False, {"path": None, "source": "missing"})
    assert Site.asked == []
    assert home.left() == []
    started, absent = home.play(site, {"state": "absent", **site})
    assert started["reason"] == "PROVIDER_DOCKER_NOT_FOUND"  # after the downloads: it is minikube that needs it
    folder = home.home / ".cache/claudescale/bin"
    assert absent["binaries"] == {
        "minikube": {"path": str(folder / "minikube"), "source": "downloaded before"},
        "kubectl": {"path": str(folder / "kubectl"), "source": "downloaded before"},
    }
    assert absent["changed"] is False
    assert absent["versions"] == {"minikube": "v1.38.1", "kubernetes": None, "client": "v1.35.1"}
    machine = download.machine()
    assert [path for path in Site.asked if not path.endswith(".sha256")] == [
        f"/minikube/v1.38.1/minikube-{machine}",
        f"/kubectl/v1.35.1/bin/{machine.replace('-', '/')}/kubectl",
    ]


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "beside-it"])
def test_a_wrong_checksum_is_one_sentence_and_leaves_nothing(home: Home, site: dict[str, str], pinned: bool) -> None:
    Site.checksum = SUM if pinned else "0" * 64
    (answer,) = home.play({**site, **({"minikube_checksum": "0" * 64} if pinned else {})})
    assert (answer["failed"], answer["reason"]) == (True, "ChecksumMismatch")
    assert answer["msg"].startswith("minikube from http://127.0.0.1:")
    assert f"has the SHA-256 {SUM}, wanted is {'0' * 64} (ChecksumMismatch)" in answer["msg"]
    assert home.left() == []


def test_no_minikube_and_no_release_site_is_one_sentence(home: Home) -> None:
    (answer,) = home.play({"minikube_base_url": "http://127.0.0.1:9"})
    assert answer["reason"] == "DownloadFailed"
    assert answer["msg"].endswith("install the program on PATH, or name an address that this host reaches.")
    assert home.left() == []


def test_docker_missing_is_one_sentence(home: Home, site: dict[str, str]) -> None:
    (answer,) = home.play(site)
    assert (answer["failed"], answer["reason"]) == (True, "PROVIDER_DOCKER_NOT_FOUND")
    assert answer["msg"] == (
        "the program docker is not on PATH (PROVIDER_DOCKER_NOT_FOUND): install Docker, then run this again."
    )
    assert not (home.home / ".kube").exists()
    assert not (home.home / ".minikube/claudescale").exists()


def test_check_mode_foretells_a_whole_cluster_where_nothing_is_installed(home: Home) -> None:
    (answer,) = home.play({"addons": ["metrics-server"]}, check=True)
    assert (answer["changed"], answer["state"], answer["reachable"]) == (True, "running", False)
    assert answer["status"]["APIServer"] == "Running"
    assert answer["versions"] == {"minikube": "v1.38.1", "kubernetes": "v1.35.1", "client": "v1.35.1"}
    assert answer["context"] == {
        "name": "claudescale",
        "namespace": "claudescale",
        "kubeconfig": str(home.home / ".kube/config"),
        "current": False,
    }
    documented = yaml.safe_load(minikube.RETURN)
    added = {"changed", "failed", "msg", "warnings", "invocation", "item", "ansible_loop_var"}
    assert set(answer) - added == {name for name, value in documented.items() if value["returned"] == "success"}
    assert home.left() == []


def test_documentation_says_what_the_arguments_are() -> None:
    documented = yaml.safe_load(minikube.DOCUMENTATION)["options"]
    for name, rule in minikube.ARGUMENTS.items():
        for part in ("type", "choices", "default", "elements"):
            assert documented[name].get(part) == rule.get(part), (name, part)
    assert set(documented) == set(minikube.ARGUMENTS)


def test_examples_are_accepted() -> None:
    for task in yaml.safe_load(minikube.EXAMPLES):
        options = task["claudescale.core.minikube"]
        assert set(options) <= set(minikube.ARGUMENTS)
        defaults = {name: rule.get("default") for name, rule in minikube.ARGUMENTS.items()}
        assert minikube.request_from({**defaults, **options}).wanted.value == options.get("state", "started")
