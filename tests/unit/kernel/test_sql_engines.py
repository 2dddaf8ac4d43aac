"""Tables behind engines of SQLAlchemy: who reads one runs after an edit of who defines it, or is marked."""

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd

ENGINE = """\
import pandas as pd
from sqlalchemy import create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
engine = create_engine("sqlite://")
Maker = sessionmaker(engine)
class Base(DeclarativeBase): pass
class Row(Base):
    __tablename__ = "t"
    a: Mapped[int] = mapped_column(primary_key=True)"""
TABLES = """\
with engine.begin() as making:
    for name in ("t", "other"):
        making.execute(text(f"drop table if exists {name}"))
        making.execute(text(f"create table {name} (a int)"))"""
READ = {
    "pandas": "print(pd.read_sql('select a from t', engine).a.tolist())",
    "pandas, a whole table": "print(pd.read_sql_table('t', engine).a.tolist())",
    "a connection": "with engine.connect() as reading:\n    print(list(reading.execute(text('select a from t')).scalars()))",
    "a session": "print(list(Session(engine).scalars(text('select a from t'))))",
    "a session of a maker": "s = Maker()\nprint([row.a for row in s.query(Row)])",
    "a session of the thread": "own = scoped_session(Maker)\nprint([row.a for row in own.query(Row)])",
    "a function": "def look(): return pd.read_sql('select a from t', engine).a.tolist()\nprint(look())",
}
OF_OTHER = "print(pd.read_sql('select a from other', engine).a.tolist())"


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize(
    "define",
    [
        "pd.DataFrame({'a': [1]}).to_sql('t', engine, if_exists='replace', index=False);",
        "with engine.begin() as made:\n    made.execute(text('drop table if exists t'))\n    made.execute(text('create table t as select 1 as a'))",
    ],
    ids=["pandas", "SQL"],
)
def test_who_reads_a_table_of_an_engine_runs_after_who_defines_it(
    lab: FrontEnd, define: str, read: str
) -> None:
    edited = define.replace("[1]", "[2]").replace("select 1", "select 2")
    lab.run_each((ENGINE, define, read), (f"1: {edited}",))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("[2]", False)


@pytest.mark.parametrize(
    "insert",
    [
        "with engine.begin() as adding:\n    adding.execute(text('insert into t values (1)'))",
        "s = Maker()\ns.add(Row(a=1))\ns.commit()",
        "pd.DataFrame({'a': [1]}).to_sql('t', engine, if_exists='append', index=False);",
    ],
    ids=["SQL", "a session", "pandas"],
)
@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_who_reads_what_an_earlier_code_has_inserted_is_marked_until_the_table_is_made_anew(
    lab: FrontEnd, insert: str, read: str
) -> None:
    lab.run_each((ENGINE, TABLES, insert, read, OF_OTHER))
    assert not any(cell.stale for cell in lab.cells().values())
    lab.run("2", insert.replace("1", "2"))
    lab.sync()
    assert (lab.cells()["3"].stale, lab.cells()["4"].stale) == (True, False)
    lab.run("1", TABLES)
    lab.sync()
    assert (lab.text("3"), lab.cells()["3"].stale) == ("[2]", False)


def test_a_reader_above_the_cell_that_changes_its_rows_is_marked(lab: FrontEnd) -> None:
    insert = "with engine.begin() as adding:\n    adding.execute(text('insert into t values (1)'))"
    read = READ["pandas"]
    lab.run_each(
        (ENGINE, TABLES, insert, read, insert.replace("insert into t values (1)", "update t set a = 5"), read)
    )
    lab.run("3", read)
    lab.sync()
    assert (lab.cells()["3"].stale, lab.cells()["5"].stale) == (True, False)


CAR = """\
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
class Base(DeclarativeBase): pass
class Car(Base):
    __tablename__ = "car"
    engine: Mapped[str] = mapped_column(primary_key=True)
database = create_engine("sqlite://")
Base.metadata.create_all(database)
garage = Session(database)
car = Car(engine="V8")
garage.add(car)
garage.commit()
sent = []
event.listen(database, "after_cursor_execute", lambda *said: sent.append(said[2]));"""


def test_no_statement_is_sent_to_look_into_a_row(lab: FrontEnd) -> None:
    lab.run_each((CAR, "str(id(car));", "print(sent)"))
    assert lab.text("2") == "[]"


@pytest.mark.parametrize("maker", ["sessionmaker()", "lambda: sessionmaker()()"])
def test_no_session_begins_to_look_into_a_registry_of_sessions(lab: FrontEnd, maker: str) -> None:
    registry = f"from sqlalchemy.orm import scoped_session, sessionmaker\nown = scoped_session({maker})"
    lab.run_each((registry, "print(own.registry.has())"))
    assert lab.text("1") == "False"
