"""The launcher, as the Makefile calls it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parent / "run"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME")}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache"), "CLAUDESCALE_KIT": "0"}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RUN, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_without_the_kit_the_environment_is_unchanged(environment: dict[str, str]) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = run(environment, "--profile", "p", "--", sys.executable, "-c", code)
    assert done.returncode == 0
    seen = json.loads(done.stdout)
    seen.pop("LC_CTYPE", None)
    assert seen == environment


def test_the_commands_exit_code_and_options_pass_through(environment: dict[str, str]) -> None:
    done = run(environment, "--", "sh", "-c", 'echo "$1"; exit 7', "sh", "--profile")
    assert (done.returncode, done.stdout) == (7, "--profile\n")


def test_a_command_dies_of_a_broken_pipe_as_usual(environment: dict[str, str]) -> None:
    command = f"{sys.executable} {RUN} -- yes | head -n 1"
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "y\n"
    assert "roken pipe" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "words", "said"),
    [("maybe", ("--", "true"), "CLAUDESCALE_KIT is 'maybe'"), ("0", ("--", "no-such-program"), "no-such-program")],
)
def test_a_mistake_is_one_line(environment: dict[str, str], setting: str, words: tuple[str, ...], said: str) -> None:
    done = run({**environment, "CLAUDESCALE_KIT": setting}, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


def test_the_choice_is_recorded_for_the_profile(environment: dict[str, str], tmp_path: Path) -> None:
    run(environment, "--profile", "p", "--", "true")
    recorded = json.loads((tmp_path / "cache/claudescale/profiles/p.json").read_text())
    assert recorded["kit"] is False


def test_a_cluster_made_with_the_kit_is_not_left_without_it(environment: dict[str, str], tmp_path: Path) -> None:
    cache = tmp_path / "cache/claudescale"
    (cache / "profiles").mkdir(parents=True)
    (cache / "profiles/p.json").write_text('{"kit": true, "docker_host": "unix:///x"}')
    profile = cache / "kit/home/.minikube/profiles/p"
    profile.mkdir(parents=True)
    (profile / "config.json").write_text("{}")
    done = run(environment, "--profile", "p", "--", "true")
    assert done.returncode == 1
    assert "created with the kit" in done.stderr
    done = run(environment, "--clean")
    assert done.returncode == 1
    assert "profile p" in done.stderr
    assert cache.is_dir()


def test_nothing_is_decided_or_built_for_a_profile_that_must_exist(environment: dict[str, str], tmp_path: Path) -> None:
    done = run({**environment, "CLAUDESCALE_KIT": "1"}, "--existing", "--profile", "p", "--", "sh", "-c", "echo $PATH")
    assert (done.returncode, done.stdout, done.stderr) == (0, environment["PATH"] + "\n", "")
    assert not (tmp_path / "cache").exists()


def test_nothing_to_take_down_says_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(environment, "--down-if-last")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "cache").exists()


def test_the_daemon_stays_while_a_command_works_with_it(environment: dict[str, str], tmp_path: Path) -> None:
    kit = tmp_path / "cache/claudescale/kit"
    kit.mkdir(parents=True)
    (kit / "host-before.json").write_text("{}")
    with (kit / "users.lock").open("w") as user:
        fcntl.flock(user, fcntl.LOCK_SH)
        done = run(environment, "--down-if-last")
    assert done.returncode == 0
    assert "another command still works with the kit" in done.stderr
    assert (kit / "host-before.json").exists()


def test_status_and_clean_without_a_cache(environment: dict[str, str]) -> None:
    status = run(environment, "--status")
    assert status.returncode == 0
    assert "does not run" in status.stdout
    assert "nothing to delete" in run(environment, "--clean").stderr
