"""Tables of databases: who reads one runs after an edit of who defines or changes it, or is marked."""

import pytest

from marimo_kernel_bridge.kernel.versions.databases import Databases, Statements, tables
from tests.unit.kernel.notebook_in_memory import FrontEnd

CONNECTION = "import duckdb\ncon = duckdb.connect()"
TABLE = f"{CONNECTION}\ncon.execute('create table t (a int)');"
ONE, TWO = (f"con.execute('create or replace table t as select {n} as a');" for n in (1, 2))
ALL = "print(con.execute('select a from t').fetchall())"

FOLLOWS = {
    "a table": ((CONNECTION, ONE, ALL), TWO),
    "a table, by `sql`": ((CONNECTION, ONE.replace("execute", "sql"), ALL), TWO.replace("execute", "sql")),
    "a table, by a cursor": (
        (CONNECTION, f"cur = con.cursor()\n{ONE.replace('con', 'cur')}", ALL),
        f"cur = con.cursor()\n{TWO.replace('con', 'cur')}",
    ),
    "a table, by functions": (
        (
            CONNECTION,
            "def make(n): con.execute(f'create or replace table t as select {n} as a')\nmake(1)",
            f"def look(): {ALL}\nlook()",
        ),
        "def make(n): con.execute(f'create or replace table t as select {n} as a')\nmake(2)",
    ),
    "a table whose name is a variable": (
        (CONNECTION, f"n = 't'\n{ONE.replace('table t', 'table {n}').replace('(', '(f')}", ALL),
        f"n = 't'\n{TWO.replace('table t', 'table {n}').replace('(', '(f')}",
    ),
    "a query that is a variable": (
        (CONNECTION, ONE, "q = 'select a from t'", "print(con.execute(q).fetchall())"),
        TWO,
    ),
    "a relation": ((CONNECTION, ONE, "r = con.sql('select a from t')", "print(r.fetchall())"), TWO),
    "a view of a table": (
        (
            CONNECTION,
            ONE,
            "con.execute('create or replace view v as select a from t');",
            ALL.replace(" t'", " v'"),
        ),
        TWO,
    ),
    "a view": (
        (CONNECTION, "con.execute('create or replace view t as select 1 as a');", ALL),
        "con.execute('create or replace view t as select 2 as a');",
    ),
    "a temporary table": (
        (CONNECTION, ONE.replace("replace", "replace temp"), ALL),
        TWO.replace("replace", "replace temp"),
    ),
    "a frame under a name": (
        (CONNECTION, "import pandas as pd\ncon.register('t', pd.DataFrame({'a': [1]}));", ALL),
        "import pandas as pd\ncon.register('t', pd.DataFrame({'a': [2]}));",
    ),
    "a table of the module": (
        ("import duckdb", ONE.replace("con", "duckdb"), ALL.replace("con", "duckdb")),
        TWO.replace("con", "duckdb"),
    ),
    "a table of SQLite": (
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')",
            "c.executescript('drop table if exists t; create table t as select 1 as a');",
            "print(c.execute('select a from t').fetchall())",
        ),
        "c.executescript('drop table if exists t; create table t as select 2 as a');",
    ),
    "rows of SQLite that are inserted anew": (
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')",
            "c.executescript('drop table if exists t; create table t (a); insert into t values (1)');",
            "print(c.execute('select a from t').fetchall())",
        ),
        "c.executescript('drop table if exists t; create table t (a); insert into t values (2)');",
    ),
}


@pytest.mark.parametrize(("cells", "edit"), FOLLOWS.values(), ids=FOLLOWS)
def test_who_reads_a_table_runs_after_an_edit_of_who_defines_it(
    lab: FrontEnd, cells: tuple[str, ...], edit: str
) -> None:
    last = lab.run_each(cells)[-1]
    assert "1" in lab.text(last)
    lab.run("1", edit)
    lab.sync()
    assert ("2" in lab.text(last), "1" in lab.text(last), lab.cells()[last].stale) == (True, False, False)


LEFT = {
    "a row": ((TABLE, "con.execute('insert into t values (1)');", ALL), "con.execute('insert into t values (2)');"),
    "a row, run again": ((TABLE, "con.execute('insert into t values (1)');", ALL), ""),
    "a row, now none": ((TABLE, "con.execute('insert into t values (1)');", ALL), "1"),
    "a changed row": (
        (f"{TABLE}\ncon.execute('insert into t values (0)');", "con.execute('update t set a = 1');", ALL),
        "con.execute('update t set a = 2');",
    ),
    "a table": ((CONNECTION, ONE, ALL), ONE.replace(" t ", " u ")),
    "a name in a list": (
        (CONNECTION, ONE, "print(con.execute('show tables').fetchall())"),
        ONE.replace(" t ", " u "),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "edit"), LEFT.values(), ids=LEFT)
