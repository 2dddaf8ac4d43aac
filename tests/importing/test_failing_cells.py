"""Cells that define something and then fail: other cells read what they defined, as in Jupyter."""

import pytest
from reactive import prepared

from marimo_kernel_bridge.importing.failing import divided
from marimo_kernel_bridge.notebooks.ipynb import NotebookCell


def parts(code, *, below="x", outputs=(), tags=()):
    """The parts into which a cell is divided above another one."""
    cells = [
        NotebookCell(1, "c1", "code", code, {"tags": list(tags)}, {}, list(outputs)),
        NotebookCell(2, "c2", "code", below),
    ]
    first, _ = divided(cells, [code, below])
    return [part.code for part in first]


def error(*traceback):
    return {"output_type": "error", "ename": "E", "evalue": "", "traceback": list(traceback)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nraise E", ["x = 1", "raise E"]),
        (
            "x = 1\n\n\n# on purpose\n# really\nraise E(x)\n",
            ["x = 1", "# on purpose\n# really\nraise E(x)\n"],
        ),
        ("x = 1  # one\nraise E", ["x = 1  # one", "raise E"]),
        ("x = 1; raise E", ["x = 1", "raise E"]),
        ("x = 1; y = 2; 1 / 0", ["x = 1; y = 2", "1 / 0"]),
        ("x = 1\nassert False, 'no'\ny = 2", ["x = 1", "assert False, 'no'\ny = 2"]),
        ("x = 'ä'\nraise E('ü')", ["x = 'ä'", "raise E('ü')"]),
        ("x = '''\n# no comment\n'''\nraise E", ["x = '''\n# no comment\n'''", "raise E"]),
        ("x = 1\t;\traise E", ["x = 1", "raise E"]),
        ("x = 1 ;\\\nassert False", ["x = 1", "assert False"]),
        ("x = 1; \\\n \\\n  raise E", ["x = 1", "raise E"]),
        ("x = 1 ; # one;\nraise E", ["x = 1 ; # one", "raise E"]),
        ("x = 1\nplt.style.use('seaborn-ticks')", ["x = 1", "plt.style.use('seaborn-ticks')"]),
        ("x = 1\nplt.style.use('seaborn-v0_8')", ["x = 1\nplt.style.use('seaborn-v0_8')"]),
        ("raise E", ["raise E"]),
        ("raise E\nx = 1", ["raise E\nx = 1"]),
        ("x = 1\nif x:\n    raise E", ["x = 1\nif x:\n    raise E"]),
        ("def x():\n    raise E", ["def x():\n    raise E"]),
        ("y = 1\nraise E", ["y = 1\nraise E"]),  # nobody reads it
        ("x = 1\n1 / 1", ["x = 1\n1 / 1"]),
    ],
)
def test_a_cell_is_divided_above_the_statement_that_always_fails(code, expected):
    assert parts(code) == expected


def test_a_saved_traceback_says_which_statement_failed():
    traceback = error(
        "\x1b[31m----\x1b[39m",
        "Cell In[3], line 2\n      1 x = 1\n\x1b[32m----> 2\x1b[39m f(x)\n      3 y = 2",
    )
    assert parts("x = 1\nf(x)\ny = 2", outputs=[traceback]) == ["x = 1", "f(x)\ny = 2"]
    assert parts("x = 1\nf(x)\ny = 2", outputs=[error("no line")]) == ["x = 1\nf(x)\ny = 2"]
    assert parts("x = 1\nf(x)", tags=["raises-exception"]) == ["x = 1", "f(x)"]
    assert parts("x = 1\nf(x)") == ["x = 1\nf(x)"]


def test_what_both_parts_read_is_public_and_told():
    result = prepared(["n = 1\nraise ValueError(n)", "n", "n = 2\nn"])
    assert [cell.code for cell in result.cells] == ["n = 1", "raise ValueError(n)", "n", "_n = 2\n_n"]
    assert result.notes[1] == ["it is two cells: what it defines before it fails stays, as in Jupyter"]


def test_parts_that_join_other_cells_keep_their_order():
    codes = ["it = iter([1, 2, 3])\nx = 1\nraise ValueError(next(it))", "print(next(it))", "x"]
    cells = prepared(codes).cells
    assert [cell.positions for cell in cells if cell.positions] == [(1, 2), (3,)]
    assert next(cell.code for cell in cells if cell.positions).index("raise") > 0
