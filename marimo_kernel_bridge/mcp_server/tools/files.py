"""The tools for notebook files: export to another format, and import to a reactive notebook.

Work that needs marimo runs in a separate process, through the command line: this process never imports marimo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK evaluates annotations
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.files import ExportedNotebook, ImportedNotebook
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    BudgetArg,
    Ctx,
    HomePath,
    KernelArg,
    OffsetArg,
    attached_to,
    kernels_of,
)
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views import files as file_views
from marimo_kernel_bridge.mcp_server.views import imports
from marimo_kernel_bridge.mcp_server.views.own_places import require_own
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.notebooks.export_formats import ExportFormat  # the SDK evaluates annotations
from marimo_kernel_bridge.notebooks.written_texts import TextFormat  # noqa: TC001  # the SDK evaluates annotations

FormatArg = Annotated[
    ExportFormat,
    Field(description="py: marimo. md: marimo's Markdown. script: plain Python."),
]
OverwriteArg = Annotated[bool, Field(description="Replace a file that is there.")]


_PYTHON: Final = frozenset({"py", "script"})
"""Formats of files that Python may import: beside a notebook, or at its start."""


def _of_export(arguments: Arguments) -> Tier:
    if arguments.get("output") is None:
        return "read"
    return "run" if arguments.get("format") in _PYTHON else "edit"


def _of_kernel(arguments: Arguments) -> bool:
    return arguments.get("file") is None


@tool("Export notebook", needs=_of_export, destroys=True, idempotent=True, joins=_of_kernel)
async def export_notebook(
    ctx: Ctx,
    *,
    format: FormatArg = "ipynb",  # noqa: A002  # the natural name for callers
    file: Annotated[HomePath | None, Field(description="A .py or .ipynb instead of the kernel's.")] = None,
    output: Annotated[
        HomePath | None,
        Field(description="File beside the notebook; else the text is returned."),
    ] = None,
    overwrite: OverwriteArg = False,
    include_outputs: Annotated[bool, Field(description="With the cells' outputs.")] = True,
    kernel: KernelArg = None,
    offset: OffsetArg = 0,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, ExportedNotebook]:
    """Export the notebook with the kernel's outputs, or a file, to another format. Runs no code."""
    kernels = kernels_of(ctx)
    request = file_views.ExportRequest(format, output, overwrite, Window(max_chars, offset), include_outputs)
    if file is not None:
        require_own(ctx, Path(file))
        return answer(await file_views.export_file(file, request, kernels), kernels.redactor)
    attached = attached_to(ctx, kernel)
    if output is not None:  # the kernel refuses no reads, and may alone know the path of its notebook
        await attached.require_not_paused()
    return answer(await file_views.export_live(attached, request, kernels), attached.redactor)


def _of_import(arguments: Arguments) -> Tier:
    return "all" if arguments.get("open") else "run"


@tool("Make a notebook reactive", needs=_of_import, listed_from="run", runs_code=True, in_sandbox=True)
async def import_notebook(
    ctx: Ctx,
    *,
    file: Annotated[HomePath | None, Field(description="The .ipynb, .md or .py.")] = None,
    content: Annotated[
        str | None, Field(max_length=4_000_000, description="The notebook's text, instead of a file.")
    ] = None,
    format: Annotated[TextFormat | None, Field(description="Format of content.")] = None,  # noqa: A002  # the natural name for callers
    target: Annotated[
        Literal["marimo", "bridge"] | None,
        Field(description="A .py for marimo, or an .ipynb for this kernel."),
    ] = None,
    output: Annotated[HomePath | None, Field(description="File to write; else beside file.")] = None,
    open: Annotated[bool, Field(description="Start a kernel for it.")] = False,  # noqa: A002  # likewise
    keep_outputs: Annotated[bool, Field(description="Keep the cells' outputs.")] = False,
    check: Annotated[bool, Field(description="Only report, write nothing.")] = False,
    verify: Annotated[bool, Field(description="Run old and new, compare outputs.")] = False,
    overwrite: OverwriteArg = False,
) -> Annotated[CallToolResult, ImportedNotebook]:
    """Make a Jupyter notebook reactive, and report what was changed in each cell. Up to some 5,000 cells: 120 s of processor time."""
    if (file is None) == (content is None):
        raise BridgeError("bad_request", "Give one of file and content; nothing was done.")
    request = imports.ImportRequest(target, output, keep_outputs, check, verify, overwrite, open)
    request = imports.within_ceilings(kernels_of(ctx), file, request)
    if content is not None:
        imported = await imports.import_content(ctx, content, format, request)
    else:
        assert file is not None
        kernels_of(ctx).look_beside(file)
        imported = await imports.import_file(ctx, file, request)
    return answer(imported, kernels_of(ctx).redactor)
