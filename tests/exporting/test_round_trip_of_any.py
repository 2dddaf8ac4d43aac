"""From .ipynb to .py and back: any notebook, made of cells that are hard."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from tests.exporting.round_trip import PIXEL, Trip, cell, document
from tests.inputs import inputs

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
metadata = st.dictionaries(
    st.sampled_from(["tags", "collapsed", "slideshow", "jupyter", "scrolled", "vscode", "x y", "ключ"]),
    json_values,
    max_size=3,
)
code = st.one_of(
    st.sampled_from(
        [
            "",
            "  \n",
            "\n\nx = 1\n",
            "x = x + 1",
            "rows = [1]",
            "rows.append(2)\t",
            "%matplotlib inline",
            "%%time\nx = 5",
            "!ls {x}",
            "files = !ls",
            "len?",
            "x =",
            "from math import *\nsin(1)",
            "import os\r\nos.getcwd()",
            "for i in range(3):\n\tprint(i)   ",
            "s = '''\n  a\n'''",
            "await f()",
            "%%cython\nq",
            "_",
            "x; # ünï 🐍",
            "def f():\n    return x\f",
        ]
    ),
    text,
)
markdown = st.one_of(
    st.sampled_from(
        [
            "# T\n\n$x$",
            '""" \\',
            "  indented\n    code\n",
            "{x} \\{",
            "![p](attachment:p.png)",
            "<b>\r\n</b>",
        ]
    ),
    text,
)
as_stored = st.sampled_from([lambda source: source, lambda source: source.splitlines(keepends=True)])


@st.composite
def notebooks(draw):
    cells = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        kind = draw(st.sampled_from(["code", "code", "markdown", "raw"]))
        source = draw(as_stored)(draw({"code": code, "markdown": markdown, "raw": text}[kind]))
        made = cell(kind, source, number, metadata=draw(metadata))
        if kind == "markdown" and "attachment:" in "".join(source):
            made["attachments"] = {"p.png": {"image/png": PIXEL}}
        if kind == "code" and draw(st.booleans()):
            shown = {"text/plain": draw(text), "application/x": draw(json_values)}
            made["execution_count"] = number
            made["outputs"] = [
                {"output_type": "execute_result", "data": shown, "metadata": {}, "execution_count": number}
            ]
        cells.append(made)
    return document(*cells, metadata={"kernelspec": {"name": "python3"}, "widgets": draw(json_values)})


@settings(max_examples=inputs(25, 1000), deadline=None, derandomize=True, database=None)
@given(notebooks())
def test_a_notebook_comes_back_as_it_was(tmp_path_factory, notebook):
    given_text = json.dumps(notebook)
    restored = Trip(tmp_path_factory.mktemp("trip"), notebook).back()
    assert restored.whole
    assert json.dumps(restored.document) == given_text


@settings(max_examples=inputs(12, 500), deadline=None, derandomize=True, database=None)
@given(notebooks())
def test_an_edit_below_leaves_every_cell_that_the_importer_kept(tmp_path_factory, notebook):
    last = "last_of_all = 1"
    notebook["cells"].append(cell("code", last, 99))
    trip = Trip(tmp_path_factory.mktemp("trip"), notebook)
    restored = trip.back(lambda text: text.replace("last_of_all = 1", "last_of_all = 2"))
    by_id = {each["id"]: each for each in restored.document["cells"]}
    report = convert(parse_notebook(trip.path.with_suffix(".ipynb"), notebook)).cells
    for original, told in zip(notebook["cells"][:-1], report, strict=False):
        if told.fate == "kept" or original["cell_type"] != "code":
            assert by_id[original["id"]] == original
    assert "".join(by_id["c99"]["source"]) == "last_of_all = 2"
    assert restored.edited == ("c99",)
