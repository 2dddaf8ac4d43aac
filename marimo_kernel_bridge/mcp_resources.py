"""Resources: what the reading tools tell, whole and as JSON, and the notebook in other formats, by address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge import mcp_notebook_views, mcp_views
from marimo_kernel_bridge.mcp_context import Ctx, to_read  # the SDK looks at annotations
from marimo_kernel_bridge.mcp_files import as_format, live
from marimo_kernel_bridge.mcp_outputs import show
from marimo_kernel_bridge.mcp_results import as_data
from marimo_kernel_bridge.wording import without_edited

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from marimo_kernel_bridge.mcp_files import Format
    from marimo_kernel_bridge.mcp_guard import Guard

_MOST_CELLS = 10_000
_MOST_RUNS = 200
_ROWS = 20


async def read_notebook(ctx: Ctx, kernel: str) -> str:
    """Give the outline of the notebook: all cells with their place in the graph, status and last run."""
    attached = await to_read(ctx, kernel)
    cells = await attached.client.list_cells()
    return _json(as_data(mcp_views.cell_list(cells, 0, _MOST_CELLS, "")))


async def read_history(ctx: Ctx, kernel: str) -> str:
    """Give what ran, the newest first: who asked for it, when, which cells it ran, how they ended."""
    attached = await to_read(ctx, kernel)
    runs = await attached.client.history(_MOST_RUNS)
    return _json(
        [
            {
                "run_id": run.run_id,
                "client": run.client,
                "started_at": round(run.started_at, 3),
                "finished": run.finished,
                "requested": list(run.requested),
                "cells": [
                    {"cell_id": cell.cell_id, "status": cell.status, "seconds": round(cell.duration, 3)}
                    for cell in run.cells
                ],
            }
            for run in runs
        ]
    )


async def read_cell_outputs(ctx: Ctx, kernel: str, cell_id: str) -> str:
    """Give a cell's code and the whole text of its outputs."""
    attached = await to_read(ctx, kernel)
    both = await attached.client.read_cell(cell_id, mcp_views.MOST_OUTPUT)
    shown = show(without_edited(both.outputs))
    return _json(
        {
            "cell_id": both.cell.cell_id,
            "version": both.cell.version,
            "status": both.cell.status,
            "code": both.cell.code,
            "outputs": attached.redactor.text(shown.text),
            "images": len(shown.images),
        }
    )


async def read_variable(ctx: Ctx, kernel: str, variable: str) -> str:
    """Give a variable's type, size and a sample of what is in it."""
    return _json(as_data(await mcp_notebook_views.variable_view(await to_read(ctx, kernel), variable, _ROWS)))


async def read_ipynb(ctx: Ctx, kernel: str) -> str:
    """Give the notebook as an .ipynb: code and outputs as the kernel has them now."""
    return await _in_format(ctx, kernel, "ipynb")


async def read_py(ctx: Ctx, kernel: str) -> str:
    """Give the notebook as a marimo .py file."""
    return await _in_format(ctx, kernel, "py")


async def read_md(ctx: Ctx, kernel: str) -> str:
    """Give the notebook as marimo's Markdown, without outputs."""
    return await _in_format(ctx, kernel, "md")


async def read_html(ctx: Ctx, kernel: str) -> str:
    """Give the notebook as one HTML page, with outputs."""
    return await _in_format(ctx, kernel, "html")


async def _in_format(ctx: Ctx, kernel: str, to: Format) -> str:
    content, _ = await as_format(await live(await to_read(ctx, kernel)), to)
    return content if isinstance(content, str) else content.decode()


_FORMATS = (
    ("ipynb", "The notebook as .ipynb", "application/x-ipynb+json", read_ipynb),
    ("py", "The notebook as marimo .py", "text/x-python", read_py),
    ("md", "The notebook as Markdown", "text/markdown", read_md),
    ("html", "The notebook as a page", "text/html", read_html),
)


def add_resources(server: MCPServer[Any], guard: Guard) -> None:
    """Register the resources."""
    for uri, title, function in (
        ("marimo://{kernel}/notebook", "The notebook", read_notebook),
        ("marimo://{kernel}/history", "What ran", read_history),
        ("marimo://{kernel}/cells/{cell_id}", "A cell and its outputs", read_cell_outputs),
        ("marimo://{kernel}/variables/{variable}", "A variable", read_variable),
    ):
        server.resource(uri, title=title, description=function.__doc__, mime_type="application/json")(
            guard.around_read(function)
        )

    for suffix, title, mime_type, function in _FORMATS:
        uri = f"marimo://{{kernel}}/notebook.{suffix}"
        server.resource(uri, title=title, description=function.__doc__, mime_type=mime_type)(
            guard.around_read(function)
        )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
