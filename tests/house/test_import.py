"""The importer: what is kept, what is told, what is refused."""

import ast
import base64
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.ipynb import Conversion, import_notebook, read_notebook
from marimo_kernel_bridge.runtime.cell_changes import NOT_MISSED, TRANSLATED
from marimo_kernel_bridge.runtime.convert import convert

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
    conversion = import_notebook(EXAMPLE, tmp_path / "penguins.py", convert)
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


def test_the_imported_example_passes_marimo_check_and_runs(tmp_path):
    target = tmp_path / "penguins.py"
    import_notebook(EXAMPLE, target, convert)
    check = run(sys.executable, "-m", "marimo", "check", target)
    assert check.returncode == 0, check.stdout
    ran = run(sys.executable, target, cwd=EXAMPLE.parent)
    assert ran.returncode == 0, ran.stderr
    assert "146 Adelie penguins weigh 3706 g on average;" in ran.stdout


def run(*command, cwd=None):
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


# Nothing is lost in silence


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x = !ls", "invalid syntax"),
        ("len?", "invalid syntax"),
        ("from math import *", "Importing symbols with `import *` is not allowed"),
        ("if True:\n    %time x = 1", "invalid syntax"),
        ("%\nx = 1", "invalid syntax"),
    ],
)
def test_a_cell_that_marimo_does_not_take_is_named_and_its_text_kept(imported, line, reason):
    conversion = imported("a = 1", line)
    assert fates(conversion) == ["kept", "not_converted"]
    assert reason in notes(conversion, 2)
    assert not conversion.complete
    assert not conversion.check_passes
    assert line in literals(conversion.text)


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


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("%time x = 1", "`%time x = 1` is commented out"),
        ("%%capture out\nprint(1)", "`%%capture out` is commented out, with the lines below it"),
        ("%run other.py", "`%run other.py` is commented out"),
        ("!ls | wc -l", "without a shell"),
        ("!echo {x}.txt", "without a shell"),
        ("!echo {1+}", "a shell line is commented out"),
        ("display(1)", "`display`, which IPython provides"),
        ("print(_)", "`_`, which IPython provides"),
    ],
)
def test_what_marimo_comments_out_or_cannot_run_is_not_converted(imported, source, lost):
    conversion = imported(source)
    assert fates(conversion) == ["not_converted"]
    assert lost in notes(conversion, 1)
    assert not conversion.complete


def test_a_private_name_read_by_another_cell_is_named_with_its_cell(imported):
    conversion = imported("_step = 2", "print(_step)")
    assert fates(conversion) == ["kept", "not_converted"]
    assert "`_step`, which marimo keeps private to cell 1" in notes(conversion, 2)


def test_a_name_lost_with_its_cell_is_named_where_it_is_read(imported):
    conversion = imported("from math import *", "print(floor(2.5))")
    assert "`floor`, which no cell of the marimo notebook defines" in notes(conversion, 2)


def test_a_name_that_was_undefined_before_is_a_remark_only(imported):
    conversion = imported("print(nowhere)")
    assert fates(conversion) == ["changed"]
    assert "in the Jupyter notebook neither" in notes(conversion, 1)
    assert conversion.complete


def test_an_import_left_out_for_another_of_the_same_name_is_not_converted(imported):
    conversion = imported("from time import time", "import time\ntime.time()")
    assert "its import of `time` is left out for another one" in notes(conversion, 2)


def test_a_repeated_import_is_dropped_and_told(imported):
    conversion = imported("import math", "import math", "math.pi")
    assert fates(conversion) == ["kept", "dropped", "kept"]
    assert notes(conversion, 2) == "`math` is imported by an earlier cell"
    assert conversion.complete


def test_renames_are_told(imported):
    conversion = imported(
        "x = 1", "x = x + 1", "print(x)", "for k in 'a':\n    pass", "for k in 'b':\n    pass"
    )
    assert "`x` is called `x_1`" in notes(conversion, 2)
    assert notes(conversion, 3) == "`x` is read as `x_1`"
    assert "`k` is called `_k`: no other cell uses it" in notes(conversion, 5)
    assert conversion.complete


def test_a_cycle_is_found_by_marimo_check_and_named(imported):
    conversion = imported("if 'b' in globals():\n    b\na = 1", "a\nb = 2")
    assert not conversion.complete
    assert any(
        finding.startswith("MB003") and "cell 1" in finding and "cell 2" in finding
        for finding in conversion.check
    )


