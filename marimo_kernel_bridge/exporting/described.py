"""A notebook as JSON for programs: cells, what they define and use, who depends on whom, and what they show as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.protocol.output_log import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.notebooks.marimo_file import FileCell
    from marimo_kernel_bridge.protocol.notebook import Cell


def described(
    document: dict[str, Any],  # nbformat
    source: str,
    graph: Mapping[str, dict[str, Any]],  # JSON
) -> dict[str, Any]:  # JSON
    """Return the notebook. `graph` has more fields for some cells, by their id."""
    cells = []
    for position, cell in enumerate(document["cells"], start=1):
        cell_id = str(cell.get("id") or f"cell-{position}")
        described: dict[str, Any] = {
            "id": cell_id,
            "kind": cell["cell_type"],
            "source": _joined(cell.get("source")),
            "metadata": cell.get("metadata") or {},
        }
        if cell["cell_type"] == "code":
            described |= graph.get(cell_id, {})
            described["execution_count"] = cell.get("execution_count")
            described["outputs"] = [_output(output) for output in cell.get("outputs") or []]
        cells.append(described)
    return {"format": 1, "source": source, "metadata": document.get("metadata") or {}, "cells": cells}


def graph_of_kernel(cells: Mapping[str, Cell]) -> dict[str, dict[str, Any]]:  # JSON
    """Return what a kernel knows of its cells, by their ids in the document."""
    names = {cell.cell_id: name for name, cell in cells.items()}
    return {
        name: {
            "status": cell.status,
            "stale": cell.stale,
            "defines": list(cell.defines),
            "uses": list(cell.uses),
            "upstream": [names[each] for each in cell.upstream if each in names],
            "downstream": [names[each] for each in cell.downstream if each in names],
        }
        for name, cell in cells.items()
    }


def graph_of_file(cells: Sequence[FileCell]) -> dict[str, dict[str, Any]]:  # JSON
    """Return what marimo knows of the cells of a file, by their ids."""
    return {
        cell.cell_id: {
            "defines": list(cell.defines),
            "uses": list(cell.uses),
            "upstream": [other.cell_id for other in cells if _feeds(other, cell)],
            "downstream": [other.cell_id for other in cells if _feeds(cell, other)],
        }
        for cell in cells
    }


def _feeds(one: FileCell, other: FileCell) -> bool:
    return one is not other and not set(one.defines).isdisjoint(other.uses)


def _output(output: dict[str, Any]) -> dict[str, Any]:  # nbformat
    match output.get("output_type"):
        case "stream":
            return {"kind": output.get("name", "stdout"), "text": strip_ansi(_joined(output.get("text")))}
        case "error":
            return {"kind": "error", "text": f"{output.get('ename')}: {output.get('evalue')}"}
        case kind:
            data = output.get("data") or {}
            text = strip_ansi(_joined(data.get("text/plain", "")))
            return {"kind": str(kind), "text": text, "mimes": sorted(data)}


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
