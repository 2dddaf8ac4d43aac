"""The MCP server process: tools, resources and prompts, and the permissions, redaction and audit log that guard them."""
