"""Cells of an edited marimo file find the cells of the notebook that they were imported from."""

from pathlib import Path

import pytest

from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.marimo_file import FileCell, MarimoFile
from marimo_kernel_bridge.notebooks.origin import Origin, origin_of, origin_path, read_origin, save_origin
from marimo_kernel_bridge.notebooks.restored import Restored, restore


def document(*sources: str) -> dict[str, object]:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {"tags": [source]},
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": source}],
            "execution_count": number,
        }
        for number, source in enumerate(sources, start=1)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def file_of(*codes: str, path: Path = Path("n.py")) -> MarimoFile:
    return MarimoFile(path, "", tuple(FileCell(f"m{number}", code) for number, code in enumerate(codes)))


def imported(*sources: str) -> Origin:
    """Import cells as they are, each as one cell of the file."""
    notebook = parse_notebook(Path("n.ipynb"), document(*sources))
    return origin_of(notebook, file_of(*sources), [(number,) for number in range(1, len(sources) + 1)])


def ids(restored: Restored) -> list[str]:
    return [str(cell["id"]) for cell in restored.document["cells"]]


def test_an_unchanged_file_is_the_notebook_that_it_was() -> None:
    restored = restore(file_of("a", "b"), imported("a", "b"))
    assert restored.whole
    assert restored.document == document("a", "b")


def test_an_edited_cell_keeps_its_id_and_metadata_and_loses_its_outputs() -> None:
    restored = restore(file_of("a", "b + 1"), imported("a", "b"))
    edited = restored.document["cells"][1]
    assert restored.edited == ("c2",)
    assert not restored.whole
    assert (edited["id"], edited["metadata"], edited["outputs"]) == ("c2", {"tags": ["b"]}, [])
    assert edited["source"] == ["b + 1"]


def test_a_moved_cell_is_recognized_by_its_code() -> None:
    restored = restore(file_of("b", "c", "a"), imported("a", "b", "c"))
    assert ids(restored) == ["c2", "c3", "c1"]
    assert (restored.edited, restored.added, restored.gone) == ((), (), ())


def test_a_new_cell_gets_an_id_that_is_free() -> None:
    restored = restore(
        MarimoFile(Path("n.py"), "", (FileCell("x", "a"), FileCell("c2", "new"), FileCell("y", "b"))),
        imported("a", "b"),
    )
    assert ids(restored) == ["c1", "c21", "c2"]
    assert restored.added == ("c21",)


def test_a_deleted_cell_is_reported_by_its_position() -> None:
    restored = restore(file_of("a", "c"), imported("a", "b", "c"))
    assert ids(restored) == ["c1", "c3"]
    assert restored.gone == (2,)


def test_places_tell_which_cells_of_the_notebook_a_cell_of_the_file_is_in() -> None:
    assert restore(file_of("a", "b"), imported("a", "b")).places == {"m0": [0], "m1": [1]}


# Saving


def test_an_origin_is_read_as_it_was_saved(tmp_path: Path) -> None:
    notebook = parse_notebook(Path("n.ipynb"), document("a"))
    file = file_of("a", path=tmp_path / "n.py")
    path = save_origin(notebook, file, [(1,)], outputs=True)
    assert path == tmp_path / "__marimo__" / "jupyter" / "n.py.json"
    assert read_origin(file.path) == origin_of(notebook, file, [(1,)])


def test_an_origin_saved_without_outputs_has_none(tmp_path: Path) -> None:
    file = file_of("a", path=tmp_path / "n.py")
    save_origin(parse_notebook(Path("n.ipynb"), document("a")), file, [(1,)], outputs=False)
    origin = read_origin(file.path)
    assert origin is not None
    assert [(cell["outputs"], cell["execution_count"]) for cell in origin.document["cells"]] == [([], None)]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"version": 2}', '{"version": 1, "notebook": {"cells": []}, "cells": [{"code": "a"}]}'],
)
def test_an_origin_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    path = origin_path(tmp_path / "a.py")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert read_origin(tmp_path / "a.py") is None
