"""`python -m claudescale_mcp`: the server for a client that names an interpreter; `claudescale mcp` is the same."""

from __future__ import annotations

import argparse
import os

from claudescale_mcp.link import Place
from claudescale_mcp.serve import serve


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="claudescale_mcp", description="The MCP server of ClaudeScale, over stdio.")
    parser.add_argument("--context", default=os.environ.get("CLAUDESCALE_CONTEXT") or "claudescale")
    parser.add_argument("--namespace", default=os.environ.get("CLAUDESCALE_NAMESPACE") or "claudescale")
    parser.add_argument("--kubeconfig", default=os.environ.get("CLAUDESCALE_KUBECONFIG") or None)
    parser.add_argument(
        "--allow-writes", action="store_true", help="also lease_capacity, scale_deployment and end_lease"
    )
    options = parser.parse_args()
    serve(
        Place(context=options.context, namespace=options.namespace, kubeconfig=options.kubeconfig),
        allow_writes=options.allow_writes,
    )


if __name__ == "__main__":
    main()
