"""What has changed since the editor was told, as marimo's notifications. Pure: keeps what was told, and sends nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
from marimo._ast.cell import CellConfig
from marimo._convert.common.format import markdown_to_marimo
from marimo._messaging.cell_output import CellChannel
from marimo._messaging.notebook.changes import (
    CreateCell,
    DeleteCell,
    ReorderCells,
    SetCode,
    SetConfig,
    SetName,
)
from marimo._messaging.notification import (
    CellNotification,
    VariableDeclarationNotification,
    VariablesNotification,
)
from marimo._types.ids import CellId_t, VariableName

from marimo_kernel_bridge.protocol.document import CellSettings
from marimo_kernel_bridge.runtime.editor.outputs import marimo_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marimo._ast.cell import RuntimeStateType
    from marimo._messaging.cell_output import CellOutput
    from marimo._messaging.notebook.changes import DocumentChange
    from marimo._messaging.notebook.document import NotebookCell, NotebookDocument

    from marimo_kernel_bridge.protocol.notebook import Cell, Output
    from marimo_kernel_bridge.runtime.editor.interface import EditorCell

_NO_NAME: Final = "_"
_UNDER_WAY: Final = frozenset({"queued", "running"})
_SEEN_KEPT: Final = 50  # texts of each cell with Markdown


def code_of(one: EditorCell) -> str:
    """Return the code that the editor shows: Markdown is a call of `mo.md` there."""
    return markdown_to_marimo(one.cell.code) if one.is_markdown else one.cell.code


def settings_of(cell: NotebookCell) -> CellSettings:
    """Return the settings of a cell of the editor's document."""
    config = cell.config
    name = "" if set(cell.name) <= {_NO_NAME} else cell.name
    return CellSettings(name, config.hide_code, config.expand_output, config.column)


def _created(one: EditorCell, before: CellId_t | None, after: CellId_t | None) -> CreateCell:
    settings = one.settings
    config = CellConfig(
        column=settings.column, hide_code=settings.hide_code, expand_output=settings.expand_output
    )
    name = settings.name or _NO_NAME
    return CreateCell(CellId_t(one.cell.cell_id), code_of(one), name, config, before=before, after=after)


def _settled(cell: NotebookCell, settings: CellSettings) -> Iterator[DocumentChange]:
    """Give a cell of the editor's document other settings."""
    present = settings_of(cell)
    if present.name != settings.name:
        yield SetName(cell.id, settings.name or _NO_NAME)
    if msgspec.structs.replace(present, name=settings.name) != settings:
        yield SetConfig(
            cell.id, settings.column, cell.config.disabled, settings.hide_code, settings.expand_output
        )


@dataclass(frozen=True)
class _Told:
    """What the editor knows of a cell: its outputs as they are in the kernel, and as marimo shows them."""

    cell: Cell
    status: RuntimeStateType
    outputs: tuple[Output, ...]
    output: CellOutput
    console: list[CellOutput]


@dataclass(frozen=True)
class _Given:
    """A text that the editor has given to the notebook: as a person has typed it, and as the notebook writes it.

    The editor's document has the text `before` until the person's text comes, which is sent later than the order to run it.
    """

    typed: str
    written: str
    before: str


