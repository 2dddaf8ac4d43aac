"""The merge of a marimo file with the notebook that it was imported from, as an .ipynb.

Cells are matched by their code, so the file may be edited and saved by marimo, and its cells may be moved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, TypeAlias

from marimo_kernel_bridge.notebooks.marimo_file import FileCell, new_cell, settings_of
from marimo_kernel_bridge.notebooks.nbformat_json import lines, source_of
from marimo_kernel_bridge.notebooks.origin import RAW, code_hash, data_url, unfenced
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject
    from marimo_kernel_bridge.notebooks.origin import ImportedCell, Origin

_IMPORT: Final = "import marimo as mo"


@dataclass(frozen=True)
class Restored:
    """An .ipynb made from a file and its origin, and how it differs from the origin.

    `edited` are cells with changed code, `added` are cells that the origin does not have, and `gone` are positions of
    cells that were deleted. If `whole`, the notebook equals the origin. `places` maps the id of a cell of the file to
    the indexes of its cells in the document.
    """

    document: DocumentJSON
    whole: bool
    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)


def restore(file: MarimoFile, origin: Origin) -> Restored:
    """Merge the cells of a file into the notebook that they came from.

    If no code has changed, the result is that notebook, cell for cell. Otherwise cells that the importer changed keep
    the importer's code, because the edited code was written against it and reads its names.
    """
    matched = _matched(file.cells, origin.cells)
    before = [index for index in matched if index is not None]
    same_order = before == sorted(before) and len(before) == len(origin.cells) == len(file.cells)
    written = {index: cell for cell, index in zip(file.cells, matched, strict=True) if index is not None}
    edited_code = not same_order or any(
        code_hash(cell.code) != origin.cells[index].code
        for index, cell in written.items()
        if not _is_text(origin, index)
    )
    build = _Builder(origin, edited_code=edited_code)
    for group in _parts_of_one_cell(list(zip(file.cells, matched, strict=True)), origin):
        cell, index = group[0]
        if index is None:
            build.add(cell)
        else:
            build.put(
                *_whole([each for each, _ in group], [origin.cells[at] for _, at in group if at is not None])
            )
            build.same_place[cell.cell_id] = [each.cell_id for each, _ in group[1:]]
    return build.result(len(origin.cells) - len(before))


_Match: TypeAlias = "tuple[FileCell, int | None]"


def _parts_of_one_cell(matches: Sequence[_Match], origin: Origin) -> Iterator[list[_Match]]:
    """Yield the matches of cells, those one below another that were made of the same cells together."""
    group: list[_Match] = []
    for match in matches:
        index, above = match[1], group[-1][1] if group else None
        if (
            index is None
            or above is None
            or not origin.cells[index].positions
            or origin.cells[index].positions != origin.cells[above].positions
        ):
            if group:
                yield group
            group = []
        group.append(match)
    if group:
        yield group


def _whole(cells: Sequence[FileCell], made: Sequence[ImportedCell]) -> tuple[FileCell, ImportedCell]:
    """Return the parts of a cell that the importer divided as one."""
    if len(cells) == 1:
        return cells[0], made[0]
    same = all(code_hash(cell.code) == part.code for cell, part in zip(cells, made, strict=True))
    whole = replace(cells[0], code="\n\n".join(cell.code for cell in cells))
    return whole, replace(made[0], code=code_hash(whole.code) if same else "")


def _matched(cells: Sequence[FileCell], imported: Sequence[ImportedCell]) -> list[int | None]:
    """Return, for each cell, the index of the imported cell that it matches: by equal code, then by its place."""
    old, new = [cell.code for cell in imported], [code_hash(cell.code) for cell in cells]
    matched: list[int | None] = [None] * len(new)
    spare: list[tuple[range, range]] = []
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            matched[first:last] = range(start, end)
        else:
            spare.append((range(start, end), range(first, last)))
    free = {index for olds, _ in spare for index in olds}
    for _, news in spare:
        for number in news:  # moved
            index = next((index for index in sorted(free) if old[index] == new[number]), None)
            if index is not None:
                matched[number] = index
                free.discard(index)
    for olds, news in spare:
        unmatched = [number for number in news if matched[number] is None]
        waiting = [index for index in olds if index in free]
        for number, index in zip(unmatched, waiting, strict=False):
            matched[number] = index
    return matched


def _is_text(origin: Origin, index: int) -> bool:
    """Return whether an imported cell was made from Markdown or raw cells only."""
    return all(
        origin.document["cells"][position - 1].get("cell_type") != "code"
        for position in origin.cells[index].positions
    ) and bool(origin.cells[index].positions)


@dataclass(frozen=True)
class _Entry:
    """A cell of the new notebook, its position in the origin (0 for an added cell), and the id of the file's cell."""

    position: int
    cell: CellJSON
    of: str | None = None


