"""Plugins on the MCP server: loading those that the person named, and their tools, resources and templates as the server's own."""
