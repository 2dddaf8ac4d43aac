"""Lists of objects in structured answers are tables, and can be read as objects again."""

from collections.abc import Iterable
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import msgspec
import pytest

from marimo_kernel_bridge.mcp_server.answers.tables import (
    NAMES,
    SENT,
    as_objects,
    count_of,
    names_of,
    tables_of,
)
from marimo_kernel_bridge.mcp_server.answers.view import as_data
from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_tools import TOOLS
from tests.unit.mcp_server.agent import Agent


@dataclass(frozen=True)
class Cell:
    id: str
    version: int = 0
    stale: bool = False
    before: str | None = None
    inner: "tuple[Cell, ...]" = ()
    defines: tuple[str, ...] = field(default=(), metadata=NAMES)
    error: str = ""


@dataclass(frozen=True)
class Cells:
    cells: tuple[Cell, ...]
    names: tuple[str, ...] = ()
    more: tuple[Cell, ...] | None = None
    one: Cell | None = None
    query: str = field(default="", metadata=SENT)
    total: int = field(default=0, metadata=count_of("cells"))

    def text(self) -> str:
        return ""


CELLS = (Cell("a", 1, defines=("x", "y")), Cell("b", 2, stale=True), Cell("c", error="bad"))


def test_a_list_of_objects_names_each_field_once_and_rows_end_early() -> None:
    assert as_data(Cells(CELLS, ("x",), query="sent"), tables=True) == {
        "cells": [
            ["id", "version", "defines", "stale", "error"],
            ["a", 1, "x, y"],
            ["b", 2, "", True],
            ["c", None, "", None, "bad"],
        ],
        "names": ["x"],
    }


def test_names_are_one_text_also_outside_of_tables() -> None:
    data = as_data(Cells((), one=CELLS[0]), tables=True)
    assert data == {"cells": [], "one": {"id": "a", "version": 1, "defines": "x, y"}}
    assert as_objects(data, Cells)["one"]["defines"] == ["x", "y"]


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (Cell("a"),),
        (Cell("a", before="x"), Cell("b")),
        (Cell("", before="", error=""), Cell("b", error="bad")),
        (Cell("a", inner=CELLS), Cell("b", inner=(Cell("c"),))),
        CELLS,
    ],
    ids=["none", "one", "a null", "empty texts", "tables inside", "names"],
)
def test_a_list_of_objects_has_one_form_whatever_is_in_it_and_comes_back(cells: tuple[Cell, ...]) -> None:
    view = Cells(cells, more=cells, total=len(cells))
    data = as_data(view, tables=True)
    assert all(isinstance(row, list) for row in data["cells"] + data["more"])
    assert msgspec.convert(as_objects(data, Cells), Cells) == view


def test_a_number_is_told_where_the_list_does_not_show_it() -> None:
    assert "total" not in as_data(Cells(CELLS, total=3), tables=True)
    assert as_data(Cells(CELLS, total=9), tables=True)["total"] == 9
    assert as_data(Cells(CELLS, total=3))["total"] == 3, "resources have it"
    assert as_objects(as_data(Cells(CELLS, total=3), tables=True), Cells)["total"] == 3


def test_the_class_decides_what_is_a_table() -> None:
    chance: Any = ({"columns": ["a"]},)
    data = as_data(Cells((), chance), tables=True)
    assert as_objects(data, Cells)["names"] == list(chance)
    assert as_objects({"other": [["a"], [1]]}, Cells) == {"other": [["a"], [1]]}, "no answer of this class"
    assert as_objects({"cells": [{"id": "a"}]}, Cells)["cells"] == [{"id": "a"}], "a plugin's"


@pytest.mark.anyio
async def test_a_list_without_anything_in_it_is_an_empty_list(connected: Agent) -> None:
    result = await connected.client.call_tool("list_errors", {})
    assert result.structured_content is not None
    assert result.structured_content["errors"] == []


def test_names_have_no_comma() -> None:
    """Each field that is sent as one text has ids or Python names."""
    named = {
        f"{view.__name__}.{name}"
        for declaration in TOOLS
        for view in parts_of(schemas.answer_of(declaration.function)[0])
        for name in names_of(view)
    }
    assert named == {
        *(f"CellLine.{name}" for name in ("defines", "uses", "not_watched")),
        *(f"CellView.{name}" for name in ("defines", "uses", "upstream", "downstream", "not_watched")),
        *(f"RunView.{name}" for name in ("added", "to_run", "still_stale")),
        *("FlowCell.names", "Dataflow.cells", "Problem.blocks", "ErrorList.stale"),
        *("KernelState.stale", "KernelState.our_runs"),
    }


def parts_of(views: Iterable[type[Any]]) -> set[type[Any]]:
    """The classes of answers and of the objects in them."""
    found: set[type[Any]] = set()
    waiting = [view for view in views if is_dataclass(view)]
    while waiting:
        view = waiting.pop()
        if view not in found:
            found.add(view)
            waiting += tables_of(view).values()
    return found


def test_all_lists_of_objects_are_known() -> None:
    named = {
        f"{view.__name__}.{name}"
        for declaration in TOOLS
        for view in schemas.answer_of(declaration.function)[0]
        if is_dataclass(view)
        for name in tables_of(view)
    }
    assert {"CellList.cells", "ErrorList.errors", "RunView.ran", "VariableView.columns"} <= named
    assert not {"VariableView.rows", "Preview.cells"} & named
