"""A marimo notebook file as values, and the .ipynb that it becomes.

Reading and writing marimo's syntax is the work of `marimo_format`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.notebooks.nbformat_json import lines
from marimo_kernel_bridge.protocol.names import KERNELSPEC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject

KERNELSPEC_METADATA: Final = {
    "display_name": "marimo (reactive Python)",
    "language": "python",
    "name": KERNELSPEC,
}
_LANGUAGE: Final = {
    "name": "python",
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}


@dataclass(frozen=True)
class FileCell:
    """A cell of a marimo file.

    `markdown` is the Markdown of a cell that shows nothing else. `config` holds the marimo settings that are not the
    default.
    """

    cell_id: str
    code: str
    name: str = "_"
    config: Mapping[str, Any] = field(default_factory=dict)  # marimo's, JSON
    markdown: str | None = None
    parses: bool = True
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarimoFile:
    """A marimo notebook on disk. `header` is the text before the notebook: script metadata, comments."""

    path: Path
    text: str
    cells: tuple[FileCell, ...]
    header: str = ""
    app_config: Mapping[str, Any] = field(default_factory=dict)  # marimo's, JSON


def document_of(file: MarimoFile) -> DocumentJSON:
    """Return a marimo notebook as an .ipynb, with ids, names and settings where the importer of this package reads them."""
    marimo: JSONObject = {}
    if file.app_config:
        marimo["app_config"] = dict(file.app_config)
    if file.header.strip():
        marimo["header"] = file.header
    return {
        "cells": [new_cell(cell) for cell in file.cells],
        "metadata": {
            "kernelspec": KERNELSPEC_METADATA,
            "language_info": _LANGUAGE,
            **({"marimo": marimo} if marimo else {}),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def new_cell(cell: FileCell, cell_id: str | None = None) -> CellJSON:
    """Return a new .ipynb cell for a cell of a marimo file."""
    marimo = settings_of(cell)
    metadata: JSONObject = {"marimo": marimo} if marimo else {}
    if cell.markdown is not None:
        return markdown_cell(cell_id or cell.cell_id, cell.markdown, metadata)
    if cell.config.get("hide_code"):
        metadata["jupyter"] = {"source_hidden": True}
    return code_cell(cell_id or cell.cell_id, cell.code, metadata)


def settings_of(cell: FileCell) -> JSONObject:
    """Return the marimo settings of a cell for the metadata of an .ipynb; empty if all have their defaults."""
    marimo: JSONObject = {}
    config = dict(cell.config)
    if cell.markdown is not None and config == {"hide_code": True}:
        config = {}  # the importer hides the code of Markdown anyway
    if config:
        marimo["config"] = config
    if cell.name not in {"_", "__", ""}:
        marimo["name"] = cell.name
    return marimo


def code_cell(cell_id: str, code: str, metadata: JSONObject | None = None) -> CellJSON:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": dict(metadata or {}),
        "outputs": [],
        "source": lines(code),
    }


def markdown_cell(cell_id: str, text: str, metadata: JSONObject) -> CellJSON:
    return {"cell_type": "markdown", "id": cell_id, "metadata": dict(metadata), "source": lines(text)}
