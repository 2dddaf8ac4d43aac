"""A notebook as JSON for programs: cells, their place in the graph, and their outputs as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.notebooks.nbformat_json import source_of
from marimo_kernel_bridge.protocol.output_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.notebooks.marimo_file import FileCell
    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON, JSONObject, OutputJSON
    from marimo_kernel_bridge.protocol.notebook import Cell


def description_of(document: DocumentJSON, source: str, graph: Mapping[str, CellGraph]) -> JSONObject:
    """Describe the notebook. `graph` has the edges and state of cells by their id, as far as they are known."""
    cells = []
    for position, cell in enumerate(document["cells"], start=1):
        cell_id = str(cell.get("id") or f"cell-{position}")
        described: JSONObject = {
            "id": cell_id,
            "kind": cell["cell_type"],
            "source": source_of(cell),
            "metadata": cell.get("metadata") or {},
        }
        if cell["cell_type"] == "code":
            if cell_id in graph:
                described |= graph[cell_id].as_json()
            described["execution_count"] = cell.get("execution_count")
            described["outputs"] = [_output(output) for output in cell.get("outputs") or []]
        cells.append(described)
    return {"format": 1, "source": source, "metadata": document.get("metadata") or {}, "cells": cells}


@dataclass(frozen=True)
class CellGraph:
    """A cell's names and edges in the graph. `status` and `stale` are known for a running kernel only."""

    defines: tuple[str, ...]
    uses: tuple[str, ...]
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    status: str | None = None
    stale: bool | None = None

    def as_json(self) -> JSONObject:
        live = {} if self.status is None else {"status": self.status, "stale": self.stale}
        return live | {
            "defines": list(self.defines),
            "uses": list(self.uses),
            "upstream": list(self.upstream),
            "downstream": list(self.downstream),
        }


def graph_of_kernel(cells: Mapping[str, Cell]) -> dict[str, CellGraph]:
    """Return the graph of a kernel, by the document's cell ids."""
    names = {cell.cell_id: name for name, cell in cells.items()}
    return {
        name: CellGraph(
            tuple(cell.defines),
            tuple(cell.uses),
            tuple(names[cell_id] for cell_id in cell.upstream if cell_id in names),
            tuple(names[cell_id] for cell_id in cell.downstream if cell_id in names),
            cell.status,
            cell.stale,
        )
        for name, cell in cells.items()
    }


def graph_of_file(cells: Sequence[FileCell]) -> dict[str, CellGraph]:
    """Return the graph of a marimo file, by its cell ids."""
    return {
        cell.cell_id: CellGraph(
            tuple(cell.defines),
            tuple(cell.uses),
            tuple(other.cell_id for other in cells if _feeds(other, cell)),
            tuple(other.cell_id for other in cells if _feeds(cell, other)),
        )
        for cell in cells
    }


def _feeds(one: FileCell, other: FileCell) -> bool:
    return one is not other and not set(one.defines).isdisjoint(other.uses)


def _output(output: OutputJSON) -> JSONObject:
    match output.get("output_type"):
        case "stream":
            return {"kind": output.get("name", "stdout"), "text": plain_text(output)}
        case "error":
            return {"kind": "error", "text": plain_text(output)}
        case kind:
            data = output.get("data") or {}
            return {"kind": str(kind), "text": plain_text(output), "mimes": sorted(data)}
