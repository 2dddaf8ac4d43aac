"""The composition root of the MCP process: the list of tools, and the server that serves them behind the guard.

The tools are defined in `mcp_server.tools`. This module has no state: attached kernels are the server's lifespan value.
The process never imports marimo. Standard output is reserved for the protocol; everything else goes to stderr.

Naming: `list_` returns many things, one line each; `read_` returns one thing in full; `search_`, `preview_`, `detect_`,
`diff_` and `wait_` also only read; every other verb has an effect. An argument has the same name in all tools, as a test checks: `kernel` is a handle,
`notebook` one by its path or its session's id, `name` what the caller gives to a notebook or a checkpoint,
`cell_id` and `cell_ids` are cells, `variable` is a global name, `element` a UI element, `run_id` a run, `op_id` a change of the document, `file` and
`output` are paths, `offset` and `limit` select a page, `max_chars` and `timeout` limit an answer.
"""

from __future__ import annotations

import gc
import os
import select
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server import MCPServer

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.mcp_server.answers.tables import as_objects
from marimo_kernel_bridge.mcp_server.attachments import Kernels, allow_many_files, attach_client
from marimo_kernel_bridge.mcp_server.callers import begin_session, caller_of
from marimo_kernel_bridge.mcp_server.completions import add_completions
from marimo_kernel_bridge.mcp_server.guard import Guard
from marimo_kernel_bridge.mcp_server.plugins.loading import Plugins, made
from marimo_kernel_bridge.mcp_server.plugins.tools import Origin
from marimo_kernel_bridge.mcp_server.prompts import add_prompts
from marimo_kernel_bridge.mcp_server.resource_list import serve_list
from marimo_kernel_bridge.mcp_server.resources import add_plugin_resources, add_resources
from marimo_kernel_bridge.mcp_server.sdk.apps import hide_from_models, view_page
from marimo_kernel_bridge.mcp_server.sdk.identity import CACHED, DESCRIPTION, ICON, honest_capabilities
from marimo_kernel_bridge.mcp_server.sdk.listing import without
from marimo_kernel_bridge.mcp_server.sdk.log_messages import serve_log_levels
from marimo_kernel_bridge.mcp_server.sdk.schemas import answer_of
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Subscriptions
from marimo_kernel_bridge.mcp_server.sdk.tasks import Tasks
from marimo_kernel_bridge.mcp_server.tool import tools_of
from marimo_kernel_bridge.mcp_server.tools import (
    checkpoints,
    code_help,
    document,
    editor,
    files,
    kernels,
    notebooks,
    packages,
    reading,
    running,
    viewing,
)
from marimo_kernel_bridge.mcp_server.transport.standard_streams import serve_standard_streams
from marimo_kernel_bridge.plugins.visualizing.plugin import plugin as visualizing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from marimo_kernel_bridge.mcp_server.attachments import Attach
    from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
    from marimo_kernel_bridge.mcp_server.sessions.sessions import KernelFunctions
    from marimo_kernel_bridge.mcp_server.tool import Tier, ToolDeclaration


# Hosts truncate this at 2 KB.
INSTRUCTIONS: Final = """\
Joins Jupyter kernels that a person is using now, in JupyterLab or VS Code. You share their variables and cells.

Start: list_kernels, connect_to_kernel, list_cells. A tool that is missing here needs more than the person allows (mcp --allow).

A reactive kernel ("marimo (reactive Python)") keeps a graph of cells by the global names they define, change and use:
- Running or editing a cell runs every cell that uses what it defines or changes. Do not re-run dependents or read them \
again: the answer has the outputs that changed.
- Cells see what the cells above them define and change (df["x"] = 1, list.append), however often each runs.
- Clearest is one cell per name: assign a new name, or change the value in the cell that makes it. In strict mode a \
second definition is refused, and mutation re-runs nothing.
- If a cell fails, its dependents are cancelled. Fix it, and they run.

Working with it:
- Look first; all reads answer while a cell runs. read_cell takes several cells, read_variable describes a table.
- Change cells with edit_cells: old and new for a part, else code with the version you last read. It changes the notebook \
that the person has open where it can; each answer says where (document, kept, proposed, kernel only): tell them what \
they do not see. Undo with undo_edit. propose_edit leaves the decision to them.
- execute_code makes a cell that no notebook shows; to look at values pass scratch=true.
- diff_since tells what the person changed; sync runs what they changed and did not run. preview_run before a costly change.
- A timeout never stops a run: read_run waits on, interrupt_run stops it.
- not_allowed and paused are the person's decisions: tell them, do not work around it. Your code cannot use input().
- An argument kernel is needed with several kernels only; max_chars bounds an answer, offset reads on.

Plain Python kernels have no graph: only execute_code, read_run, interrupt_run and kernel_status work.
"""