class News:
    """What one editor, with its document, was told of the notebook's cells."""

    def __init__(self, raw: Callable[[str, str], str | None]) -> None:
        """`raw` returns the HTML that marimo's front end needs for an element that an output shows, given with its cell."""
        self._raw = raw
        self._told: dict[str, _Told] = {}
        self._codes: dict[str, str] = {}
        self._settings: dict[str, CellSettings] = {}
        self._given: dict[str, _Given] = {}
        self._seen: dict[str, deque[str]] = {}
        self._shown: dict[str, str] = {}  # the newest text of the notebook that it has shown
        self.markdown: dict[str, str] = {}
        """The code of the cells with Markdown, which the kernel does not know, by their ids."""
        self._order: list[str] = []
        self._variables: VariablesNotification | None = None

    def forget(self, cell_id: str) -> None:
        """Tell everything of a cell again: the editor shows something else."""
        self._told.pop(cell_id, None)

    def asks_for(self, cell_id: str, code: str) -> bool:
        """Return whether a cell with Markdown is to get another text: it has another one now, or is about to get it."""
        present, given = self.markdown[cell_id], self._given.get(cell_id)
        return {code, present if given is None else given.typed} != {present}

    def gives(self, document: NotebookDocument, cell_id: str, typed: str, written: str) -> None:
        """Note that the editor gives the notebook a text, which that has as `written`: the editor's stays, where a person may type on."""
        known = document.get(CellId_t(cell_id))
        self._given[cell_id] = _Given(typed, written, "" if known is None else known.code)

    def gives_markdown(
        self, document: NotebookDocument, cell_id: str, typed: str, text: str
    ) -> frozenset[str]:
        """Note the same of Markdown. Return the texts of the cell that the editor has shown, or given to the notebook."""
        seen = frozenset(self._seen.get(cell_id, ()))
        if cell_id in self._shown:  # what the notebook has as long as it takes none of the others
            seen |= {self._shown[cell_id]}
        self.gives(document, cell_id, typed, markdown_to_marimo(text))
        self._see(cell_id, text)
        return seen

    def kept(self, cell_id: str) -> None:
        """Note that the notebook has kept its own text: its next one replaces the editor's."""
        if cell_id in self._given and cell_id in self.markdown:
            self._given[cell_id] = replace(self._given[cell_id], written=self.markdown[cell_id])

    def _see(self, cell_id: str, text: str) -> None:
        seen = self._seen.setdefault(cell_id, deque(maxlen=_SEEN_KEPT))
        if text not in seen:
            seen.append(text)

    # -- the document ---------------------------------------------------------------------------------------------

    def of_document(self, document: NotebookDocument, cells: Sequence[EditorCell]) -> list[DocumentChange]:
        """Return the changes of the editor's document. What a person has typed there and not run stays."""
        ids = [one.cell.cell_id for one in cells]
        changes: list[DocumentChange] = [
            DeleteCell(CellId_t(cell_id))
            for cell_id in self._codes
            if cell_id not in set(ids) and CellId_t(cell_id) in document
        ]
        order = [
            cell_id for cell_id in document.cell_ids if cell_id in set(ids) or cell_id not in self._codes
        ]
        before: CellId_t | None = None
        for one in cells:
            cell_id, known = CellId_t(one.cell.cell_id), document.get(CellId_t(one.cell.cell_id))
            if known is None:
                changes.append(_created(one, order[0] if before is None and order else None, before))
                order.insert(0 if before is None else order.index(before) + 1, cell_id)
                shown = code_of(one)
            else:
                shown = known.code
                present = self._present(cell_id, shown)
                if present == self._codes.get(cell_id) != code_of(one):
                    changes.append(SetCode(cell_id, code_of(one)))
                    shown = code_of(one)
                    self._given.pop(cell_id, None)
                if self._settings.get(cell_id, one.settings) != one.settings:
                    changes += _settled(known, one.settings)
            if one.is_markdown and shown == code_of(one):
                self._see(cell_id, one.cell.code)
                self._shown[cell_id] = one.cell.code
            before = cell_id
        if ids != self._order and [cell_id for cell_id in order if cell_id in set(ids)] != ids:
            changes.append(ReorderCells(tuple(map(CellId_t, _arranged(order, ids)))))
        self._order = ids
        for gone in self._codes.keys() - set(ids):
            self._given.pop(gone, None)
        self._codes = {one.cell.cell_id: code_of(one) for one in cells}
        self._settings = {one.cell.cell_id: one.settings for one in cells}
        self.markdown = {one.cell.cell_id: code_of(one) for one in cells if one.is_markdown}
        for gone in self._seen.keys() - self.markdown.keys():
            del self._seen[gone]
            self._shown.pop(gone, None)
        return changes

    def _present(self, cell_id: str, shown: str) -> str:
        """Return the text that the editor has of a cell, as the notebook writes it. `shown` is the document's, which may not have it yet."""
        given = self._given.get(cell_id)
        if given is None or shown not in {given.typed, given.before}:
            return shown
        if shown == given.typed:
            self._given[cell_id] = replace(given, before=shown)
        return given.written

    # -- cells ----------------------------------------------------------------------------------------------------

    def of_cells(self, cells: Sequence[EditorCell]) -> list[CellNotification]:
        """Return what is new of the cells' states and outputs."""
        self._told = {
            one.cell.cell_id: self._told[one.cell.cell_id] for one in cells if one.cell.cell_id in self._told
        }
        return [notification for one in cells for notification in self._of_cell(one)]

    def _of_cell(self, one: EditorCell) -> Iterator[CellNotification]:
        cell, told = one.cell, self._told.get(one.cell.cell_id)
        if told is not None and told.cell == cell and told.outputs == one.outputs:
            return
        cell_id = CellId_t(cell.cell_id)
        output, console = marimo_outputs(one.outputs, lambda html: self._raw(html, cell.cell_id))
        status: RuntimeStateType = (
            "running" if cell.status == "running" else "queued" if cell.status == "queued" else "idle"
        )
        self._told[cell.cell_id] = _Told(cell, status, one.outputs, output, console)
        same = told is not None and _same(told.output, output) and _all_same(told.console, console)
        started = told is not None and told.status in _UNDER_WAY
        ran = cell.last_run_at is not None and (told is None or told.cell.last_run_at != cell.last_run_at)
        begun = (
            None if cell.last_run_at is None or cell.duration is None else cell.last_run_at - cell.duration
        )
        if not started and (status != "idle" or ran or not same):
            if status == "idle" and not ran and told is None and not one.outputs:
                yield CellNotification(cell_id, status="idle", stale_inputs=cell.stale)
                return
            yield CellNotification(
                cell_id, status="queued"
            )  # else the editor takes the text for one that did not run
        if status == "queued":
            return
        if status == "running" or not same or ran:
            more = _appended(told, console) if started and told is not None else None
            added = [] if more is None else more or None  # an empty list clears the console
            notification = CellNotification(cell_id, output=output, console=added, status="running")
            if status == "idle" and begun is not None:
                notification.timestamp = begun
            yield notification
            if more is None and console:
                yield CellNotification(cell_id, console=console)
        if status == "idle":
            done = CellNotification(cell_id, status="idle", stale_inputs=cell.stale)
            if ran and cell.last_run_at is not None:
                done.timestamp = cell.last_run_at
            yield done

    def of_variables(self, cells: Sequence[EditorCell]) -> VariablesNotification | None:
        """Return which cells define and use which names, None if that is as it was."""
        declared: dict[str, tuple[list[CellId_t], list[CellId_t]]] = {}
        for one in cells:
            for name in one.cell.defines:
                declared.setdefault(name, ([], []))[0].append(CellId_t(one.cell.cell_id))
        for one in cells:
            for name in one.cell.uses:
                if name in declared:
                    declared[name][1].append(CellId_t(one.cell.cell_id))
        variables = VariablesNotification(
            [
                VariableDeclarationNotification(VariableName(name), by, used)
                for name, (by, used) in declared.items()
            ]
        )
        if variables == self._variables:
            return None
        self._variables = variables
        return variables


