"""Upgrade of notebooks from nbformat 3 to 4: worksheets, prompts, headings and outputs.

The library nbformat also upgrades notebooks, but refuses those that violate its schema, which Jupyter opens.
https://nbformat.readthedocs.io/en/latest/changelog.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.notebooks.nbformat_json import source_of

if TYPE_CHECKING:
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject, OutputJSON

_MIMES: Final = {
    "text": "text/plain",
    "html": "text/html",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "latex": "text/latex",
    "json": "application/json",
    "javascript": "application/javascript",
}


def upgraded(document: DocumentJSON) -> DocumentJSON | None:
    """Return a notebook of format 3 in format 4; None if it is not of format 3."""
    sheets = document.get("worksheets")
    if not isinstance(sheets, list):
        return None
    lists = [sheet.get("cells") or [] for sheet in sheets if isinstance(sheet, dict)]
    cells = [cell for one in lists if isinstance(one, list) for cell in one]
    if not all(isinstance(one, list) for one in lists) or not all(isinstance(cell, dict) for cell in cells):
        return None
    metadata = document.get("metadata")
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": metadata if isinstance(metadata, dict) else {},
        "cells": [_cell(cell) for cell in cells],
    }


def _cell(cell: CellJSON) -> CellJSON:
    saved = cell.get("metadata")
    metadata: JSONObject = saved if isinstance(saved, dict) else {}
    new: CellJSON = {"cell_type": cell.get("cell_type"), "metadata": metadata}
    match cell.get("cell_type"):
        case "code":
            if cell.get("collapsed"):
                new["metadata"] = {**metadata, "collapsed": True}
            outputs = cell.get("outputs")
            return new | {
                "source": cell.get("input", ""),
                "execution_count": cell.get("prompt_number"),
                "outputs": [
                    _output(output)
                    for output in (outputs if isinstance(outputs, list) else [])
                    if isinstance(output, dict)
                ],
            }
        case "heading":
            level = cell.get("level")
            level = min(level, 6) if isinstance(level, int) and level > 0 else 1
            return new | {"cell_type": "markdown", "source": f"{'#' * level} {source_of(cell).strip()}"}
        case "html":
            return new | {"cell_type": "markdown", "source": cell.get("source")}
        case _:
            return new | {"source": cell.get("source")}


def _output(output: OutputJSON) -> OutputJSON:
    match output.get("output_type"):
        case "stream":
            name = output.get("stream") or output.get("name") or "stdout"
            return {"output_type": "stream", "name": name, "text": output.get("text", "")}
        case "pyerr" | "error":
            fields = {key: output.get(key, "") for key in ("ename", "evalue")}
            return {"output_type": "error", **fields, "traceback": output.get("traceback") or []}
        case kind:
            data = {mime: output[key] for key, mime in _MIMES.items() if key in output}
            metadata = output.get("metadata")
            shown = {"data": data, "metadata": metadata if isinstance(metadata, dict) else {}}
            if kind == "pyout":
                count = output.get("prompt_number")
                return {"output_type": "execute_result", "execution_count": count, **shown}
            return {"output_type": "display_data", **shown}