OWN: Final = tools_of(
    kernels, notebooks, reading, code_help, running, document, checkpoints, packages, files, editor, viewing
)
"""The server's own tools."""

NO_PLUGINS: Final = Plugins()

_SWITCHES_EVERY: Final = 0.001  # seconds

TOOLS: Final = (*OWN, *made(Origin("cell"), visualizing()).tools)
"""All tools that are part of this package, with those of its own plugin."""


def objects_of(tool: str, content: Any, more: Sequence[ToolDeclaration] = ()) -> Any:  # JSON
    """Return the structured content of a tool's answer with its tables as lists of objects, for programs. `more` are tools of plugins."""
    kinds = (answer_of(one.function)[0] for one in (*TOOLS, *more) if one.name == tool)
    return as_objects(content, *next(kinds, ()))


def build_server(
    allow: Tier = "run",
    tools: Sequence[ToolDeclaration] = TOOLS,
    attach: Attach = attach_client,
    session_kernels: KernelFunctions | None = None,
    *,
    plugins: Plugins = NO_PLUGINS,
    ceilings: Ceilings | None = None,
) -> MCPServer[Kernels]:
    """Return the server, for a transport to run. `allow` is the permission that the person grants to agents."""
    allow_many_files()
    guard = Guard(allow)
    tools = (*tools, *plugins.tools)
    boxed = ceilings is not None and ceilings.boxed
    unlisted = {declaration.name for declaration in tools if not guard.lists(declaration, boxed=boxed)}
    subscriptions = Subscriptions()
    tasks = Tasks(
        {declaration.name for declaration in tools if declaration.changes},
        owner=lambda ctx: caller_of(ctx).name,
        note=guard.note_task,
    )

    @asynccontextmanager
    async def attached_kernels(_server: MCPServer[Kernels]) -> AsyncIterator[Kernels]:
        kernels = Kernels(
            subscriptions,
            may_edit=guard.allows("edit"),
            may_scratch=guard.allows("scratch"),
            may_run=guard.allows("run"),
            may_install=guard.allows("all"),
            attach=attach,
            session_kernels=session_kernels,
            templates=plugins.templates,
            ceilings=ceilings,
        )
        try:
            yield kernels
        finally:
            await tasks.close()
            await kernels.close()

    server = MCPServer(
        "marimo-kernel-bridge",
        title="marimo kernel bridge",
        version=__version__,
        description=DESCRIPTION,
        icons=[ICON],
        cache_hints=CACHED,
        instructions=INSTRUCTIONS,
        tools=[StrictTool.of(declaration, guard.around(declaration)) for declaration in tools],
        extensions=[tasks, view_page()],
        lifespan=attached_kernels,
        subscriptions=subscriptions.bus,
        middleware=[begin_session, honest_capabilities, hide_from_models, without(unlisted)],
        log_level="WARNING",
    )
    subscriptions.serve(server)
    add_resources(server, guard)
    add_plugin_resources(server, guard, plugins.resources)
    serve_list(server)
    add_prompts(server)
    add_completions(server, guard)
    serve_log_levels(server)
    return server


def run_stdio(allow: Tier = "run", ceilings: Ceilings | None = None, plugins: Plugins = NO_PLUGINS) -> None:
    """Serve one MCP client on standard input and output until the input ends, or nobody reads the output any more."""
    server = build_server(allow, ceilings=ceilings, plugins=plugins)
    answer_beside_threads()
    gc.freeze()
    gc.enable()
    try:
        anyio.run(serve_standard_streams, server._lowlevel_server)  # noqa: SLF001  # the SDK serves streams with it
    except* BrokenPipeError:
        if not _is_unread(1):  # it is another pipe that has broken
            raise
        # The client was killed: nobody to tell, and no bug
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is written at the exit


def answer_beside_threads() -> None:
    """Let the event loop go on after a millisecond where a thread computes, as when notebooks' files are merged and written.

    After each system call it waits for such a thread for as long as one may compute, which is 5 ms otherwise: each call of every agent.
    """
    sys.setswitchinterval(_SWITCHES_EVERY)


def _is_unread(descriptor: int) -> bool:
    """Return whether nobody reads any more what is written to a pipe."""
    if not hasattr(select, "poll"):  # Windows, where a broken pipe is another error
        return True
    looking = select.poll()
    looking.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in looking.poll(0))
