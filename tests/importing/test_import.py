"""The importer: what is kept, what is told, what is refused."""

import ast
import base64
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from reactive import assert_shows_the_same_again_and_again

from marimo_kernel_bridge.cli.import_command import ImportOptions, import_notebook
from marimo_kernel_bridge.importing import to_ipynb as bridge
from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.notebooks.ipynb import Conversion, read_notebook

EXAMPLE = Path(__file__).parents[2] / "examples" / "penguins.ipynb"


def notebook_json(*cells, metadata=None):
    """Cells are sources of code cells, or (kind, source) or (kind, source, more fields)."""
    made = []
    for position, cell in enumerate(cells, start=1):
        kind, source, more = ("code", cell, {}) if isinstance(cell, str) else (*cell, {})[:3]
        outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
        made.append(
            {"cell_type": kind, "source": source, "id": f"c{position}", "metadata": {}, **outputs, **more}
        )
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata or {}, "cells": made})


@pytest.fixture
def imported(tmp_path):
    def convert_cells(*cells, metadata=None) -> Conversion:
        path = tmp_path / "given.ipynb"
        path.write_text(notebook_json(*cells, metadata=metadata))
        return convert(read_notebook(path))

    return convert_cells


def fates(conversion):
    return [cell.fate for cell in conversion.cells]


def notes(conversion, position):
    return "; ".join(conversion.cells[position - 1].notes)


def literals(text):
    """The texts quoted in a marimo notebook, without the indentation that marimo takes off again."""
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [inspect.cleandoc(value) for value in constants if isinstance(value, str)]


# The example


def test_the_example_keeps_every_cell_in_order_and_its_markdown(tmp_path):
    conversion = import_notebook(EXAMPLE, tmp_path / "penguins.py", ImportOptions()).conversion
    text = (tmp_path / "penguins.py").read_text()
    assert conversion.complete
    assert fates(conversion) == ["kept"] * 10
    assert conversion.added == ("import marimo as mo",)
    at = 0
    for cell in read_notebook(EXAMPLE).cells:
        first_line = cell.source.splitlines()[0]
        at = text.index(first_line, at) + len(first_line)
    quoted = literals(text)
    assert [value for value in quoted if value.startswith(("#", "*"))] == [
        cell.source for cell in read_notebook(EXAMPLE).cells if cell.kind == "markdown"
    ]


@pytest.mark.long  # the demo imports a notebook, checks and runs it; this one takes pandas and matplotlib
def test_the_imported_example_passes_marimo_check_and_runs(tmp_path):
    target = tmp_path / "penguins.py"
    import_notebook(EXAMPLE, target, ImportOptions())
    check = run(sys.executable, "-m", "marimo", "check", target)
    assert check.returncode == 0, check.stdout
    ran = run(sys.executable, target, cwd=EXAMPLE.parent)
    assert ran.returncode == 0, ran.stderr
    assert "146 Adelie penguins weigh 3706 g on average;" in ran.stdout


def run(*command, cwd=None):
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=250, check=False
    )


# Nothing is lost in silence


@pytest.mark.parametrize("strange", ["%%time", "%\nq = 1", "from math import *", "len?", "x ="])
def test_a_strange_cell_does_not_change_how_the_others_are_treated(imported, strange):
    others = [
        "%matplotlib inline\nimport math",
        "for i in range(3):\n    pass",
        "for i in range(2):\n    pass",
    ]
    alone, together = imported(*others), imported(*others, strange)
    assert together.cells[:3] == alone.cells
    for cell in alone.text.split("@app.cell")[1:4]:
        assert cell.split("if __name__")[0].strip() in together.text


def test_a_name_that_was_undefined_before_is_a_remark_only(imported):
    conversion = imported("print(nowhere)")
    assert fates(conversion) == ["changed"]
    assert "in the Jupyter notebook neither" in notes(conversion, 1)
    assert conversion.complete


