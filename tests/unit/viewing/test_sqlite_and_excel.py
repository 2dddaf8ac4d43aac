"""Tables of SQLite files and sheets of workbooks."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, Marked, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Query, Table
from marimo_kernel_bridge.viewing.tables import (
    excel_files,
    open_file,
    sqlite_files,
    workbook_extent,
    workbook_heads,
)
from tests.unit.viewing.rows_by_hand import all_ids, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def opened(path: Path, table: str = "") -> Iterator[Table]:
    found = open_file(path, table)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop ü?.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE orders(id INTEGER PRIMARY KEY, price REAL, "na""me" TEXT, photo BLOB, mixed, empty);
            INSERT INTO orders VALUES (9007199254740993, 1.5, '007', x'00ff', 1, NULL), (2, 3, '', NULL, 'one', NULL),
                                      (3, 9e999, NULL, x'', NULL, NULL);
            CREATE TABLE zones(name TEXT);
            CREATE VIEW evil AS SELECT randomblob(1000000000);
            """
        )
    return path


def test_values_of_a_sqlite_table_and_columns_of_several_types(shop: Path) -> None:
    with opened(shop) as table:
        assert [(one.name, one.kind) for one in table.columns] == [
            ("id", "integer"),
            ("price", "number"),
            ('na"me', "text"),
            ("photo", "bytes"),
            ("mixed", "text"),
            ("empty", "text"),
        ]
        assert shown(table) == [
            [2, 3.0, "", None, "one", None],
            [3, Marked("inf", "inf"), None, Marked("", "bytes"), None, None],
            [Marked("9007199254740993", "big"), 1.5, "007", Marked("00ff", "bytes"), "1", None],
        ]
        assert table.notes == (
            "Shown is orders, of the tables orders, zones.",
            "Shown as text, because their values have several types: mixed.",
        )
        assert all_ids(table, Query(filters=(Filter(0, "=", "9007199254740993"),))) == [2]
    with opened(shop, "zones") as table:
        assert (table.rows, table.notes) == (0, ())


def test_views_which_run_what_the_file_says_are_not_shown(shop: Path) -> None:
    with pytest.raises(BridgeError) as refused:
        open_file(shop, "evil")
    assert refused.value.code == "bad_data"
    assert "orders, zones" in refused.value.hint


def test_a_sqlite_file_shows_its_first_rows_while_it_loads(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_files, "_SMALL", 0)
    with opened(shop) as opened_table:
        table: Any = opened_table
        assert shown(table)[0][0] == 2
        assert table.wait(60)
        assert all_ids(table, Query(sort=(SortKey(0, descending=True),))) == [2, 1, 0]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.sqlite", b"no database", "bad_data"),
        ("a.db", b"SQLite format 3\x00 half of one", "bad_data"),
        ("a.sqlite", b"", "bad_data"),
    ],
)
def test_files_that_are_no_databases_are_told(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BridgeError) as told:
        open_file(tmp_path / name)
    assert (told.value.code, name in told.value.message) == (code, True)


def test_a_locked_database_is_told(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("PRAGMA locking_mode = EXCLUSIVE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BridgeError) as told:
            open_file(shop)
    assert told.value.code == "data_locked"


def test_a_row_that_is_added_is_noticed(shop: Path) -> None:
    with opened(shop, "zones") as table:
        assert table.altered() == ""
        with contextlib.closing(sqlite3.connect(shop)) as writer:
            writer.execute("INSERT INTO zones VALUES ('x')")
            writer.commit()
        assert table.altered() == "changed"


def _workbook(path: Path, *sheets: list[list[Any]], shared: tuple[str, ...] = ()) -> Path:
    """Write a workbook as Excel reads it: numbers, booleans and text, which cells with a tuple name among the shared ones."""
    with zipfile.ZipFile(path, "w") as package:
        names = range(1, len(sheets) + 1)
        package.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        package.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
            'officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        package.writestr(
            "xl/workbook.xml",
            '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
            'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
            + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in names)
            + "</sheets></workbook>",
        )
        package.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            + "".join(
                f'<Relationship Id="r{n}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
                f'worksheet" Target="worksheets/sheet{n}.xml"/>'
                for n in names
            )
            + "</Relationships>",
        )
        if shared:
            texts = "".join(f"<x:si><x:t>{text}</x:t></x:si>" if text else "<x:si/>" for text in shared)
            package.writestr(
                "xl/sharedStrings.xml",
                f'<x:sst xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{texts}</x:sst>',
            )
        for number, rows in enumerate(sheets, 1):
            package.writestr(
                f"xl/worksheets/sheet{number}.xml",
                '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
                + "".join(
                    f'<row r="{r}">'
                    + "".join(_cell(f"{chr(65 + c)}{r}", v) for c, v in enumerate(row))
                    + "</row>"
                    for r, row in enumerate(rows, 1)
                )
                + "</sheetData></worksheet>",
            )
    return path


