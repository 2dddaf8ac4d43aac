"""The .ipynb that a marimo file was imported from, kept beside it, so that an export gives back what it was.

A marimo file has no place for cell ids, metadata, attachments, or the text that a magic had before it became Python.
They are kept in `__marimo__/jupyter/NAME.py.json`, which marimo's editor leaves alone; why there: docs/decisions/0005.
Cells are found again by their code, so the file may be edited, saved by marimo, and its cells moved.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.notebooks.ipynb import write_whole
from marimo_kernel_bridge.notebooks.marimo_file import FileCell, MarimoFile, lines, new_cell, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.ipynb import Notebook

RAW: Final = "# Raw cell of the Jupyter notebook:"
"""What the importer writes above a raw cell."""
_FORMAT: Final = 1
_IMPORT: Final = "import marimo as mo"


@dataclass(frozen=True)
class Made:
    """A cell of the file as it was imported: its code, by a hash, and the positions of the cells that are in it."""

    code: str
    positions: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)  # of marimo, JSON


@dataclass(frozen=True)
class Origin:
    """The notebook that a file was made of, and which of its cells are in which cell of the file."""

    document: dict[str, Any]  # nbformat
    made: tuple[Made, ...]


@dataclass(frozen=True)
class Restored:
    """An .ipynb made of a file and its origin, and what became of the cells.

    `edited` are cells whose code is new, `added` those that the origin had not, `gone` positions that are not there
    any more. If `whole`, the notebook is the origin itself. `places` tells by id which cells a cell of the file is in.
    """

    document: dict[str, Any]  # nbformat
    whole: bool
    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)


def place_of(file: Path) -> Path:
    """Return where the origin of a marimo file is kept."""
    return file.parent / "__marimo__" / "jupyter" / f"{file.name}.json"


def keep(
    notebook: Notebook, file: MarimoFile, positions: Sequence[tuple[int, ...]], *, outputs: bool
) -> Path:
    """Write the origin of a file that was just imported; return where. Raises `BridgeError`: bad_request."""
    made = of(notebook, file, positions)
    cells = [cell if outputs else _without_outputs(cell) for cell in made.document["cells"]]
    content = {
        "version": _FORMAT,
        "notebook": {**made.document, "cells": cells},
        "cells": [
            {
                "code": each.code,
                "positions": list(each.positions),
                **({"settings": each.settings} if each.settings else {}),
            }
            for each in made.made
        ],
    }
    place = place_of(file.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, json.dumps(content, indent=1, ensure_ascii=False) + "\n", overwrite=True)
    return place


def of(notebook: Notebook, file: MarimoFile, positions: Sequence[tuple[int, ...]]) -> Origin:
    """Return the origin of a file that was made of a notebook."""
    return Origin(
        notebook.document,
        tuple(
            Made(_hash(cell.code), tuple(places), settings_of(cell))
            for cell, places in zip(file.cells, positions, strict=True)
        ),
    )


def _without_outputs(cell: dict[str, Any]) -> dict[str, Any]:  # nbformat
    return {**cell, "outputs": [], "execution_count": None} if cell.get("cell_type") == "code" else cell


def read(file: Path) -> Origin | None:
    """Return the origin of a marimo file; None if there is none that can be read."""
    try:
        content = json.loads(place_of(file).read_text(encoding="utf-8"))
        match content:
            case {"version": 1, "notebook": {"cells": list()} as document, "cells": list(made)}:
                return Origin(
                    document,
                    tuple(
                        Made(each["code"], tuple(map(int, each["positions"])), each.get("settings", {}))
                        for each in made
                    ),
                )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def restored(file: MarimoFile, origin: Origin) -> Restored:
    """Put the cells of a file back into the notebook that they came from.

    As long as no code has changed, that is the notebook, cell for cell. Once some has, cells that the importer changed
    keep its code: what was edited was written for that, and reads its names.
    """
    matched = _matched(file.cells, origin.made)
    before = [index for index in matched if index is not None]
    same_order = before == sorted(before) and len(before) == len(origin.made) == len(file.cells)
    written = {index: cell for cell, index in zip(file.cells, matched, strict=True) if index is not None}
    edited_code = not same_order or any(
        _hash(cell.code) != origin.made[index].code
        for index, cell in written.items()
        if not _is_text(origin, index)
    )
    build = _Builder(origin, edited_code=edited_code)
    for cell, index in zip(file.cells, matched, strict=True):
        if index is None:
            build.add(cell)
        else:
            build.put(cell, origin.made[index])
    return build.result(len(origin.made) - len(before))


def _matched(cells: Sequence[FileCell], made: Sequence[Made]) -> list[int | None]:
    """Return, for each cell, the number of the imported cell that it is: by equal code, then by its place."""
    old, new = [each.code for each in made], [_hash(cell.code) for cell in cells]
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


def _is_text(origin: Origin, index: int) -> bool:
    return all(
        origin.document["cells"][position - 1].get("cell_type") != "code"
        for position in origin.made[index].positions
    ) and bool(origin.made[index].positions)


@dataclass(frozen=True)
class _Entry:
    """A cell of the new notebook, its position in the old one (of the cell above, if new), and the file's cell."""

    position: int
    cell: dict[str, Any]  # nbformat
    of: str | None = None


