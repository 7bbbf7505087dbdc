"""`claudescale scenario`: seven stories that play by themselves through the MCP tools, each with a report."""
