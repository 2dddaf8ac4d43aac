"""MCP over HTTP: addresses, tokens and the server."""