def test_a_raw_cell_is_kept_as_text_and_not_run(imported):
    conversion = imported(("raw", "---\ntitle: x\n---"), "y = 1")
    assert fates(conversion) == ["changed", "kept"]
    assert "```\n---\ntitle: x\n---\n```" in literals(conversion.text)
    assert conversion.check == ()
    assert conversion.check_passes


def test_a_cell_of_comments_is_shown_as_text_and_marimo_finds_nothing_wrong(imported):
    conversion = imported("# Your solution here", "a = 1", "# plt.plot(x)\n# ```\n", "a", "%%cython\nq")
    assert fates(conversion) == ["kept", "kept", "kept", "kept", "not_converted"]
    shown = literals(conversion.text)
    assert "```python\n# Your solution here\n```" in shown
    assert "````python\n# plt.plot(x)\n# ```\n````" in shown
    assert conversion.check == ()


def test_a_cell_of_nothing_but_magics_that_marimo_does_not_need_is_left_out(imported):
    conversion = imported("%matplotlib inline\n\n%autoreload 2", "a = 1", "pass", "del a")
    assert fates(conversion) == ["dropped", "kept", "dropped", "dropped"]
    assert conversion.cells[2].notes == ("it does nothing",)
    assert conversion.check == ()


def test_percent_signs_in_markdown_and_strings_are_no_magics(imported):
    conversion = imported(
        ("markdown", "```\n%matplotlib inline\n```\n%%bash"),
        "text = '''\n%s is\n%d\n''' % ('a', 1)",
        "rest = (7\n% 4)",
    )
    assert fates(conversion) == ["kept", "kept", "kept"]
    assert "not supported" not in conversion.text
    assert "%s is\n%d" in literals(conversion.text)
    assert "```\n%matplotlib inline\n```\n%%bash" in literals(conversion.text)


def test_a_future_import_does_not_break_the_file(imported):
    conversion = imported("from __future__ import annotations\nx = 1", "print(x)")
    assert fates(conversion) == ["changed", "kept"]
    assert "`from __future__` line is a comment" in notes(conversion, 1)
    assert conversion.complete
    compile(conversion.text, "notebook.py", "exec")


def test_an_image_attached_to_markdown_is_written_into_it(imported):
    data = base64.b64encode(b"a picture").decode()
    conversion = imported(
        ("markdown", "![](attachment:a.png)", {"attachments": {"a.png": {"image/png": data}}})
    )
    assert fates(conversion) == ["changed"]
    assert f"![](data:image/png;base64,{data})" in conversion.text


def test_empty_cells_are_dropped_and_told(imported):
    conversion = imported("", "x = 1", "   \n")
    assert fates(conversion) == ["dropped", "kept", "dropped"]


def test_marimo_is_imported_for_markdown_that_carries_tags(imported):
    conversion = imported(("markdown", "# Hi", {"metadata": {"tags": ["intro"]}}))
    assert conversion.added == ("import marimo as mo",)
    assert conversion.complete


def test_names_and_settings_of_a_notebook_exported_by_marimo_come_back(imported):
    marimo = {"marimo": {"name": "load", "config": {"disabled": True, "hide_code": True}}}
    conversion = imported(("code", "x = 1", {"metadata": marimo}), "y = 2")
    assert "@app.cell(disabled=True, hide_code=True)\ndef load():" in conversion.text
    assert "def position_" not in conversion.text


def test_metadata_of_the_wrong_shape_does_no_harm(imported):
    odd = {"marimo": {"name": 3, "config": []}}
    conversion = imported(("code", "x = 1", {"metadata": odd}), metadata={"marimo": [1], "kernelspec": None})
    assert fates(conversion) == ["kept"]


def test_a_magic_that_nobody_knows_is_named_and_its_text_kept_in_comments(imported):
    conversion = imported("a = 1", "%%cython\ncdef int b = 2", "%nosuchmagic on\nc = a", "%time d = c")
    assert fates(conversion) == ["kept", "not_converted", "not_converted", "changed"]
    assert "`%%cython` is commented out" in notes(conversion, 2)
    assert "# cdef int b = 2" in conversion.text
    assert "`%nosuchmagic on` is commented out" in notes(conversion, 3)
    assert "c = a" in conversion.text
    assert not conversion.complete
    assert conversion.check_passes


