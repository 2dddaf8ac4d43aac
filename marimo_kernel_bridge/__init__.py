"""marimo's reactive runtime as a Jupyter kernel, and an MCP server that joins it.

This package's root imports nothing: the kernel must bind its sockets before marimo is imported, and the
MCP server must start without marimo at all.
"""

__version__ = "2026.11.0"
