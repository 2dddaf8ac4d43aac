"""marimo's reactive runtime as a Jupyter kernel, and an MCP server that joins it.

This package's root imports nothing but its version: the kernel must bind its sockets before marimo is imported, and
the MCP server must start without marimo at all.
"""

try:
    from marimo_kernel_bridge._version import __version__
except ModuleNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
