"""Start the MCP server with what its client filled in: what Claude Code's plugin and Claude Desktop's bundle run.

Clients fill in text. A field that nobody filled in comes empty or as its placeholder: both mean the server's default.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

UNFILLED = "${"


def main() -> int:
    """Serve until the client goes away; 1 with one sentence where this Python has no server."""
    try:
        from claudescale_mcp import __main__ as server  # noqa: PLC0415 - what is wrong with it is said, not traced
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"claudescale: {sys.executable} has no {error.name}: give the client the Python of ClaudeScale's clone, "
            "which is .venv/bin/python there after make up\n"
        )
        return 1
    sys.argv[1:] = options(sys.argv[1:])
    server.main()
    return 0


def options(filled: list[str]) -> list[str]:
    """The server's own options."""
    parser = argparse.ArgumentParser(prog="claudescale", allow_abbrev=False)
    parser.add_argument("--context", default="")
    parser.add_argument("--namespace", default="")
    parser.add_argument("--kubeconfig", default="")
    parser.add_argument("--allow-writes", default="", help="true, anything else means no")
    found = parser.parse_args(filled)
    wanted = []
    for name in ("context", "namespace", "kubeconfig"):
        value = getattr(found, name).strip()
        if value and not value.startswith(UNFILLED):
            wanted += [f"--{name}", str(Path(value).expanduser()) if name == "kubeconfig" else value]
    if found.allow_writes == "true":
        wanted.append("--allow-writes")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
