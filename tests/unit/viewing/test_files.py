"""Files as tables: what is closed to them, what broken and changing ones say, and values that are easily read wrong."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, Marked, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Query, Table
from marimo_kernel_bridge.viewing.tables import open_file, open_value, text_files, text_sources
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.failures import PanicError, panics_as_errors
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable
from marimo_kernel_bridge.viewing.tables.long_lines import has_long_lines
from tests.unit.viewing.rows_by_hand import ODD, all_ids, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Table]]:
    """Open a file with a content; it is closed after the test."""
    tables: list[Table] = []

    def open_with(name: str, content: str | bytes | None = None) -> Table:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        tables.append(open_file(path))
        return tables[-1]

    yield open_with
    for table in tables:
        table.close()


def _refusal(opened: Callable[..., Table], name: str, content: str | bytes | None) -> BridgeError:
    with pytest.raises(BridgeError) as refused:
        opened(name, content)
    return refused.value


def test_digits_of_a_csv_stay_as_they_are(opened: Callable[..., Table]) -> None:
    table = opened("a.csv", 'zip,big,text\n007,12345678901234567890,""\n010,12345678901234567891,\n')
    assert shown(table) == [
        ["007", Marked("12345678901234567890", "big"), ""],
        ["010", Marked("12345678901234567891", "big"), None],
    ]


def test_a_value_that_fits_no_type_of_the_first_rows_changes_the_type_and_is_told(
    opened: Callable[..., Table],
) -> None:
    lines = "".join(f"{number},x\n" for number in range(30_000))
    table = opened("a.csv", f"a,b\n{lines}late,y\n")
    assert table.rows == 30_001
    assert table.columns[0].kind == "text"
    assert all_ids(table, Query(filters=(Filter(0, "=", "late"),))) == [30_000]
    assert table.notes == (
        "Types were found from the whole file: a later row did not fit those of the first ones.",
    )


def test_lines_of_other_lengths_are_counted_and_told(opened: Callable[..., Table]) -> None:
    table = opened("a.csv", "a,b\n1,2\n3,4,5\n6,7\n8,9\n")
    assert shown(table) == [[1, 2], [6, 7], [8, 9]]
    assert table.notes == ("1 lines do not fit the columns and are left out: line 3.",)


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ()),
        ("latin-1", ("The file is not UTF-8: it is read as Latin-1.",)),
    ],
)
def test_a_csv_in_another_encoding(
    opened: Callable[..., Table], encoding: str, notes: tuple[str, ...]
) -> None:
    table = opened("a.csv", "name,n\nCafé,1\nÆrø,2\n".encode(encoding))
    assert [row[0] for row in shown(table)] == ["Café", "Ærø"]
    assert table.columns[0].name == "name"
    assert table.notes == notes


@pytest.mark.parametrize("small", [4_000_000, 0])
def test_columns_of_one_name_and_of_none_have_the_headings_of_the_file(
    opened: Callable[..., Table], small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_SMALL", small)
    table: Any = opened("a.csv", "a,a,A,,b_1,rowid,rowid\n1,2,3,4,5,6,7\n")
    for _ in range(2):
        assert [column.name for column in table.columns] == ["a", "a", "A", "", "b_1", "rowid", "rowid"]
        assert shown(table) == [[1, 2, 3, 4, 5, 6, 7]]
        assert small or table.wait(60)
    assert [one.name for one in opened("b.csv", "column1,column0\n1,2\n").columns] == ["column1", "column0"]
    assert [one.name for one in opened("c.csv", "1,2\n3,4\n").columns] == ["column0", "column1"]


def test_tabs_semicolons_and_compression(opened: Callable[..., Table]) -> None:
    assert shown(opened("a.tsv", "a\tb\n1\tx\n")) == [[1, "x"]]
    assert shown(opened("b.csv", "a;b\n1;x\n")) == [[1, "x"]]
    assert shown(opened("c.csv.gz", gzip.compress(b"a,b\n1,x\n"))) == [[1, "x"]]


def test_json_keeps_digits_that_no_float_holds_and_shows_nested_values(opened: Callable[..., Table]) -> None:
    table = opened(
        "a.json",
        '[{"a": 12345678901234567890123, "b": {"k": [1, null]}, "c": "2024-01-01"}, {"a": 1, "b": null}]',
    )
    first, second = shown(table)
    assert first[0] == "12345678901234567890123"
    assert first[1] == Marked('{"k": [1, null]}', "nested")
    assert first[2] == Marked("2024-01-01", "date")
    assert second[1:] == [None, None]
    assert table.detail(0, 1).json == {"k": [1, None]}


def test_odd_values_of_a_parquet_file(tmp_path: Path, opened: Callable[..., Table]) -> None:
    frame = pl.DataFrame({name: values for name, values in ODD.items() if name != "span"})
    frame = frame.with_columns(
        ns=pl.Series([1711849500000000007, None, -1]).cast(pl.Datetime("ns")),
        nested=pl.Series([[{"a": 1}], None, []], dtype=pl.List(pl.Struct({"a": pl.Int64}))),
    )
    frame.write_parquet(tmp_path / "odd.parquet")
    table = opened("odd.parquet")
    cells = {column.name: [row[column.index] for row in shown(table)] for column in table.columns}
    assert cells["big"] == [Marked("9007199254740993", "big"), Marked("-1152921504606846976", "big"), 3]
    assert [one and one.t.rstrip("0") for one in cells["decimal"]] == ["1.1", None, "12345678901234567890.12"]
    assert cells["blob"] == [Marked("00ff", "bytes"), None, Marked("", "bytes")]
    assert cells["time"] == [Marked("01:02:03", "time"), None, Marked("23:59:59.000005", "time")]
    assert cells["zoned"][0] == Marked("2024-03-31 01:30:00+00", "datetime")
    assert cells["float"] == [Marked("NaN", "nan"), Marked("inf", "inf"), 0.1]
    assert cells["html"][0] == "<img src=x onerror=alert(1)>"
    assert cells["html"][1].k == "long"
    assert cells["ns"][0] == Marked("2024-03-31 01:45:00.000000007", "datetime")
    assert cells["nested"] == [Marked('[{"a": 1}]', "nested"), None, Marked("[]", "nested")]
    assert table.detail(1, [column.name for column in table.columns].index("html")).text == "x" * 1000
    floats = table.statistics(
        Query(), [column.name for column in table.columns].index("float"), Cancellation()
    )
    assert (floats.nulls, floats.not_finite, sum(bar.count for bar in floats.bins)) == (1, 1, 1)


def test_columns_named_as_duckdb_names_its_row_numbers(tmp_path: Path, opened: Callable[..., Table]) -> None:
    frame = pl.DataFrame(
        {"file_row_number": [7, 5, 6], "id": [3, 1, 2], "value": ["x", "y", "x"], "rowid": [9, 8, 7]}
    )
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    frame.drop("file_row_number").write_parquet(tmp_path / "b.parquet")
    for name, first in (("a.parquet", 0), ("a.csv", 0), ("b.parquet", 1)):
        table = opened(name)
        assert [column.name for column in table.columns] == frame.columns[first:]
        assert all_ids(table, Query(sort=(SortKey(1 - first),))) == [1, 2, 0]
        assert all_ids(table, Query(filters=(Filter(3 - first, "=", 7),))) == [2]
        assert table.statistics(Query(), 2 - first, Cancellation()).top == (("x", 2), ("y", 1))


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "bad_data"),
        ("a.parquet", b"", "bad_data"),
        ("a.parquet", b"no Parquet file at all", "bad_data"),
        ("a.parquet", b"PAR1 half of one", "bad_data"),
        ("a.parquet", b"PARE\x00\x00\x00\x00\x00\x00\x00\x00PARE", "data_locked"),
        ("a.json", b'[{"a": 1}, {"a":', "bad_data"),
        ("a.json", b'[{"a": 1}, {"a": 2},', "bad_data"),
        ("a.json", '[{"a": 1}, {"a": 2},\n'.encode("utf-16"), "bad_data"),
        ("a.json.gz", gzip.compress(b' [{"a": 1}, '), "bad_data"),
        ("a.jsonl", b'{"a": 1}\n{"a":', "bad_data"),
        ("a.arrow", b"ARROW1\x00\x00 half of one", "bad_data"),
        ("a.pdf", b"x", "not_a_table"),
        ("missing.csv", None, "data_gone"),
    ],
)
def test_files_that_are_no_tables_are_told(
    opened: Callable[..., Table], name: str, content: bytes | None, code: str
) -> None:
    refusal = _refusal(opened, name, content)
    assert refusal.code == code
    assert name in refusal.message


def test_a_file_that_makes_a_library_in_rust_panic_is_told(
    opened: Callable[..., Table], tmp_path: Path
) -> None:
    pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [1.5, 2.5, 3.5]}).write_ipc(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    content = whole[:200] + whole[-500:]  # its end says where the columns are, and they are not there
    assert _refusal(opened, "a.arrow", content).code == "bad_data"


def test_a_panic_is_an_error_and_other_ends_of_a_thread_are_not() -> None:
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(PanicError, match=r"^out of range$"), panics_as_errors():
        raise panic("out of range\nat x")
    with pytest.raises(KeyboardInterrupt), panics_as_errors():
        raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_read(tmp_path: Path, opened: Callable[..., Table]) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert _refusal(opened, "a.csv", None).code == "bad_data"


def test_a_parquet_file_that_is_replaced_or_deleted_is_not_shown_any_more(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    table = opened("a.parquet")
    assert (table.altered(), shown(table)) == ("", [[1], [2]])
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(tmp_path / "new")
    (tmp_path / "new").replace(path)
    assert table.altered() == "changed"
    for ask in (shown, lambda one: all_ids(one, Query(sort=(SortKey(0),)))):
        with pytest.raises(BridgeError) as told:
            ask(table)
        assert told.value.code == "data_changed"
    path.unlink()
    assert table.altered() == "gone"
    with pytest.raises(BridgeError) as told:
        shown(table)
    assert told.value.code == "data_gone"


def test_a_csv_that_is_replaced_is_shown_as_it_was_and_told(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    table = opened("a.csv", "a\n1\n")
    (tmp_path / "a.csv").write_text("a\n1\n2\n")
    assert (table.altered(), shown(table)) == ("changed", [[1]])


def test_no_statement_reads_or_writes_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "shown.csv").write_text("a\n1\n")
    database = Database(tmp_path / "shown.csv")
    try:
        source = database.link(".csv")
        assert database.run(f"SELECT * FROM read_csv('{source}')") == [(1,)]
        for statement in (
            f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
            f"SELECT * FROM read_csv('{tmp_path}/*.csv')",
            f"SELECT * FROM read_text('{tmp_path}/secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SELECT * FROM read_csv('https://example.invalid/a.csv')",
            "SET enable_external_access = true",
            "SET memory_limit = '100GB'",
            "SET allowed_directories = ['/']",
        ):
            with pytest.raises(duckdb.Error):
                database.run(statement)
    finally:
        database.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "shown.csv"]


def test_a_name_that_is_a_pattern_opens_that_file_alone(tmp_path: Path, opened: Callable[..., Table]) -> None:
    (tmp_path / "ab.csv").write_text("a\n1\n")
    (tmp_path / "year=2024").mkdir()
    assert shown(opened("a[b]*.csv", "a\n2\n")) == [[2]]
    assert [column.name for column in opened("year=2024/a'b.csv", "a\n2\n").columns] == ["a"]


def test_the_first_rows_of_a_large_file_come_while_the_rest_loads(
    tmp_path: Path, opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_SMALL", 0)
    go = threading.Event()
    load = text_files._load

    def slowly(*arguments: Any) -> Any:
        assert go.wait(60)
        return load(*arguments)

    monkeypatch.setattr(text_files, "_load", slowly)
    table = opened("a.csv", "a,b\n" + "".join(f"{number},x\n" for number in range(2000)))
    changes = threading.Event()
    table.watch(changes.set)
    page = table.page(Query(), 0, 3, [0], Cancellation())
    assert (page.rows, page.matching, table.rows) == ([[0], [1], [2]], None, None)
    assert table.progress is not None
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CancelledError):
        table.page(Query(sort=(SortKey(0, descending=True),)), 0, 3, [0], cancellation)
    go.set()
    assert changes.wait(60)
    assert (table.rows, table.progress) == (2000, None)
    assert all_ids(table, Query(sort=(SortKey(0, descending=True),)))[:2] == [1999, 1998]


def test_a_file_that_is_replaced_while_it_loads_is_told(
    tmp_path: Path, opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_SMALL", 0)
    load = text_files._load

    def replaced(*arguments: Any) -> Any:
        (tmp_path / "a.csv").write_text("a\n1\n2\n3\n")
        return load(*arguments)

    monkeypatch.setattr(text_files, "_load", replaced)
    table = opened("a.csv", "a\n1\n")
    with pytest.raises(BridgeError) as told:
        table.page(Query(sort=(SortKey(0),)), 0, 3, [0], Cancellation())
    assert told.value.code == "data_changed"
    assert table.progress is not None
    assert table.progress.what == "failed"


def test_a_cancelled_statement_ends_at_once(tmp_path: Path) -> None:
    database = Database()
    cancellation = Cancellation()
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    try:
        with pytest.raises(CancelledError):
            database.run("SELECT count(*) FROM range(10000000) a, range(10000000) b", (), cancellation)
    finally:
        timer.join()
        database.close()


def test_closing_ends_what_runs_and_removes_the_folder() -> None:
    database = Database()
    timer = threading.Timer(0.2, database.close)
    timer.start()
    with pytest.raises(CancelledError):
        database.run("SELECT count(*) FROM range(10000000) a, range(10000000) b")
    timer.join()
    assert not database.folder.exists()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_export_writes_the_filtered_rows_in_their_order(
    tmp_path: Path, opened: Callable[..., Table], name: str
) -> None:
    frame = pl.DataFrame({"n": [3, 1, 2, 5], "t": ["c", 'a,"b"', None, "e"]})
    (frame.write_parquet if name.endswith("parquet") else frame.write_csv)(tmp_path / name)
    table = opened(name)
    query = Query(sort=(SortKey(0, descending=True),), filters=(Filter(0, "<", 5),))
    for format_, expected in (
        ("csv", 'n,t\n3,c\n2,\n1,"a,""b"""\n'),
        ("jsonl", '{"n":3,"t":"c"}\n{"n":2,"t":null}\n{"n":1,"t":"a,\\"b\\""}\n'),
    ):
        table.export(query, [0, 1], format_, tmp_path / f"out.{format_}", Cancellation())  # type: ignore[arg-type]  # they are
        assert (tmp_path / f"out.{format_}").read_text() == expected
    table.export(query, [1], "parquet", tmp_path / "out.parquet", Cancellation())
    assert pl.read_parquet(tmp_path / "out.parquet").to_dict(as_series=False) == {"t": ["c", None, 'a,"b"']}


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_file_with_many_columns(opened: Callable[..., Table], count: int) -> None:
    names = ",".join(f"c{number}" for number in range(count))
    table = opened("a.csv", f"{names}\n{','.join('1' * count)}\n")
    assert len(table.columns) == count
    assert table.page(Query(), 0, 10, [count - 1], Cancellation()).rows == [[1]]


