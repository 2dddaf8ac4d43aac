"""The tools for notebook files: export to another format, and import to a reactive notebook.

Work that needs marimo runs in a separate process, through the command line: this process never imports marimo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK evaluates annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.files import ExportedNotebook, ImportedNotebook
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    BudgetArg,
    Ctx,
    KernelArg,
    OffsetArg,
    attached_to,
    kernels_of,
)
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views import files as file_views
from marimo_kernel_bridge.mcp_server.views.own_places import require_own
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.notebooks.export_formats import ExportFormat  # the SDK evaluates annotations

FormatArg = Annotated[
    ExportFormat,
    Field(
        description="py: marimo. html, pdf: a page with outputs. md: marimo's Markdown. script: plain Python in the "
        "graph's order. json: cells, graph, outputs as text."
    ),
]
OverwriteArg = Annotated[bool, Field(description="Replace the output if it exists.")]


_PYTHON: Final = frozenset({"py", "script"})
"""Formats of files that Python may import: beside a notebook, or at its start."""


def _of_export(arguments: Arguments) -> Tier:
    if arguments.get("output") is None:
        return "read"
    return "run" if arguments.get("format") in _PYTHON else "edit"


def _of_kernel(arguments: Arguments) -> bool:
    return arguments.get("file") is None


@tool("Export a notebook", needs=_of_export, destroys=True, idempotent=True, joins=_of_kernel)
async def export_notebook(
    ctx: Ctx,
    *,
    format: FormatArg = "ipynb",  # noqa: A002  # the natural name for callers
    file: Annotated[
        str | None, Field(description="A marimo .py or an .ipynb on disk, instead of the kernel's notebook.")
    ] = None,
    output: Annotated[
        str | None,
        Field(
            description="File to write, in the working directory or the notebook's folder (permission edit; run for py, script, other names than the notebook's, and files that no export wrote); else the text is returned. Needed for pdf."
        ),
    ] = None,
    overwrite: OverwriteArg = False,
    kernel: KernelArg = None,
    offset: OffsetArg = 0,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, ExportedNotebook]:
    """Export the notebook in another format: what the connected kernel has now, or a file. Runs no code.

    The kernel's code and outputs go into the notebook on disk that it belongs to, where that is known. Of a marimo .py
    that was imported, ipynb brings back the cells' ids, metadata and attachments.
    """
    kernels = kernels_of(ctx)
    request = file_views.ExportRequest(format, output, overwrite, Window(max_chars, offset))
    if file is not None:
        require_own(ctx, Path(file))
        return answer(await file_views.export_file(file, request, kernels), kernels.redactor)
    attached = attached_to(ctx, kernel)
    if output is not None:  # the kernel refuses no reads, and may alone know the path of its notebook
        await attached.require_not_paused()
    return answer(await file_views.export_live(attached, request, kernels), attached.redactor)


@tool("Make a notebook reactive", needs="run", runs_code=True)
async def import_notebook(
    ctx: Ctx,
    *,
    file: Annotated[str, Field(description="The .ipynb.")],
    target: Annotated[
        Literal["marimo", "bridge"],
        Field(description="marimo: a .py for marimo. bridge: an .ipynb for this kernel, magics kept."),
    ] = "marimo",
    output: Annotated[str | None, Field(description="File to write; else beside the notebook.")] = None,
    keep_outputs: Annotated[bool, Field(description="Carry saved outputs over.")] = False,
    check: Annotated[bool, Field(description="Only report what would happen; write nothing.")] = False,
    verify: Annotated[
        bool, Field(description="Run both notebooks and compare what cells show. Takes as long as that.")
    ] = False,
    overwrite: OverwriteArg = False,
) -> Annotated[CallToolResult, ImportedNotebook]:
    """Make a Jupyter notebook reactive, and report what was changed in each cell and why.

    Names defined twice become versions (df, df_1), changes of other cells' objects work on copies, magics become Python.
    """
    request = file_views.ImportRequest(target, output, keep_outputs, check, verify, overwrite)
    return answer(await file_views.import_file(ctx, file, request), kernels_of(ctx).redactor)
