"""An .ipynb put together from a marimo file and the notebook that it was imported from.

Cells are recognized by their code, so the file may be edited, saved by marimo, and its cells moved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.notebooks.marimo_file import FileCell, new_cell, settings_of
from marimo_kernel_bridge.notebooks.nbformat_json import lines, source_of
from marimo_kernel_bridge.notebooks.origin import RAW, code_hash, data_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject
    from marimo_kernel_bridge.notebooks.origin import ImportedCell, Origin

_IMPORT: Final = "import marimo as mo"


@dataclass(frozen=True)
class Restored:
    """An .ipynb made of a file and its origin, and what became of the cells.

    `edited` are cells whose code is new, `added` those that the origin had not, `gone` positions that are not there
    any more. If `whole`, the notebook is the origin itself. `places` tells by id which cells a cell of the file is in.
    """

    document: DocumentJSON
    whole: bool
    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)


def restore(file: MarimoFile, origin: Origin) -> Restored:
    """Put the cells of a file back into the notebook that they came from.

    As long as no code has changed, that is the notebook, cell for cell. Once some has, cells that the importer changed
    keep its code: what was edited was written for that, and reads its names.
    """
    matched = _matched(file.cells, origin.cells)
    before = [index for index in matched if index is not None]
    same_order = before == sorted(before) and len(before) == len(origin.cells) == len(file.cells)
    written = {index: cell for cell, index in zip(file.cells, matched, strict=True) if index is not None}
    edited_code = not same_order or any(
        code_hash(cell.code) != origin.cells[index].code
        for index, cell in written.items()
        if not _issource_of(origin, index)
    )
    build = _Builder(origin, edited_code=edited_code)
    for cell, index in zip(file.cells, matched, strict=True):
        if index is None:
            build.add(cell)
        else:
            build.put(cell, origin.cells[index])
    return build.result(len(origin.cells) - len(before))


def _matched(cells: Sequence[FileCell], imported: Sequence[ImportedCell]) -> list[int | None]:
    """Return, for each cell, the number of the imported cell that it is: by equal code, then by its place."""
    old, new = [cell.code for cell in imported], [code_hash(cell.code) for cell in cells]
    found: list[int | None] = [None] * len(new)
    spare: list[tuple[range, range]] = []
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found[first:last] = range(start, end)
        else:
            spare.append((range(start, end), range(first, last)))
    free = {index for olds, _ in spare for index in olds}
    for _, news in spare:
        for number in news:  # moved
            index = next((each for each in sorted(free) if old[each] == new[number]), None)
            if index is not None:
                found[number] = index
                free.discard(index)
    for olds, news in spare:
        waiting = [index for index in olds if index in free]
        for number, index in zip((each for each in news if found[each] is None), waiting, strict=False):
            found[number] = index
    return found


def _issource_of(origin: Origin, index: int) -> bool:
    return all(
        origin.document["cells"][position - 1].get("cell_type") != "code"
        for position in origin.cells[index].positions
    ) and bool(origin.cells[index].positions)


@dataclass(frozen=True)
class _Entry:
    """A cell of the new notebook, its position in the old one (of the cell above, if new), and the file's cell."""

    position: int
    cell: CellJSON
    of: str | None = None