def _same(one: CellOutput, other: CellOutput) -> bool:
    return (one.channel, one.mimetype, one.data) == (other.channel, other.mimetype, other.data)


def _all_same(some: list[CellOutput], others: list[CellOutput]) -> bool:
    return len(some) == len(others) and all(map(_same, some, others))


def _appended(told: _Told, console: list[CellOutput]) -> list[CellOutput] | None:
    """Return what a console has more than was told; None if it is another one. A text grows at its end."""
    before = told.console
    if len(console) < len(before) or not _all_same(before[:-1], console[: max(0, len(before) - 1)]):
        return None
    if not before:
        return console
    last, now = before[-1], console[len(before) - 1]
    if last.channel is not now.channel or not (isinstance(last.data, str) and isinstance(now.data, str)):
        return None
    if now.data == last.data:
        return console[len(before) :]
    if not now.data.startswith(last.data) or now.channel is CellChannel.MEDIA:
        return None
    grown = type(now)(now.channel, now.mimetype, now.data[len(last.data) :])
    return [grown, *console[len(before) :]]


def _arranged(order: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Return an order with the cells `ids` in theirs; each of the others stays after its predecessor."""
    behind: dict[str, list[str]] = {cell_id: [] for cell_id in ("", *ids)}
    last = ""
    for cell_id in order:
        if cell_id in behind:
            last = cell_id
        else:
            behind[last].append(cell_id)
    return [cell_id for first in ("", *ids) for cell_id in (first, *behind[first]) if cell_id]
