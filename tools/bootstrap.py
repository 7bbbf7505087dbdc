"""Make the clone's own environment, .venv, from whatever python3 (3.9 or newer) is there.

Called by the Makefile. uv, taken from PyPI, finds or brings a Python between 3.11 and 3.13 and installs the
project with the pins of constraints.txt. A second run with unchanged inputs does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "claudescale-inputs"
INPUTS = ("pyproject.toml", "constraints.txt", "tools/bootstrap.py")
WANTED_PYTHON = ">=3.11,<3.14"
UV_VERSION = "0.13.9"


class BootstrapError(Exception):
    """The environment cannot be made; the message is one line that says what to do."""


def inputs_key() -> str:
    """The hash of everything that the environment is made from, with the clone's place in it."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def run(arguments: list[str], problem: str) -> None:
    """Run a program; BootstrapError with the problem and the program's last line when it fails."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        text = done.stdout.decode(errors="replace").strip()
        if os.environ.get("CLAUDESCALE_VERBOSE"):
            print(text, file=sys.stderr)
        lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no output"]
        raise BootstrapError(f"{problem} ({lines[-1]})")


def uv_program() -> list[str]:
    """The command that starts uv: the one on PATH, else one that pip puts beside the clone's environment."""
    found = shutil.which("uv")
    if found:
        return [found]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claudescale" / f"uv-{UV_VERSION}"
    if not (home / "bin" / "uv").exists():
        partial = home.with_name(f"{home.name}.{os.getpid()}")
        try:
            run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(partial), f"uv=={UV_VERSION}"],
                f"uv {UV_VERSION} could not be installed by {sys.executable}: install pip for it "
                "(Debian and Ubuntu: apt install python3-pip) and check that PyPI can be reached",
            )
            shutil.rmtree(home, ignore_errors=True)
            partial.rename(home)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return [str(home / "bin" / "uv")]


def make_environment() -> None:
    """Build .venv anew and install the project into it."""
    uv = uv_program()
    print("environment: making .venv", flush=True)
    started = time.monotonic()
    run(
        [*uv, "venv", "--quiet", "--clear", "--python", WANTED_PYTHON, str(VENV)],
        "no Python 3.11, 3.12 or 3.13 was found and uv could not bring one: install one of them and run this again",
    )
    run(
        [
            *uv, "pip", "install", "--quiet", "--python", str(VENV / "bin" / "python"),
            "--constraint", str(ROOT / "constraints.txt"), "--editable", f"{ROOT}[ansible,dev]",
        ],
        "the Python packages could not be installed: check that PyPI can be reached and run this again",
    )  # fmt: skip
    STAMP.write_text(inputs_key())
    print(f"environment: .venv ready after {time.monotonic() - started:.0f} s", flush=True)


def main() -> int:
    """Exit code 0 when .venv fits its inputs, 1 with one line when it cannot be made."""
    if sys.version_info < (3, 9):  # noqa: UP036 - whatever python3 is there runs this file
        print("environment: python3 is older than 3.9; install Python 3.9 or newer", file=sys.stderr)
        return 1
    if STAMP.exists() and STAMP.read_text() == inputs_key():
        return 0
    try:
        make_environment()
    except BootstrapError as error:
        print(f"environment: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("environment: interrupted; the same command makes it anew", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
