"""What is said of data that cannot be read goes to agents too: it has no value of the data."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Query, Table
from marimo_kernel_bridge.viewing.tables import open_file, open_value, sqlite_files, text_files
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARKER = "Tops3cret"
_MANY = 30_000


def _csv(*last: str) -> bytes:
    return ("a,b\n" + "".join(f"{n},{MARKER}{n}\n" for n in range(_MANY)) + "\n".join(last) + "\n").encode()


def _lines(last: str) -> bytes:
    return ("".join(f'{{"a": {n}, "b": "{MARKER}"}}\n' for n in range(_MANY)) + last + "\n").encode()


def _parquet() -> bytes:
    """Return a file of which parts of the pages are overwritten: its footer says that all is well."""
    file = io.BytesIO()
    pl.DataFrame({"a": [f"{MARKER}{n}" for n in range(5000)]}).write_parquet(file, compression="uncompressed")
    whole = bytearray(file.getvalue())
    whole[200:400] = MARKER.encode() * 20 + b"x" * 20
    return bytes(whole)


def _sqlite(path: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(MARKER * 9, n) for n in range(5000)])
        connection.commit()
    whole = bytearray(path.read_bytes())
    path.unlink()
    whole[len(whole) // 2 : len(whole) // 2 + 60_000] = (MARKER * 10_000)[:60_000].encode()
    return bytes(whole)


BROKEN: dict[str, Callable[[Path], bytes]] = {
    "type.csv": lambda _: _csv(f"{MARKER},5", f"1,{'z' * 2_500_000}"),
    "quotes.csv": lambda _: _csv(f'5,"{MARKER}', f'6,"{MARKER}" {MARKER}"'),
    "numbers.csv": lambda _: (
        b"a,b\n" + b"".join(b"%d,%d\n" % (n, n) for n in range(_MANY)) + MARKER.encode() * 400_000
    ),
    "half.json": lambda _: f'[{{"a": 1, "b": "{MARKER}"}}, {{"a": "{MARKER}'.encode(),
    "words.json": lambda _: f"{MARKER} {MARKER}".encode(),
    "half.jsonl": lambda _: f'{{"a": "{MARKER}"}}\n{{"a": "{MARKER}"\n{MARKER}'.encode(),
    "type.jsonl": lambda _: _lines(f'{{"a": "{MARKER}", "b": "{MARKER}"}}'),
    "late.jsonl": lambda _: _lines(f'{{"a": {MARKER}, "b": "{MARKER}'),
    "pages.parquet": lambda _: _parquet(),
    "short.parquet": lambda _: _parquet()[:-300],
    "names.arrow": lambda _: b"ARROW1\x00\x00" + MARKER.encode() * 100,
    "pages.sqlite": lambda folder: _sqlite(folder / "made"),
    "words.xlsx": lambda _: b"PK\x03\x04" + MARKER.encode() * 50,
    "words.xls": lambda _: b"\xd0\xcf\x11\xe0" + MARKER.encode() * 50,
}


def _said(error: BridgeError) -> str:
    return f"{error.code} {error.message} {error.hint}"


def _all_that_is_told(open_it: Callable[[], Table]) -> list[str]:
    """Open a table, ask for all that can be asked, and return what is said that has no place for rows."""
    try:
        table = open_it()
    except BridgeError as error:
        return [_said(error)]
    told = []
    with contextlib.suppress(CancelledError):
        if isinstance(table, LoadingTable):
            assert table.wait(60)
        for ask in (
            lambda: table.page(Query(), 0, 500, range(len(table.columns)), Cancellation()),
            lambda: table.page(Query(), 4000, 500, range(len(table.columns)), Cancellation()),
            lambda: table.page(Query(search="q"), 0, 500, [0], Cancellation()),
            lambda: table.statistics(Query(), 0, Cancellation()),
            lambda: table.detail(1, 0),
        ):
            try:
                ask()
            except BridgeError as error:
                told.append(_said(error))
    told += [*table.notes, table.kind, repr(table.columns), repr(table.progress)]
    table.close()
    return told


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", BROKEN)
def test_no_value_of_a_broken_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at_once: bool
) -> None:
    for module in (text_files, sqlite_files):
        monkeypatch.setattr(module, "_SMALL", 2**60 if at_once else 0)
    (tmp_path / name).write_bytes(BROKEN[name](tmp_path))
    told = _all_that_is_told(lambda: open_file(tmp_path / name))
    assert MARKER not in " ".join(told)


def test_a_late_value_that_fits_no_type_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(BROKEN["type.jsonl"](tmp_path))
    with pytest.raises(BridgeError) as told:
        open_file(tmp_path / "a.jsonl")
    assert "in line 30001" in told.value.message


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.json", '[{"b": 1}, {"a": "Tops3cret", "a": 2}]', "record 2"),
        ("a.jsonl", '{"b": 1}\n{"a": "Tops3cret", "a": 2}\n', "line 2"),
        ("nested.json", '[{"x": {"a": "Tops3cret", "a": 2}}]', "record 1"),
    ],
)
def test_an_object_with_one_key_twice_is_refused_with_its_place_and_what_to_do(
    tmp_path: Path, name: str, content: str, place: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BridgeError) as told:
        open_file(tmp_path / name)
    assert str(told.value) == (
        f"{name} cannot be read: an object has one key twice, in {place}. Rename one of the two in the file, or remove it."
    )


def test_no_value_of_a_plan_or_a_relation_that_fails_is_said() -> None:
    frame = pl.DataFrame({"a": [MARKER, "1"]}).lazy()
    relation = duckdb.connect().sql(f"SELECT CAST(x AS INTEGER) AS a FROM (VALUES ('{MARKER}')) t(x)")
    for value in (frame.select(pl.col("a").cast(pl.Int64)), relation):
        told = _all_that_is_told(lambda value=value: open_value(value))  # type: ignore[misc]  # its default binds it
        assert told
        assert MARKER not in " ".join(told)


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        ("OutOfMemoryException", "failed to allocate", "too_large"),
        ("IOException", "write: No space left on device", "disk_full"),
    ],
)
def test_a_load_for_which_there_is_no_room_says_so(
    monkeypatch: pytest.MonkeyPatch, error: str, message: str, code: str
) -> None:
    class Full:
        def execute(self, *_: Any) -> Any:
            raise getattr(duckdb, error)(message)

        def close(self) -> None:
            pass

    database = Database()
    connection = database._connection
    monkeypatch.setattr(database, "_connection", type("Connection", (), {"cursor": lambda _: Full()})())
    with pytest.raises(BridgeError) as told:
        database.create("CREATE TABLE loaded AS SELECT 1", Cancellation())
    assert told.value.code == code
    connection.close()
    monkeypatch.undo()
    database.close()
