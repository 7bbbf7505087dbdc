"""`claudescale mcp-test`: every tool of the MCP server called over a real stdio connection, and what came of it."""
