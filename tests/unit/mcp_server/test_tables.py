"""Lists of objects in structured answers are tables, and can be read as objects again."""

from typing import Any

import pytest

from marimo_kernel_bridge.mcp_server.answers.tables import as_objects, as_tables

CELLS = [{"id": "a", "version": 1}, {"id": "b", "version": 2, "stale": True}, {"id": "c", "error": "no"}]


def test_a_list_of_objects_names_each_field_once_and_rows_end_early() -> None:
    assert as_tables({"cells": CELLS, "total": 3}) == {
        "cells": {
            "columns": ["id", "version", "stale", "error"],
            "rows": [["a", 1], ["b", 2, True], ["c", None, None, "no"]],
        },
        "total": 3,
    }


@pytest.mark.parametrize(
    "data",
    [
        {"cells": CELLS},
        {"cells": [{"id": "a", "inner": CELLS}, {"id": "b", "inner": []}]},
        {"packages": [{"name": "x", "before": None, "after": "1"}]},
        {"columns": CELLS, "rows": [["1", "2"]], "name": "x"},
        {"mixed": [1, {"a": 2}], "none": [], "text": "x", "nothing": None},
    ],
)
def test_what_was_made_a_table_is_read_as_it_was(data: dict[str, Any]) -> None:
    assert as_objects(as_tables(data)) == data
