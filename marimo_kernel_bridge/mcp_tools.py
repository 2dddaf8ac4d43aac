"""The MCP tools: which there are, their titles, what they may do and which permission each needs.

What a tool says and does is in `mcp_kernel_tools.py`, `mcp_reading_tools.py`, `mcp_running_tools.py`,
`mcp_file_tools.py` and `mcp_package_tools.py`. No state here: attached kernels are the server's lifespan value.

Names: `list_` gives many things in a line each, `read_` one thing whole, `search_` and `preview_` look too; every other
verb acts. An argument has one name in all tools (a test holds it): `kernel` is a handle, `cell_id` and `cell_ids` are
cells, `variable` is a global name, `element` a UI element, `run_id` a run, `file` and `output` are paths, `offset` and
`limit` page, `max_chars` and `timeout` bound an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.mcp_server.sdk.strict_tools import tool
from marimo_kernel_bridge.mcp_server.tools import files, kernels, reading, running
from marimo_kernel_bridge.mcp_server.tools.packages import install_packages, said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp.server.mcpserver.tools import Tool

    from marimo_kernel_bridge.mcp_server.guard import Guard, Tier


def _of_code(arguments: Mapping[str, Any]) -> Tier:
    return "scratch" if arguments.get("scratch") else "run"


def _of_edit(arguments: Mapping[str, Any]) -> Tier:
    return "run" if arguments.get("run", True) else "edit"


def _of_export(arguments: Mapping[str, Any]) -> Tier:
    return "read" if arguments.get("output") is None else "edit"


NEEDS: Final[dict[str, Tier | Callable[[Mapping[str, Any]], Tier]]] = {
    "list_kernels": "read",
    "list_kernelspecs": "read",
    "connect_to_kernel": "read",
    "start_kernel": "all",
    "kernel_status": "read",
    "control_kernel": "all",
    "disconnect_kernel": "read",
    "list_cells": "read",
    "read_cell": "read",
    "search_cells": "read",
    "read_dataflow": "read",
    "list_variables": "read",
    "read_variable": "read",
    "list_ui_elements": "read",
    "list_errors": "read",
    "preview_run": "read",
    "read_run": "read",
    "interrupt_run": "scratch",
    "execute_code": _of_code,
    "edit_cells": _of_edit,
    "run_cells": "run",
    "set_ui_value": "run",
    "install_packages": "run",
    "export_notebook": _of_export,
    "import_notebook": "run",
}
"""The permission that each tool needs; some tell it from their arguments. Installing needs the person's yes on top."""

NOTED: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, str]]]] = {
    "install_packages": lambda arguments: {"consent": said(arguments["consent"])},
}
"""What the audit log has besides, from the arguments."""


def tools(guard: Guard) -> list[Tool]:
    """Return the tools, as the server registers them."""

    def made(function: Any, title: str, **annotations: bool) -> Tool:
        name = function.__name__
        return tool(guard.around(function, NEEDS[name], NOTED.get(name, lambda _: {})), title, **annotations)

    return [
        made(kernels.list_kernels, "List running kernels", reads=True),
        made(kernels.list_kernelspecs, "List kernels that can be started", reads=True),
        made(kernels.connect_to_kernel, "Connect to a kernel", idempotent=True),
        made(kernels.start_kernel, "Start a kernel"),
        made(kernels.kernel_status, "Kernel status", reads=True),
        made(kernels.control_kernel, "Interrupt, restart or shut down a kernel", destroys=True),
        made(kernels.disconnect_kernel, "Disconnect from a kernel", idempotent=True),
        made(reading.list_cells, "Outline the notebook", reads=True),
        made(reading.read_cell, "Read a cell", reads=True),
        made(reading.search_cells, "Search code and outputs", reads=True),
        made(reading.read_dataflow, "Read what depends on what", reads=True),
        made(reading.list_variables, "List variables", reads=True),
        made(reading.read_variable, "Read a variable", reads=True),
        made(reading.list_ui_elements, "List UI elements and widgets", reads=True),
        made(reading.list_errors, "List errors", reads=True),
        made(reading.preview_run, "Preview a run or edits", reads=True),
        made(running.execute_code, "Execute code", runs_code=True),
        made(running.edit_cells, "Edit cells", runs_code=True),
        made(running.run_cells, "Run cells", runs_code=True),
        made(running.set_ui_value, "Set a UI element or widget", runs_code=True),
        made(install_packages, "Install packages", runs_code=True),
        made(running.read_run, "Read a run", reads=True),
        made(running.interrupt_run, "Interrupt a run", idempotent=True),
        made(files.export_notebook, "Export a notebook", destroys=True, idempotent=True),
        made(files.import_notebook, "Make a notebook reactive", runs_code=True),
    ]
