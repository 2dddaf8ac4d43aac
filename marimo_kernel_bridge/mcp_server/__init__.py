"""The MCP server process: tools, resources, prompts and what guards them."""
