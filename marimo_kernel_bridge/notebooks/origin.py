"""The origin of a marimo file: the .ipynb that it was imported from, saved beside it.

A marimo file cannot hold cell ids, metadata, attachments, or the original text of a magic that became Python. They are
saved in `__marimo__/jupyter/NAME.py.json`, which marimo's editor does not touch (docs/decisions/0006 has the reason).
`restored` merges them with the file for an export.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.notebooks.folder_files import bytes_inside, make_folder_inside
from marimo_kernel_bridge.notebooks.marimo_file import settings_of
from marimo_kernel_bridge.notebooks.nbformat_json import serialized
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject

RAW: Final = "# Raw cell of the Jupyter notebook:"
"""The line that the importer wrote before the text of a raw cell, as comments, in files of before."""
_FENCED: Final = re.compile(r"\s*(?P<fence>`{3,})\w*\n(?:(?P<text>.*)\n)?(?P=fence)\s*", re.DOTALL)
_FORMAT: Final = 1
_FOLDER: Final = "__marimo__/jupyter"


@dataclass(frozen=True)
class ImportedCell:
    """A cell of the marimo file as the importer wrote it.

    `code` is the hash of its code, `positions` are the .ipynb's cells that it was made of, counted from 1, and
    `settings` are the marimo settings in the .ipynb.
    """

    code: str
    positions: tuple[int, ...]
    settings: JSONObject = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """The .ipynb that a marimo file was imported from, and the cells that the importer made from it."""

    document: DocumentJSON
    cells: tuple[ImportedCell, ...]


def origin_path(file: Path) -> Path:
    """Return the path at which the origin of a marimo file is saved."""
    return file.parent / _FOLDER / f"{file.name}.json"


def save_origin(
    notebook: Notebook, file: MarimoFile, positions: Sequence[tuple[int, ...]], *, outputs: bool
) -> Path:
    """Save the origin of a file that was just imported; return its path. Raises `BridgeError`: bad_request."""
    origin = origin_of(notebook, file, positions)
    cells = [cell if outputs else _without_outputs(cell) for cell in origin.document["cells"]]
    content = {
        "version": _FORMAT,
        "notebook": {**origin.document, "cells": cells},
        "cells": [
            {
                "code": cell.code,
                "positions": list(cell.positions),
                **({"settings": cell.settings} if cell.settings else {}),
            }
            for cell in origin.cells
        ],
    }
    make_folder_inside(file.path.parent, _FOLDER)
    path = origin_path(file.path)
    write_whole(path, serialized(content), overwrite=True, like=file.path)
    return path


def origin_of(notebook: Notebook, file: MarimoFile, positions: Sequence[tuple[int, ...]]) -> Origin:
    """Return the origin of a file that was imported from a notebook. `positions` has an entry for each of its cells."""
    return Origin(
        notebook.document,
        tuple(
            ImportedCell(code_hash(cell.code), tuple(places), settings_of(cell))
            for cell, places in zip(file.cells, positions, strict=True)
        ),
    )


def _without_outputs(cell: CellJSON) -> CellJSON:
    return {**cell, "outputs": [], "execution_count": None} if cell.get("cell_type") == "code" else cell


def read_origin(file: Path) -> Origin | None:
    """Return the saved origin of a marimo file; None if there is none, or it cannot be read."""
    try:
        saved = bytes_inside(file.parent, f"{_FOLDER}/{file.name}.json", LARGEST_NOTEBOOK, hidden=True)
        content = None if saved is None else json.loads(saved)
        match content:
            case {"version": 1, "notebook": {"cells": list()} as document, "cells": list(cells)}:
                return Origin(
                    document,
                    tuple(
                        ImportedCell(
                            cell["code"], tuple(map(int, cell["positions"])), cell.get("settings", {})
                        )
                        for cell in cells
                    ),
                )
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def data_url(mime: str, data: str) -> str:
    """Return the data URL with which the importer replaces an attachment."""
    encoded = data if mime.startswith("image/") else base64.b64encode(data.encode()).decode()
    return f"data:{mime};base64,{''.join(encoded.split())}"


def code_hash(code: str) -> str:
    """Return the hash by which the code of a cell is recognized."""
    return hashlib.sha256(code.strip().encode(errors="surrogatepass")).hexdigest()


def fenced(text: str, language: str = "") -> str:
    """Return Markdown that shows a text as code: what the importer writes for raw cells, and for cells without code."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def unfenced(markdown: str) -> str | None:
    """Return the text that Markdown shows as code; None if it shows anything else."""
    found = _FENCED.fullmatch(markdown)
    return (found["text"] or "") if found is not None else None
