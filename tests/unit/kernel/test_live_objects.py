"""Live objects have one state: who looks at one again, after a cell below has changed it, is marked."""

import sys

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd

WIDGET = "import traitlets\nclass Slider(traitlets.HasTraits):\n    value, step = traitlets.Int(3), traitlets.Int(1)\nw = Slider()"
CHANGED = {
    "a widget": ((WIDGET, "print(w.value)", "w.value = 7", "print(w.value)"), "7"),
    "a widget by a method": ((WIDGET, "print(w.trait_values())", "w.set_trait('value', 7)"), "'value': 7"),
    "a widget in a function": (
        (WIDGET, "def look(): return w.value\nprint(look())", "def put(v): w.value = v\nput(7)"),
        "7",
    ),
    "another name of it": ((f"{WIDGET}\nv = w", "print(v.value)", "w.value = 7"), "7"),
    "an element of marimo": (
        ("import marimo as mo\ns = mo.ui.slider(0, 9, value=3)", "print(s.value)", "s._update(7)"),
        "7",
    ),
    "an environment variable": (
        ("import os", "print(os.environ.get('NEW_CITY'))", "os.environ['NEW_CITY'] = 'of 7'"),
        "7",
    ),
    "an environment variable that a cell with the import sets": (
        ("import os as o", "print(o.environ.get('NEW_CITY'))", "import os\nos.environ['NEW_CITY'] = 'of 7'"),
        "7",
    ),
    "the path of modules": (("import sys", "print(sys.path[-1])", "sys.path.append('7')"), "7"),
    "a database": (
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t (a)');",
            "print(c.execute('select a from t').fetchall())",
            "cursor = c.cursor()\ncursor.execute('insert into t values (7)');",
        ),
        "7",
    ),
}


@pytest.mark.parametrize(("cells", "later"), CHANGED.values(), ids=CHANGED)
def test_a_reader_above_the_cell_that_changed_it_is_marked(
    lab: FrontEnd, cells: tuple[str, ...], later: str
) -> None:
    lab.run_each(cells)
    assert (later in lab.text("1"), [cell.stale for cell in lab.cells().values()]) == (
        False,
        [False] * len(cells),
    )
    lab.run("1", cells[1])
    lab.sync()
    assert (later in lab.text("1"), lab.cells()["1"].stale) == (True, True)
    assert not lab.cells()["2"].stale


TABLE = "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t (a)');"
INSERTS, SELECTS = "c.execute('insert into t values (7)');", "print(c.execute('select a from t').fetchall())"
FOLLOWS = {
    "a value of a widget": ((WIDGET, "w.value = 7", "print(w.value)"), "1: w.value = 8", "8"),
    "a value under another name": (
        (f"{WIDGET}\nv = w", "w.value = 7", "print(v.value)"),
        "1: w.value = 8",
        "8",
    ),
    "a value by functions": (
        (f"{WIDGET}\ndef put(v): w.value = v\ndef look(): return w.value", "put(7)", "print(look())"),
        "1: put(8)",
        "8",
    ),
    "rows given to a function": (
        (
            TABLE,
            INSERTS,
            "def first(c): return c.execute('select max(a) from t').fetchone()",
            "print(first(c))",
        ),
        f"1: {INSERTS.replace('7', '9')}",
        "(9,)",
    ),
    "rows of the first of two cells": (
        (TABLE, INSERTS, INSERTS.replace("7", "8"), SELECTS),
        f"1: {INSERTS.replace('7', '9')}",
        "[(7,), (8,), (9,)]",
    ),
}


@pytest.mark.parametrize(("cells", "edit", "expected"), FOLLOWS.values(), ids=FOLLOWS)
def test_who_looks_at_it_runs_after_an_edit_of_who_changes_it(
    lab: FrontEnd, cells: tuple[str, ...], edit: str, expected: str
) -> None:
    last = lab.run_each(cells, [edit])[-1]
    lab.sync()
    assert lab.text(last) == expected