def test_json_with_many_keys_has_as_many_columns(opened: Callable[..., Table]) -> None:
    rows = [{f"c{number}": number for number in range(300)}] * 2
    for name, content in (("a.json", json.dumps(rows)), ("a.jsonl", "\n".join(map(json.dumps, rows)))):
        table = opened(name, content)
        assert (len(table.columns), table.rows, shown(table)[1][299]) == (300, 2, 299)


def test_the_name_of_a_type_has_no_values_of_the_data(tmp_path: Path, opened: Callable[..., Table]) -> None:
    frame = pl.DataFrame({"a": ["secret"]}, schema={"a": pl.Enum(["secret"])})
    assert open_value(frame).columns[0].dtype == "Enum"
    duckdb.sql(f"COPY (SELECT 'secret'::ENUM('secret') AS a) TO '{tmp_path}/a.parquet'")
    assert "secret" not in opened("a.parquet").columns[0].dtype


def test_without_duckdb_a_file_says_what_to_install(
    opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    refusal = _refusal(opened, "a.csv", "a\n1\n")
    assert (refusal.code, "marimo-kernel-bridge[view]" in refusal.hint) == ("not_installed", True)


def test_the_order_of_a_large_file_is_the_same_at_once_and_after(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    numbers = [number * 7919 % 30_011 // 3 for number in range(30_000)]
    pl.DataFrame({"a": numbers}).write_parquet(tmp_path / "a.parquet")
    query = Query(sort=(SortKey(0, descending=True),), filters=(Filter(0, ">", 100),))
    expected = sorted((n for n in range(30_000) if numbers[n] > 100), key=lambda n: -numbers[n])
    table = opened("a.parquet")
    assert table.page(query, 0, 200, [0], Cancellation()).ids == expected[:200]
    late = table.page(query, 20_000, 200, [0], Cancellation())
    assert (late.ids, late.matching) == (expected[20_000:20_200], len(expected))
    assert table.page(query, 0, 200, [0], Cancellation()).ids == expected[:200]


@pytest.mark.long
def test_a_page_anywhere_in_fifty_million_rows_is_read_without_the_others(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    duckdb.sql(
        f"COPY (SELECT i AS id, i * 7919 % 1000003 AS n FROM range(50000000) r(i)) TO '{tmp_path}/a.parquet'"
    )
    table = opened("a.parquet")
    before = time.process_time()
    for start in (0, 25_000_000, 49_999_900):
        page = table.page(Query(), start, 100, [0, 1], Cancellation())
        assert page.rows == [[number, number * 7919 % 1_000_003] for number in range(start, start + 100)]
        assert page.matching == 50_000_000
    assert time.process_time() - before < 3
    first = table.page(Query(sort=(SortKey(1, descending=True),)), 0, 3, [1], Cancellation())
    assert first.rows == [[1_000_002]] * 3
    found = table.page(Query(filters=(Filter(1, "=", 5),)), 0, 500, [1], Cancellation())
    assert (found.matching, {row[0] for row in found.rows}) == (50, {5})


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "be with its mark", "utf-32", "latin-1", "cp1252"],
)
def test_a_text_is_read_in_its_encoding(
    tmp_path: Path, opened: Callable[..., Table], encoding: str, suffix: str
) -> None:
    name = {"latin-1": "Ærø", "cp1252": "2 € “Ærø”"}.get(encoding, "Ærø €")
    text = f"name,n\n{name},1\n,2\n"
    marked = encoding == "be with its mark"
    content = b"\xfe\xff" + text.encode("utf-16-be") if marked else text.encode(encoding)
    (tmp_path / f"a.{suffix}").write_bytes(gzip.compress(content) if "gz" in suffix else content)
    table = opened(f"a.{suffix}")
    assert ([one.name for one in table.columns], shown(table)) == (["name", "n"], [[name, 1], [None, 2]])
    said = {"latin-1": "Latin-1", "cp1252": "Windows-1252"}.get(encoding, "")
    assert [note for note in table.notes if "UTF-8" in note] == (
        [f"The file is not UTF-8: it is read as {said}."] if said else []
    )


def test_a_late_letter_of_windows_is_read_as_that_and_json_may_begin_with_a_mark(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"x,1\n" * 50_000 + "€,2\n".encode("cp1252"))
    table = opened("a.csv")
    assert all_ids(table, Query(filters=(Filter(0, "=", "€"),))) == [50_000]
    assert "The file is not UTF-8: it is read as Windows-1252." in table.notes
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes('[{"a": "é"}]'.encode(encoding))
        assert shown(opened("a.json")) == [["é"]]


@pytest.mark.parametrize("encoding", ["utf-16-be", "cp1252"])
def test_the_first_lines_of_a_text_that_is_copied_are_there_before_the_others_and_its_copy_has_a_bound(
    tmp_path: Path, opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(text_files, "_SMALL", 0)
    monkeypatch.setattr(text_sources, "_HEAD", 100_000)
    monkeypatch.setattr(text_sources, "_CHUNK", 10_000)
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    text = "name,n\n" + "“x”,1\n" * 60_000
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(mark + text.encode(encoding)))
    table: Any = opened("a.csv.gz")
    assert not table._done.is_set()
    assert table.page(Query(), 0, 1, [0, 1], Cancellation()).rows == [["“x”", 1]]
    assert table.wait(60)
    assert (table.rows, table.progress) == (60_000, None)
    monkeypatch.setattr(text_sources, "_COPY_MAX", 200_000)
    bounded: Any = opened("a.csv.gz")
    assert bounded.wait(60)
    with pytest.raises(BridgeError) as told:
        bounded.page(Query(search="x"), 0, 1, [0], Cancellation())
    assert told.value.code == "too_large"
    (tmp_path / "a.json").write_bytes('[{"a": 1}]'.encode("utf-16"))
    monkeypatch.setattr(text_sources, "_AT_ONCE_MAX", 5)
    assert _refusal(opened, "a.json", None).code == "too_large"


def test_a_copy_ends_when_its_view_is_closed_and_says_when_there_is_no_room(
    tmp_path: Path, opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_SMALL", 0)
    monkeypatch.setattr(text_sources, "_HEAD", 1)
    monkeypatch.setattr(text_sources, "_CHUNK", 1000)
    (tmp_path / "a.csv").write_bytes(b"\xfe\xff" + ("x,1\n" * 60_000).encode("utf-16-be"))
    copying, go = threading.Event(), threading.Event()
    check = Cancellation.check

    def checked(cancellation: Cancellation) -> None:
        if threading.current_thread().name == "loading of a view":
            copying.set()
            assert go.wait(60)
        check(cancellation)

    monkeypatch.setattr(Cancellation, "check", checked)
    table: Any = opened("a.csv")
    assert copying.wait(60)
    cancelled = threading.Thread(target=table.close)
    cancelled.start()
    while not table._cancellation.cancelled:
        time.sleep(0.001)
    go.set()
    assert table._done.wait(60)
    cancelled.join(60)
    assert table._failure is None
    with pytest.raises(CancelledError):
        table.page(Query(search="x"), 0, 1, [0], Cancellation())

    class Full:
        free = 0

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    assert _refusal(opened, "a.csv", None).code == "too_large"


def test_a_package_whose_check_sum_is_another_is_told(
    opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)
    broken = packed[:-8] + bytes(4) + packed[-4:]
    assert _refusal(opened, "a.csv.gz", broken).code == "bad_data"
    monkeypatch.setattr(text_files, "_SMALL", 0)
    table: Any = opened("b.csv.gz", broken)
    assert table.wait(60)
    assert "broken" in table.notes[-1]


def test_a_file_of_tabs_that_ends_in_a_line_has_its_columns(opened: Callable[..., Table]) -> None:
    table = opened("a.tsv", "a\tb\tc\n" + "1\tx\t2.5\n" * 1000 + "1\tx")
    assert ([one.name for one in table.columns], table.rows) == (["a", "b", "c"], 1000)
    assert "do not fit" in table.notes[-1]


def test_a_csv_with_nuls_for_empty_texts_is_shown(opened: Callable[..., Table]) -> None:
    rows = b"".join(b"%d,\0,Oslo\n" % number for number in range(2_000))
    table = opened("bcp.csv", b"id,name,city\n" + rows)
    assert table.page(Query(), 1_999, 1, [0], Cancellation()).ids == [1_999]


def test_json_lines_that_begin_with_an_array_are_no_cut_array(opened: Callable[..., Table]) -> None:
    for name in ("a.jsonl", "a.json"):
        assert opened(name, b'[1,2]\n{"a":1}\n').rows == 2


def test_a_file_of_nothing_but_zeros_is_no_table(opened: Callable[..., Table]) -> None:
    for name, content in (
        ("a.csv", bytes(10_000)),
        ("b.tsv", b"a\tb\n1\t2\n" + bytes(5000)),
        ("c.json", bytes(99)),
    ):
        assert _refusal(opened, name, content).code == "bad_data"


def test_what_is_no_text_is_told_and_what_is_compressed_is_unpacked_whatever_its_name(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert shown(opened("a.csv")) == [[1, 2]]
    for content in (b"PK\x03\x04" + b"x" * 100, b"\x89PNG\r\n", b"PAR1" * 9, bytes(range(256)) * 400):
        (tmp_path / "b.csv").write_bytes(content)
        with pytest.raises(BridgeError) as told:
            opened("b.csv")
        assert told.value.code == "bad_data"


def test_a_line_of_megabytes_is_read_and_one_that_is_longer_is_told(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    def written(size: int) -> None:
        (tmp_path / "a.csv").write_text("a,b\n" + "x,1\n" * 5000 + "y" * size + ",2\n")

    written(2_200_000)
    table: Any = opened("a.csv")
    assert not isinstance(table, LoadingTable) or table.wait(60)
    assert (table.rows, table.notes) == (5001, ())
    written(18_000_000)
    with pytest.raises(BridgeError) as told:
        opened("a.csv")
    assert told.value.code == "too_large"


def test_a_long_line_far_behind_the_first_ones_is_read_and_no_file_is_read_through_for_it(
    tmp_path: Path, opened: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []

    def look(state: Any, everywhere: Cancellation | None = None) -> bool:
        looked.append(everywhere is not None)
        return has_long_lines(state, everywhere)

    monkeypatch.setattr(text_files, "has_long_lines", look)
    for middle, through in (("", [False]), ("y" * 2_200_000 + ",2\n", [False, True])):
        (tmp_path / "a.csv").write_text("a,b\n" + "x,1\n" * 2_100_000 + middle + "x,1\n" * 300_000)
        looked.clear()
        table: Any = opened("a.csv")
        assert table.wait(60)
        assert (table.rows, table.notes) == (2_400_000 + bool(middle), ())
        assert looked == through
        table.close()


def test_a_last_line_that_is_too_long_is_not_left_out_without_a_word(
    tmp_path: Path, opened: Callable[..., Table]
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "x,1\n" * 2_000_100 + "y" * 18_000_000 + ",2\n")
    table: Any = opened("a.csv")
    assert table.wait(60)
    assert "more than 16 MB" in table.notes[-1]
