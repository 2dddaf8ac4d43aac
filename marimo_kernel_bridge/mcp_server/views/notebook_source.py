"""The person's notebook for an answer: the document that is open, else the saved file with the kernel's code.

Owns where the cells come from, the order, and how each differs from what ran. Texts given with a call, of an editor without
an extension of this project, take the place of those. Everything is redacted by the kernel. Files are read where the
permission `read` allows it: the notebook that a Jupyter server of this person names, or one in the working directory.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.durations import worth_telling
from marimo_kernel_bridge.mcp_server.answers.origin import FRESH, KERNEL, Origin
from marimo_kernel_bridge.mcp_server.views.own_places import is_within
from marimo_kernel_bridge.mcp_server.views.window import MOST_OUTPUT
from marimo_kernel_bridge.protocol.regular_files import is_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.protocol.document import CellType
    from marimo_kernel_bridge.protocol.document_edits import DocumentContent, OpenDocument
    from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs

_DOCUMENT_SYNC: Final = {"changed": "changed", "never": "never_run"}


@dataclass(frozen=True)
class SourceCell:
    """A cell of the notebook. `key` is the front end's id or the file's; `cell` is the kernel's cell, None if it never ran.

    `version` is that of `code`, 0 if no change can name one. `sync`: how it differs from what ran, see `answers.cells`.
    """

    key: str
    type: CellType
    code: str
    version: int = 0
    cell: Cell | None = None
    sync: str | None = None
    by: str | None = None

    @property
    def cell_id(self) -> str:
        """Its id for the agent."""
        return self.key if self.cell is None else self.cell.cell_id

    @property
    def ids(self) -> set[str]:
        """All ids by which a call may name it."""
        return {self.key} if self.cell is None else {self.key, *_ids(self.cell)}


@dataclass(frozen=True)
class NotebookSource:
    """The notebook's cells in its order, those of the kernel that it lacks last, and where they come from."""

    cells: tuple[SourceCell, ...]
    origin: Origin

    def find(self, cell_id: str) -> SourceCell:
        """Return a cell by any of its ids. Raises `BridgeError` no_such_cell."""
        for cell in self.cells:
            if cell_id in cell.ids:
                return cell
        raise BridgeError(
            "no_such_cell", f"The notebook has no cell {cell_id!r}.", "list_cells shows their ids."
        )


@dataclass(frozen=True)
class Given:
    """Texts of a call: all cells of the editor in their order, or those of some cells by id.

    `without_text` are ids in `structure` whose cells have the text that is known.
    """

    structure: Sequence[SourceCell] | None = None
    code: Mapping[str, str] | None = None
    without_text: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.structure or self.code)


NOTHING_GIVEN: Final = Given()


async def notebook_source(attached: Attached, given: Given = NOTHING_GIVEN) -> NotebookSource | None:
    """Return the person's notebook as far as it is known; None if only the kernel's cells are. Raises `BridgeError`."""
    return await _source(attached, given, await attached.client.document.read())


async def found_cell(
    attached: Attached, cell_id: str, given: Given = NOTHING_GIVEN
) -> tuple[CellWithOutputs | None, SourceCell | None, Origin]:
    """Return a cell as the kernel has it and as the notebook has it, None where it is not. Raises `BridgeError` no_such_cell.

    A file is read only for a cell that the kernel does not have.
    """
    content = await attached.client.document.read()
    if content is None and not given:
        try:
            return await attached.client.reads.read_cell(cell_id, MOST_OUTPUT), None, KERNEL
        except BridgeError as refusal:
            source = await _source(attached, given, None) if refusal.code == "no_such_cell" else None
            if source is None:
                raise
    else:
        source = await _source(attached, given, content)
    assert source is not None, "there is a document, or texts are given"
    found = source.find(cell_id)
    if found.cell is None:
        return None, found, source.origin
    return (
        await attached.client.reads.read_cell(found.cell.cell_id, MOST_OUTPUT),
        found,
        source.origin,
    )


async def _source(attached: Attached, given: Given, content: DocumentContent | None) -> NotebookSource | None:
    if content is not None:
        assert content.active is not None, "without, there is no content"
        source: NotebookSource | None = await _of_document(attached, content, content.active)
    else:
        source = await _of_file(attached)
    if not given:
        return source
    cells = source.cells if source is not None else of_kernel(await attached.list_cells())
    return NotebookSource(_with(given, cells), Origin("given"))


# The open document


async def _of_document(attached: Attached, content: DocumentContent, active: OpenDocument) -> NotebookSource:
    kernel = {cell.cell_id: cell for cell in await attached.list_cells()}
    cells = [
        SourceCell(
            cell.key,
            cell.type,
            cell.code,
            cell.version,
            kernel.get(cell.cell_id or ""),
            _DOCUMENT_SYNC.get(cell.ran or "") if cell.code.strip() else None,
            cell.by,
        )
        for cell in content.cells
    ]
    only = [
        _kernels_own(kernel[cell_id], "kernel_only") for cell_id in content.kernel_only if cell_id in kernel
    ]
    ids = {cell.key: cell.cell_id for cell in cells}
    origin = Origin(
        "document",
        active.path,
        active.front_end,
        worth_telling(time.time() - active.heard_at, FRESH),
        active.dirty,
        ids.get(active.editing or ""),
        tuple(
            f"{other.path} in {other.front_end}"
            for other in content.documents
            if other.client != active.client
        ),
    )
    return NotebookSource((*cells, *only), origin)


# The saved file