LEFT = {
    "a row": ((TABLE, INSERTS, SELECTS), "1: c.execute('insert into t values (8)');"),
    "a row, now that the cell inserts none": ((TABLE, INSERTS, SELECTS), "1: c.commit();"),
    "a row, now that the cell calls nothing": ((TABLE, INSERTS, SELECTS), "1: 1"),
    "a row of a cell that reads it too": (
        (TABLE, "1", f"{INSERTS}\n{SELECTS}"),
        f"2: {INSERTS}\n{SELECTS} # again",
    ),
    "the number of a row that the cell adds": (
        (TABLE, "1", "print(c.execute('insert into t values (7)').lastrowid)"),
        "2: print(c.execute('insert into t values (8)').lastrowid)",
    ),
    "a value of a widget": ((WIDGET, "w.value = 7", "print(w.value)"), "1: w.step = 2"),
    "a value by a method": ((WIDGET, "w.set_trait('value', 7)", "print(w.trait_values())"), "1: w.step = 2"),
}


@pytest.mark.parametrize(("cells", "edit"), LEFT.values(), ids=LEFT)
def test_who_looks_at_what_an_earlier_code_of_a_cell_has_left_is_marked(
    lab: FrontEnd, cells: tuple[str, ...], edit: str
) -> None:
    lab.run_each(cells)
    assert not any(cell.stale for cell in lab.cells().values())
    cell, _, code = edit.partition(": ")
    lab.run(cell, code)
    lab.sync()
    assert [lab.cells()[str(cell)].stale for cell in range(3)] == [False, False, True]
    lab.run("0", cells[0])
    lab.sync()
    assert not any(cell.stale for cell in lab.cells().values())


def test_who_looks_at_what_a_cell_has_left_runs_again_with_it(lab: FrontEnd) -> None:
    lab.run_each([TABLE, INSERTS, SELECTS], [f"1: {INSERTS.replace('7', n)}" for n in "89"])
    assert (lab.text("2"), lab.cells()["2"].stale) == ("[(7,), (8,), (9,)]", True)


def test_who_looks_at_what_a_deleted_cell_has_left_is_marked(lab: FrontEnd) -> None:
    lab.run_each([TABLE, INSERTS, SELECTS])
    lab.run("3", "1", metadata={"deletedCells": ["1"]})
    lab.sync()
    assert lab.cells()["2"].stale


@pytest.mark.parametrize("edit", ["w.value = 7 # the same", "w.value = 8", "w.value = 7; w.step = 2"])
def test_what_a_cell_sets_anew_is_not_left(lab: FrontEnd, edit: str) -> None:
    lab.run_each([WIDGET, "w.value = 7", "print(w.value)"], [f"1: {edit}"])
    assert not any(cell.stale for cell in lab.cells().values())


def test_a_reader_is_right_again_after_the_object_was_made_anew(lab: FrontEnd) -> None:
    cells = lab.run_each([WIDGET, "print(w.value)", "w.value = 7", "print(w.value)"], ["1", "0"])
    assert (lab.text("1"), lab.text("3")) == ("3", "7")
    assert not any(lab.cells()[cell].stale for cell in cells)


def test_who_reads_another_variable_of_the_environment_is_not_marked(lab: FrontEnd) -> None:
    lab.run_each(["import os", "print(os.environ.get('NEW_TOWN'))", "os.environ['NEW_CITY'] = '7'"], ["1"])
    assert not lab.cells()["1"].stale


def test_who_reads_what_a_cell_with_the_import_sets_follows_an_edit(lab: FrontEnd) -> None:
    cells = ["import os\nos.environ['NEW_CITY'] = '7'", "import os\nprint(os.environ['NEW_CITY'])"]
    lab.run_each(cells, ["0: import os\nos.environ['NEW_CITY'] = '8'"])
    assert (lab.text("1"), lab.cells()["1"].stale) == ("8", False)


