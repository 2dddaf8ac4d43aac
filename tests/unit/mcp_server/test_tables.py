"""Lists of objects in structured answers are tables, and can be read as objects again."""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from marimo_kernel_bridge.mcp_server.answers.tables import as_objects, tables_of
from marimo_kernel_bridge.mcp_server.answers.view import as_data
from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_tools import TOOLS
from tests.unit.mcp_server.agent import Agent


@dataclass(frozen=True)
class Cell:
    id: str
    version: int = 0
    stale: bool = False
    before: str | None = ""
    inner: "tuple[Cell, ...]" = ()


@dataclass(frozen=True)
class Cells:
    cells: tuple[Cell, ...]
    names: tuple[str, ...] = ()
    more: tuple[Cell, ...] | None = None

    def text(self) -> str:
        return ""


CELLS = (Cell("a", 1), Cell("b", 2, stale=True), Cell("c"))


def test_a_list_of_objects_names_each_field_once_and_rows_end_early() -> None:
    assert as_data(Cells(CELLS, ("x",)), tables=True) == {
        "cells": {"columns": ["id", "version", "stale"], "rows": [["a", 1], ["b", 2, True], ["c"]]},
        "names": ["x"],
    }


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (Cell("a"),),
        (Cell("a", before=None), Cell("b")),
        (Cell("a", inner=CELLS), Cell("b", inner=(Cell("c"),))),
    ],
    ids=["none", "one", "a null", "tables inside"],
)
def test_a_list_of_objects_has_one_form_whatever_is_in_it(cells: tuple[Cell, ...]) -> None:
    view = Cells(cells, more=cells)
    data = as_data(view, tables=True)
    assert data["cells"].keys() == data["more"].keys() == {"columns", "rows"}
    plain = as_data(view)
    for part in plain["cells"] + plain["more"]:
        if part.get("before", "") is None:
            del part["before"]
    assert as_objects(data) == plain


def test_a_list_that_has_objects_by_chance_is_none() -> None:
    chance: Any = ({"columns": ["a"]},)
    assert as_data(Cells((), chance), tables=True)["names"] == list(chance)


def hints_of(kind: Any) -> dict[str, set[Any]]:
    """What the fields of an answer, and of its parts, are made of, by `Class.field`."""
    found: dict[str, set[Any]] = {}
    waiting = [kind]
    while waiting:
        hint = waiting.pop()
        waiting += get_args(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            for name, field in get_type_hints(hint).items():
                if (key := f"{hint.__name__}.{name}") not in found:
                    found[key] = {part for part in flat(field) if part is dict or part is Any}
                    waiting.append(field)
    return found


def flat(hint: Any) -> Iterator[Any]:
    yield get_origin(hint) or hint
    for part in get_args(hint):
        yield from flat(part)


def test_no_object_of_an_answer_can_be_taken_for_a_table() -> None:
    # A JSON object that a kernel's code makes up could have the two keys of a table.
    views = [view for declaration in TOOLS for view in schemas.answer_of(declaration.function)[0]]
    free = {name for view in views for name, parts in hints_of(view).items() if parts}
    assert free == {
        "KernelState.death",  # of a fixed form
        "ErrorList.death",  # likewise
        "FilterLine.value",  # a text, a number, or a list of them
    }


@pytest.mark.anyio
async def test_a_list_without_anything_in_it_is_a_table(connected: Agent) -> None:
    result = await connected.client.call_tool("list_errors", {})
    assert result.structured_content is not None
    assert result.structured_content["errors"] == {"columns": [], "rows": []}


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
