"""Tables are shown to who may only look without running any code of the notebook: of values, of their classes, of plans."""

from __future__ import annotations

import datetime as dt
import enum
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.viewing.parts import read_part
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.views import Filter, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query
from marimo_kernel_bridge.viewing.tables import open_without_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

RAN: list[str] = []
_KEPT = {"__new__", "__init__", "__class__", "__init_subclass__", "__subclasshook__", "__dir__", "__doc__"}


def _noting(name: str, original: Any) -> Any:
    def noting(*given: Any, **named: Any) -> Any:
        RAN.append(name)
        return original(*given, **named)

    return noting


def _odd_class(base: type, metaclass: type = type) -> Any:
    """Return a class of the user's: each of its methods, and what it says of its class, is code that notes that it ran."""
    methods = {
        name: _noting(f"{base.__name__}.{name}", getattr(base, name))
        for name in dir(base)
        if name not in _KEPT and callable(getattr(base, name))
    }
    methods["__class__"] = property(lambda _: RAN.append("__class__") or int)
    return metaclass("Odd", (base,), methods)


class Meta(type):
    """Notes what is asked of its classes."""

    def __hash__(cls) -> int:
        RAN.append("Meta.__hash__")
        return 1

    def __eq__(cls, other: object) -> bool:
        RAN.append("Meta.__eq__")
        return cls is other

    def __getattribute__(cls, name: str) -> Any:
        RAN.append(f"Meta.{name}")
        return super().__getattribute__(name)


class Zone(dt.tzinfo):
    def utcoffset(self, _: object) -> dt.timedelta:
        RAN.append("utcoffset")
        return dt.timedelta(0)

    def tzname(self, _: object) -> str:
        RAN.append("tzname")
        return "x"

    def dst(self, _: object) -> None:
        RAN.append("dst")


class Colour(enum.Enum):
    RED = 1

    def __str__(self) -> str:
        RAN.append("enum")
        return "x"

    __repr__ = __format__ = __str__  # type: ignore[assignment]
    __hash__ = object.__hash__


def _of(base: type, *given: Any) -> Any:
    return base.__new__(_odd_class(base), *given)


def _filled(base: Any, method: str, *given: Any) -> Any:
    made = base.__new__(_odd_class(base))
    getattr(base, method)(made, *given)
    return made


VALUES: dict[str, Any] = {
    "object": object.__new__(_odd_class(object)),
    "metaclass": object.__new__(_odd_class(object, Meta)),
    "str": _of(str, "text"),
    "int": _of(int, 3),
    "float": _of(float, 1.5),
    "bytes": _of(bytes, b"ab"),
    "bytearray": _filled(bytearray, "__init__", b"ab"),
    "list": _filled(list, "__init__", [1]),
    "tuple": _of(tuple, (1, 2)),
    "dict": _filled(dict, "__init__", {"a": 1}),
    "set": _filled(set, "__init__", {1}),
    "frozenset": _of(frozenset, {1}),
    "Decimal": _of(Decimal, "1.5"),
    "NaN": _of(Decimal, "NaN"),
    "datetime": _of(dt.datetime, 2026, 1, 2, 3),
    "date": _of(dt.date, 2026, 1, 2),
    "time": _of(dt.time, 3, 4),
    "timedelta": _of(dt.timedelta, 1, 2),
    "zone": dt.datetime(2026, 1, 2, tzinfo=Zone()),
    "zone of a time": dt.time(1, tzinfo=Zone()),
    "enum": Colour.RED,
    "class": _odd_class(object, Meta),
}


def _array(value: Any) -> Any:
    array = np.empty(2, dtype=object)
    array[:] = [value, 1]
    return array


def _as_object(value: Any) -> pd.Series:
    return pd.Series(_array(value), dtype=object)


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "list of dicts": lambda value: [{"a": value}, {"a": 1}],
    "dict of lists": lambda value: {"a": [value, 1]},
    "nested": lambda value: {"a": [{"k": [value]}, (value,)]},
    "key of dicts": lambda value: [{value: 1, "b": 2}],
    "key of lists": lambda value: {value: [1, 2]},
    "nested key": lambda value: {"a": [{value: 1}]},
    "array": _array,
    "pandas": lambda value: pd.DataFrame({"a": _as_object(value), "b": [1, 2]}),
    "series": _as_object,
    "labels": lambda value: pd.DataFrame({"a": [1, 2]}, index=pd.Index(_array(value), dtype=object)),
    "names": lambda value: pd.DataFrame([[1, 2]], columns=pd.Index(_array(value), dtype=object)),
    "name of labels": lambda value: pd.DataFrame({"a": [1]}, index=pd.Index([1], name=value)),
    "polars": lambda value: pl.DataFrame({"a": pl.Series([value, value], dtype=pl.Object)}),
}
UNHASHED = {"bytearray", "list", "dict", "set"}
"""Values that are no keys."""


