"""What everything that plays on a live cluster shares: conditions, what is seen, the screen, the MCP server's line."""
