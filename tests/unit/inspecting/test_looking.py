"""Looking at variables runs no code of theirs, whatever they are made of."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import pathlib
import sys
import types
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pytest

from marimo_kernel_bridge.inspecting import ipywidgets
from marimo_kernel_bridge.inspecting.variables import inspect, list_variables

if TYPE_CHECKING:
    from collections.abc import Callable

CALLED: list[str] = []
ASKED = (
    *(
        "repr",
        "str",
        "format",
        "len",
        "bool",
        "iter",
        "next",
        "eq",
        "hash",
        "getattr",
        "getattribute",
        "index",
        "int",
    ),
    *(
        "float",
        "contains",
        "getitem",
        "call",
        "add",
        "mod",
        "lt",
        "le",
        "gt",
        "ge",
        "fspath",
        "bytes",
        "deepcopy",
        "copy",
    ),
    *(
        "reduce",
        "reduce_ex",
        "array",
        "dir",
        "instancecheck",
        "subclasscheck",
        "sizeof",
        "enter",
        "neg",
        "abs",
        "round",
    ),
)


def noted(name: str) -> Callable[..., Any]:
    def method(*_arguments: object, **_options: object) -> Any:
        CALLED.append(name)
        raise RuntimeError(name)

    return method


def hostile(base: type = object, **more: object) -> type:
    """Return a class each of whose methods notes that it was called, and so does its metaclass."""
    names = {f"__{name}__" for name in ASKED} & {*dir(base), *(f"__{name}__" for name in ASKED)}
    own = {name: noted(name) for name in names} | {
        name: property(noted(name)) for name in ("__class__", "__dict__")
    }
    meta = type(
        "Meta",
        (type(base),),
        {
            name: noted(f"meta {name}")
            for name in ("__instancecheck__", "__hash__", "__eq__", "__getattribute__", "__repr__", "__len__")
        },
    )
    return meta("Hostile", (base,), own | more)


def made(base: type, *arguments: object) -> Any:
    return base.__new__(hostile(base), *arguments)


class Zone(dt.tzinfo):
    utcoffset = dst = tzname = __str__ = __repr__ = __reduce__ = __eq__ = noted("zone")
    __hash__ = noted("zone")


ZONE = Zone()


def fraction() -> fractions.Fraction:
    odd = fractions.Fraction(1, 2)
    odd._numerator = made(int, 7)  # type: ignore[attr-defined]
    return odd


def identifier() -> uuid.UUID:
    odd = uuid.uuid4()
    object.__setattr__(odd, "int", made(int, 7))
    return odd


def with_attrs(table: Any) -> Any:
    table.attrs["of"] = object.__new__(hostile())
    return table


def named_by_a_text_of_its_own() -> object:
    class Named:
        pass

    Named.__qualname__ = made(str, "Named")
    return Named()


def path() -> object:
    odd = pathlib.PurePosixPath("a")
    object.__setattr__(odd, "_str", made(str, "a"))
    return odd


def sparse() -> object:
    series = pd.Series(pd.arrays.SparseArray([1, 2], fill_value=0))
    series.dtype._fill_value = made(int, 0)  # type: ignore[union-attr]
    return series


def labelled() -> pd.DataFrame:
    labels = np.empty(1, dtype=object)
    labels[0] = object.__new__(hostile())
    return pd.DataFrame({"a": [1]}, index=pd.Index(labels, dtype=object))


def array_of_its_own() -> Any:
    """Return an array whose class notes what reads it. Of its length pandas itself asks."""

    def note(name: str) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any) -> Any:
            CALLED.append(name)
            return getattr(np.ndarray, name)(self, *arguments)

        return call

    kind = type("Own", (np.ndarray,), {name: note(name) for name in ("__getitem__", "tolist")})
    return np.array([3.0, 4.0]).view(kind)


def named_labels() -> object:
    index = pd.Index([5])
    index._name = made(str, "name")  # type: ignore[attr-defined]
    return pd.Series([1], index=index)


def record() -> object:
    array = np.zeros(1, dtype=[("a", object)])
    array["a"][0] = object.__new__(hostile())
    return array[0]


VALUES: dict[str, Callable[[], object]] = {
    "object": lambda: object.__new__(hostile()),
    "class": hostile,
    "without a dict": lambda: object.__new__(hostile(__slots__=())),
    "named": named_by_a_text_of_its_own,
    "fraction": fraction,
    "uuid": identifier,
    "datetime": lambda: dt.datetime(2026, 1, 2, tzinfo=ZONE),
    "time": lambda: dt.time(1, 2, tzinfo=ZONE),
    "zone": lambda: dt.timezone(dt.timedelta(0), made(str, "zone")),
    "path": path,
    "record": record,
    "attrs": lambda: with_attrs(pd.DataFrame({"a": [1, 2]})),
    "attrs of a series": lambda: with_attrs(pd.Series([1, 2])),
    "sparse": sparse,
    "labels": labelled,
    "labels of a series": lambda: labelled()["a"],
    "name of labels": named_labels,
    "type of labels": lambda: pd.Series([1, 2], index=pd.Index(cast("pd.Series[int]", sparse()))),
    "array of a class of its own": lambda: pd.Series(array_of_its_own()),
    "labels in an array of a class of its own": lambda: pd.Series([1, 2], index=pd.Index(array_of_its_own())),
    "levels in arrays of a class of their own": lambda: pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_arrays([pd.Index(array_of_its_own()), [1, 2]])
    ),
    "objects": lambda: pd.DataFrame({"a": pd.Series([object.__new__(hostile())], dtype=object)}),
    **{
        base.__name__: partial(made, base, *arguments)
        for base, arguments in [
            (int, (1,)),
            (float, (1.0,)),
            (complex, (1,)),
            (str, ("a",)),
            (bytes, (b"a",)),
            (list, ()),
            (tuple, ((1,),)),
            (dict, ()),
            (set, ()),
            (frozenset, ()),
            (dt.date, (2026, 1, 2)),
            (dt.datetime, (2026, 1, 2)),
            (dt.timedelta, (1,)),
            (decimal.Decimal, ("1",)),
            (types.ModuleType, ("a",)),
        ]
    },
}


@pytest.mark.parametrize("kind", VALUES)
def test_no_method_of_a_variable_is_called(kind: str) -> None:
    value = VALUES[kind]()
    names: dict[Any, object] = {"v": value, "several": [value], "pairs": {"a": value}}
    CALLED.clear()
    shown = list_variables(names, (), {})
    for name in names:
        for sample in (False, True):
            inspect(names, {}, name, 5, sample=sample)
    ipywidgets.elements(names)
    assert CALLED == []
    assert len(shown) == len(names)


def test_a_key_of_the_namespace_that_looks_like_a_name_is_not_compared() -> None:
    key = hostile(__hash__=lambda _: hash("v"))()
    names: dict[Any, object] = {key: 1, "w": 2}
    CALLED.clear()
    assert [variable.name for variable in list_variables(names, (), {})] == ["w"]
    assert inspect(names, {}, "w", 5, sample=True).variable.summary == "2"
    assert CALLED == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02 00:00:00+00:00"),
        (dt.datetime(2026, 1, 2, tzinfo=ZONE), f"2026-01-02 00:00:00 <{__name__}.Zone>"),
        (fractions.Fraction(1, 2), "1/2"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("a", "b"), "a/b"),
        (pd.Timestamp(2026, 1, 2, tz="Europe/Berlin"), "2026-01-02 00:00:00+01:00"),
        (pd.Interval(1, 2), "(1, 2]"),
        (pd.NaT, "NaT"),
        (np.float32(1.5), "1.5"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (decimal.Decimal("1.10"), "1.10"),
    ],
)
def test_plain_values_are_shown(value: object, text: str) -> None:
    assert inspect({"v": value}, {}, "v", 5, sample=True).variable.summary == text


@pytest.mark.parametrize(
    ("series", "dtype"),
    [
        (pd.Series(pd.date_range("2026", periods=1, tz="Europe/Berlin")), "datetime64"),
        (pd.Series(["a"], dtype="category"), "category"),
        (pd.Series(["a"], dtype="string"), "str"),
        (pd.Series([pd.Interval(1, 2)]), "interval"),
        (pd.Series([1], dtype="Int64"), "Int64"),
    ],
)
def test_the_dtypes_of_pandas_are_shown(series: pd.Series[Any], dtype: str) -> None:
    content = inspect({"v": pd.DataFrame({"a": series})}, {}, "v", 5, sample=True)
    assert content.columns[0].dtype.startswith(dtype)
    assert content.rows
    assert not content.rows[0][0].startswith("<")


def test_functions_of_the_user_for_errors_of_numpy_are_not_called() -> None:
    CALLED.clear()
    with np.errstate(all="call", call=noted("errors of numpy")):
        content = inspect({"v": np.array([np.inf, -np.inf])}, {}, "v", 5, sample=True)
    assert CALLED == []
    assert "min -inf, max inf, mean nan" in content.facts


class DataType:
    """Arrow's type of a column, as far as it is looked at."""

    __module__ = "pyarrow"
    num_fields = 0

    def __str__(self) -> str:
        return "int64"


class Extension(DataType):
    __module__ = "theirs"
    __str__ = noted("extension")


class Table:
    """Arrow's table, as far as it is looked at: Arrow itself is too large for the tests."""

    __module__ = "pyarrow"
    num_rows, num_columns = 1, 2
    schema = types.SimpleNamespace(names=["a", "b"], types=[DataType(), Extension()])

    def slice(self, _start: int, _length: int) -> Table:
        return self

    def column(self, number: int) -> Any:
        return types.SimpleNamespace(to_pylist=noted("values") if number else lambda: [1])


def test_columns_of_arrow_with_a_type_of_the_user_are_named_only(monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = types.ModuleType("pyarrow")
    vars(arrow).update(DataType=DataType, Table=Table)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    CALLED.clear()
    content = inspect({"v": Table()}, {}, "v", 5, sample=True)
    assert CALLED == []
    assert content.rows == (("1", "<theirs.Extension>"),)
    assert [column.dtype for column in content.columns] == ["int64", "<theirs.Extension>"]