class _Builder:
    """Collects the cells of the new notebook in order, including those that the importer left out of the file."""

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
        self.same_place: dict[str, list[str]] = {}  # cells of the file that went into the same cell

    def put(self, cell: FileCell, made: ImportedCell) -> None:
        """Append a matched cell; several cells if the importer joined them and they can be separated again."""
        if not made.positions:
            self._put_added(cell, made)
            return
        if (
            not self._done.isdisjoint(made.positions) and self._edited_code
        ):  # a part of it is joined with others
            self.add(cell)
            return
        self._catch_up(made.positions[0])
        same = code_hash(cell.code) == made.code
        originals = [self._cells[position - 1] for position in made.positions]
        settings = settings_of(cell)
        if same and settings == made.settings and (not self._edited_code or self._unchanged(cell, originals)):
            for position, original in zip(made.positions, originals, strict=True):
                if position not in self._done:
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
        """Append a cell of imports that the importer added, unless the code that needs them is the original again."""
        if not self._edited_code and code_hash(cell.code) == made.code:
            return
        self._exact = False
        if cell.code.strip() == _IMPORT:
            self._imports_marimo = len(self._entries)
        else:
            self._entries.append(_Entry(0, new_cell(cell, self._fresh(cell.cell_id)), cell.cell_id))

    def _catch_up(self, position: int) -> None:
        """Append the cells before a position that the importer left out: empty cells and repeated imports."""
        for skipped in range(1, position):
            if skipped not in self._done and skipped not in self._in_file:
                if not self._edited_code or _is_without_code(self._cells[skipped - 1]):
                    self._entries.append(_Entry(skipped, self._cells[skipped - 1]))
                else:
                    self._exact = False
                self._done.add(skipped)

    def _unchanged(self, cell: FileCell, originals: list[CellJSON]) -> bool:
        if len(originals) > 1:
            return False
        (original,) = originals
        if cell.markdown is not None:  # of a cell without code
            return True
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
            case "raw" | "code" as kind if (
                cell.markdown is not None and (text := unfenced(cell.markdown)) is not None
            ):
                emptied: JSONObject = {"outputs": [], "execution_count": None} if kind == "code" else {}
                return changed | {"source": lines(text)} | emptied
            case "raw" if cell.code.startswith(RAW):
                return changed | {"source": lines(_uncommented(cell.code))}
            case "code" if cell.markdown is None:
                changed["source"] = lines(cell.code)
                if not same:
                    changed |= {"outputs": [], "execution_count": None}
                else:
                    changed["outputs"] = [
                        output for source in originals for output in source.get("outputs") or []
                    ]
                return changed
        return new_cell(cell, str(original["id"]) if "id" in original else cell.cell_id)

    def add(self, cell: FileCell) -> None:
        """Append a cell that the origin does not have."""
        self._exact = False
        made = new_cell(cell, self._fresh(cell.cell_id))
        self._added.append(str(made["id"]))
        self._entries.append(_Entry(0, made, cell.cell_id))

    def _fresh(self, preferred: str) -> str:
        taken = {str(cell.get("id")) for cell in [*self._cells, *(entry.cell for entry in self._entries)]}
        return next(name for number in range(10**6) if (name := f"{preferred}{number or ''}") not in taken)

    def result(self, missing: int) -> Restored:
        self._catch_up(len(self._cells) + 1)
        entries = self._entries
        if not self._edited_code:  # joined cells are separate again
            entries = sorted(entries, key=lambda entry: entry.position)
        if self._imports_marimo is not None and any(
            re.search(r"\bmo\.", source_of(entry.cell))
            for entry in entries
            if entry.cell.get("cell_type") == "code"
        ):
            cell = new_cell(FileCell(self._fresh("marimo"), _IMPORT))
            entries.insert(self._imports_marimo, _Entry(0, cell))
        places: dict[str, list[int]] = {}
        for number, entry in enumerate(entries):
            if entry.of is not None:
                for cell_id in (entry.of, *self.same_place.get(entry.of, ())):
                    places.setdefault(cell_id, []).append(number)
        whole = self._exact and not missing
        document = {**self._document, "cells": self._with_ids([entry.cell for entry in entries])}
        if not whole and any("id" in cell for cell in document["cells"]):
            document["nbformat_minor"] = max(5, int(document.get("nbformat_minor") or 5))
        gone = tuple(sorted(self._in_file - self._done))
        return Restored(document, whole, tuple(self._edited), tuple(self._added), gone, places)

    def _with_ids(self, cells: list[CellJSON]) -> list[CellJSON]:
        """Give ids to all cells if some have one: in nbformat, all cells have one or none has."""
        if all("id" in cell for cell in cells) or not any("id" in cell for cell in cells):
            return cells
        return [
            cell if "id" in cell else {**cell, "id": self._fresh(f"cell-{number}")}
            for number, cell in enumerate(cells, start=1)
        ]


def _is_without_code(cell: CellJSON) -> bool:
    """Return whether a cell has no line but comments, magics and shell commands, which read no name of the notebook."""
    return all(
        line.lstrip().startswith(("#", "%", "!")) for line in source_of(cell).split("\n") if line.strip()
    )


def _with_settings(cell: CellJSON, settings: JSONObject) -> CellJSON:
    original = cell.get("metadata")
    metadata = dict(original) if isinstance(original, dict) else {}
    metadata.pop("marimo", None)
    return {**cell, "metadata": metadata | ({"marimo": settings} if settings else {})}


def _loosely(code: str) -> list[str]:
    """Return the lines of code without what marimo's generator may change: trailing spaces, empty lines around it."""
    return [line.rstrip() for line in split_lines(code.strip())]


def _with_attachments(text: str, original: CellJSON) -> str:
    """Return the text of a Markdown cell with links to its attachments instead of the importer's data URLs."""
    for name, bundle in (original.get("attachments") or {}).items():
        for mime, data in bundle.items():
            text = text.replace(data_url(mime, "".join(data)), f"attachment:{name}")
    return text


def _uncommented(code: str) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in code.split("\n")[1:])