class _Builder:
    """Puts the cells of the new notebook in order, and what was left out of the file between them."""

    def __init__(self, origin: Origin, *, edited_code: bool) -> None:
        self._cells: list[dict[str, Any]] = origin.document["cells"]  # nbformat
        self._document = origin.document
        self._edited_code = edited_code
        self._in_file = {position for made in origin.made for position in made.positions}
        self._entries: list[_Entry] = []
        self._done: set[int] = set()
        self._edited: list[str] = []
        self._added: list[str] = []
        self._imports_marimo: int | None = None
        self._exact = True

    def put(self, cell: FileCell, made: Made) -> None:
        """Put in a cell that is known; several cells, if the importer had joined them and they come apart again."""
        if not made.positions:
            self._put_added(cell, made)
            return
        self._catch_up(made.positions[0])
        same = _hash(cell.code) == made.code
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

    def _put_added(self, cell: FileCell, made: Made) -> None:
        """Put in a cell that imports what written-out code needs, unless the original text is back."""
        if not self._edited_code and _hash(cell.code) == made.code:
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
                if not self._edited_code or not _text(self._cells[each - 1]).strip():
                    self._entries.append(_Entry(each, self._cells[each - 1]))
                else:
                    self._exact = False
                self._done.add(each)

    def _unchanged(self, cell: FileCell, originals: list[dict[str, Any]]) -> bool:  # nbformat
        if len(originals) > 1:
            return False
        (original,) = originals
        return original.get("cell_type") != "code" or _loosely(_text(original)) == _loosely(cell.code)

    def _changed(
        self,
        cell: FileCell,
        originals: list[dict[str, Any]],  # nbformat
        *,
        same: bool,
        settings: dict[str, Any],  # JSON
        made: Made,
    ) -> dict[str, Any]:  # nbformat
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
            re.search(r"\bmo\.", _text(each.cell)) for each in entries if each.cell.get("cell_type") == "code"
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

    def _with_ids(self, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:  # nbformat
        """Give ids to all cells if some have one: nbformat wants both or neither."""
        if all("id" in cell for cell in cells) or not any("id" in cell for cell in cells):
            return cells
        return [
            cell if "id" in cell else {**cell, "id": self._fresh(f"cell-{number}")}
            for number, cell in enumerate(cells, start=1)
        ]


def _with_settings(cell: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:  # nbformat, JSON
    found = cell.get("metadata")
    metadata = (
        {key: value for key, value in found.items() if key != "marimo"} if isinstance(found, dict) else {}
    )
    return {**cell, "metadata": metadata | ({"marimo": settings} if settings else {})}


def _loosely(code: str) -> list[str]:
    """Return code without what marimo's generator may change about it: the ends of lines, empty ones around it."""
    return [line.rstrip() for line in code.strip().splitlines()]


def _with_attachments(text: str, original: dict[str, Any]) -> str:  # nbformat
    """Let a Markdown cell show its attachments as such again: the importer wrote them into the text."""
    for name, bundle in (original.get("attachments") or {}).items():
        for mime, data in bundle.items():
            text = text.replace(data_url(mime, "".join(data)), f"attachment:{name}")
    return text


def data_url(mime: str, data: str) -> str:
    """Return an attachment as the importer writes it into the text."""
    encoded = data if mime.startswith("image/") else base64.b64encode(data.encode()).decode()
    return f"data:{mime};base64,{''.join(encoded.split())}"


def _uncommented(code: str) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in code.split("\n")[1:])


def _text(cell: dict[str, Any]) -> str:  # nbformat
    source = cell.get("source")
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _hash(code: str) -> str:
    return hashlib.sha256(code.strip().encode(errors="surrogatepass")).hexdigest()
