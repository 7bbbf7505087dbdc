"""The MCP server: thin tools over the engine, for Claude Desktop, Claude Code and any other client, over stdio."""
