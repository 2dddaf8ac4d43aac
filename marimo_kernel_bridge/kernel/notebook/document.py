"""The notebook's file on disk: the only reader of the .ipynb in the kernel.

Jupyter's messages carry neither the order of cells, nor the notebook's metadata, nor which cells were deleted in VS Code.
The file has all three, as of the last save. Reads only; a file that cannot be read is ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from marimo_kernel_bridge.protocol import names

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSONObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The settings in a notebook's own metadata; None for those that are not set.

    `{"marimo_kernel_bridge": {"on_cell_change": "lazy", "redefinitions": "strict"}}`, either or both. It takes precedence over
    marimo's configuration (`pyproject.toml`, the user's), which is the runtime's to read.
    """

    on_cell_change: Literal["autorun", "lazy"] | None = None
    redefinitions: Literal["relaxed", "strict"] | None = None


class NotebookDocument:
    """A notebook as it was last saved."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None

    def new_order(self, path: str) -> list[str] | None:
        """Return the ids of the cells in document order; None if the file has not changed, or cannot be read."""
        try:
            status = Path(path).stat()
        except OSError:
            return None
        if self._seen == (status.st_mtime_ns, status.st_size):
            return None
        self._seen = (status.st_mtime_ns, status.st_size)
        document = _read(path)
        if document is None or not isinstance(document.get("cells"), list):
            return None
        ids = [cell.get("id") for cell in _cells(document)]
        return [cell_id for cell_id in ids if isinstance(cell_id, str)]


def read_settings(path: str) -> Settings:
    """Return what a notebook's metadata asks for."""
    match _read(path):
        case {"metadata": {names.METADATA_KEY: {**ours}}}:
            mode, redefinitions = ours.get("on_cell_change"), ours.get("redefinitions")
        case _:
            return Settings()
    # Compared with tuples: a list or an object from the file cannot be looked up in a set.
    return Settings(
        mode if mode in ("autorun", "lazy") else None,
        redefinitions if redefinitions in ("relaxed", "strict") else None,
    )


def read_sources(path: str) -> list[str] | None:
    """Return the sources of all cells; None if the file cannot be read."""
    document = _read(path)
    if document is None or not isinstance(document.get("cells"), list):
        return None
    return [_text(cell.get("source")) for cell in _cells(document)]


def read_code(path: str) -> list[tuple[str | None, str]] | None:
    """Return the ids and texts of the code cells; None if the file cannot be read. Early formats have no ids."""
    document = _read(path)
    if document is None or not isinstance(document.get("cells"), list):
        return None
    code: list[tuple[str | None, str]] = []
    known: set[str] = set()
    for cell in _cells(document):
        if cell.get("cell_type") == "code":
            own = cell.get("id")
            key = own if isinstance(own, str) and own not in known else None  # none is in a notebook twice
            known.update([key] if key else [])
            code.append((key, _text(cell.get("source"))))
    return code


def _cells(document: _JSONObject) -> Iterator[_JSONObject]:
    return (cell for cell in document["cells"] if isinstance(cell, dict))


def _text(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _read(path: str) -> _JSONObject | None:
    """Return the document as JSON."""
    from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, read_bytes  # noqa: PLC0415  # not needed when a kernel starts

    try:
        document = json.loads(read_bytes(path, LARGEST_NOTEBOOK))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
