"""Plugins: tools, resources and templates of others on the MCP server, under the same guard as its own.

This is the public interface; docs/plugins.md has it step by step. A distribution names, in the entry point group
`marimo_kernel_bridge.plugins`, a function without arguments that returns a `Plugin`. It is loaded only if the person names the
distribution (`mcp --plugin DISTRIBUTION`, or `[mcp] plugins` in their configuration), and runs in the server's process:
installed is not trusted, and what is trusted is not contained.
"""

from __future__ import annotations

from marimo_kernel_bridge.plugins.contract import (
    API,
    GROUP,
    Kernel,
    Plugin,
    PluginResource,
    PluginTool,
    Refused,
)
from marimo_kernel_bridge.plugins.values import (
    Cell,
    Column,
    Drawn,
    Outcome,
    Table,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.permissions import Tier
from marimo_kernel_bridge.protocol.views import How, Scalar

__all__ = [
    "API",
    "GROUP",
    "Cell",
    "Column",
    "Drawn",
    "How",
    "Kernel",
    "Outcome",
    "Plugin",
    "PluginResource",
    "PluginTool",
    "Refused",
    "Scalar",
    "Table",
    "Tier",
    "Variable",
    "VariableContent",
]
