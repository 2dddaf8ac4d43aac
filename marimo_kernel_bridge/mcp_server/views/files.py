"""Exports for agents. Reads running kernels, and runs the command line for work that needs marimo.

Owns the behavior of the tools; `command_line` owns the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.files import ExportedNotebook
from marimo_kernel_bridge.mcp_server.media.framing import encoded
from marimo_kernel_bridge.mcp_server.views.command_line import ExportReport, in_words_of_tools, run_command
from marimo_kernel_bridge.mcp_server.views.own_places import is_within
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS
from marimo_kernel_bridge.notebooks.nbformat_json import without_outputs
from marimo_kernel_bridge.notebooks.whole_files import existing, write_whole
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, pinned, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.exporting.live import LiveNotebook
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.mcp_server.views.window import Window
    from marimo_kernel_bridge.notebooks.export_formats import ExportFormat
    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON

BOUND: Final = 120.0
"""Seconds that a conversion may take."""


@dataclass(frozen=True)
class ExportRequest:
    """The arguments of an export. Without `output`, the part of the text in `window` is returned."""

    format: ExportFormat
    output: str | None
    overwrite: bool
    window: Window
    outputs: bool = True
    """Whether saved outputs are in it."""


async def export_file(file: str, request: ExportRequest, kernels: Kernels) -> ExportedNotebook:
    """Export a file. Raises `BridgeError`."""
    request = _beside(request, Path(file))
    await asyncio.to_thread(_check, request, Path(file), kernels)
    kernels.look_beside(file)
    _require_name(request, Path(file).stem, kernels)
    with _cures_of_agents(), own_copy(Path(file), kernels) as copy:
        report, content = await converted(copy, request.format, outputs=request.outputs)
    if request.output is not None:
        await asyncio.to_thread(_write, request, content, kernels, like=Path(file))
    text = await _hidden(content.decode(), kernels) if request.output is None else ""
    return _answer(request, file, text, report.cells, report.with_outputs, report.notes)


@contextmanager
def own_copy(file: Path, kernels: Kernels) -> Iterator[Path]:
    """Yield a file as it is; a copy, if code of agents could turn its path elsewhere while it is read. Raises `BridgeError`."""
    root = kernels.ceilings.confined_to
    if root is None:
        yield file
        return
    with tempfile.TemporaryDirectory() as place:
        with pinned(file.absolute(), root) as opened:
            try:
                content = read_bytes(opened, LARGEST_NOTEBOOK, links=False)
            except OSError as error:
                raise BridgeError("bad_notebook", f"{file} cannot be read: {error.strerror}.") from error
        copy = Path(place, file.name)
        copy.write_bytes(content)
        yield copy


async def export_live(attached: Attached, request: ExportRequest, kernels: Kernels) -> ExportedNotebook:
    """Export the notebook of a running kernel. Raises `BridgeError`."""
    request = _beside(request, attached.notebook_file)
    await asyncio.to_thread(_check, request, attached.notebook_file, kernels)
    if request.output is not None:
        await require_not_open(attached, Path(request.output))
    notebook = await live(attached)
    if not request.outputs:
        notebook = replace(notebook, document=without_outputs(notebook.document))
    _require_name(request, _name(notebook), kernels)
    with _cures_of_agents():
        content, notes = await as_format(attached, notebook, request.format)
    if request.output is not None:
        await asyncio.to_thread(_write, request, content, kernels)
    cells = notebook.document["cells"]
    source = str(notebook.path) if notebook.path is not None else f"kernel {attached.handle}"
    showing = sum(bool(cell.get("outputs")) for cell in cells)
    text = await _hidden(content, kernels) if isinstance(content, str) and request.output is None else ""
    return _answer(
        request,
        source,
        text,
        len(cells),
        showing,
        (*notebook.notes(of_kernel=True), *map(in_words_of_tools, notes)),
    )


async def _hidden(text: str, kernels: Kernels) -> str:
    """Return a text without secrets, before a part of it is taken: no part of one would be known."""
    return await kernels.presenter.redacted(text, kernels.redactor)


def _beside(request: ExportRequest, notebook: Path | None) -> ExportRequest:
    """Return a request whose `output` is beside the notebook, unless that is not known or `output` says where it is."""
    if request.output is None or notebook is None or Path(request.output).is_absolute():
        return request
    return replace(request, output=str(notebook.parent / request.output))


@contextmanager
def _cures_of_agents() -> Iterator[None]:
    """Say of what is missing what an agent can do: it cannot change this server's environment or command line."""
    try:
        yield
    except BridgeError as refusal:
        if refusal.code != "not_installed":
            raise
        raise BridgeError(
            refusal.code,
            refusal.message,
            f"html and ipynb may work. This server runs in {sys.prefix}: what it lacks the person can add there, or start it with "
            "uvx --from 'marimo-kernel-bridge[pdf]'. They can export by themselves: marimo-kernel-bridge export --to pdf "
            "(--no-sandbox as root, if they trust the notebook).",
        ) from refusal