def test_who_reads_what_an_earlier_code_has_left_in_a_table_is_marked(
    lab: FrontEnd, cells: tuple[str, ...], edit: str
) -> None:
    lab.run_each(cells)
    assert not any(cell.stale for cell in lab.cells().values())
    lab.run("1", edit or cells[1])
    lab.sync()
    assert [lab.cells()[str(cell)].stale for cell in range(3)] == [False, False, True]
    lab.run("0", cells[0])
    lab.sync()
    assert not any(cell.stale for cell in lab.cells().values())


def test_rows_are_right_again_once_the_table_is_made_anew(lab: FrontEnd) -> None:
    made = ONE.replace("select 1 as a", "select 0 as a")
    lab.run_each(
        [CONNECTION, made, "con.execute('insert into t values (1)');", ALL],
        ["2: con.execute('insert into t values (2)');", "1"],
    )
    assert (lab.text("3"), lab.cells()["3"].stale) == ("[(0,), (2,)]", False)


def test_a_reader_above_the_cell_that_changes_its_table_is_marked(lab: FrontEnd) -> None:
    lab.run_each([CONNECTION, ONE, ALL, TWO.replace(" t ", " u "), TWO], ["2"])
    assert (lab.text("2"), lab.cells()["2"].stale) == ("[(2,)]", True)


def test_who_reads_another_table_or_database_is_neither_marked_nor_run(lab: FrontEnd) -> None:
    other = "other = duckdb.connect()\nother.execute('create table t as select 7 as a');"
    looks = "import os\nprint(os.urandom(8).hex(), other.execute('select a from t').fetchall())"
    lab.run_each([CONNECTION, other, looks, ONE, ONE.replace(" t ", " u "), ALL])
    shown = lab.text("2")
    for cell, code in (("3", TWO), ("4", TWO.replace(" t ", " u "))):
        lab.run(cell, code)
        lab.sync()
    assert (lab.text("2"), lab.text("5")) == (shown, "[(2,)]")
    assert not any(cell.stale for cell in lab.cells().values())


def test_a_result_that_is_being_read_is_not_disturbed(lab: FrontEnd) -> None:
    cells = lab.run_each([CONNECTION, "con.execute('select range from range(3)');", "print(con.fetchall())"])
    assert lab.text(cells[-1]) == "[(0,), (1,), (2,)]"


def test_a_frame_that_is_written_defines_its_table_and_one_that_is_appended_adds_to_it() -> None:
    written = Statements.in_texts(["frame.to_sql('t', con, if_exists='replace')"])
    assert (written.defines, written.adds) == ({"t"}, frozenset())
    appended = Statements.in_texts(["frame.to_sql('t', con,\n    if_exists='append', index=False)"])
    assert (appended.defines, appended.adds) == (frozenset(), {"t"})


def test_a_connection_that_is_closed_has_no_tables() -> None:
    import duckdb  # noqa: PLC0415  # slow to import

    connection = duckdb.connect()
    connection.execute("create table t as select 1 as a")
    assert list(tables(connection, frozenset()) or ()) == ["t"]
    connection.close()
    assert tables(connection, frozenset()) is None


def test_connections_are_to_one_database_or_to_several() -> None:
    import duckdb  # noqa: PLC0415  # slow to import

    databases = Databases()
    first, other = duckdb.connect(), duckdb.connect()
    assert databases.of(first) is first
    assert databases.of(other) is other
    assert databases.of(first.cursor()) is first
    first.close()
    assert databases.of(other.cursor()) is other


def test_of_many_tables_the_rows_are_compared_of_those_that_a_cell_names() -> None:
    import duckdb  # noqa: PLC0415  # slow to import

    connection = duckdb.connect()
    for number in range(10):
        connection.execute(f"create table t{number} as select 1 as a")
    before = tables(connection, frozenset({"t1"})) or {}
    connection.execute("update t1 set a = 2; update t2 set a = 2; insert into t3 values (5)")
    after = tables(connection, frozenset({"t1"})) or {}
    assert {name for name in before if before[name] != after[name]} == {"t1", "t3"}


def test_the_tables_in_sql_are_found() -> None:
    text = """with x as (select * from s.orders join "people" on true) insert into sums select * from x;
    create or replace temporary table kept as select 1; update main.prices set a = 1; drop view if exists gone"""
    found = Statements.in_texts([text])
    assert (found.defines, found.adds) == ({"kept", "gone"}, {"sums", "prices"})
    assert {"orders", "people", "x"} == found.reads
    assert not found.unnamed
    assert Statements.in_texts(["f'select * from {table}'"]).unnamed