def test_a_raw_cell_is_kept_as_comments_and_not_run(imported):
    conversion = imported(("raw", "---\ntitle: x\n---"), "y = 1")
    assert fates(conversion) == ["changed", "kept"]
    assert "# title: x" in conversion.text
    assert conversion.check_passes


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


def test_a_file_that_only_the_compiler_refuses_does_not_pass(imported):
    conversion = imported("x = 1", "from __future__ import (\n    annotations\n)")
    assert not conversion.complete
    assert any("not Python" in finding and "(cell 2)" in finding for finding in conversion.check)


def test_quotes_that_marimo_rewrites_in_markdown_are_told(imported):
    conversion = imported(("markdown", '`print("")` stays'))
    assert fates(conversion) == ["changed"]
    assert "quotes or backslashes" in notes(conversion, 1)


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


@pytest.mark.parametrize("magic", sorted(TRANSLATED))
def test_every_magic_said_to_be_translated_becomes_code(imported, magic):
    assert any("is written in Python" in note for note in imported(f"%{magic} a/b").cells[0].notes)
    body = ast.parse(imported(f"%{magic} a/b").text).body
    cell = [node for node in body if isinstance(node, ast.FunctionDef)][-1]
    assert any(isinstance(node, ast.Call) for statement in cell.body for node in ast.walk(statement))


@pytest.mark.parametrize("magic", ["%%time", "%%timeit"])
def test_the_body_below_a_timing_magic_still_runs(imported, magic):
    assert NOT_MISSED.match(magic)
    conversion = imported(f"{magic}\nz = 3", "print(z)")
    assert conversion.complete
    assert "    z = 3\n    return (z,)" in conversion.text


# What is refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# not JSON", "is not JSON"),
        (b"[]", "has no nbformat"),
        (b'{"nbformat": 3, "worksheets": []}', "old notebook format 3"),
        (b'{"nbformat": 5, "cells": []}', "newer than the 4"),
        (b'{"nbformat": 4, "metadata": {}}', "no list of cells"),
        (b'{"nbformat": 4, "cells": [3]}', "cell 1 is not a code, markdown or raw cell"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "cell 1 has no source"),
        (notebook_json("a\0b").encode(), "NUL"),
        (notebook_json("\ud800").encode(), "surrogate"),
        (b'{"a": "\xe9"}', "not UTF-8"),
        (notebook_json("1", metadata={"kernelspec": {"name": "ir", "language": "R"}}).encode(), "in R"),
    ],
)
def test_a_bad_notebook_is_refused_in_one_line_and_nothing_is_written(tmp_path, content, says):
    source, target = tmp_path / "bad.ipynb", tmp_path / "bad.py"
    source.write_bytes(content)
    with pytest.raises(BridgeError, match=says) as refused:
        import_notebook(source, target, convert)
    assert refused.value.code == "bad_notebook"
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.iterdir()) == [source]


def test_a_missing_notebook_is_refused(tmp_path):
    with pytest.raises(BridgeError, match="does not exist"):
        import_notebook(tmp_path / "none.ipynb", tmp_path / "none.py", convert)


def test_an_existing_file_is_overwritten_only_when_told_to(tmp_path):
    target = tmp_path / "mine.py"
    target.write_text("precious")
    with pytest.raises(BridgeError) as refused:
        import_notebook(EXAMPLE, target, convert)
    assert refused.value.code == "output_exists"
    assert target.read_text() == "precious"
    import_notebook(EXAMPLE, target, convert, overwrite=True)
    assert "marimo.App(" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_appears_during_the_conversion_is_not_overwritten(tmp_path):
    target = tmp_path / "mine.py"

    def convert_while_another_writes(notebook):
        target.write_text("precious")
        return convert(notebook)

    with pytest.raises(BridgeError) as refused:
        import_notebook(EXAMPLE, target, convert_while_another_writes)
    assert refused.value.code == "output_exists"
    assert target.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(BridgeError, match="cannot be written: No such file or directory"):
        import_notebook(EXAMPLE, tmp_path / "no" / "such.py", convert)
    with pytest.raises(BridgeError, match=r"is no \.py file"):
        import_notebook(EXAMPLE, tmp_path / "penguins.txt", convert)
