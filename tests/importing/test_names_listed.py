"""Magics that list names, and cells that look for names in their namespace."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, prepared

CELLS = ["import math\nx = 1\n_hidden = 2\ndef f(): pass", "y = 'a'\nz = 3", "del z\nx = 5"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%who", "f math x y"),
        ("%who int", "x"),
        ("%whos str", "Variable Type Data/Info ---------------------------- y str a"),
        ("_names = %who_ls\nprint(*_names)", "f math x y"),
        ("_names = %who_ls int str\nprint(*_names)", "x y"),
        ("here = 1\n%who", "f here math x y"),
    ],
)
def test_a_magic_lists_the_names_that_are_bound_where_it_stands(line, words):
    """The words are those that IPython prints."""
    result = prepared([*CELLS, line, "later = 1"])
    shown = Reactive([cell.code for cell in result.cells]).run()
    place = next(number for number, cell in enumerate(result.cells) if cell.positions == (4,))
    assert " ".join(shown[place].split()) == words
    assert not any("get_ipython" in cell.code for cell in result.cells)


def test_a_list_of_names_follows_a_change_of_their_values():
    result = prepared(["x = 1", "y = 2", "%whos"])
    reactive = Reactive([cell.code for cell in result.cells])
    reactive.run()
    shown = Reactive(
        [code.replace("y = 2", "y = 7") for code in reactive.codes], namespace=reactive.namespace
    ).run(reactive.downstream(2))
    assert "int     7" in shown[3]


@pytest.mark.parametrize(
    "look",
    ["'tmp' in globals()", "'tmp' not in locals()", "'tmp' in dir()", "globals().get('tmp')", "'tmp' in globals().keys()"],
)  # fmt: skip
def test_a_name_that_a_cell_looks_for_is_not_private(look):
    assert_shows_the_same_again_and_again(
        ["tmp = 1\nprint(tmp)", "print(2)", f"print({look}, 'none' in dir())"]
    )
    cells = prepared(["tmp = 1\nprint(tmp)", "tmp = 2\nprint(tmp)", f"print({look})"]).cells
    assert cells[0].code == "tmp = 1\nprint(tmp)"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("[name for name in dir() if len(name) == 1]", True),
        ("for name, value in list(globals().items()):\n    print(name)", True),
        ("'x' in globals()", False),
        ("globals()['x']", False),
        ("def f():\n    return locals()", False),
        ("import math\ndir(math)", False),
    ],
)
def test_the_report_tells_of_cells_that_go_over_all_names(code, told):
    notes = prepared(["x = 1", code]).notes.get(2, [])
    assert any("looks through all names" in note for note in notes) is told
