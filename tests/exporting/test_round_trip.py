"""From .ipynb to .py and back: each cell as it was, unless it was edited in between."""

import pytest

from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.marimo_format.reader import read_text
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.origin import origin_path, read_origin
from marimo_kernel_bridge.notebooks.restored import restore
from tests.exporting.round_trip import PIXEL, Trip, cell, codes, document


@pytest.fixture
def trip(tmp_path):
    return lambda notebook: Trip(tmp_path, notebook)


def sources(restored):
    return ["".join(each["source"]) for each in restored.document["cells"]]


def ids(restored):
    return [each["id"] for each in restored.document["cells"]]


def test_an_edited_cell_keeps_its_id_and_metadata(trip):
    notebook = document(
        cell("code", "x = 1", 1, metadata={"tags": ["kept"]}),
        cell("markdown", "# Title", 2, metadata={"slideshow": {"slide_type": "slide"}}),
        cell("code", "x", 3),
    )
    restored = trip(notebook).back(lambda text: text.replace("x = 1", "x = 2").replace("# Title", "# Other"))
    assert sources(restored) == ["x = 2", "# Other", "x"]
    assert ids(restored) == ["c1", "c2", "c3"]
    assert restored.document["cells"][0]["metadata"] == {"tags": ["kept"]}
    assert restored.document["cells"][1]["metadata"] == {"slideshow": {"slide_type": "slide"}}
    assert restored.edited == ("c1", "c2")


def test_once_code_was_edited_the_other_cells_fit_it(trip):
    notebook = codes("x = 1", "x = x + 1", "%time x")
    assert sources(trip(notebook).back()) == ["x = 1", "x = x + 1", "%time x"]
    restored = trip(notebook).back(lambda text: text.replace("x = 1", "x = 7"))
    assert sources(restored)[:3] == ["import time", "x = 7", "x_1 = x + 1"]
    assert ids(restored)[1:3] == ["c1", "c2"]
    assert "x_1" in sources(restored)[-1]
    assert "%time" not in sources(restored)[-1]


def test_edited_markdown_alone_brings_the_original_code_back(trip):
    notebook = document(cell("markdown", "# A", 1), cell("code", "x = 1", 2), cell("code", "x = x + 1", 3))
    restored = trip(notebook).back(lambda text: text.replace("# A", "# B"))
    assert sources(restored) == ["# B", "x = 1", "x = x + 1"]


def test_an_attachment_stays_one_when_the_text_around_it_is_edited(trip):
    attachments = {"p.png": {"image/png": PIXEL}}
    notebook = document(cell("markdown", "before ![p](attachment:p.png)", 1, attachments=attachments))
    restored = trip(notebook).back(lambda text: text.replace("before", "after"))
    assert sources(restored) == ["after ![p](attachment:p.png)"]
    assert restored.document["cells"][0]["attachments"] == attachments


def test_an_edited_raw_cell_is_raw_again(trip):
    restored = trip(document(cell("raw", "---\ntitle: x\n---", 1), cell("code", "y = 1", 2))).back(
        lambda text: text.replace("title: x", "title: z")
    )
    assert restored.document["cells"][0]["cell_type"] == "raw"
    assert sources(restored)[0] == "---\ntitle: z\n---"


def test_an_edited_cell_of_comments_is_one_again(trip):
    notebook = codes("# Your solution here", "%matplotlib inline", "y = 1")
    assert trip(notebook).back().whole
    restored = trip(notebook).back(lambda text: text.replace("Your solution", "# My solution"))
    assert sources(restored) == ["# # My solution here", "%matplotlib inline", "y = 1"]
    assert [each["cell_type"] for each in restored.document["cells"]] == ["code", "code", "code"]
    restored = trip(notebook).back(lambda text: text.replace("y = 1", "y = 2"))
    assert sources(restored) == ["# Your solution here", "%matplotlib inline", "y = 2"]


def test_cells_that_were_added_moved_and_deleted_are_where_they_are_in_the_file(trip):
    trip = trip(codes("a = 1", "b = 2", "c = 3"))

    def edit(text):
        head, one, two, three = text.split("@app.cell\n")
        three, tail = three.split('\n\nif __name__ == "__main__":')
        new = "def _():\n    d = 4\n    return (d,)\n\n\n"
        moved = f"{head}@app.cell\n{two}@app.cell\n{new}@app.cell\n{one}"
        return f'{moved}\n\nif __name__ == "__main__":{tail}'

    restored = trip.back(edit)
    assert sources(restored) == ["b = 2", "d = 4", "a = 1"]
    assert ids(restored)[0] == "c2"
    assert ids(restored)[2] == "c1"
    assert restored.gone == (3,)
    assert len(set(ids(restored))) == 3


