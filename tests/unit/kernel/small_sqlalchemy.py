"""A stand-in for SQLAlchemy, which the tests do without: an engine of SQLite that tells of each statement that it has sent."""

from __future__ import annotations

import sqlite3
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Engine:
    """An engine with one connection, as SQLAlchemy has for databases in memory."""

    __module__ = "sqlalchemy.engine.base"

    def __init__(self) -> None:
        self._raw = sqlite3.connect(":memory:")
        self.after: list[Callable[..., None]] = []

    def connect(self) -> Connection:
        return Connection(self)

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        cursor = self._raw.execute(statement, parameters)
        for each in self.after:
            each(self, cursor, statement, parameters)
        return cursor.fetchall()


class Connection:
    """A connection of an engine."""

    __module__ = "sqlalchemy.engine.base"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.execute = engine.execute


class Session:
    """A session of objects, which are rows: their statements stand in no cell."""

    __module__ = "sqlalchemy.orm.session"

    def __init__(self, bind: Engine | Connection) -> None:
        self.bind = bind

    def add(self, table: str, *row: object) -> None:
        marks = ", ".join("?" * len(row))
        self.bind.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # a name in a test

    def all(self, table: str) -> list[Any]:
        return self.bind.execute(f"SELECT * \nFROM {table}")  # a name in a test


class sessionmaker:  # noqa: N801  # as it is called
    """What makes sessions."""

    __module__ = "sqlalchemy.orm.session"

    def __init__(self, bind: Engine) -> None:
        self.kw = {"bind": bind}

    def __call__(self) -> Session:
        return Session(self.kw["bind"])


def _listen(engine: Engine, event: str, call: Callable[..., None]) -> None:
    assert event == "after_cursor_execute"
    engine.after.append(call)


def installed(patch: pytest.MonkeyPatch) -> None:
    """Have cells import the stand-in, as `from sqlalchemy import Engine, Session, sessionmaker`."""
    package: Any = types.ModuleType("sqlalchemy")
    package.Engine, package.Session, package.sessionmaker = Engine, Session, sessionmaker
    event: Any = types.ModuleType("sqlalchemy.event")
    event.listen = _listen
    for name, module in {
        "sqlalchemy": package,
        "sqlalchemy.engine": package,
        "sqlalchemy.event": event,
    }.items():
        patch.setitem(sys.modules, name, module)
