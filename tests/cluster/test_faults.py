"""Faults of a bring-up: each is one clear sentence and an exit code, and a rerun mends it. Prints its table.

A profile of its own, which starts from nothing. The interruptions come at moments drawn by a seed that is printed and
may be given again: CLAUDESCALE_SEED=... make test-all PART=faults
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, Cluster, Made, environment_for, run

pytestmark = [pytest.mark.cluster, pytest.mark.long]

FAILED = re.compile(r"^(?:fatal: \[localhost\]: |localhost \| )FAILED! => ?\n(?P<result>(?:[ \t]+.*\n)+)", re.MULTILINE)
LONGEST_SENTENCE = 600


@dataclass
class Table:
    """The rows that are printed at the end."""

    rows: list[tuple[str, int, str, str]] = field(default_factory=list)

    def show(self) -> None:
        """Print fault, exit code, sentence and what mended it."""
        print("\n| fault | exit | what it says | mended by |\n|---|---|---|---|")
        for name, code, sentence, mended in self.rows:
            print(f"| {name} | {code} | {sentence} | {mended} |")


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """Filled by the tests, printed at their end."""
    made = Table()
    yield made
    made.show()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, untouched: None) -> Iterator[Cluster]:
    """A profile that does not exist yet; gone afterwards."""
    kubeconfig = tmp_path_factory.mktemp("faults") / "config"
    cluster = Cluster(profile="claudescale-faults", kubeconfig=kubeconfig, environment=environment_for(kubeconfig))
    yield cluster
    cluster.make("down")


def site(cluster: Cluster, *arguments: str, environment: dict[str, str] | None = None, timeout: float = 900) -> Made:
    """The site playbook by itself, in an environment that no launcher sets right again."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/site.yml"]
    settings = ["-e", f"claudescale_profile={cluster.profile}", *arguments]
    return run([*command, *settings], cluster.environment | (environment or {}), timeout)


def sentence_of(made: Made) -> str:
    """The message of a failed play or module, on one line."""
    found = FAILED.search(made.text)
    assert found, made.text[-3000:]
    result = yaml.safe_load(textwrap.dedent(found.group("result")))
    return " ".join(result["msg"].split())


def check_refusal(made: Made, *words: str) -> str:
    """The sentence of a fault: exit code not 0, no traceback, one sentence of bounded length with these words."""
    assert made.code != 0
    assert "Traceback" not in made.text
    sentence = sentence_of(made)
    assert len(sentence) < LONGEST_SENTENCE, sentence
    for word in words:
        assert re.search(word, sentence, re.IGNORECASE), (word, sentence)
    return sentence


