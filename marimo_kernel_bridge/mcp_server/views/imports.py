"""Imports for agents: of a file, or of a notebook that the agent has as a text, into a file and, if it wants, a session.

The work needs marimo, so the command line does it; `command_line` owns the process.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.files import ImportedNotebook
from marimo_kernel_bridge.mcp_server.arguments import client_name, kernels_of
from marimo_kernel_bridge.mcp_server.views import sessions
from marimo_kernel_bridge.mcp_server.views.command_line import ImportReport, run_command
from marimo_kernel_bridge.mcp_server.views.files import BOUND, converted, no_option, own_copy
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.notebooks.written_texts import SUFFIXES, document_of_text, format_of_text, is_marimo
from marimo_kernel_bridge.protocol.regular_files import pinned

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.notebooks.written_texts import TextFormat

_VERIFY_BOUND: Final = 3600.0
_PROGRESS_EVERY: Final = 5.0
_UNNAMED: Final = "notebook"


@dataclass(frozen=True)
class ImportRequest:
    """The arguments of an import."""

    target: str | None
    """None: marimo, or bridge if it is opened."""
    output: str | None
    keep_outputs: bool
    check: bool
    verify: bool
    overwrite: bool
    open: bool = False
    """Whether its kernel is started."""


def within_ceilings(kernels: Kernels, file: str | None, request: ImportRequest) -> ImportRequest:
    """Return an import that reaches no more than agents' code in a sandbox does. Raises `BridgeError`: not_allowed."""
    if not kernels.ceilings.boxed:
        return request
    if request.verify:
        raise BridgeError(
            "not_allowed",
            "verify runs the notebooks in kernels without a sandbox, and this server's agents have one; nothing was done.",
            "Import without verify, and run the cells.",
        )
    if file is not None:
        kernels.ceilings.place(str(Path(file).absolute()))
    return (
        request if request.output is None else replace(request, output=kernels.ceilings.place(request.output))
    )


async def import_file(ctx: Ctx, file: str, request: ImportRequest) -> ImportedNotebook:
    """Import a notebook. Raises `BridgeError`."""
    kernels = kernels_of(ctx)
    if kernels.ceilings.confined_to is None:
        return await _import(ctx, file, request)
    with own_copy(Path(file), kernels) as copy:
        imported = await _import_copy(ctx, copy, request, Path(file).parent)
    return replace(imported, notebook=file)


async def _import_copy(ctx: Ctx, copy: Path, request: ImportRequest, folder: Path) -> ImportedNotebook:
    """Import what no code of agents can change into a folder where they work. Raises `BridgeError`."""
    root = kernels_of(ctx).ceilings.confined_to
    with tempfile.TemporaryDirectory() as place:
        named = None if request.output is None else str(Path(place, Path(request.output).name))
        imported = await _import(ctx, str(copy), replace(request, output=named, open=False))
        made = Path(imported.output)
        output = folder / made.name if request.output is None else Path(request.output)
        if imported.written:
            content = await asyncio.to_thread(made.read_bytes)
            with pinned(output, root) as target:
                await asyncio.to_thread(write_whole, target, content, overwrite=request.overwrite)
    imported = replace(imported, output=str(output))
    return await _opened(ctx, imported) if request.open and imported.written else imported


async def _import(ctx: Ctx, file: str, request: ImportRequest) -> ImportedNotebook:
    """Import a file by the command line. Raises `BridgeError`."""
    target = request.target or ("bridge" if request.open else "marimo")
    if request.open and target != "bridge":
        raise BridgeError(
            "bad_request",
            "A notebook for marimo has no kernel here; nothing was done.",
            "target=bridge, or leave open out.",
        )
    options = ["--target", target, "--outputs", "keep" if request.keep_outputs else "drop"]
    options += ["-o", request.output] if request.output is not None else []
    for name, on in (("check", request.check), ("verify", request.verify), ("force", request.overwrite)):
        options += [f"--{name}"] if on else []
    progress = asyncio.create_task(_report_progress(ctx))
    try:
        bound = _VERIFY_BOUND if request.verify else BOUND
        report = await run_command(ImportReport, "import", no_option(file), *options, bound=bound)
    except BridgeError as refusal:
        if refusal.code == "output_exists":
            raise BridgeError(
                "output_exists", refusal.message, "Name another file, or pass overwrite=true."
            ) from refusal
        raise
    finally:
        progress.cancel()
    imported = _imported(report)
    return await _opened(ctx, imported) if request.open and report.written else imported


