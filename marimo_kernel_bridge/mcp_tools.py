"""The composition root of the MCP process: the list of tools, and the server that serves them, guarded.

What a tool says and does is in `mcp_server.tools`. No state here: attached kernels are the server's lifespan value.
The process never imports marimo. Standard output belongs to the protocol; everything else goes to stderr.

Names: `list_` gives many things in a line each, `read_` one thing whole, `search_` and `preview_` look too; every other
verb acts. An argument has one name in all tools (a test holds it): `kernel` is a handle, `cell_id` and `cell_ids` are
cells, `variable` is a global name, `element` a UI element, `run_id` a run, `file` and `output` are paths, `offset` and
`limit` page, `max_chars` and `timeout` bound an answer.
"""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mcp.server import MCPServer

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.mcp_server.attachments import Kernels
from marimo_kernel_bridge.mcp_server.guard import Guard
from marimo_kernel_bridge.mcp_server.prompts import add_prompts
from marimo_kernel_bridge.mcp_server.resources import add_resources
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import tool
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Notices
from marimo_kernel_bridge.mcp_server.sdk.tasks import Tasks
from marimo_kernel_bridge.mcp_server.tools import files, kernels, reading, running
from marimo_kernel_bridge.mcp_server.tools.packages import install_packages, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from mcp.server.mcpserver.tools import Tool

    from marimo_kernel_bridge.mcp_server.guard import Tier


# Hosts cut this at 2 KB.
INSTRUCTIONS: Final = """\
Joins Jupyter kernels that a person is using now, in JupyterLab or VS Code. You share their variables and cells.

Start: list_kernels, then connect_to_kernel. kernel_status tells idle, busy, silent or dead.

A reactive kernel ("marimo (reactive Python)") keeps a graph of cells by the global names they define, change and use:
- Running or editing a cell runs every cell that uses what it defines or changes. Do not re-run dependents yourself: \
the answer lists those that ran, with status and whether outputs changed.
- Cells see what the cells above them in the notebook define and change (df["x"] = 1, list.append), however often each \
runs. Scratch code sees the last state.
- Clearest is one cell per name: assign a new name, or change the value in the cell that makes it. In strict mode a \
second definition is refused, and mutation re-runs nothing.
- If a cell fails, its dependents are cancelled. Mend it, and they run.

Working with it:
- Look first: list_cells, read_cell, search_cells, read_dataflow, list_variables, read_variable, \
list_ui_elements, list_errors. All answer while a cell runs.
- Before a costly change: preview_run tells what would run and how long that took.
- Change cells with edit_cells (several, all or nothing), giving the version you last read; on stale_version read \
again, the person changed it.
- execute_code adds a cell of your own that no notebook shows, and takes names over that it defines. To look at values \
pass scratch=true.
- The person sees new outputs at once under their cells, but not your code: say what you changed.
- A timeout never stops a run: read_run waits on, interrupt_run stops it.
- install_packages asks the person. start_kernel is for when they ask for a kernel: else join theirs.
- not_allowed and paused are the person's decisions: tell them, find no way around. input() cannot work.

Plain Python kernels have no graph: only execute_code, read_run, interrupt_run and kernel_status work.
"""


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


def build_server(allow: Tier = "run") -> MCPServer[Kernels]:
    """Return the server, for a transport to run. `allow` is what the person lets agents do."""
    guard = Guard(allow)
    notices = Notices()
    registered = tools(guard)
    tasks = Tasks(
        {tool.name for tool in registered if tool.annotations and tool.annotations.destructive_hint}
    )

    @asynccontextmanager
    async def attached_kernels(_server: MCPServer[Kernels]) -> AsyncIterator[Kernels]:
        kernels = Kernels(notices, may_run=guard.allows("run"), may_install=guard.allows("all"))
        try:
            yield kernels
        finally:
            await tasks.close()
            await kernels.close()

    server = MCPServer(
        "marimo-kernel-bridge",
        title="marimo kernel bridge",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=registered,
        extensions=[tasks],
        lifespan=attached_kernels,
        subscriptions=notices.bus,
        log_level="WARNING",
    )
    notices.serve(server)
    add_resources(server, guard)
    add_prompts(server)
    return server


def run_stdio(allow: Tier = "run") -> None:
    """Serve one MCP client on standard input and output, until the input ends."""
    server = build_server(allow)
    gc.freeze()
    gc.enable()
    server.run("stdio")
