"""The import target `bridge`: a reactive .ipynb for this package's kernel, which keeps IPython's syntax.

Magics are masked by Python placeholders during the analysis, and restored afterwards as they were written.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.importing import stars
from marimo_kernel_bridge.importing.cells import prepare
from marimo_kernel_bridge.importing.prepared import with_line_feeds
from marimo_kernel_bridge.importing.python_text import parses
from marimo_kernel_bridge.notebooks.ipynb import CellReport, Conversion, Fate, Notebook, NotebookCell
from marimo_kernel_bridge.notebooks.marimo_file import KERNELSPEC_METADATA
from marimo_kernel_bridge.notebooks.nbformat_json import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON

_UNWRAPPED: Final = frozenset({"time", "prun", "capture", "memit"})
_ASSIGNED: Final = re.compile(r"^(\s*[^\s=][^=]*?=\s*)([!%].*)$")
_LINE: Final = re.compile(r"^(\s*+)([!%?].*|.*\?\??)$")


@dataclass
class _Masks:
    """Placeholders for IPython's syntax: a line that ends with one is restored to its original text."""

    words: Iterator[str]
    written: dict[str, str] = field(default_factory=dict)

    def mask(self, text: str) -> str:
        word = next(self.words)
        self.written[word] = text
        return word


def convert(
    notebook: Notebook,
    *,
    keep_outputs: bool,
    imports: stars.Imports = "installed",
    observed: Mapping[int, str] | None = None,
) -> Conversion:
    """Convert a notebook for this package's kernel. `observed` is what a run has shown of cells, by position.

    `imports` says which modules may be imported to learn what `from module import *` binds.

    Raises `BridgeError`: bad_notebook.
    """
    notebook = with_line_feeds(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    stem = next(word for number in itertools.count() if (word := f"ipython{number}_") not in text)
    masks = _Masks(f"{stem}{number}_" for number in itertools.count())
    masked = replace(notebook, cells=tuple(_masked(cell, masks) for cell in notebook.cells))
    folder = notebook.path.parent if notebook.path is not None else None
    prepared = prepare(
        masked,
        lambda _: None,
        lambda module: stars.names_of(module, folder, imports),
        ipython=True,
        observed=observed,
    )
    for prepared_cell in prepared.cells:
        prepared_cell.code = _unmasked(prepared_cell.code, masks)
    document = notebook.document
    by_place = {cell.positions[-1]: cell for cell in prepared.cells if cell.positions}
    added = [cell.code for cell in prepared.cells if not cell.positions]
    written = [_new_cell(f"added-{number}", code) for number, code in enumerate(added)]
    positions: list[tuple[int, ...]] = [() for _ in added]
    reports = []
    for cell, original in zip(notebook.cells, document.get("cells", []), strict=True):
        working = by_place.get(cell.position) if cell.kind == "code" else None
        notes = prepared.notes.get(cell.position, [])
        if cell.kind != "code" or working is not None:
            changed = {**original}
            if working is not None and working.code.strip("\n") != cell.source.strip("\n"):
                changed["source"] = lines(working.code)
            if cell.kind == "code" and not keep_outputs:
                changed |= {"outputs": [], "execution_count": None}
            written.append(changed)
            positions.append(working.positions if working is not None else (cell.position,))
        fate: Fate = "changed" if notes else "kept"
        reports.append(CellReport(cell.position, cell.cell_id, cell.kind, fate, tuple(notes)))
    metadata = {**document.get("metadata", {}), "kernelspec": KERNELSPEC_METADATA}
    result = {**document, "metadata": metadata, "cells": written, "nbformat": 4}
    if written and any("id" in cell_json for cell_json in written):
        result["nbformat_minor"] = max(5, int(document.get("nbformat_minor", 5)))
        for number, cell_json in enumerate(written):
            cell_json.setdefault("id", f"cell-{number}")
    return Conversion(
        text=json.dumps(result, indent=1, ensure_ascii=False) + "\n",
        cells=tuple(reports),
        added=tuple(added),
        check=(),
        check_passes=True,
        positions=tuple(positions),
        codes=tuple(
            "".join(cell_json["source"]) if cell_json["cell_type"] == "code" else "" for cell_json in written
        ),
    )


def _new_cell(cell_id: str, code: str) -> CellJSON:
    source = lines(code)
    return {
        "cell_type": "code",
        "id": cell_id,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def _masked(cell: NotebookCell, masks: _Masks) -> NotebookCell:
    if cell.kind != "code" or parses(cell.source):
        return cell
    first, _, body = cell.source.lstrip().partition("\n")
    if first.startswith("%%"):
        if first[2:].split(maxsplit=1)[0] in _UNWRAPPED and parses(body):
            return replace(cell, source=f"# {masks.mask(first)}\n{body}")
        return replace(cell, source=f"# {masks.mask(cell.source)}")
    lines = [_masked_line(line, masks) for line in cell.source.split("\n")]
    source = "\n".join(lines)
    return replace(cell, source=source if parses(source) else f"# {masks.mask(cell.source)}")


def _masked_line(line: str, masks: _Masks) -> str:
    match = _ASSIGNED.match(line)
    if match is not None and not parses(line.strip()):
        return f"{match[1]}{masks.mask(match[2])}()"
    match = _LINE.match(line)
    if match is None or parses(line.strip()):
        return line
    name, _, rest = match[2].partition(" ")
    if name in {"%time", "%timeit", "%prun"} and parses(rest):
        return f"{match[1]}{rest}  # {masks.mask(name)}"
    return f"{match[1]}pass  # {masks.mask(match[2])}"


def _unmasked(code: str, masks: _Masks) -> str:
    if not any(word in code for word in masks.written):
        return code
    lines = []
    for line in code.split("\n"):
        word = next((mask for mask in masks.written if mask in line), None)
        if word is None:
            lines.append(line)
            continue
        written = masks.written[word]
        if f"{word}()" in line:
            lines.append(line.replace(f"{word}()", written))
        elif line.strip() == f"# {word}":
            lines.append(line.replace(f"# {word}", written))
        elif line.strip() == f"pass  # {word}":
            lines.append(line.replace(f"pass  # {word}", written))
        else:
            indentation = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indentation}{written} {line.strip().removesuffix(f'# {word}').rstrip()}")
    return "\n".join(lines)