def profile_exists(cluster: Cluster) -> bool:
    """Whether minikube knows the profile or Docker has its container."""
    done = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    return cluster.profile in done.stdout.splitlines()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A fault that is there before anything is created: nothing may be created then."""

    name: str
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


REFUSALS = (
    Refusal(name="Docker away", words=("docker",), environment={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}),
    Refusal(name="too little memory", words=("memory", "1800"), arguments=("-e", "cluster_memory_mb=900")),
    Refusal(name="unknown driver", words=("driver", "abacus"), arguments=("-e", "cluster_driver=abacus")),
)


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_refused_before_anything_is_created(fault: Refusal, faulty: Cluster, table: Table) -> None:
    made = site(faulty, *fault.arguments, environment=fault.environment, timeout=180)
    sentence = check_refusal(made, *fault.words)
    assert not profile_exists(faulty)
    assert not faulty.kubeconfig.exists()
    table.rows.append((fault.name, made.code, sentence, "the first good run below"))


def test_broken_kubeconfig_is_refused_and_left_alone(faulty: Cluster, table: Table) -> None:
    faulty.kubeconfig.write_text("clusters: [unclosed\n")
    try:
        made = site(faulty, timeout=180)
        sentence = check_refusal(made, "kubeconfig", re.escape(str(faulty.kubeconfig)))
        assert faulty.kubeconfig.read_text() == "clusters: [unclosed\n"
        assert not profile_exists(faulty)
    finally:
        faulty.kubeconfig.unlink()
    table.rows.append(("broken kubeconfig", made.code, sentence, "the first good run below"))


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder cannot be written meanwhile, by root neither."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_read_only_kubeconfig_is_refused(faulty: Cluster, table: Table) -> None:
    with read_only(faulty.kubeconfig.parent):
        made = site(faulty, timeout=180)
    sentence = check_refusal(made, "kubeconfig", "read-only|writ")
    assert not profile_exists(faulty)
    table.rows.append(("read-only kubeconfig", made.code, sentence, "the first good run below"))


def interrupted_up(cluster: Cluster, after: float, how: signal.Signals) -> Made:
    """`make up` that gets a signal, as a whole process group, after so many seconds, or ends before that."""
    command = ["make", "--no-print-directory", "up", f"CLAUDESCALE_PROFILE={cluster.profile}"]
    print(f"\n$ {' '.join(command)}, {how.name} after {after:.1f} s", flush=True)
    began = time.monotonic()
    # A file: what outlives the signal would hold a pipe open.
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, how)
        code = process.wait(timeout=120)
        output.seek(0)
        text = output.read()
    print(text[-1500:], flush=True)
    return Made(code=code, text=text, seconds=time.monotonic() - began)


def said_of_interruption(made: Made, how: signal.Signals) -> str:
    """The sentence about an interruption; nobody can say anything about SIGKILL."""
    if how is signal.SIGKILL:
        return "(killed)"
    said = [line for line in made.text.splitlines() if re.search("interrupt", line, re.IGNORECASE)]
    assert said, made.text[-3000:]
    return said[0].strip()


def good_up(cluster: Cluster) -> Made:
    """`make up` must do, and change nothing a second time."""
    made = cluster.make("up", timeout=1200)
    assert made.code == 0
    assert cluster.site().changed == 0
    return made


def test_interrupted_up_is_mended_by_a_rerun(faulty: Cluster, table: Table) -> None:
    seed = int(os.environ.get("CLAUDESCALE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed: {seed}")
    draw = random.Random(seed)
    whole = good_up(faulty).seconds
    for how in (signal.SIGINT, signal.SIGKILL):
        for third in range(3):
            code = 0
            while code == 0:  # one that ends before its signal was not interrupted, and shows how long one takes now
                assert faulty.make("down").code == 0
                after = whole * (third + draw.random()) / 3
                made = interrupted_up(faulty, after, how)
                code = made.code
                whole = min(whole, made.seconds) if code == 0 else whole
            sentence = said_of_interruption(made, how)
            mended = good_up(faulty)
            name = f"{how.name} after {after:.1f} s of {whole:.0f} s"
            table.rows.append((name, code, sentence, f"make up, {mended.seconds:.0f} s"))


def test_missing_image_is_named(faulty: Cluster, table: Table) -> None:
    image = "claudescale.invalid/nobody:has-it"
    made = site(faulty, "-e", f"monitoring_prometheus_image={image}", "-e", "common_wait_seconds=60")
    sentence = check_refusal(made, "prometheus", "image")
    mended = good_up(faulty)
    table.rows.append(("an image that cannot be had", made.code, sentence, f"make up, {mended.seconds:.0f} s"))


def test_forbidding_server_is_said(faulty: Cluster, table: Table) -> None:
    """The API server answers 403 where the context's user is the assistant, who may only read."""
    token = faulty.kubectl("create", "token", "claudescale-sa", "--duration=10m").strip()
    whole = faulty.kubeconfig.read_text()
    config = yaml.safe_load(whole)
    config["users"].append({"name": "forbidden", "user": {"token": token}})
    ours = next(entry["context"] for entry in config["contexts"] if entry["name"] == faulty.context)
    config["contexts"].append({"name": "forbidden", "context": {**ours, "user": "forbidden"}})
    faulty.kubeconfig.write_text(yaml.safe_dump(config))
    try:
        made = site(faulty, "-e", "claudescale_context=forbidden")
        sentence = check_refusal(made, "403", "forbidden", "run the playbook again")
    finally:
        faulty.kubeconfig.write_text(whole)
    mended = good_up(faulty)
    table.rows.append(("API server answers 403", made.code, sentence, f"make up, {mended.seconds:.0f} s"))


@contextlib.contextmanager
def release_site(folder: Path) -> Iterator[str]:
    """A release site on loopback that serves a folder; its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_wrong_checksum_leaves_nothing(faulty: Cluster, table: Table, tmp_path: Path) -> None:
    """minikube is not on PATH, and what is downloaded for it is not what was pinned."""
    program = tmp_path / "site/v1.38.1/minikube-linux-amd64"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"#!/bin/sh\nexit 0\n")
    bins = [part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "minikube").exists()]
    with release_site(tmp_path / "site") as address:
        made = run(
            [
                str(Path(sys.executable).with_name("ansible")),
                "localhost",
                "-m",
                "claudescale.core.minikube",
                "-a",
                (
                    f"profile=claudescale-faults kubeconfig={tmp_path}/config download_dir={tmp_path}/bin "
                    f"minikube_base_url={address} minikube_checksum={'0' * 64}"
                ),
            ],
            faulty.environment | {"PATH": os.pathsep.join(bins)},
            timeout=120,
        )
    sentence = check_refusal(made, "SHA-256", "checksum")
    assert not list((tmp_path / "bin").glob("*"))
    table.rows.append(("wrong checksum", made.code, sentence, "the program of the kit, above"))
