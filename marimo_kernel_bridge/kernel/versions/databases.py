"""The tables of DuckDB's databases, and what the SQL in a cell says of tables.

Tables are read from the catalog, by a cursor of its own, which sees what is committed and does not disturb a result that is
being fetched. Of temporary tables, registered frames and open transactions it knows nothing: there the text of the SQL
counts, as for definitions in SQLite. Nothing here changes a database.
"""

from __future__ import annotations

import re
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Tables = dict[str, object]

_MOST_TABLES: Final = 100
_FEW_TABLES: Final = 5
_MOST_ROWS: Final = 10_000
"""Rows of a table that are compared. Of a larger one, their number is."""
_MOST_CONNECTIONS: Final = 20
_NAME: Final = r'[\s("\'`]*(?:\w+["`]?\.)*["`]?(\{|\w+)'
_DEFINES: Final = re.compile(
    rf"\b(?:create(?:\s+or\s+replace)?(?:\s+temp(?:orary)?)?|drop)\s+(?:table|view|macro)(?:\s+if(?:\s+not)?\s+exists)?{_NAME}"
    rf"|\.(?:register|create_view|to_view|to_table|create|unregister)\({_NAME}"
    rf"|\.to_sql\((?![^)]{{0,300}}[\"']append[\"']){_NAME}",
    re.IGNORECASE,
)
_ADDS: Final = re.compile(
    rf"\b(?:insert(?:\s+or\s+\w+)?\s+into|update|delete\s+from|alter\s+table|copy|truncate(?:\s+table)?){_NAME}"
    rf"|\.(?:append|insert_into){_NAME}"
    rf"|\.to_sql\((?=[^)]{{0,300}}[\"']append[\"']){_NAME}",
    re.IGNORECASE,
)
_READS: Final = re.compile(rf"\b(?:from|join|summarize|describe|pivot|unpivot){_NAME}", re.IGNORECASE)
_UNNAMED: Final = re.compile(
    r"\{|%s|\bshow\b|information_schema|\b(?:duckdb|sqlite|pragma)_\w+", re.IGNORECASE
)
"""Text from which not all tables can be read that are looked at."""
_CATALOG: Final = """
    select table_name, table_oid, estimated_size, database_name, schema_name from duckdb_tables() where not internal
    union all select view_name, view_oid, -1, database_name, schema_name from duckdb_views() where not internal
"""
_OTHERS: Final = "select count(*) from duckdb_databases() where not internal and type <> 'duckdb'"


@dataclass(frozen=True)
class Statements:
    """The tables that the SQL of a cell defines, adds rows to, and reads, as its text says. `unnamed`: also others."""

    defines: frozenset[str]
    adds: frozenset[str]
    reads: frozenset[str]
    unnamed: bool

    @classmethod
    def in_texts(cls, texts: Iterable[str]) -> Statements:
        text = "\n".join(texts)
        defines, adds, reads = (
            frozenset(str(name) for match in pattern.finditer(text) for name in match.groups() if name)
            for pattern in (_DEFINES, _ADDS, _READS)
        )
        return cls(defines, adds, reads, _UNNAMED.search(text) is not None)


@dataclass
class Databases:
    """The databases of DuckDB that cells use: a connection for each, whichever connection or cursor a cell has."""

    _known: list[tuple[Any, Any]] = field(default_factory=list)
    """Connections, each with the one that stands for its database. They are kept alive, so that no other has their identity."""

    def of(self, value: object) -> Any:
        """Return the connection that stands for the database of a connection, a relation or the module; None for none."""
        connection = _connection(value)
        if connection is None:
            return None
        for known, database in self._known:
            if known is connection:
                return database
        same = next((database for known, database in self._known if _is_same(known, connection)), connection)
        self._known = [*self._known[1 - _MOST_CONNECTIONS :], (connection, same)]
        return same


def is_database(value: object) -> bool:
    """Return whether a value is a connection, a cursor or a relation of DuckDB, or its module."""
    return type(value).__name__ in {"DuckDBPyConnection", "DuckDBPyRelation"} or (
        type(value) is types.ModuleType and value.__name__ == "duckdb"
    )


def is_closed(connection: Any) -> bool:
    """Return whether a connection is closed."""
    try:
        connection.cursor().close()
    except Exception as error:  # noqa: BLE001  # its class is DuckDB's
        return type(error).__name__ == "ConnectionException"
    return False


def tables(connection: Any, words: frozenset[str]) -> Tables | None:
    """Return what is known of each table and view, by name. None: of none, only the text of the SQL counts.

    The rows are compared of tables that `words` name; of all, where there are few.
    """
    try:
        with connection.cursor() as cursor:
            if cursor.execute(_OTHERS).fetchone()[0]:
                return None  # a server might be asked
            rows = cursor.execute(_CATALOG).fetchmany(_MOST_TABLES + 1)
            if len(rows) > _MOST_TABLES:
                return None
            few = len(rows) <= _FEW_TABLES
            return {
                name: (
                    oid,
                    _contents(cursor, size, (database, schema, name)) if few or name in words else size,
                )
                for name, oid, size, database, schema in rows
            }
    except Exception:  # noqa: BLE001  # closed, or locked: DuckDB's errors have no class of their own here
        return None


def _contents(cursor: Any, size: int, path: tuple[str, ...]) -> object:
    if not 0 <= size <= _MOST_ROWS:
        return size
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in path)
    return cursor.execute(f"select count(*), sum(hash(here)) from {quoted} as here").fetchone()  # noqa: S608  # quoted


def adds_to(before: object, after: object) -> bool:
    """Return whether a table is still the same one, with other rows."""
    return isinstance(before, tuple) and isinstance(after, tuple) and before[0] == after[0]


def _connection(value: object) -> Any:
    if isinstance(value, types.ModuleType):
        return value.default_connection()
    if type(value).__name__ == "DuckDBPyRelation":
        return None
    return value


def _is_same(first: Any, second: Any) -> bool:
    """Return whether two connections are to one database: one more on the second is one more on the first."""
    try:
        with first.cursor() as counting:
            before = _connections(counting)
            with second.cursor():
                return _connections(counting) > before
    except Exception:  # noqa: BLE001  # as in `tables`
        return False


def _connections(cursor: Any) -> int:
    return int(cursor.execute("select * from duckdb_connection_count()").fetchone()[0])


def strings_of(code: types.CodeType) -> Iterator[str]:
    """Yield the strings in the code of a function."""
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from strings_of(constant)
