"""The MCP tools, one short function each."""