def _cell(place: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, tuple):
        return f'<c r="{place}" t="s"><v>{value[0]}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def test_a_sheet_has_its_first_row_as_names_if_it_is_text(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    path = _workbook(tmp_path / "a.xlsx", [["name", "n"], ["Ada", 1.5], [None, 2]], [[1, 2], [3, True]])
    with opened(path) as table:
        assert [one.name for one in table.columns] == ["name", "n"]
        assert shown(table) == [["Ada", 1.5], [None, 2]]
        assert table.notes == ("Shown is S1, of the sheets S1, S2.",)
    with opened(path, "S2") as table:
        assert [one.name for one in table.columns] == ["A", "B"]
        assert shown(table) == [[1, 2], [3, True]]


FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'


@pytest.mark.parametrize("small", [4_000_000, 0])
def test_a_cell_in_the_far_corner_of_a_sheet_is_refused_and_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    pytest.importorskip("python_calamine")
    monkeypatch.setattr(excel_files, "_SMALL", small)
    path = _workbook(tmp_path / "a.xlsx", [["a"], [1]])
    with zipfile.ZipFile(path) as package:
        parts = {part: package.read(part) for part in package.namelist()}
    with zipfile.ZipFile(path, "w") as package:
        for part, content in parts.items():
            of_sheet = part.startswith("xl/worksheets/")
            package.writestr(
                part,
                re.sub(rb"<row.*</row>", FAR.encode(), content, flags=re.DOTALL) if of_sheet else content,
            )
    with pytest.raises(BridgeError) as told:
        open_file(path).close()
    assert told.value.code == "too_large"
    assert "cell far away" in told.value.hint


def test_who_waits_no_more_for_a_workbook_ends_the_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook_extent, "_LOOK", "import time; time.sleep(600)")
    cancellation = Cancellation()
    threading.Timer(0.2, cancellation.cancel).start()
    with pytest.raises(CancelledError):
        workbook_extent.require_room(tmp_path / "a.xlsx", "", "a.xlsx", cancellation)


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_files, "_SMALL", 0)
    monkeypatch.setattr(workbook_heads, "_CHUNK", 100)  # tags are on both sides of a border


@pytest.mark.usefixtures("nothing_is_small")
def test_a_large_workbook_shows_its_first_rows_while_it_loads_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("python_calamine")
    rows: list[list[Any]] = [[f"k{number}", number / 2, (number % 4,)] for number in range(1000)]
    path = _workbook(
        tmp_path / "a.xlsx", [["key", "n", (3,)], *rows], [[1], [2]], shared=("x", "", "y &amp; z", "shared")
    )
    may_read = threading.Event()
    read = excel_files._sheet

    def held(workbook: Any, *asked: Any) -> Table:
        table = read(workbook, *asked)
        if (table.rows or 0) > 500:
            may_read.wait(60)
        return table

    monkeypatch.setattr(excel_files, "_sheet", held)
    with opened(path) as opened_table:
        table: Any = opened_table
        names = [one.name for one in table.columns]
        first = table.page(Query(), 0, 100, [0, 1, 2], Cancellation())
        assert (names, table.rows, table.progress.what) == (["key", "n", "shared"], None, "Loading a.xlsx")
        assert first.rows[:3] == [["k0", 0.0, "x"], ["k1", 0.5, None], ["k2", 1.0, "y & z"]]
        may_read.set()
        assert table.wait(60)
        assert (table.rows, table.progress) == (1000, None)
        assert table.page(Query(), 0, 100, [0, 1, 2], Cancellation()).rows == first.rows
        assert all_ids(table, Query(sort=(SortKey(1, descending=True),)))[:2] == [999, 998]
    with opened(path, "S2") as small:
        assert shown(small) == [[1], [2]]


@pytest.mark.usefixtures("nothing_is_small")
def test_a_large_workbook_whose_parts_are_elsewhere_or_long_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("python_calamine")
    monkeypatch.setattr(workbook_heads, "_LONGEST", 50)
    path = _workbook(tmp_path / "a.xlsx", [["a"], *([number] for number in range(600))])
    with opened(path) as table:
        assert (table.rows, table.progress) == (600, None)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BridgeError) as told:
        open_file(path)
    assert told.value.code == "bad_data"


def test_workbooks_that_are_broken_or_need_a_password_are_told(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    path = _workbook(tmp_path / "a.xlsx", [["a"], [1]])
    content = path.read_bytes()
    for broken, code in (
        (content[: len(content) // 2], "bad_data"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "data_locked"),
        (b"text", "bad_data"),
    ):
        path.write_bytes(broken)
        with pytest.raises(BridgeError) as told:
            open_file(path)
        assert told.value.code == code


def test_without_its_reader_a_workbook_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys  # noqa: PLC0415  # for this alone

    monkeypatch.setitem(sys.modules, "python_calamine", None)
    path = _workbook(tmp_path / "a.xlsx", [["a"], [1]])
    with pytest.raises(BridgeError) as told:
        open_file(path)
    assert told.value.code == "not_installed"


@pytest.mark.parametrize("part", [b"<c ", b'<c t="s" ', b'<c a="' + b"x" * 150 + b'" '])
def test_cells_that_never_end_are_searched_in_linear_time(part: bytes) -> None:
    begun = time.process_time()
    assert workbook_heads._NUMBER.findall(part * (5_000_000 // len(part))) == []
    assert time.process_time() - begun < 5
