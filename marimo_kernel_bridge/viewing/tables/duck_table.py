"""Tables that DuckDB reads: a Parquet file as it is, or a table of a database of ours."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Column, Detail, Statistics
from marimo_kernel_bridge.viewing.table import Cancellation, ExportFormat, Page, Query
from marimo_kernel_bridge.viewing.tables import duck_sql, duck_statistics
from marimo_kernel_bridge.viewing.tables.cells import detail, shown_cell, type_name
from marimo_kernel_bridge.viewing.tables.failures import reason
from marimo_kernel_bridge.viewing.tables.orders import Orders
from marimo_kernel_bridge.viewing.tables.whole_table import WholeTable
from marimo_kernel_bridge.viewing.tables.writing import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import CellValue
    from marimo_kernel_bridge.viewing.tables.duck import Database
    from marimo_kernel_bridge.viewing.tables.file_state import FileState

_AT_ONCE_MAX: Final = 1000
"""Rows of a sort or a filter that are looked for before all row numbers are written down."""
_SMALL: Final = 20_000
_NUMBERED_MAX: Final = 5_000_000
"""Rows of which the numbers are written down in the order of a query; of more each page is looked for."""
_FORMATS: Final = {
    "csv": "FORMAT csv, HEADER",
    "parquet": "FORMAT parquet",
    "json": "FORMAT json, ARRAY true",
    "jsonl": "FORMAT json",
}


class DuckTable(WholeTable):
    """A table over `source`, a table or a function in FROM, whose row numbers are `row`.

    `shown` has the names that columns are shown by, where these are others than DuckDB's. `file` is that which was opened; `read_again` if DuckDB reads it for each request: whatever is read after it changed is not shown.
    """

    def __init__(  # noqa: PLR0917  # each is a fact of the table
        self,
        kind: str,
        database: Database,
        source: str,
        row: str,
        file: FileState | None = None,
        notes: Sequence[str] = (),
        *,
        read_again: bool = False,
        shown: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self._database = database
        self._source = source
        self._row = row
        self._file = file
        self._read_again = read_again
        self._notes = tuple(notes)
        renamed = shown or {}
        described = [(name, dtype) for name, dtype in database.described(source)]
        if read_again:
            described = [one for one in described if one[0] != row.strip('"')]
        self._columns = tuple(
            Column(index, renamed.get(name, name), duck_sql.kind_of(dtype), type_name(dtype))
            for index, (name, dtype) in enumerate(described)
        )
        self._names = tuple(duck_sql.quoted(name) for name, _ in described)
        # In ORDER BY a name of the SELECT comes before that of a column
        self._id = duck_sql.quoted(unused_name("id", [name for name, _ in described]))
        self._length = int(database.run(f"SELECT count(*) FROM {source}")[0][0])
        self._tables = itertools.count()
        self._orders: Orders[tuple[str, int]] = Orders(self._drop)
        self._counts: Orders[int] = Orders()

    def check(self, query: Query) -> None:
        query.check(self._columns)
        self._where(query)

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        self._orders.look_at(query.key)
        if not query.sort and not query.narrowed:
            last = min(start + count, self._length)
            rows = self._read(
                f"{self._row} >= {int(start)} AND {self._row} < {int(last)}", columns, cancellation
            )
            return Page([rows[one] for one in sorted(rows)], sorted(rows), self._length)
        ids, matching = self._ids(query, start, count, cancellation)
        rows = (
            self._read(f"{self._row} IN ({', '.join(map(str, ids))})", columns, cancellation) if ids else {}
        )
        return Page([rows[one] for one in ids], ids, matching)

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics:
        found = duck_statistics.statistics_of(
            self._columns[column],
            self._names[column],
            lambda sql, values: self._run(sql, values, cancellation),
            self._source,
            self._where(query),
            self._length,
        )
        self._unchanged()
        return found

    def detail(self, row: int, column: int) -> Detail:
        self._require_cell(row, column)
        shown = self._columns[column]
        expression = duck_sql.whole(shown, self._names[column])
        value = self._run(f"SELECT {expression} FROM {self._source} WHERE {self._row} = {int(row)}", ())[0][0]
        self._unchanged()
        return detail(value, shown.kind)

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        chosen = [self._columns[one] for one in columns]
        names = [one.name for one in chosen] if format == "csv" else distinct_names(chosen)
        selected = ", ".join(
            f"{self._names[column.index]} AS {duck_sql.quoted(name)}"
            for column, name in zip(chosen, names, strict=True)
        )
        where = self._where(query)
        order = duck_sql.order(self._columns, self._names, query, self._row)
        # DuckDB may write into its own folder alone
        written = self._database.folder / f"export{next(self._tables)}"
        self._run(
            f"COPY (SELECT {selected} FROM {self._source}{where.text}{order}) "
            f"TO {duck_sql.literal(str(written))} ({_FORMATS[format]})",
            where.values,
            cancellation,
        )
        self._unchanged()
        shutil.move(written, target)

    def altered(self) -> Literal["", "changed", "gone"]:
        return self._file.altered() if self._file else ""

    def close(self) -> None:
        self._orders.close()
        self._database.close()

    def _ids(self, query: Query, start: int, count: int, cancellation: Cancellation) -> tuple[list[int], int]:
        """Return the ids of one page, and how many rows match."""
        numbered = self._length <= _NUMBERED_MAX
        known = self._orders.known(query.key) if numbered else None
        if known is None and (not numbered or (start + count <= _AT_ONCE_MAX and self._length > _SMALL)):
            ids, matching = self._looked_for(query, start, count, cancellation)
            if numbered and matching > len(ids):
                self._orders.behind(query.key, lambda behind: self._numbered(query, behind))
            return ids, matching
        with self._orders.read(query.key, lambda own: self._numbered(query, own), cancellation) as kept:
            table, matching = kept
            sql = f"SELECT {self._id} FROM {table} WHERE rowid >= {int(start)} AND rowid < {int(start + count)} ORDER BY rowid"
            return [int(one) for (one,) in self._run(sql, (), cancellation)], matching

    def _looked_for(
        self, query: Query, start: int, count: int, cancellation: Cancellation
    ) -> tuple[list[int], int]:
        """Return the ids of one page, and how many rows match, without an order that is written down."""
        where = self._where(query)
        end = int(start) + int(count)
        # Rows that are counted anyway are found in the same scan
        first = f", min({self._row}, {end})" if not query.sort and 0 < end <= _AT_ONCE_MAX else ""
        found: list[list[int]] = []

        def counted(own: Cancellation) -> int:
            sql = f"SELECT count(*){first} FROM {self._source}{where.text}"
            matching, *ids = self._run(sql, where.values, own)[0]
            found.extend(one or [] for one in ids)
            return int(matching)

        narrowing = query.narrowing
        matching = self._counts.get(narrowing, counted, cancellation) if query.narrowed else self._length
        if found:
            return [int(one) for one in found[0][start:end]], matching
        order = duck_sql.order(self._columns, self._names, query, self._row)
        limited = f"LIMIT {int(count)} OFFSET {int(start)}"
        sql = f"SELECT {self._row} FROM {self._source}{where.text}{order} {limited}"
        return [int(one) for (one,) in self._run(sql, where.values, cancellation)], matching

    def _numbered(self, query: Query, cancellation: Cancellation) -> tuple[str, int]:
        """Write the ids of a query down in its order, and return the table that has them, and how many there are."""
        where = self._where(query)
        order = duck_sql.order(self._columns, self._names, query, self._row)
        table = f"order{next(self._tables)}"
        self._run(
            f"CREATE TABLE {table} AS SELECT {self._row} AS {self._id} FROM {self._source}{where.text}{order}",
            where.values,
            cancellation,
        )
        self._unchanged()
        return table, int(self._run(f"SELECT count(*) FROM {table}", ())[0][0])

    def _drop(self, order: tuple[str, int]) -> None:
        with contextlib.suppress(Exception):  # it is closed, or a page reads it: it goes with the folder
            self._run(f"DROP TABLE IF EXISTS {order[0]}", ())

    def _read(
        self, condition: str, columns: Sequence[int], cancellation: Cancellation
    ) -> dict[int, list[CellValue]]:
        """Return the cells of the rows that meet a condition on their numbers."""
        shown = [self._columns[one] for one in columns]
        selected = [self._row, *(duck_sql.fetched(one, self._names[one.index]) for one in shown)]
        found = self._run(
            f"SELECT {', '.join(selected)} FROM {self._source} WHERE {condition}", (), cancellation
        )
        self._unchanged()
        return {
            int(row[0]): [shown_cell(value, column) for value, column in zip(row[1:], shown, strict=True)]
            for row in found
        }

    def _where(self, query: Query) -> duck_sql.Sql:
        return duck_sql.where(self._columns, self._names, query)

    def _run(self, sql: str, values: Sequence[Any], cancellation: Cancellation | None = None) -> list[Any]:
        try:
            return self._database.run(sql, values, cancellation)
        except self._database.error as error:
            self._unchanged()
            raise BridgeError("bad_data", f"The data cannot be read: {reason(error)}.") from None

    def _unchanged(self) -> None:
        """Raise `BridgeError` (data_changed, data_gone) if what was read may be of another file than was opened."""
        if self._read_again and self._file is not None:
            self._file.require_unchanged()


def unused_name(name: str, names: Sequence[str]) -> str:
    """Return the name, with a number if a column has it: case makes no difference to DuckDB."""
    taken = {one.lower() for one in names}
    number, free = 1, name
    while free.lower() in taken:
        number += 1
        free = f"{name}{number}"
    return free


def loaded_table(
    database: Database,
    kind: str,
    file: FileState | None,
    notes: Sequence[str] = (),
    headings: Mapping[str, str] = {},  # it is not changed
) -> DuckTable:
    """Return the table "loaded" of a database of ours. Its rows have DuckDB's own numbers. `headings` are shown for some names."""
    names = [name for name, _ in database.described("loaded")]
    shown = dict(headings)
    for name in names:
        if name.lower() == "rowid":  # it would hide the numbers
            other = unused_name("rowid", [*names, "rowid"])
            database.run(
                f"ALTER TABLE loaded RENAME COLUMN {duck_sql.quoted(name)} TO {duck_sql.quoted(other)}"
            )
            shown[other] = shown.pop(name, name)
    return DuckTable(kind, database, "loaded", "rowid", file, notes, shown=shown)