async def live(attached: Attached) -> LiveNotebook:
    """Read the notebook of a running kernel. The file of a remote kernel is not searched on this machine. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import Connection  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.exporting.live import read_live  # noqa: PLC0415  # a server starts without it

    client = attached.client
    if not client.info.reactive:
        await client.reads.list_cells()  # raises: not_reactive
    if not isinstance(client.connection, Connection):
        return await read_live(client, None)
    notebook = (await notebooks_by_kernel()).get(client.connection.kernel_id)
    if notebook is None and attached.saver is not None:
        notebook = attached.notebook
    if notebook is None and attached.here:
        said = (await client.reads.describe()).notebook
        # A kernel may say anything, and what is read of the file goes to the kernel, for redaction, and to the agent.
        notebook = said if said is not None and is_within(Path(said), [Path.cwd()]) else None
    return await read_live(client, notebook)


async def as_format(
    attached: Attached, notebook: LiveNotebook, to: ExportFormat
) -> tuple[str | bytes, tuple[str, ...]]:
    """Return a notebook read from a kernel in a format, and notes about it. Raises `BridgeError`."""
    from marimo_kernel_bridge.exporting.pages import to_pdf  # noqa: PLC0415  # a server starts without it

    document, do = notebook.document, attached.presenter.do
    name = _name(notebook)
    match to:
        case "ipynb":
            return await do("document_text", bound=BOUND, document=document), ()
        case "json":
            graph = await asyncio.to_thread(_graph, notebook)
            return await do("description", bound=BOUND, document=document, name=name, graph=graph), ()
        case "html" | "pdf":
            page = await do("page", bound=BOUND, document=document, title=name)
            text, notes = page["text"], tuple(page["notes"])
            return (text if to == "html" else await asyncio.to_thread(to_pdf, text)), notes
        case "py" | "md" | "script":
            with tempfile.TemporaryDirectory() as place:
                file = Path(place, f"{name}.ipynb")
                await asyncio.to_thread(_write_copy, file, document)
                report, data = await converted(file, to)
                return data.decode(), report.notes


def _graph(notebook: LiveNotebook) -> dict[str, Any]:  # JSON
    from marimo_kernel_bridge.exporting.description import graph_of_kernel  # noqa: PLC0415  # a server starts without it

    return {cell_id: vars(node) for cell_id, node in graph_of_kernel(notebook.cells).items()}


def _write_copy(file: Path, document: DocumentJSON) -> None:
    write_whole(file, encoded(document), overwrite=False)


def _name(notebook: LiveNotebook) -> str:
    return notebook.path.stem if notebook.path is not None else "notebook"


def _require_name(request: ExportRequest, name: str, kernels: Kernels) -> None:
    """Refuse, unless the agent may run code, names that say something else than which notebook it is. Raises `BridgeError` not_allowed.

    Other agents follow what is in CLAUDE.md, AGENTS.md and the like, and programs what is in package.json.
    """
    if request.output is None or kernels.may_reach:
        return
    stem = Path(request.output).stem
    if not stem.startswith(name) or stem[len(name) : len(name) + 1].isalnum():
        suffix = EXPORT_FORMATS[request.format].suffix
        raise BridgeError(
            "not_allowed",
            f"The name of the file does not begin with the notebook's, {name}; nothing was written.",
            f"For example {name}{suffix} or {name}-2{suffix}. Other names need the permission 'run': marimo-kernel-bridge mcp --allow run.",
        )


def _check(request: ExportRequest, notebook: Path | None, kernels: Kernels) -> None:
    """Check the arguments before anything is read. Raises `BridgeError`: bad_request, output_exists, not_allowed.

    `notebook` is the file of the notebook, if the person or their Jupyter server named it.
    """
    if request.output is None:
        if request.format == "pdf":
            raise BridgeError(
                "bad_request", "A PDF is not text: output is required.", "output is the file to write."
            )
        return
    suffix = EXPORT_FORMATS[request.format].suffix
    if Path(request.output).suffix != f".{suffix.rpartition('.')[2]}":
        raise BridgeError(
            "bad_request",
            f"The name of a file in the format {request.format} ends in {suffix}; nothing was written.",
            f"For example {Path(request.output).stem}{suffix}.",
        )
    kernels.ceilings.place(str(Path(request.output).absolute()))
    folders = [kernels.ceilings.root, Path.cwd(), *([] if notebook is None else [notebook.parent])]
    if not is_within(Path(request.output), folders):
        raise BridgeError(
            "bad_request",
            "output is neither in the working directory nor beside the notebook, or it is hidden; nothing was written.",
            f"Name a file in {Path.cwd()}.",
        )
    _check_existing(Path(request.output), kernels, overwrite=request.overwrite)


def _check_existing(output: Path, kernels: Kernels, *, overwrite: bool) -> None:
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise BridgeError(
            "output_exists",
            existing(output).message,
            "Name another file, or pass overwrite=true, which needs the permission run for files that no export here wrote.",
        )
    if not kernels.may_reach and not kernels.exports.has(output):
        raise BridgeError(
            "not_allowed",
            "output exists, and is no export of this server, or somebody has changed it since; nothing was written.",
            "Name another file. To replace others' files needs the permission 'run': marimo-kernel-bridge mcp --allow run.",
        )


def _write(request: ExportRequest, content: str | bytes, kernels: Kernels, like: Path | None = None) -> None:
    """Write an export. Raises `BridgeError`: output_exists, not_allowed, bad_request."""
    assert request.output is not None
    output = Path(request.output)
    content = content.encode() if isinstance(content, str) else content
    # Again: somebody may have changed it since the first check.
    _check_existing(output, kernels, overwrite=request.overwrite)
    with pinned(output.absolute(), kernels.ceilings.confined_to) as place:
        write_whole(place, content, overwrite=request.overwrite, like=like)
    kernels.exports.add(output, content)


async def require_not_open(attached: Attached, output: Path) -> None:
    """Refuse to write the file of the notebook that the person has open, behind their editor. Raises `BridgeError` bad_request."""
    content = await attached.client.document.read()
    if content is None or content.active is None:
        return
    names = {document.path.replace("\\", "/").rpartition("/")[2] for document in content.documents}
    places = [str(place) for place in (attached.notebook_file, attached.said_notebook) if place is not None]
    if output.name in names and await asyncio.to_thread(_is_one_of, output, places):
        raise BridgeError(
            "bad_request",
            f"output is the notebook that is open in {content.active.front_end}; nothing was written.",
            "save_notebook saves it there. Name another file for a copy.",
        )


def _is_one_of(output: Path, places: list[str]) -> bool:
    """Whether a file is one of these, or may be the one that is not known."""
    return not places or os.path.realpath(output) in map(os.path.realpath, places)


def _answer(  # noqa: PLR0917  # six facts, one answer
    request: ExportRequest, source: str, content: str, cells: int, showing: int, notes: tuple[str, ...]
) -> ExportedNotebook:
    offset, window = request.window.offset, request.window
    part = content[offset : offset + window.budget] if request.output is None else ""
    return ExportedNotebook(
        request.format,
        source,
        cells,
        showing,
        str(Path(request.output).absolute()) if request.output is not None else None,
        part,
        offset if request.output is None else 0,
        len(content) if request.output is None else 0,
        notes,
    )


async def converted(source: Path, to: ExportFormat, *, outputs: bool = True) -> tuple[ExportReport, bytes]:
    """Return a file in another format, and the report of the export. Raises `BridgeError`."""
    with tempfile.TemporaryDirectory() as place:
        target = Path(place, "exported")
        options = ["--to", to, "-o", str(target), "--no-imports"]
        options += [] if outputs else ["--no-outputs"]
        report = await run_command(ExportReport, "export", no_option(str(source)), *options, bound=BOUND)
        notes = tuple(map(in_words_of_tools, report.notes))
        return msgspec.structs.replace(report, notes=notes), await asyncio.to_thread(target.read_bytes)


def no_option(file: str) -> str:
    """Return a file's name as the command line takes it for no option."""
    return f"./{file}" if file.startswith("-") else file
