"""Tables of Python's own values: a list of dicts, a dict of lists, an array of numpy. Nothing is copied, no library needed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Column, Detail, Statistics
from marimo_kernel_bridge.viewing.table import Cancellation, ExportFormat, Page, Query
from marimo_kernel_bridge.viewing.tables import python_values, writing
from marimo_kernel_bridge.viewing.tables.cells import cell, detail, label_text, type_name
from marimo_kernel_bridge.viewing.tables.orders import Orders
from marimo_kernel_bridge.viewing.tables.plain_values import is_builtin, plain
from marimo_kernel_bridge.viewing.tables.whole_table import WholeTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.viewing.tables.file_state import FileState

_HASHED_MAX: Final = 2**26
_HASHED_EACH: Final = 1024 * 1024  # bytes
"""Bytes of an array that are compared, to see whether it was changed; of larger ones that many."""


class Source:
    """Rows by position. `values` is one column of some rows, `fingerprint` differs if the source was changed since."""

    kind: str
    names: list[str]
    dtypes: list[str] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def values(self, column: int, ids: Sequence[int]) -> list[Any]:
        raise NotImplementedError

    def fingerprint(self) -> object:
        raise NotImplementedError


class Records(Source):
    """A list of dicts. A key that a row does not have is null."""

    kind = "list of dicts"

    def __init__(self, rows: Sequence[dict[Any, Any]]) -> None:
        keys: dict[Any, None] = {}
        others: dict[int, Any] = {}  # which are hashed and compared by code of their own
        for row in rows:
            for key in dict.keys(row):
                if is_builtin(type(key)) and type(key) is not tuple:
                    keys[key] = None
                else:
                    others[id(key)] = key
        self._given = rows
        self._rows = list(rows)  # so that rows which are added or removed meanwhile do not move the others
        self._keys = [(key, True) for key in keys] + [(key, False) for key in others.values()]
        self.names = [_name(key) for key, _ in self._keys]

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, column: int, ids: Sequence[int]) -> list[Any]:
        (key, is_hashed), rows = self._keys[column], self._rows
        if is_hashed:
            return [dict.get(rows[number], key) for number in ids]
        return [
            next((value for other, value in dict.items(rows[number]) if other is key), None) for number in ids
        ]

    def fingerprint(self) -> object:
        given = self._given
        step = max(1, len(given) // 64)
        return len(given), tuple(id(row) for row in islice(given, 0, None, step))


class Lists(Source):
    """A dict of lists of one length."""

    kind = "dict of lists"

    def __init__(self, columns: Mapping[Any, Sequence[Any]]) -> None:
        self._columns = list(columns.values())
        self.names = [_name(key) for key in columns]
        self._length = len(self._columns[0]) if self._columns else 0

    def __len__(self) -> int:
        return self._length

    def values(self, column: int, ids: Sequence[int]) -> list[Any]:
        values = self._columns[column]
        try:
            return [values[number] for number in ids]
        except IndexError:
            raise BridgeError(
                "data_changed", "The lists became shorter while they were read.", "Open the view again."
            ) from None

    def fingerprint(self) -> object:
        return tuple(len(one) for one in self._columns), tuple(
            id(value) for one in self._columns for value in islice(one, 0, None, max(1, len(one) // 16))
        )


def _name(key: Any) -> str:
    return key if type(key) is str else label_text(key)


class Tuples(Source):
    """The first rows of a file."""

    def __init__(
        self,
        kind: str,
        names: list[str],
        dtypes: list[str],
        rows: Sequence[Sequence[Any]],
        file: FileState | None = None,
    ) -> None:
        self.kind = kind
        self.names = names
        self.dtypes = dtypes
        self._rows = rows
        self._file = file

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, column: int, ids: Sequence[int]) -> list[Any]:
        return [self._rows[number][column] for number in ids]

    def fingerprint(self) -> object:
        return self._file.altered() if self._file else ""


class Array(Source):
    """An array of numpy: with two dimensions, with one, or with named fields."""

    kind = "numpy array"

    def __init__(self, array: Any) -> None:
        self._array = array
        self._fields = array.dtype.names
        if self._fields:
            self.names = list(self._fields)
            self.dtypes = [str(array.dtype[name]) for name in self._fields]
            self._array = array.reshape(-1)
        else:
            self._array = array.reshape(-1, 1) if array.ndim == 1 else array
            self.names = [str(number) for number in range(self._array.shape[1])]
            self.dtypes = [str(array.dtype)] * self._array.shape[1]

    def __len__(self) -> int:
        return len(self._array)

    def values(self, column: int, ids: Sequence[int]) -> list[Any]:
        values = self._array[self._fields[column]] if self._fields else self._array[:, column]
        values = values[slice(ids.start, ids.stop, ids.step) if isinstance(ids, range) else list(ids)]
        if values.dtype.kind in "mM":
            values = values.astype(f"{values.dtype.kind}8[us]")  # nanoseconds would be mere numbers
        listed: list[Any] = values.tolist()
        return listed

    def fingerprint(self) -> object:
        import xxhash  # noqa: PLC0415  # only where an array is shown

        array = self._array
        if array.dtype.hasobject:
            return array.shape, tuple(map(id, array.reshape(-1)[:: max(1, array.size // 64)]))
        if array.nbytes > _HASHED_MAX:
            array = array[:: max(1, array.nbytes // _HASHED_MAX)]
        digest = xxhash.xxh3_64()
        rows = max(1, _HASHED_EACH // max(1, array[:1].nbytes))
        for start in range(0, len(array), rows):  # others have the interpreter between
            digest.update(array[start : start + rows].tobytes())
        return array.shape, digest.intdigest()


class PlainTable(WholeTable):
    """A table over such a source."""

    def __init__(self, source: Source, notes: Sequence[str] = ()) -> None:
        self.kind = source.kind
        self._source = source
        self._length = len(source)
        self._fingerprint = source.fingerprint()
        self._orders: Orders[Sequence[int]] = Orders()
        self._notes = tuple(notes)
        columns = []
        mixed = []
        for index, name in enumerate(source.names):
            kind, dtype = python_values.kind_of(source.values(index, range(self._length)))
            if kind == "other" and " | " in dtype:
                mixed.append(name)
            columns.append(
                Column(index, name, kind, type_name((source.dtypes and source.dtypes[index]) or dtype))
            )
        self._columns = tuple(columns)
        self._notes += python_values.note_of_mixed(mixed)

    def check(self, query: Query) -> None:
        query.check(self._columns)
        for condition in query.filters:
            python_values.predicate(self._columns[condition.column], condition)

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        order = self._order(query, cancellation)
        ids = list(order[start : start + count])
        if not columns:
            return Page([[] for _ in ids], ids, len(order))
        read = [[cell(value) for value in self._source.values(column, ids)] for column in columns]
        return Page([list(row) for row in zip(*read, strict=True)], ids, len(order))

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics:
        ids = self._order(Query((), query.filters, query.search), cancellation)
        return python_values.statistics_of(
            self._columns[column], self._source.values(column, ids), cancellation
        )

    def detail(self, row: int, column: int) -> Detail:
        self._require_cell(row, column)
        return detail(self._source.values(column, [row])[0], self._columns[column].kind)

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        rows = writing.rows_of(self._order(query, cancellation), columns, self._source.values, cancellation)
        writing.write(rows, [self._columns[column] for column in columns], format, target)

    def altered(self) -> Literal["", "changed", "gone"]:
        present = self._source.fingerprint()
        if present == "gone":
            return "gone"
        return "" if present == self._fingerprint else "changed"

    def close(self) -> None:
        self._orders.close()

    def _order(self, query: Query, cancellation: Cancellation) -> Sequence[int]:
        if not query.sort and not query.narrowed:
            return range(self._length)
        return self._orders.get(query.key, lambda own: self._computed(query, own), cancellation)

    def _computed(self, query: Query, cancellation: Cancellation) -> Sequence[int]:
        ids: Sequence[int] = range(self._length)
        for condition in query.filters:
            test = python_values.predicate(self._columns[condition.column], condition)
            cancellation.check()
            values = self._source.values(condition.column, ids)
            ids = [number for number, value in zip(ids, values, strict=True) if test(plain(value))]
        if query.search:
            ids = self._found(query.search.lower(), ids, cancellation)
        for key in reversed(query.sort):  # each sort is stable, so the first key is sorted by last
            ranks = python_values.sort_ranks(
                self._columns[key.column], self._source.values(key.column, ids), cancellation
            )
            ids = [ids[place] for place in sorted_places(ranks, descending=key.descending)]
        return ids

    def _found(self, needle: str, ids: Sequence[int], cancellation: Cancellation) -> Sequence[int]:
        found: set[int] = set()
        for column in range(len(self._columns)):
            cancellation.check()
            rest = [number for number in ids if number not in found]
            values = self._source.values(column, rest)
            found.update(
                number
                for number, value in zip(rest, values, strict=True)
                if not python_values.is_null(plain(value)) and needle in python_values.text_of(value).lower()
            )
        return [number for number in ids if number in found]


def sorted_places(ranks: Sequence[int | None], *, descending: bool) -> list[int]:
    """Return the positions in the order of their ranks, nulls last; equal ones keep their order."""
    present = [place for place, rank in enumerate(ranks) if rank is not None]
    sign = -1 if descending else 1
    present.sort(key=lambda place: sign * (ranks[place] or 0))
    return [*present, *(place for place, rank in enumerate(ranks) if rank is None)]
