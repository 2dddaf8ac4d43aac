"""Tables of SQLite files, read with Python's own sqlite3: DuckDB's reader would be fetched from the network.

SQLite's types belong to values, not to columns. The rows go into a database of ours with the type that all values of a
column have; a column with several is text, and that is told.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import Cancellation
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.duck_sql import literal, quoted
from marimo_kernel_bridge.viewing.tables.duck_table import loaded_table
from marimo_kernel_bridge.viewing.tables.failures import reason
from marimo_kernel_bridge.viewing.tables.file_state import FileState
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable
from marimo_kernel_bridge.viewing.tables.plain import PlainTable, Tuples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

_MAGIC: Final = b"SQLite format 3\x00"
_HEAD: Final = 500
_SMALL: Final = 4_000_000
"""Bytes of a file that is loaded at once."""
_STEPS: Final = 20_000
"""Of SQLite's machine, between two looks at whether the work is cancelled."""
_NUMBERS: Final = frozenset({"integer", "real"})
_TYPES: Final = {
    frozenset({"integer"}): "BIGINT",
    frozenset({"real"}): "DOUBLE",
    _NUMBERS: "DOUBLE",
    frozenset({"blob"}): "BLOB",
    frozenset[str](): "VARCHAR",
    frozenset({"text"}): "VARCHAR",
}


def open_sqlite(path: Path, table: str) -> Table:
    """Return a table of a SQLite file, the first one by name if none is named.

    Raises `BridgeError`: bad_data, data_locked, data_gone, not_installed.
    """
    state = FileState(path, beside=("-wal",))
    if not state.head.startswith(_MAGIC):
        raise BridgeError("bad_data", f"{path.name} is no SQLite file, or it is encrypted.")
    with _told(path), _connected(path, Cancellation()) as connection:
        name, notes = _chosen(connection, path, table)
        found = connection.execute(f"SELECT * FROM {quoted(name)} LIMIT {_HEAD}")
        names = [one[0] for one in found.description]
        rows = found.fetchall()
    database = Database()
    try:

        def load(cancellation: Cancellation) -> Table:
            with _told(path, database.error), _connected(path, cancellation) as reading:
                mixed = _load(reading, name, names, database, cancellation)
            state.require_unchanged()
            return loaded_table(database, f"SQLite table {name}", state, (*notes, *mixed))

        if state.size <= _SMALL:
            return load(Cancellation())
        head = PlainTable(Tuples(f"SQLite table {name}", names, [""] * len(names), rows, state), notes)
        return LoadingTable(head, f"Loading {name}", load, database.close)
    except BaseException:
        database.close()
        raise


def _chosen(connection: sqlite3.Connection, path: Path, table: str) -> tuple[str, tuple[str, ...]]:
    """Return the table to show, and a note with the others. Views and virtual tables would run what the file says."""
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' "
            "AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        )
    ]
    listed = ", ".join(names[:20])
    if not names:
        raise BridgeError("bad_data", f"{path.name} has no table.")
    if table and table not in names:
        raise BridgeError("bad_data", f"{path.name} has no table {table[:100]!r}.", f"It has {listed}.")
    shown = table or names[0]
    others = () if table or len(names) == 1 else (f"Shown is {shown}, of the tables {listed}.",)
    return shown, others


def _load(
    connection: sqlite3.Connection,
    name: str,
    names: list[str],
    database: Database,
    cancellation: Cancellation,
) -> tuple[str, ...]:
    """Create the table "loaded", and return what is to be said of it."""
    asked = ", ".join(f"group_concat(DISTINCT typeof({quoted(one)}))" for one in names)
    types = connection.execute(f"SELECT {asked} FROM {quoted(name)}").fetchone()
    kinds = [frozenset((one or "").split(",")) - {"null", ""} for one in types]
    kinds = [
        kind | {"digits"} if kind == _NUMBERS and _has_long_integers(connection, name, one) else kind
        for one, kind in zip(names, kinds, strict=True)
    ]
    mixed = [one for one, kind in zip(names, kinds, strict=True) if kind not in _TYPES]
    columns = [_TYPES.get(kind, "VARCHAR") for kind in kinds]
    file = database.folder / "rows.jsonl"
    encoder = msgspec.json.Encoder()
    with file.open("wb") as written:
        for row in connection.execute(f"SELECT * FROM {quoted(name)}"):
            values = (_json(value, dtype) for value, dtype in zip(row, columns, strict=True))
            written.write(encoder.encode({str(number): value for number, value in enumerate(values)}))
            written.write(b"\n")
    read = ", ".join(f"{literal(str(n))}: {literal(_read_as(dtype))}" for n, dtype in enumerate(columns))
    selected = ", ".join(
        f"{_taken(str(number), dtype)} AS {quoted(one)}"
        for number, (one, dtype) in enumerate(zip(names, columns, strict=True))
    )
    database.run(
        f"CREATE TABLE loaded AS SELECT {selected} FROM read_json({literal(str(file))}, format='newline_delimited', "
        f"columns={{{read}}})",
        (),
        cancellation,
    )
    file.unlink()
    return (
        (f"Shown as text, because their values have several types: {', '.join(mixed[:20])}.",)
        if mixed
        else ()
    )


def _has_long_integers(connection: sqlite3.Connection, name: str, column: str) -> bool:
    """Return whether a column has integers that no float holds."""
    one = quoted(column)
    return bool(
        connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM {quoted(name)} WHERE typeof({one}) = 'integer' "
            f"AND {one} NOT BETWEEN -9007199254740992 AND 9007199254740992)"
        ).fetchone()[0]
    )


def _read_as(dtype: str) -> str:
    return "VARCHAR" if dtype == "BLOB" else dtype


def _taken(name: str, dtype: str) -> str:
    return f"unhex({quoted(name)})" if dtype == "BLOB" else quoted(name)


def _json(value: Any, dtype: str) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value) if dtype == "VARCHAR" and value is not None else value


@contextlib.contextmanager
def _connected(path: Path, cancellation: Cancellation) -> Iterator[sqlite3.Connection]:
    """Open the file for reading alone. What it says to run is not trusted; all work ends when it is cancelled."""
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=1)
    try:
        connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        connection.set_progress_handler(lambda: int(cancellation.cancelled), _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection
    except sqlite3.OperationalError:
        cancellation.check()
        raise
    finally:
        connection.close()


@contextlib.contextmanager
def _told(path: Path, other: type[Exception] = sqlite3.Error) -> Iterator[None]:
    """Tell errors of SQLite, and of a further class, as those of the file."""
    try:
        yield
    except (sqlite3.Error, other) as error:
        if "locked" in str(error):
            raise BridgeError(
                "data_locked", f"{path.name} is locked by another program.", "Try it again later."
            ) from None
        raise BridgeError("bad_data", f"{path.name} cannot be read: {reason(error)}.") from None
