"""Reading .ipynb files as values, and writing files wholly or not at all."""

import json
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook, read_notebook

PATH = Path("n.ipynb")


def notebook(*sources: object, **more: object) -> dict[str, object]:
    cells = [{"cell_type": "code", "source": source} for source in sources]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **more}


def test_cells_without_ids_are_named_by_their_position() -> None:
    cells = parse_notebook(PATH, notebook("a", "b")).cells
    assert [(cell.position, cell.cell_id, cell.source) for cell in cells] == [
        (1, "cell-1", "a"),
        (2, "cell-2", "b"),
    ]


def test_sources_that_are_lists_of_lines_are_joined() -> None:
    (cell,) = parse_notebook(PATH, notebook(["a\n", "b"])).cells
    assert cell.source == "a\nb"


def test_fields_of_the_wrong_type_are_taken_as_empty() -> None:
    cell = {"cell_type": "code", "source": "", "metadata": 3, "attachments": [], "outputs": [1, {"a": 2}]}
    (read,) = parse_notebook(PATH, notebook(cells=[cell])).cells
    assert (read.metadata, read.attachments, read.outputs) == ({}, {}, ({"a": 2},))


def test_a_notebook_of_format_3_is_read_as_one_of_format_4() -> None:
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]}
    read = parse_notebook(PATH, old)
    assert [cell.source for cell in read.cells] == ["x = 1"]
    assert read.document["nbformat"] == 4


def test_odd_fields_of_format_3_are_refused_or_taken_within_reason() -> None:
    heading = {"cell_type": "heading", "level": 10**400, "source": "T"}
    (read,) = parse_notebook(PATH, {"nbformat": 3, "worksheets": [{"cells": [heading]}]}).cells
    assert read.source == "###### T"
    with pytest.raises(BridgeError, match="no list of cells"):
        parse_notebook(PATH, {"nbformat": 3, "worksheets": [{"cells": 3}]})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"x", "is not JSON"),
        (b"[1, 2]", "has no nbformat"),
        (b'{"nbformat": 2}', "old notebook format 2"),
        (b'{"nbformat": 5, "cells": []}', "newer than the 4"),
        (b'{"nbformat": 4, "metadata": {}}', "no list of cells"),
        (b'{"nbformat": 4, "cells": [3]}', "cell 1 is not a code, markdown or raw cell"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "cell 1 has no source"),
        (json.dumps(notebook("a\0b")).encode(), "NUL"),
        (json.dumps(notebook("\ud800")).encode(), "surrogate"),
        (b'{"a": "\xe9"}', "not UTF-8"),
        (json.dumps(notebook(metadata={"kernelspec": {"language": "R"}})).encode(), "in R"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_notebook_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.ipynb"
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=says) as refused:
        read_notebook(path)
    assert refused.value.code == "bad_notebook"
    assert "\n" not in str(refused.value)


def test_python_is_refused_with_the_command_that_exports_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import marimo")
    with pytest.raises(BridgeError, match=r"export .*app\.py --to ipynb"):
        read_notebook(tmp_path / "app.py")


def test_a_missing_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="does not exist"):
        read_notebook(tmp_path / "none.ipynb")