def test_a_cell_that_is_not_python_fails_as_it_did(imported):
    conversion = imported("x = 1", "print x")
    assert fates(conversion) == ["kept", "changed"]
    assert "# print x" in conversion.text
    assert "raise SyntaxError(" in conversion.text
    assert conversion.complete


def test_names_private_to_marimo_that_other_cells_read_become_public(imported):
    conversion = imported("_step = 2", "print(_step)")
    assert fates(conversion) == ["changed", "changed"]
    assert "print(step)" in conversion.text


def test_imports_of_the_same_name_but_another_thing_stay_apart(imported):
    conversion = imported(
        "from time import time\nprint(time())", "import time\nprint(time.time())", "time.sleep(0)"
    )
    assert "from time import time as _time\n" in conversion.text
    assert "    import time\n" in conversion.text
    assert conversion.complete


def test_a_repeated_import_is_dropped_and_told(imported):
    conversion = imported("import math", "import math", "math.pi")
    assert fates(conversion) == ["kept", "dropped", "kept"]
    assert notes(conversion, 2) == "`math` is imported by a cell above"
    assert conversion.complete


def test_renames_are_told(imported):
    conversion = imported(
        "x = 1", "x = x + 1", "print(x)", "for k in 'a':\n    pass", "for k in 'b':\n    pass"
    )
    assert "`x` is called `x_1`" in notes(conversion, 2)
    assert notes(conversion, 3) == "`x` is read as `x_1`"
    assert "`k` is called `_k`: no other cell reads it" in notes(conversion, 5)
    assert conversion.complete


def test_a_cycle_becomes_one_cell_and_is_told(imported):
    conversion = imported("class A:\n    def f(self):\n        return b\na = 1", "a\nb = 2")
    assert conversion.complete
    assert "cell 1 and cell 2 are one cell" in notes(conversion, 1)


@pytest.mark.parametrize(
    "text", ['`print("")` stays', "ends with a \\", '"""', r"$\frac{a}{b}$ {x} \n", 'a ""\nb """ c"']
)
def test_markdown_keeps_its_text(imported, text):
    conversion = imported(("markdown", text))
    assert fates(conversion) == ["kept"]
    (function,) = [node for node in ast.parse(conversion.text).body if isinstance(node, ast.FunctionDef)][-1:]
    shown = eval(ast.unparse(function.body[0].value.args[0]))
    assert inspect.cleandoc(shown) == text


def test_installed_packages_become_requirements_at_the_head_of_the_file(imported):
    conversion = imported("!pip install -q pandas 'numpy>=2'\nx = 1", "%pip install plotly")
    assert conversion.text.startswith("# /// script\n# dependencies = [\n")
    for package in ("pandas", "numpy>=2", "plotly"):
        assert f'#     "{package}",' in conversion.text
    assert conversion.complete


