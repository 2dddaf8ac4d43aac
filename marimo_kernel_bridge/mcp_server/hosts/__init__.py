"""How MCP hosts are configured for this server: texts to paste, files that are edited, commands that are run, and links."""