async def import_content(
    ctx: Ctx, content: str, kind: TextFormat | None, request: ImportRequest
) -> ImportedNotebook:
    """Import a notebook that the caller has as a text. Raises `BridgeError`."""
    if request.output is None and not request.check:
        raise BridgeError(
            "bad_request",
            "output is missing: nothing was written.",
            "With content, name the file to write as output.",
        )
    # A text of megabytes takes a second, in which the event loop goes on.
    if kind is None:
        found = await asyncio.to_thread(format_of_text, content)
        kind = found
    await asyncio.to_thread(_require_cells, content, kind)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, f"{Path(request.output or _UNNAMED).stem}{SUFFIXES[kind]}")
        await asyncio.to_thread(file.write_text, content, encoding="utf-8")
        if kind == "py" and is_marimo(content):
            _, document = await converted(file, "ipynb")
            file = file.with_suffix(".ipynb")
            await asyncio.to_thread(file.write_bytes, document)
        try:
            if kernels_of(ctx).ceilings.confined_to is None:
                imported = await _import(ctx, str(file), request)
            else:
                imported = await _import_copy(ctx, file, request, Path(request.output or _UNNAMED).parent)
        except BridgeError as refusal:
            message = refusal.message.replace(str(file), "content")
            if (
                refusal.code == "bad_notebook"
            ):  # other refusals may be about the output, which may have that name
                message = message.replace(file.name, "content")
            raise BridgeError(refusal.code, message, refusal.hint) from None
    if request.output is None:
        imported = replace(imported, output=Path(imported.output).name)
    return replace(imported, notebook=f"content ({kind})")


def _require_cells(content: str, kind: TextFormat) -> None:
    """Raise `BridgeError` bad_notebook for a text without cells."""
    if kind == "py" and is_marimo(content):
        return
    if not document_of_text(content, kind, "content").get("cells"):
        raise BridgeError(
            "bad_notebook",
            f"content has no cells, read as {kind}; nothing was written.",
            "Send its text, and its format.",
        )


async def _opened(ctx: Ctx, imported: ImportedNotebook) -> ImportedNotebook:
    """Start the kernel of an imported notebook, as its session. Raises `BridgeError`."""
    kernels, client = kernels_of(ctx), client_name(ctx)
    session = await kernels.sessions.adopt(Path(imported.output), client)
    opened = await sessions.opened(kernels, session.id, client, kernels.ceilings.bounds)
    return replace(
        imported,
        output=opened.path,
        kernel=opened.kernel,
        message=" ".join(filter(None, (opened.message, opened.note))),
    )


async def _report_progress(ctx: Ctx) -> None:
    """Report progress until cancelled: many clients abort a call without it."""
    passed = 0.0
    while True:
        await asyncio.sleep(_PROGRESS_EVERY)
        passed += _PROGRESS_EVERY
        await ctx.report_progress(passed, None, f"importing, {passed:.0f} s")


def _imported(report: ImportReport) -> ImportedNotebook:
    changed = tuple(cell for cell in report.cells if cell.fate != "kept")
    return ImportedNotebook(
        notebook=report.notebook,
        output=str(Path(report.output).absolute()),
        written=report.written,
        complete=report.complete,
        kept=len(report.cells) - len(changed),
        changed=changed,
        added=report.added,
        marimo_check=() if report.marimo_check.passes else report.marimo_check.findings,
        same=report.verified.same if report.verified is not None else None,
        differences=report.verified.differences if report.verified is not None else (),
    )