def test_who_changes_it_too_is_not_marked(lab: FrontEnd) -> None:
    lab.run_each(["import sys\nsys.path.append('new 6')", "sys.path.append('new 7')"], ["0"])
    assert not lab.cells()["0"].stale


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("NEW_CITY", "")
    monkeypatch.delenv("NEW_CITY")  # what a test sets is taken back


CACHED = "import functools\n@functools.lru_cache\ndef f(n): return n"
COUNTS = "print(f.cache_info().hits, f.cache_info().misses)"


def test_who_shows_how_often_a_function_was_called_is_marked_once_runs_have_added_to_that(
    lab: FrontEnd,
) -> None:
    lab.run_each((CACHED, "f(1);", COUNTS, "f(2);"))
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "0 1")

    lab.run("1", "f(1); f(3);")
    lab.sync()
    assert lab.cells()["2"].stale

    lab.run("0", CACHED)
    lab.sync()
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "0 2")

    lab.run("1", "f(1); f(3);")
    lab.run("2", COUNTS)
    assert lab.cells()["2"].stale


def test_who_only_calls_a_function_that_keeps_its_results_is_not_marked(lab: FrontEnd) -> None:
    lab.run_each((CACHED, "f(1);", "print(f(1))", "f(2);"), ("1", "2", "3", "1"))
    assert [cell.stale for cell in lab.cells().values()] == [False] * 4


@pytest.mark.parametrize("looks", ["print(w.step)", "w.observe(print)", "w", "print(1)\nw.value = 3"])
def test_who_looks_at_something_else_is_not_marked(lab: FrontEnd, looks: str) -> None:
    lab.run_each([WIDGET, looks, "w.value = 7"], ["1"])
    assert not lab.cells()["1"].stale


@pytest.mark.parametrize(
    "opens",
    [
        "import sqlite3\nc = sqlite3.connect(':memory:')",
        "import sqlite3\nc = sqlite3.connect('a.db')",
        "import duckdb\nc = duckdb.connect()",
    ],
)
def test_who_uses_a_connection_that_a_cell_below_has_closed_is_marked_until_it_is_opened_again(
    lab: FrontEnd, opens: str
) -> None:
    create = "c.execute('create table if not exists t (a int)')\nc.execute('delete from t')\n"
    lab.run_each((opens, create + INSERTS, SELECTS, "c.close()"))
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "[(7,)]")

    lab.run("1", create + INSERTS.replace("7", "8"))
    lab.sync()
    assert "closed" in lab.text("1")
    assert lab.cells()["1"].stale

    lab.run("0", opens)
    lab.sync()
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "[(8,)]")


@pytest.mark.parametrize("writes", ["f.write('{}');", "print('{}', file=f, end='')"])
def test_who_uses_a_file_that_a_cell_below_has_closed_is_marked_until_it_is_opened_again(
    lab: FrontEnd, writes: str
) -> None:
    opens, shows = "f = open('out.txt', 'w')", "print(f.tell())"
    lab.run_each((opens, writes.format("77"), shows, "f.close()"))
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "2")

    lab.run("1", writes.format("888"))
    lab.sync()
    assert "closed file" in lab.text("1")
    assert lab.cells()["1"].stale

    lab.run("0", opens)
    lab.sync()
    assert ([cell.stale for cell in lab.cells().values()], lab.text("2")) == ([False] * 4, "3")


@pytest.mark.parametrize(
    "opens",
    [
        "import io\nf = io.TextIOWrapper(io.BytesIO())\nf.detach()\nn = []",
        "import io\nclass Odd(io.StringIO):\n    closed = property(lambda self: 1 / 0)\nf = Odd()\nn = []",
    ],
)
def test_a_stream_that_does_not_say_whether_it_is_closed_hides_nothing_else_of_its_cell(
    lab: FrontEnd, opens: str
) -> None:
    adds = "g = f.__class__\ngetattr(n, 'app' + 'end')({})"  # no text shows that n changes
    lab.run_each((opens, adds.format(7), "print(n)"))
    lab.run("1", adds.format(8))
    lab.sync()
    assert lab.text("2") == "[8]"