def _look(table: Table, folder: Path) -> None:
    """Do with a table what its page does."""
    nothing = Cancellation()
    columns = [column.index for column in table.columns]
    queries = [Query(), *(Query((SortKey(index, descending=True),)) for index in columns), Query(search="x")]
    queries += [Query(filters=(Filter(index, "null", None),)) for index in columns]
    for query in queries:
        table.check(query)
        table.page(query, 0, 10, columns, nothing)
    for index in columns:
        table.statistics(Query(), index, nothing)
        table.detail(0, index)
    for form in ("csv", "json"):
        table.export(Query(), columns, form, folder / f"rows.{form}", nothing)
    assert table.altered() in {"", "changed"}
    table.close()


@pytest.mark.parametrize("holder", HOLDERS)
def test_no_code_of_a_value_runs_because_somebody_looks_at_a_table(holder: str, tmp_path: Path) -> None:
    for name, value in VALUES.items():
        if name in UNHASHED and any(word in holder for word in ("key", "label", "name")):
            continue
        whole = HOLDERS[holder](value)
        folder = tmp_path / name
        folder.mkdir()
        RAN.clear()
        _look(open_without_code(whole), folder)
        assert not RAN, (name, RAN[:5])
        _draw(whole)
        assert not RAN, (name, RAN[:5])


def _draw(whole: Any) -> None:
    """Read parts of a table, as who draws it does."""
    with suppress(BridgeError):  # what it cannot draw, it refuses
        read = read_part(whole, wire.ReadTable(name="x"))
        for column in read.columns:
            read_part(whole, wire.ReadTable(name="x", by=[column.name]))


class Copied:
    def __deepcopy__(self, memo: object) -> None:
        RAN.append("deepcopy")


class Frame(pd.DataFrame):
    @property
    def shape(self) -> Any:
        RAN.append("shape")
        return super().shape


class Streams:
    def __arrow_c_stream__(self, requested: object = None) -> Any:
        RAN.append("stream")
        return pl.DataFrame({"a": [1]}).__arrow_c_stream__(requested)

    def __getattr__(self, name: str) -> Any:
        RAN.append(name)
        raise AttributeError(name)


class Array(np.ndarray):
    def __array_finalize__(self, other: object) -> None:
        RAN.append("finalize")


class Rows(list[Any]):
    def __iter__(self) -> Any:
        RAN.append("iter")
        return super().__iter__()

    __len__ = _noting("len", list.__len__)


class Record(dict[Any, Any]):
    get = _noting("get", dict.get)
    keys = _noting("keys", dict.keys)
    __iter__ = _noting("iter", dict.__iter__)


def _lazy() -> pl.LazyFrame:
    return pl.LazyFrame({"a": [1]}).map_batches(lambda frame: RAN.append("plan") or frame)


def test_a_value_whose_rows_come_from_code_is_refused_to_who_may_only_look() -> None:
    values = [
        _lazy(),
        Frame({"a": [1]}),
        Streams(),
        np.zeros((2, 2)).view(Array),
        Rows([{"a": 1}]),
        {"a": Rows([1])},
        [Record(a=1)],
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_arrays([[1], [2]], names=[VALUES["object"], "b"])),
        pd.DataFrame({"a": [1]}, index=pd.Index(np.zeros(1).view(Array))),
    ]
    for value in values:
        RAN.clear()
        with pytest.raises(BridgeError) as refusal:
            open_without_code(value)
        assert refusal.value.code == "not_allowed", type(value)
        assert not RAN, (type(value), RAN)
    for value in (VALUES["object"], VALUES["class"], VALUES["metaclass"], 5, "x", [1], {}, []):
        RAN.clear()
        with pytest.raises(BridgeError, match="not a table"):
            open_without_code(value)
        assert not RAN


def test_attributes_of_a_frame_that_is_shown_are_not_copied(tmp_path: Path) -> None:
    for value in (pd.DataFrame({"a": [1, 2]}), pd.Series([1, 2])):
        value.attrs["meta"] = Copied()
        RAN.clear()
        _look(open_without_code(value), tmp_path)
        assert not RAN
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_frame_that_was_changed_in_place_is_known_to_be_another() -> None:
    frame = pd.DataFrame({"a": [3, 1, 2]})
    table = open_without_code(frame)
    assert table.altered() == ""
    frame.sort_values("a", inplace=True)  # noqa: PD002  # which gives the frame other blocks
    assert table.altered() == "changed"
