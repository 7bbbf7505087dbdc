"""Make the bundle for Claude Desktop: dist/claudescale-VERSION.mcpb, and beside it the folder that it was packed from.

In it are our wheel, a project file with the pins of constraints.txt, the manifest, and the small program that Claude
Code's plugin starts too. At the bundle's first start uv makes an environment of it. Called as `python -m tools.mcpb`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

from tools import bootstrap

ROOT = bootstrap.ROOT
MANIFEST = ROOT / "mcp_plugin/bundle/manifest.json"
ENTRY = ROOT / "mcp_plugin/claude_code/server.py"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same content makes the same bundle


def make(out: Path) -> Path:
    """The packed bundle in `out`; BootstrapError where the wheel cannot be built."""
    version = json.loads(MANIFEST.read_text(encoding="utf-8"))["version"]
    folder = out / "mcpb"
    shutil.rmtree(folder, ignore_errors=True)
    stage(folder)
    return pack(folder, out / f"claudescale-{version}.mcpb")


def stage(folder: Path) -> None:
    """Everything that belongs into the bundle, in a folder that is made."""
    folder.mkdir(parents=True)
    options = ["--quiet", "--wheel", "--no-create-gitignore", "--out-dir", str(folder)]
    bootstrap.run(
        [*bootstrap.uv_program(), "build", *options, str(ROOT)],
        "the wheel could not be built: check that PyPI can be reached and run this again",
    )
    (wheel,) = folder.glob("claudescale-*.whl")
    (folder / "pyproject.toml").write_text(project(wheel.name), encoding="utf-8")
    shutil.copyfile(MANIFEST, folder / "manifest.json")
    shutil.copyfile(ENTRY, folder / "server.py")


def project(wheel: str) -> str:
    """The project file: the wheel as the one dependency, and everything that it needs as the clone has it."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    return "\n".join(
        [
            "[project]",
            'name = "claudescale-bundle"',
            f"version = {json.dumps(ours['version'])}",
            f"requires-python = {json.dumps(ours['requires-python'])}",
            'dependencies = ["claudescale"]',
            "",
            "[tool.uv]",
            "package = false",
            f"sources = {{ claudescale = {{ path = {json.dumps(wheel)} }} }}",
            "constraint-dependencies = [",
            *[f"    {json.dumps(pin)}," for pin in pins],
            "]",
            "",
        ]
    )


def pack(folder: Path, file: Path) -> Path:
    """The folder as an archive, beside its place first, so that there is a whole one or none."""
    partial = file.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for path in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(path.name, date_time=LONG_AGO)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    partial.replace(file)
    return file


def main() -> int:
    """Exit code 0 with the bundle's path, 1 with one line when it cannot be made."""
    parser = argparse.ArgumentParser(description="Make the bundle for Claude Desktop.")
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "dist", help="a folder (default: dist)")
    try:
        file = make(parser.parse_args().out.resolve())
    except bootstrap.BootstrapError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    print(f"bundle: {file} ({file.stat().st_size // 1024} kB): open it with Claude Desktop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