async def _of_file(attached: Attached) -> NotebookSource | None:
    path = await notebook_path(attached)
    coming = None if attached.saver is None else await attached.saver.with_kept()
    saved = None if path is None else await asyncio.to_thread(_saved, path, coming)
    if saved is None:
        return None
    notebook, age = saved
    cells = await attached.list_cells()
    texts = await attached.client.reads.redact([cell.source for cell in notebook.cells])
    origin = Origin("file", str(path), seconds_old=age)
    saved_here = attached.saver is not None
    return NotebookSource(tuple(_merged(notebook, texts, cells, saved_here=saved_here)), origin)


async def notebook_path(attached: Attached) -> Path | None:
    """Return the notebook's file, as far as this server may read it; after a renaming, the new one."""
    if attached.notebook_file is not None:
        if await asyncio.to_thread(is_file, attached.notebook_file):
            return attached.notebook_file
        await attached.look_for_notebook()
        return attached.notebook_file
    if not attached.here:
        return None
    said = attached.said_notebook  # a kernel may say anything
    return Path(said) if said is not None and is_within(Path(said), [Path.cwd()]) else None


def _saved(path: Path, coming: bytes | None) -> tuple[Notebook, float] | None:
    """Return a notebook and its age in seconds; None if it is not there or cannot be read. `coming`: what is about to be in the file."""
    from marimo_kernel_bridge.notebooks.ipynb import notebook_in, read_notebook  # noqa: PLC0415  # a server starts without it

    try:
        notebook = read_notebook(path) if coming is None else notebook_in(coming, path)
        return notebook, max(0.0, time.time() - path.stat().st_mtime)
    except (BridgeError, OSError):
        return None


def _merged(
    notebook: Notebook, texts: Sequence[str], cells: Sequence[Cell], *, saved_here: bool
) -> Iterable[SourceCell]:
    """Yield the file's cells with the kernel's code; a cell that is not in the file follows its predecessor.

    `saved_here`: this server saves the notebook, with all cells that the kernel has.
    """
    from marimo_kernel_bridge.exporting.live import places  # noqa: PLC0415  # a server starts without it

    at = places(notebook, cells)
    merged: list[SourceCell] = []
    for number, (saved, text) in enumerate(zip(notebook.cells, texts, strict=True)):
        cell = cells[at[number]] if number in at else None
        if cell is None:
            never = saved.kind == "code" and bool(text.strip())
            merged.append(SourceCell(saved.cell_id, saved.kind, text, sync="never_run" if never else None))
        else:
            differs = text.strip() != cell.code.strip()
            merged.append(replace(_kernels_own(cell, "file_differs" if differs else None), key=saved.cell_id))
    place, place_of = 0, {live: number + 1 for number, live in at.items()}
    only: list[SourceCell] = []
    behind: dict[int, list[SourceCell]] = {}
    for number, cell in enumerate(cells):
        if number in place_of:
            place = place_of[number]
        elif cell.notebook_cell_id is None and not saved_here:
            only.append(_kernels_own(cell, "kernel_only"))
        else:
            behind.setdefault(place, []).append(_kernels_own(cell, "not_saved"))
    placed = [one for number, cell in enumerate(merged, 1) for one in (cell, *behind.get(number, ()))]
    return [*behind.get(0, ()), *placed, *only]


# The kernel's cells, and given texts


def of_kernel(cells: Iterable[Cell]) -> tuple[SourceCell, ...]:
    """Return the kernel's cells, for a notebook that is not known."""
    return tuple(_kernels_own(cell, None) for cell in cells)


def _kernels_own(cell: Cell, sync: str | None) -> SourceCell:
    return SourceCell(
        cell.notebook_cell_id or cell.cell_id, "code", cell.code, cell.version, cell, sync, cell.edited_by
    )


def _with(given: Given, cells: Sequence[SourceCell]) -> tuple[SourceCell, ...]:
    """Return cells with given texts, in the given order; those of the kernel that are not given come last."""
    known = {cell_id: cell for cell in cells for cell_id in cell.ids}
    ordered: list[SourceCell] = list(cells)
    if given.structure is not None:
        by_code = {cell.cell.code.strip(): cell for cell in cells if cell.cell is not None}
        ordered = []
        for one in given.structure:
            found = known.get(one.key) or by_code.get(one.code.strip())
            code = found.code if found is not None and one.key in given.without_text else one.code
            ordered.append(replace(found or one, type=one.type, code=code))
        taken = {id(cell.cell) for cell in ordered}
        only = [cell for cell in cells if cell.cell is not None and id(cell.cell) not in taken]
        ordered += [replace(cell, sync="kernel_only") for cell in only]
    texts = given.code or {}
    known_ids = {name for cell in ordered for name in cell.ids}
    unknown = [name for name in texts if name not in known_ids]
    if unknown:
        raise BridgeError(
            "no_such_cell",
            f"code_override names cells that are not known: {', '.join(unknown)}.",
            "list_cells shows the ids; structure_override tells of other cells.",
        )
    return tuple(
        _compared(replace(cell, code=next((texts[name] for name in cell.ids if name in texts), cell.code)))
        for cell in ordered
    )


def _compared(cell: SourceCell) -> SourceCell:
    """Return a cell with `sync` for its text."""
    if cell.sync == "kernel_only" or cell.type != "code":
        return cell
    if cell.cell is None or cell.cell.last_run_at is None:
        return replace(cell, sync="never_run" if cell.code.strip() else None)
    same = cell.code.strip() == cell.cell.code.strip()
    return replace(cell, sync=None if same else "changed")


def _ids(cell: Cell) -> set[str]:
    return {cell.cell_id} if cell.notebook_cell_id is None else {cell.cell_id, cell.notebook_cell_id}
