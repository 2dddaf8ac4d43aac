"""Changes of cells on their way: into the open document, to the person as a proposal, or into the kernel's own cells.

Owns which way a batch goes, and the answer for a batch that caused no run of its own. `runs` has the answer for one that did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.client.runs import Place
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.runs import ChangedText, RunView
from marimo_kernel_bridge.mcp_server.sessions.text_cells import FileCell, split
from marimo_kernel_bridge.mcp_server.views.notebook_source import notebook_source
from marimo_kernel_bridge.mcp_server.views.run_messages import NOTHING_CHANGED
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.sessions.saving import SessionSaver
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document_edits import DocumentContent, DocumentEdit
    from marimo_kernel_bridge.protocol.notebook import Cell

_KERNEL_ONLY: Final = Place("kernel_only")
_KEPT: Final = Place("kept")
_SAVED: Final = Place("saved")
_UNSHOWN: Final = Place("no_notebook")
_NO_NOTEBOOK: Final = frozenset({"no_document", "bad_notebook", "too_large"})
_NO_ANSWER: Final = "nothing was changed: the document does not answer, and its texts are not those that ran. Try again later."


async def edited(attached: Attached, changes: Sequence[Change], *, run: bool) -> Run | RunView:
    """Apply a batch where it belongs. Return its run, or the answer if there is none. Raises `BridgeError`."""
    client = attached.client
    content = await client.document.read()
    if content is None and attached.saver is not None:
        return await _in_session(attached, attached.saver, changes, run=run)
    if content is None:
        unshown = await _shown_nowhere(attached)
        if client.document.unsupported and not attached.started_here:
            place = _KERNEL_ONLY
        else:
            place = _UNSHOWN if unshown else _KEPT
        return await _in_kernel(attached, changes, place, run=run)
    named = {change.cell_id for change in changes if not isinstance(change, AddCell)}
    own = named & set(content.kernel_only)
    if own and named == own and not any(isinstance(change, AddCell) for change in changes):
        return await _in_kernel(attached, changes, _KERNEL_ONLY, run=run)
    if own:
        raise BridgeError(
            "bad_request",
            f"{', '.join(sorted(own))}: in the kernel only, and the other cells of these edits are in the document; nothing was changed.",
            "Change them with two calls.",
        )
    edit = await client.document.edit(changes, run=run)
    if edit.outcome != "kept":
        return await in_document(attached, edit)
    to_kernel = await _for_kernel(attached, changes, content)
    if to_kernel is None:
        return RunView("", "refused", _NO_ANSWER, note=attached.news())
    return await _in_kernel(attached, to_kernel, replace(_KEPT, op_id=edit.op_id), run=run)


async def place_of_code(attached: Attached) -> Place | None:
    """Return where code that is about to run as a cell of its own is found; None: that was told, or is not known. Raises `BridgeError`."""
    if attached.saver is not None:
        return _SAVED if await attached.client.document.read() is None else _KERNEL_ONLY
    if attached.unshown_told and attached.notebook is None and attached.said_notebook is None:
        return None  # a kernel is not asked once more for each cell
    try:
        return _once(attached, _UNSHOWN if await _shown_nowhere(attached) else _KERNEL_ONLY)
    except BridgeError:
        return None  # one that does not answer may run the code nevertheless


async def _shown_nowhere(attached: Attached) -> bool:
    """Whether no notebook is known to show a kernel: none is named with it, and no front end has run a cell in it. Raises `BridgeError`."""
    if attached.shown or attached.notebook is not None or attached.said_notebook is not None:
        return False
    attached.shown = any(cell.notebook_cell_id is not None for cell in await attached.list_cells())
    return not attached.shown


def _once(attached: Attached, place: Place) -> Place | None:
    """Return where new code is, None if it is nowhere else than the code before, of which an answer told it."""
    if place.where != "no_notebook":
        return place
    told, attached.unshown_told = attached.unshown_told, True
    return None if told else place


async def proposed(attached: Attached, changes: Sequence[Change], note: str) -> RunView:
    """Propose a batch to the person. Raises `BridgeError` unsupported_version for an older kernel, and others."""
    await attached.client.document.read()  # tells of an older kernel
    edit = await attached.client.document.edit(changes, propose=True, note=note)
    return answer_without_run(attached, edit)


async def in_document(attached: Attached, edit: DocumentEdit, *, changed: bool = True) -> Run | RunView:
    """Return the run of what the front end has done, or the answer if it has not. `changed`: it has another text now."""
    if edit.outcome != "applied":
        return answer_without_run(attached, edit)
    if edit.op_id is None:
        return RunView("", "ok", edit.message or "nothing was to do.", note=attached.news())
    place = Place("document", edit.op_id, edit.front_end, edit.added) if changed else None
    return attached.client.document_runs.follow(edit.op_id, edit.runs, place)


def answer_without_run(attached: Attached, edit: DocumentEdit) -> RunView:
    """Return the answer for a batch that waits for the person, or was refused."""
    conflicts = tuple(ChangedText(conflict.cell, conflict.code) for conflict in edit.conflicts)
    if edit.outcome in {"refused", "kept"}:  # an undo that no front end answers
        message = edit.message or NOTHING_CHANGED
        return RunView(
            "", "refused", message, problems=edit.problems, conflicts=conflicts, note=attached.news()
        )
    message = "the person decides; nothing was changed yet."
    if conflicts:
        message = f"the person has changed a cell of it meanwhile, so {message}"
    return RunView(
        "",
        "proposed",
        message,
        problems=edit.problems,
        where="proposed",
        op_id=edit.op_id,
        front_end=edit.front_end,
        conflicts=conflicts,
        note=attached.news(),
    )


async def not_as_shown(attached: Attached, cell_ids: Sequence[str], *, everything: bool) -> str:
    """Return what the person's document has otherwise than these cells of the kernel, as they are about to run."""
    content = await attached.client.document.read()
    if content is None:
        return ""
    code, about_to_run = (
        [cell for cell in content.cells if cell.type == "code" and cell.code.strip()],
        frozenset(cell_ids),
    )
    newer = [cell.cell_id for cell in code if cell.ran == "changed" and cell.cell_id in about_to_run]
    never = sum(cell.ran == "never" for cell in code) if everything else 0
    facts = [
        f"the document has another text by now in {', '.join(filter(None, newer))}, and the earlier one ran"
        if newer
        else "",
        f"{never} cells of the document never ran here" if never else "",
    ]
    told = "; ".join(filter(None, facts))
    return f"Not all of the document: {told}. sync runs what it shows." if told else ""


