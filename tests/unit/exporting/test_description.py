"""A notebook as JSON for programs."""

from typing import Any

from marimo_kernel_bridge.exporting.description import (
    CellGraph,
    description_of,
    graph_of_file,
    graph_of_kernel,
)
from marimo_kernel_bridge.notebooks.marimo_file import FileCell
from marimo_kernel_bridge.protocol.notebook import Cell, CellStatus
from tests.unit.made_cells import made_cell

DOCUMENT = {
    "cells": [
        {"cell_type": "markdown", "id": "t", "metadata": {}, "source": ["# T\n", "text"]},
        {
            "cell_type": "code",
            "id": "c1",
            "metadata": {"tags": ["a"]},
            "source": "x = 1",
            "execution_count": 3,
            "outputs": [
                {"output_type": "stream", "name": "stderr", "text": ["\x1b[31mred\x1b[0m\n"]},
                {"output_type": "error", "ename": "E", "evalue": "why", "traceback": []},
                {
                    "output_type": "display_data",
                    "data": {"text/plain": "v", "image/png": "AA"},
                    "metadata": {},
                },
            ],
        },
    ],
    "metadata": {"kernelspec": {}},
}


def cell(cell_id: str, status: CellStatus, *, stale: bool, **names: Any) -> Cell:
    return made_cell(cell_id, status=status, stale=stale, **names)


def test_cells_have_their_source_outputs_as_text_and_place_in_the_graph() -> None:
    graph = {"c1": CellGraph(("x",), (), (), ("c2",))}
    assert description_of(DOCUMENT, "n", graph) == {
        "format": 1,
        "source": "n",
        "metadata": {"kernelspec": {}},
        "cells": [
            {"id": "t", "kind": "markdown", "source": "# T\ntext", "metadata": {}},
            {
                "id": "c1",
                "kind": "code",
                "source": "x = 1",
                "metadata": {"tags": ["a"]},
                "defines": ["x"],
                "uses": [],
                "upstream": [],
                "downstream": ["c2"],
                "execution_count": 3,
                "outputs": [
                    {"kind": "stderr", "text": "red\n"},
                    {"kind": "error", "text": "E: why"},
                    {"kind": "display_data", "text": "v", "mimes": ["image/png", "text/plain"]},
                ],
            },
        ],
    }


def test_the_graph_of_a_file_follows_from_what_its_cells_define_and_use() -> None:
    graph = graph_of_file(
        [FileCell("a", "", defines=("x",)), FileCell("b", "", uses=("x",), defines=("y",)), FileCell("c", "")]
    )
    assert {name: (cell.upstream, cell.downstream) for name, cell in graph.items()} == {
        "a": ((), ("b",)),
        "b": (("a",), ()),
        "c": ((), ()),
    }
    assert "status" not in graph["a"].as_json()


def test_the_graph_of_a_kernel_names_cells_as_the_document_does() -> None:
    first = cell("k1", "ok", stale=False, defines=("x",), downstream=("k2", "elsewhere"))
    second = cell("k2", "ok", stale=True, uses=("x",), upstream=("k1",))
    graph = graph_of_kernel({"c1": first, "c2": second})
    assert graph["c1"].as_json() == {
        "status": "ok",
        "stale": False,
        "defines": ["x"],
        "uses": [],
        "upstream": [],
        "downstream": ["c2"],
    }
    assert graph["c2"].as_json()["stale"] is True
