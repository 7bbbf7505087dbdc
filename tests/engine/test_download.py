"""Downloads against a file server on loopback: whole and right, or nothing."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import download
from ansible_collections.claudescale.core.plugins.module_utils.minikube import programs as minikube_programs

PROGRAM = b"""#!/bin/sh
echo '{"minikubeVersion": "v1.38.1", "clientVersion": {"gitVersion": "v1.35.1"}}'
"""
RIGHT = hashlib.sha256(PROGRAM).hexdigest()
WRONG = "0" * 64


class Site(http.server.BaseHTTPRequestHandler):
    """Serves the class's files; those named in `short` break off in the middle."""

    files: ClassVar[dict[str, bytes]] = {}
    short: ClassVar[set[str]] = set()
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path in self.short else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Site.files, Site.short, Site.asked = {}, set(), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def release(site: str, checksum: str | None = None) -> download.Release:
    return download.Release(name="minikube", url=f"{site}/minikube", checksum=checksum)


def test_program_with_its_pinned_checksum(site: str, tmp_path: Path) -> None:
    Site.files = {"/minikube": PROGRAM}
    path = download.fetch(release(site, RIGHT.upper()), tmp_path / "a" / "bin", timeout=5)
    assert path == tmp_path / "a" / "bin" / "minikube"
    assert path.read_bytes() == PROGRAM
    assert os.access(path, os.X_OK)
    assert list(path.parent.iterdir()) == [path]
    assert Site.asked == ["/minikube"]


@pytest.mark.parametrize("beside", [RIGHT, f"{RIGHT}  minikube-linux-amd64\n"], ids=["bare", "with-name"])
def test_program_with_the_checksum_beside_it(site: str, tmp_path: Path, beside: str) -> None:
    Site.files = {"/minikube": PROGRAM, "/minikube.sha256": beside.encode()}
    assert download.fetch(release(site), tmp_path, timeout=5).read_bytes() == PROGRAM


def test_wrong_checksum_is_one_sentence_and_leaves_nothing(site: str, tmp_path: Path) -> None:
    Site.files = {"/minikube": PROGRAM}
    with pytest.raises(Fault) as caught:
        download.fetch(release(site, WRONG), tmp_path / "a" / "bin", timeout=5)
    assert str(caught.value) == (
        f"minikube from {site}/minikube has the SHA-256 {RIGHT}, wanted is {WRONG} (ChecksumMismatch): "
        "do not use that file; check the address and the checksum option."
    )
    assert list(tmp_path.iterdir()) == []


def test_wrong_checksum_leaves_the_program_of_before(site: str, tmp_path: Path) -> None:
    Site.files = {"/minikube": PROGRAM}
    (tmp_path / "minikube").write_text("older")
    with pytest.raises(Fault, match="ChecksumMismatch"):
        download.fetch(release(site, WRONG), tmp_path, timeout=5)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("minikube", "older")]


BAD = {
    "not-there": ({}, set(), "DownloadFailed"),
    "no-checksum": ({"/minikube": PROGRAM}, set(), "DownloadFailed"),
    "checksum-is-a-page": ({"/minikube": PROGRAM, "/minikube.sha256": b"<html>"}, set(), "ChecksumMissing"),
    "empty-checksum": ({"/minikube": PROGRAM, "/minikube.sha256": b""}, set(), "ChecksumMissing"),
    "broken-off": (
        {"/minikube": PROGRAM, "/minikube.sha256": RIGHT.encode()},
        {"/minikube"},
        "DownloadFailed|ChecksumMismatch",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_failed_download_leaves_nothing(site: str, tmp_path: Path, name: str) -> None:
    Site.files, Site.short, code = BAD[name]
    with pytest.raises(Fault, match=code):
        download.fetch(release(site), tmp_path / "bin", timeout=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "DownloadAddress"),
        ("http://mirror.example/minikube", "DownloadUnsafe"),
        ("http://127.0.0.1:9/minikube", "DownloadFailed"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, url: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(Fault, match=code):
        download.fetch(download.Release(name="minikube", url=url), tmp_path / "bin", timeout=2)
    assert list(tmp_path.iterdir()) == []


def needed(site: str, **more: str) -> minikube_programs.Needed:
    return minikube_programs.Needed(name="minikube", version="v1.38.1", site=site, checksum=RIGHT, **more)


def test_the_program_on_path_comes_first(site: str, tmp_path: Path) -> None:
    (tmp_path / "minikube").write_bytes(PROGRAM)
    (tmp_path / "minikube").chmod(0o755)
    found = minikube_programs.obtain(
        needed(site), tmp_path / "bin", {"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False, timeout=5
    )
    assert (found.path, found.source, found.changed) == (tmp_path / "minikube", "path", False)
    assert Site.asked == []


def test_downloaded_once_then_kept(site: str, tmp_path: Path) -> None:
    url = f"/v1.38.1/minikube-{download.machine()}"
    Site.files = {url: PROGRAM}
    environment = {"PATH": "/nonexistent"}

    def obtain(check: bool) -> minikube_programs.Program:
        return minikube_programs.obtain(needed(site), tmp_path / "bin", environment, check=check, timeout=5)

    foretold = obtain(check=True)
    assert (foretold.path, foretold.source, foretold.version) == (None, "would be downloaded", "v1.38.1")
    assert not (tmp_path / "bin").exists()
    assert obtain(check=False).source == "downloaded"
    assert obtain(check=False).source == "downloaded before"
    assert obtain(check=True).source == "downloaded before"
    assert Site.asked == [url]


def test_another_version_is_fetched_anew(site: str, tmp_path: Path) -> None:
    Site.files = {f"/v1.38.1/minikube-{download.machine()}": PROGRAM}
    old = tmp_path / "minikube"
    old.write_text('#!/bin/sh\necho \'{"minikubeVersion": "v1.0.0"}\'\n')
    old.chmod(0o755)
    found = minikube_programs.obtain(needed(site), tmp_path, {"PATH": "/nonexistent"}, check=False, timeout=5)
    assert found.source == "downloaded"
    assert subprocess.run([old], capture_output=True, check=True).stdout.startswith(b'{"minikubeVersion": "v1.38.1"')


def test_addresses_are_those_of_the_release_sites() -> None:
    machine = download.machine()
    minikube = minikube_programs.Needed(name="minikube", version="v1.38.1", site="https://one.example/")
    kubectl = minikube_programs.Needed(name="kubectl", version="v1.35.1", site="https://two.example")
    assert minikube.url == f"https://one.example/v1.38.1/minikube-{machine}"
    assert kubectl.url == f"https://two.example/v1.35.1/bin/{machine.replace('-', '/')}/kubectl"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho '{}'\n", "no program"])
def test_a_program_that_tells_no_version_is_named(tmp_path: Path, text: str) -> None:
    broken = tmp_path / "minikube"
    broken.write_text(text)
    broken.chmod(0o755)
    with pytest.raises(Fault, match=f"{broken} does not tell its version"):
        minikube_programs.version_of("minikube", broken, {"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"HOME": "/h"}, "/h/.cache/claudescale/bin"), ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/claudescale/bin")],
)
def test_download_folder(environment: dict[str, str], expected: str) -> None:
    assert str(minikube_programs.default_folder(environment)) == expected