def test_what_the_importer_left_out_comes_back(trip):
    notebook = codes("import math", "", "import math", "math.pi")
    assert sources(trip(notebook).back()) == ["import math", "", "import math", "math.pi"]
    restored = trip(notebook).back(lambda text: text.replace("math.pi", "math.e"))
    assert sources(restored)[:2] == ["import math", ""]


def test_cells_that_the_importer_joined_come_apart_again(trip):
    sources_given = [
        "%matplotlib inline\nimport matplotlib.pyplot as plt",
        "fig, ax = plt.subplots()",
        "# between",
        "ax.plot([1])",
        "1",
    ]
    joined = trip(codes(*sources_given))
    assert "are one cell" in str(convert(parse_notebook(joined.path, codes(*sources_given))).cells)
    assert sources(joined.back()) == sources_given
    restored = joined.back(lambda text: text.replace("ax.plot([1])", "ax.plot([2])"))
    assert any("subplots" in source and "ax.plot([2])" in source for source in sources(restored))


def test_marimos_import_is_added_only_if_code_needs_it(trip):
    notebook = document(cell("markdown", "# A", 1), cell("code", "x = 1", 2))
    restored = trip(notebook).back(lambda text: text.replace("x = 1", "x = 2"))
    assert sources(restored) == ["# A", "x = 2"]
    restored = trip(notebook).back(lambda text: text.replace("x = 1", "x = mo.md('a')"))
    assert sources(restored) == ["import marimo as mo", "# A", "x = mo.md('a')"]


def test_settings_made_in_marimo_are_in_the_metadata_and_come_back_by_an_import(trip, tmp_path):
    restored = trip(codes("x = 1", "y = x")).back(
        lambda text: text.replace("@app.cell\ndef _():", "@app.cell(hide_code=True)\ndef first():", 1)
    )
    first = restored.document["cells"][0]
    assert first["metadata"]["marimo"] == {"config": {"hide_code": True}, "name": "first"}
    again = convert(parse_notebook(tmp_path / "trip.ipynb", restored.document)).text
    assert "@app.cell(hide_code=True)\ndef first():" in again


def test_a_file_that_marimo_saved_again_is_the_same(trip):
    from marimo._convert.converters import MarimoConvert  # noqa: PLC0415, TID251  # what its editor writes with

    notebook = codes("x = [1]", "x.append(2)", "%time x")
    trip = trip(notebook)
    saved = MarimoConvert.from_ir(MarimoConvert.from_py(trip.text).to_ir()).to_py()
    restored = restore(read_text(trip.path, saved), read_origin(trip.path))
    assert restored.document == notebook


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"version": 1, "notebook": {"cells": []}}']
)
def test_an_origin_that_cannot_be_read_is_none(tmp_path, content):
    place = origin_path(tmp_path / "a.py")
    place.parent.mkdir(parents=True)
    place.write_text(content)
    assert read_origin(tmp_path / "a.py") is None


# Cells that define something and then fail are two in the file, and one again


FAILING = ("class TooSmall(Exception):\n    pass\n\nraise TooSmall('on purpose')", "TooSmall", "x = 1")


def test_the_parts_of_a_divided_cell_are_one_again(trip):
    back = trip(codes(*FAILING))
    assert back.text.count("@app.") == 4
    restored = back.back()
    assert restored.whole
    assert sources(restored) == list(FAILING)
    assert len(restored.places) == 4
    assert sorted(index for indexes in restored.places.values() for index in indexes) == [0, 0, 1, 2]


def test_an_edit_of_a_part_of_a_divided_cell_is_in_the_whole(trip):
    for old, new in [("on purpose", "as planned"), ("pass", "...")]:
        restored = trip(codes(*FAILING)).back(lambda text, old=old, new=new: text.replace(old, new))
        assert sources(restored) == [FAILING[0].replace(old, new), *FAILING[1:]]
        assert (ids(restored), restored.edited) == (["c1", "c2", "c3"], ("c1",))


def test_an_edit_elsewhere_leaves_a_divided_cell_one(trip):
    restored = trip(codes(*FAILING)).back(lambda text: text.replace("x = 1", "x = 2"))
    assert sources(restored) == [*FAILING[:2], "x = 2"]
    assert (ids(restored), restored.edited, restored.gone) == (["c1", "c2", "c3"], ("c3",), ())


def test_a_divided_cell_of_which_a_part_is_gone_is_what_is_left(trip):
    def without_failure(text):
        at = text.index("@app.cell\ndef _():\n    raise")
        return text[:at] + text[text.index("@app.cell", at + 1) :]

    restored = trip(codes(*FAILING)).back(without_failure)
    assert sources(restored)[0] == "class TooSmall(Exception):\n    pass"
    assert ids(restored) == ["c1", "c2", "c3"]
