"""A marimo file as values, and as an .ipynb if it never was one. Reading and writing marimo's syntax is `runtime/files.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.names import KERNELSPEC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    """One cell. `markdown` is its text if it only shows one; `config` holds marimo's settings that are not the default."""

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
    """A marimo notebook on disk. `header` is what stands above it: script metadata, comments."""

    path: Path
    text: str
    cells: tuple[FileCell, ...]
    header: str = ""
    app_config: Mapping[str, Any] = field(default_factory=dict)  # marimo's, JSON


def document_of(file: MarimoFile) -> dict[str, Any]:  # nbformat
    """Return a marimo notebook as an .ipynb: its ids, names and settings are where our importer finds them again."""
    marimo: dict[str, Any] = {}
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


def new_cell(cell: FileCell, cell_id: str | None = None) -> dict[str, Any]:  # nbformat
    """Return a cell that no .ipynb had before."""
    marimo = settings_of(cell)
    metadata: dict[str, Any] = {"marimo": marimo} if marimo else {}
    if cell.markdown is not None:
        return markdown_cell(cell_id or cell.cell_id, cell.markdown, metadata)
    if cell.config.get("hide_code"):
        metadata["jupyter"] = {"source_hidden": True}
    return code_cell(cell_id or cell.cell_id, cell.code, metadata)


def settings_of(cell: FileCell) -> dict[str, Any]:  # JSON
    """Return what an .ipynb's metadata says of a cell for marimo; empty if there is nothing to say."""
    marimo: dict[str, Any] = {}
    config = dict(cell.config)
    if cell.markdown is not None and config == {"hide_code": True}:
        config = {}  # the importer hides the code of Markdown anyway
    if config:
        marimo["config"] = config
    if cell.name not in {"_", "__", ""}:
        marimo["name"] = cell.name
    return marimo


def code_cell(
    cell_id: str, code: str, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:  # nbformat
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": dict(metadata or {}),
        "outputs": [],
        "source": lines(code),
    }


def markdown_cell(cell_id: str, text: str, metadata: Mapping[str, Any]) -> dict[str, Any]:  # nbformat
    return {"cell_type": "markdown", "id": cell_id, "metadata": dict(metadata), "source": lines(text)}


def lines(text: str) -> list[str]:
    """Split a text as nbformat stores it: at line feeds only, or other characters would break lines when joined."""
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]