@pytest.mark.parametrize(("header", "kept"), [("# Ada", True), ("from __future__ import annotations", False)])
def test_requirements_are_there_whatever_header_the_notebook_has(tmp_path, header, kept):
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "source": "%pip install six", "metadata": {}, "outputs": []}
    metadata = {"marimo": {"header": header}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": [cell]}))
    text = convert(read_notebook(path)).text
    assert '#     "six",' in text
    assert (header in text) == kept


def test_a_notebook_of_format_3_is_read_with_its_headings(tmp_path):
    path = tmp_path / "old.ipynb"
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Title"]},
        {"cell_type": "code", "input": ["x = 1\n", "x"], "language": "python", "outputs": []},
    ]
    path.write_text(json.dumps({"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}))
    conversion = convert(read_notebook(path))
    assert "## Title" in conversion.text
    assert "x = 1\n    x" in conversion.text


def test_outputs_of_a_notebook_of_format_3_are_read_as_those_of_format_4(tmp_path):
    outputs = [
        {"output_type": "pyout", "prompt_number": 3, "text": ["42"], "html": "<b>42</b>", "metadata": {}},
        {"output_type": "stream", "stream": "stderr", "text": "careful"},
        {"output_type": "pyerr", "ename": "KeyError", "evalue": "'a'", "traceback": ["..."]},
        {"output_type": "display_data", "png": "iVBOR", "metadata": {}},
    ]
    cell = {"cell_type": "code", "input": "x", "language": "python", "outputs": outputs, "prompt_number": 3}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [cell]}]}))
    (read,) = read_notebook(path).cells
    assert read.outputs == (
        {"output_type": "execute_result", "execution_count": 3, "data": {"text/plain": ["42"], "text/html": "<b>42</b>"}, "metadata": {}},
        {"output_type": "stream", "name": "stderr", "text": "careful"},
        {"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": ["..."]},
        {"output_type": "display_data", "data": {"image/png": "iVBOR"}, "metadata": {}},
    )  # fmt: skip
    upgraded = json.loads(bridge.convert(read_notebook(path), keep_outputs=True).text)
    assert "".join(upgraded["cells"][0]["source"]) == "x"
    assert upgraded["nbformat"] == 4


def test_a_hidden_input_stays_hidden(imported):
    conversion = imported(
        ("code", "x = 1", {"metadata": {"jupyter": {"source_hidden": True}}}),
        ("code", "y = 2", {"metadata": {"cellView": "form"}}),
        ("code", "z = 3", {"metadata": {"tags": ["hide-input"]}}),
        "w = 4",
    )
    assert conversion.text.count("@app.cell(hide_code=True)") == 3


def test_notebooks_of_colab_keep_their_forms_values_and_are_told_what_is_colabs_alone(imported):
    conversion = imported(
        (
            "code",
            '#@title Size\nn = 5  #@param {type:"slider"}',
            {"metadata": {"cellView": "form", "id": "x1"}},
        ),
        "from google.colab import drive",
        "n",
    )
    assert 'n = 5  #@param {type:"slider"}' in conversion.text
    assert "@app.cell(hide_code=True)" in conversion.text
    assert "plain values" in notes(conversion, 1)
    assert "on Colab only" in notes(conversion, 2)
    assert conversion.complete


def test_a_cell_of_another_language_as_vs_code_has_them_fails_alone(imported):
    shell = ("code", "echo hello world", {"metadata": {"vscode": {"languageId": "shellscript"}}})
    conversion = imported("x = 1", shell, "x")
    assert fates(conversion)[0] == fates(conversion)[2] == "kept"
    assert "# echo hello world" in conversion.text
    assert conversion.check_passes


def test_converting_twice_gives_the_same_text(imported):
    cells = ["import math", "x = [1]", "x.append(2)", "x", "!ls", "display(x)"]
    assert imported(*cells).text == imported(*cells).text


def test_what_a_cell_displays_above_its_value_is_shown():
    assert_shows_the_same_again_and_again(
        ["display(1)\n2", "for x in 'ab':\n    display(x)\nx", "display(3)"]
    )
    assert_shows_the_same_again_and_again(["it = iter([1, 2, 3])\nnext(it)", "next(it)", "next(it)\n"])


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("# Sales in *May*", None),
        ("# Sales in May", "Sales in May"),
        ("\n# Sales in May #\n\ntext", "Sales in May"),
        ("## Sales in May", None),
        ("Sales\n# May", None),
        ("# $x$", None),
        ('# "Sales"', None),
        ("# Ümsatz, in May's 1st week!", "Ümsatz, in May's 1st week!"),
    ],
)
def test_the_first_heading_is_the_title_of_the_app(imported, heading, title):
    text = imported(("markdown", heading), "x = 1").text
    assert ("app_title" in text) == (title is not None)
    assert title is None or title in literals(text)
    assert "app_title" not in imported("x = 1", ("markdown", heading)).text