async def of_new_kernel(attached: Attached, cells: Iterable[Cell]) -> Run | RunView | None:
    """Have a kernel that knows no cell of the notebook run those of the open document; None: that is not so, or none is open.

    Then it knows the cells of the saved file, which the caller runs. Raises `BridgeError` where the kernel knows no cell at all,
    nor any notebook.
    """
    listed = list(cells)
    if any(cell.notebook_cell_id for cell in listed):
        return None
    client = attached.client
    if await client.document.read() is not None:
        edit = await client.document.sync()
        if edit.outcome == "applied":
            return await in_document(attached, edit, changed=False)
    try:
        if attached.saver is not None and listed:  # then the file has them, and gives them their ids
            await attached.saver.save()
        await client.document.load()
    except BridgeError as refusal:
        if not listed and refusal.code in _NO_NOTEBOOK:
            raise
    return None


async def _in_session(
    attached: Attached, saver: SessionSaver, changes: Sequence[Change], *, run: bool
) -> Run | RunView:
    """Change the cells of a notebook that this server saves: code in the kernel, all else in the file."""
    source = await notebook_source(attached)
    cells = () if source is None else source.cells
    code, texts = split(
        changes, [FileCell(cell.key, cell.cell_id if cell.type == "code" else None) for cell in cells]
    )
    place = Place("saved", added=texts.new)
    if code:
        started = await attached.client.edit_cells(code, run=run)
        started.place = place
        if texts:
            saver.keep(texts, started)
        return started
    await attached.require_not_paused()
    await saver.save_texts(texts)
    return RunView("", "ok", "done", added=place.added, where=place.where, note=attached.news())


async def _in_kernel(attached: Attached, changes: Sequence[Change], place: Place, *, run: bool) -> Run:
    """Change the kernel's own cells."""
    texts = any(isinstance(change, AddCell) and change.type != "code" for change in changes)
    if texts and (place.where == "kernel_only" or (place.where == "no_notebook" and attached.started_here)):
        raise BridgeError(
            "bad_request",
            "The kernel has no Markdown or raw cells, and no document is open that could have them; nothing was changed.",
            "Ask the person to open the notebook in a front end with the extension, or leave these cells out."
            if place.where == "kernel_only"
            else "create_notebook starts a kernel with a notebook that has them; or leave these cells out.",
        )
    started = await attached.client.edit_cells(changes, run=run)
    started.place = _once(attached, place)
    return started


async def _for_kernel(
    attached: Attached, changes: Sequence[Change], content: DocumentContent
) -> Sequence[Change] | None:
    """Return a batch for the document as one for the kernel's cells; None if these have other texts, or do not exist."""
    cells = {cell.cell_id: cell for cell in await attached.list_cells()}
    in_document = {
        name: cell for cell in content.cells for name in (cell.key, cell.cell_id) if name is not None
    }
    translated: list[Change] = []
    for change in changes:
        if isinstance(change, AddCell):
            translated.append(change)
            continue
        shown = in_document.get(change.cell_id)
        cell = cells.get(change.cell_id if shown is None else shown.cell_id or "")
        if cell is None or (shown is not None and shown.ran != "as_shown"):
            return None
        translated.append(_of_cell(change, cell.cell_id, cell.version))
    return translated


def _of_cell(change: ChangeCell | DeleteCell | MoveCell, cell_id: str, version: int) -> Change:
    renamed: Change = msgspec.structs.replace(change, cell_id=cell_id, version=version)
    return renamed
