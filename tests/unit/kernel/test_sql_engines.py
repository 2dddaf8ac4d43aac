"""Tables behind engines of SQLAlchemy: who reads one runs after an edit of who defines it, or is marked."""

import pytest

from tests.unit.kernel import small_sqlalchemy
from tests.unit.kernel.notebook_in_memory import FrontEnd

ENGINE = (
    "from sqlalchemy import Engine, Session, sessionmaker\nengine = Engine()\nMaker = sessionmaker(engine)"
)
TABLES = "for name in ('t', 'other'):\n    engine.execute(f'drop table if exists {name}')\n    engine.execute(f'create table {name} (a int)')"
READ = {
    "an engine": "print(engine.execute('select a from t'))",
    "a connection": "with_it = engine.connect()\nprint(with_it.execute('select a from t'))",
    "a session": "print(Session(engine).all('t'))",
    "a session of a maker": "s = Maker()\nprint(s.all('t'))",
    "a function": "def look(): return engine.execute('select a from t')\nprint(look())",
}


@pytest.fixture(autouse=True)
def _sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    small_sqlalchemy.installed(monkeypatch)


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_who_reads_a_table_of_an_engine_runs_after_who_defines_it(lab: FrontEnd, read: str) -> None:
    define = "engine.execute('drop table if exists t')\nengine.execute('create table t as select 1 as a')"
    lab.run_each((ENGINE, define, read), (f"1: {define.replace('1', '2')}",))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("[(2,)]", False)


@pytest.mark.parametrize(
    "insert", ["engine.execute('insert into t values (1)');", "s = Maker()\ns.add('t', 1)"]
)
@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_who_reads_what_an_earlier_code_has_inserted_is_marked_until_the_table_is_made_anew(
    lab: FrontEnd, insert: str, read: str
) -> None:
    cells = (ENGINE, TABLES, insert, read, read.replace("t'", "other'"))
    lab.run_each(cells)
    assert not any(cell.stale for cell in lab.cells().values())
    lab.run("2", insert.replace("1", "2"))
    lab.sync()
    assert (lab.cells()["3"].stale, lab.cells()["4"].stale) == (True, False)
    lab.run("1", TABLES)
    lab.sync()
    assert (lab.text("3"), lab.cells()["3"].stale) == ("[(2,)]", False)


def test_a_reader_above_the_cell_that_changes_its_rows_is_marked(lab: FrontEnd) -> None:
    read = READ["an engine"]
    cells = (
        ENGINE,
        TABLES,
        "engine.execute('insert into t values (1)');",
        read,
        "engine.execute('update t set a = 5');",
        read,
    )
    lab.run_each(cells)
    lab.run("3", read)
    lab.sync()
    assert (lab.cells()["3"].stale, lab.cells()["5"].stale) == (True, False)