class _Builder:
    """Collects the cells of the new notebook in order, with those between them that the importer left out of the file."""

    def __init__(self, origin: Origin, *, edited_code: bool) -> None:
        self._cells: list[CellJSON] = origin.document["cells"]
        self._document = origin.document
        self._edited_code = edited_code
        self._in_file = {position for made in origin.cells for position in made.positions}
        self._entries: list[_Entry] = []
        self._done: set[int] = set()
        self._edited: list[str] = []
        self._added: list[str] = []
        self._imports_marimo: int | None = None
        self._exact = True

    def put(self, cell: FileCell, made: ImportedCell) -> None:
        """Put in a cell that is known; several cells, if the importer had joined them and they come apart again."""
        if not made.positions:
            self._put_added(cell, made)
            return
        self._catch_up(made.positions[0])
        same = code_hash(cell.code) == made.code
        originals = [self._cells[position - 1] for position in made.positions]
        settings = settings_of(cell)
        if same and settings == made.settings and (not self._edited_code or self._unchanged(cell, originals)):
            for position, original in zip(made.positions, originals, strict=True):
                self._entries.append(_Entry(position, original, cell.cell_id))
        else:
            self._exact = False
            if same and not self._edited_code:
                for position, original in zip(made.positions, originals, strict=True):
                    self._entries.append(_Entry(position, _with_settings(original, settings), cell.cell_id))
            else:
                changed = self._changed(cell, originals, same=same, settings=settings, made=made)
                self._entries.append(_Entry(made.positions[-1], changed, cell.cell_id))
        self._done.update(made.positions)
        self._catch_up(made.positions[-1] + 1)

    def _put_added(self, cell: FileCell, made: ImportedCell) -> None:
        """Put in a cell that imports what written-out code needs, unless the original text is back."""
        if not self._edited_code and code_hash(cell.code) == made.code:
            return
        self._exact = False
        if cell.code.strip() == _IMPORT:
            self._imports_marimo = len(self._entries)
        else:
            self._entries.append(_Entry(0, new_cell(cell, self._fresh(cell.cell_id)), cell.cell_id))

    def _catch_up(self, position: int) -> None:
        """Put in the cells above a position that the importer left out: empty ones, imports said twice."""
        for each in range(1, position):
            if each not in self._done and each not in self._in_file:
                if not self._edited_code or not source_of(self._cells[each - 1]).strip():
                    self._entries.append(_Entry(each, self._cells[each - 1]))
                else:
                    self._exact = False
                self._done.add(each)

    def _unchanged(self, cell: FileCell, originals: list[CellJSON]) -> bool:
        if len(originals) > 1:
            return False
        (original,) = originals
        return original.get("cell_type") != "code" or _loosely(source_of(original)) == _loosely(cell.code)

    def _changed(
        self,
        cell: FileCell,
        originals: list[CellJSON],
        *,
        same: bool,
        settings: JSONObject,
        made: ImportedCell,
    ) -> CellJSON:
        original = originals[-1]
        changed = {**original} if settings == made.settings else _with_settings(original, settings)
        if same and self._unchanged(cell, originals):
            return changed
        if not same:
            self._edited.append(str(original.get("id") or f"cell {made.positions[-1]}"))
        match original.get("cell_type"):
            case "markdown" if cell.markdown is not None:
                return changed | {"source": lines(_with_attachments(cell.markdown, original))}
            case "raw" if cell.code.startswith(RAW):
                return changed | {"source": lines(_uncommented(cell.code))}
            case "code":
                changed["source"] = lines(cell.code)
                if not same:
                    changed |= {"outputs": [], "execution_count": None}
                else:
                    changed["outputs"] = [out for each in originals for out in each.get("outputs") or []]
                return changed
        return new_cell(cell, str(original["id"]) if "id" in original else cell.cell_id)

    def add(self, cell: FileCell) -> None:
        """Put in a cell that the origin had not."""
        self._exact = False
        made = new_cell(cell, self._fresh(cell.cell_id))
        self._added.append(str(made["id"]))
        self._entries.append(_Entry(0, made, cell.cell_id))

    def _fresh(self, wanted: str) -> str:
        taken = {str(cell.get("id")) for cell in [*self._cells, *(each.cell for each in self._entries)]}
        return next(name for number in range(10**6) if (name := f"{wanted}{number or ''}") not in taken)

    def result(self, missing: int) -> Restored:
        self._catch_up(len(self._cells) + 1)
        entries = self._entries
        if not self._edited_code:  # joined cells are apart again
            entries = sorted(entries, key=lambda each: each.position)
        if self._imports_marimo is not None and any(
            re.search(r"\bmo\.", source_of(each.cell))
            for each in entries
            if each.cell.get("cell_type") == "code"
        ):
            cell = new_cell(FileCell(self._fresh("marimo"), _IMPORT))
            entries.insert(self._imports_marimo, _Entry(0, cell))
        places: dict[str, list[int]] = {}
        for number, each in enumerate(entries):
            if each.of is not None:
                places.setdefault(each.of, []).append(number)
        whole = self._exact and not missing
        document = {**self._document, "cells": self._with_ids([each.cell for each in entries])}
        if not whole and any("id" in cell for cell in document["cells"]):
            document["nbformat_minor"] = max(5, int(document.get("nbformat_minor") or 5))
        gone = tuple(sorted(self._in_file - self._done))
        return Restored(document, whole, tuple(self._edited), tuple(self._added), gone, places)

    def _with_ids(self, cells: list[CellJSON]) -> list[CellJSON]:
        """Give ids to all cells if some have one: nbformat wants both or neither."""
        if all("id" in cell for cell in cells) or not any("id" in cell for cell in cells):
            return cells
        return [
            cell if "id" in cell else {**cell, "id": self._fresh(f"cell-{number}")}
            for number, cell in enumerate(cells, start=1)
        ]


def _with_settings(cell: CellJSON, settings: JSONObject) -> CellJSON:
    found = cell.get("metadata")
    metadata = (
        {key: value for key, value in found.items() if key != "marimo"} if isinstance(found, dict) else {}
    )
    return {**cell, "metadata": metadata | ({"marimo": settings} if settings else {})}


def _loosely(code: str) -> list[str]:
    """Return code without what marimo's generator may change about it: the ends of lines, empty ones around it."""
    return [line.rstrip() for line in code.strip().splitlines()]


def _with_attachments(text: str, original: CellJSON) -> str:
    """Return the text of a Markdown cell with links to its attachments, which the importer wrote into the text."""
    for name, bundle in (original.get("attachments") or {}).items():
        for mime, data in bundle.items():
            text = text.replace(data_url(mime, "".join(data)), f"attachment:{name}")
    return text


def _uncommented(code: str) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in code.split("\n")[1:])
