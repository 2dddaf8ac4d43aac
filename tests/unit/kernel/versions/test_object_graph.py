"""What values reach, and whether a mutation shows: of builtin containers, objects, functions, arrays and frames."""

import collections
import contextlib
import csv
import datetime as dt
import decimal
import functools
import io
import itertools
import pathlib
import random
import re
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure

from marimo_kernel_bridge.kernel.versions import object_graph
from marimo_kernel_bridge.kernel.versions.object_graph import (
    MOST_OBJECTS,
    Reached,
    fingerprint,
    is_held_outside,
    is_watched,
    reached,
)


def state(value: object) -> int:
    seen = fingerprint(value)
    assert seen is not None
    return seen.state


def share(one: object, other: object) -> bool:
    first, second = reached(one), reached(other)
    assert first is not None
    assert second is not None
    return first.shares(second) and second.shares(first)


def _stack(rows: list[Any]) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    stack.callback(rows.append, rows)
    return stack


def in_notebook(code: str) -> dict[str, Any]:
    """Run code as a notebook's."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code, names)
    return names


ITERATORS: list[Callable[[], Any]] = [
    lambda: iter([1, 2]),
    lambda: iter((1, 2)),
    lambda: iter("ab"),
    lambda: iter(range(3)),
    lambda: iter({1: 2, 3: 4}),
    lambda: reversed([1, 2]),
    lambda: enumerate("ab"),
    lambda: zip("ab", "cd", strict=False),
    lambda: map(str, range(3)),
    lambda: filter(None, [1, 2]),
    itertools.count,
    lambda: itertools.islice("abc", 2),
    lambda: itertools.chain("a", "b"),
]
STEPPING: list[Callable[[], Any]] = [
    lambda: itertools.cycle("ab"),
    lambda: itertools.product("ab", "cd"),
    lambda: itertools.combinations("abc", 2),
    lambda: itertools.permutations("abc", 2),
    lambda: itertools.tee("ab")[0],
]
if sys.version_info < (3, 14):  # there they can be pickled, which shows their position
    ITERATORS += STEPPING
OBJECT = "class C:\n    def __init__(self): self.a = [1]"
MUTATIONS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "list": (lambda: [1, 2], lambda x: x.append(3)),
    "order": (lambda: [1, 2], lambda x: x.reverse()),
    "nested list": (lambda: [[1]], lambda x: x[0].append(3)),
    "equal parts": (lambda: [[1], [1]], lambda x: x.__setitem__(1, x[0])),
    "dict value": (lambda: {"a": 1}, lambda x: x.update(a=2)),
    "dict key": (lambda: {"a": 1}, lambda x: x.update(b=2)),
    "kind of number": (lambda: [1], lambda x: x.__setitem__(0, "1")),
    "set": (lambda: {1}, lambda x: x.add(2)),
    "deque": (lambda: collections.deque([1]), lambda x: x.appendleft(2)),
    "list in a tuple": (lambda: ([0],), lambda x: x[0].append(1)),
    "counter": (lambda: collections.Counter("a"), lambda x: x.update("a")),
    "bytearray": (lambda: bytearray(b"a"), lambda x: x.extend(b"b")),
    "text buffer": (io.StringIO, lambda x: x.write("a")),
    "writer on a buffer": (lambda: csv.writer(io.StringIO()), lambda x: x.writerow([1])),
    "bound method": (lambda: [].append, lambda x: x(1)),
    "partial": (lambda: functools.partial([0].append, 1), lambda x: x()),
    "attribute": (lambda: in_notebook(f"{OBJECT}\nx = C()")["x"], lambda x: setattr(x, "b", 1)),
    "part of an attribute": (lambda: in_notebook(f"{OBJECT}\nx = C()")["x"], lambda x: x.a.append(2)),
    "slot": (
        lambda: in_notebook("class C:\n    __slots__ = ('a',)\nx = C()")["x"],
        lambda x: setattr(x, "a", 1),
    ),
    "class attribute": (lambda: in_notebook("class C: n = 0")["C"], lambda x: setattr(x, "n", 1)),
    "function attribute": (lambda: in_notebook("def f(): pass")["f"], lambda x: setattr(x, "n", 1)),
    "closure": (
        lambda: in_notebook("def m():\n    s = []\n    return lambda: s.append(1)\nf = m()")["f"],
        lambda x: x(),
    ),
    "default": (lambda: in_notebook("def f(s=[]): s.append(1)")["f"], lambda x: x()),
    "subclass of dict": (
        lambda: in_notebook("class D(dict): pass\nx = D(a=1)")["x"],
        lambda x: x.update(a=2),
    ),
    "array": (lambda: np.zeros(3), lambda x: x.put([0], 1)),
    "strided array": (lambda: np.zeros((3, 3))[:, 1], lambda x: x.put([0], 1)),
    "masked array": (lambda: np.ma.array([1, 2]), lambda x: x.__setitem__(0, 5)),
    "mask": (lambda: np.ma.array([1, 2], mask=[False, True]), lambda x: x.mask.__setitem__(0, 1)),
    "masked array of objects": (
        lambda: np.ma.array([1, "a"], mask=[False, True], dtype=object),
        lambda x: x.data.__setitem__(1, 5),
    ),
    "bound of a slice": (lambda: [slice(0, 1), 0], lambda x: x.__setitem__(0, slice(0, 2))),
    "array of objects": (lambda: np.array([[1], None], dtype=object), lambda x: x[0].append(2)),
    "shape": (lambda: np.zeros(4), lambda x: setattr(x, "shape", (2, 2))),
    "frame, column": (lambda: pd.DataFrame({"a": [1]}), lambda x: x.insert(1, "b", 2)),
    "frame, cell": (lambda: pd.DataFrame({"a": [1], "b": ["x"]}), lambda x: x.__setitem__("b", ["y"])),
    "frame, labels": (lambda: pd.DataFrame({"a": [1]}), lambda x: setattr(x, "columns", ["b"])),
    "frame, name of labels": (lambda: pd.DataFrame({"a": [1]}), lambda x: setattr(x.index, "name", "n")),
    "name of labels": (lambda: pd.Index([1]), lambda x: setattr(x, "name", "n")),
    "stack of callbacks": (
        lambda: _stack([0]),
        lambda x: x._exit_callbacks[0][1].__closure__[0].cell_contents[0].append(1),
    ),
    "frame, dates": (
        lambda: pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}),
        lambda x: x.loc.__setitem__((0, "a"), pd.Timestamp("2021-01-01")),
    ),
    "series": (lambda: pd.Series([1.0]), lambda x: x.__setitem__(0, 2.0)),
    "generator in a list": (
        lambda: [in_notebook("def g():\n    for n in range(9): yield n\nx = g()")["x"]],
        lambda x: next(x[0]),
    ),
    "generator of a generator": (
        lambda: [
            in_notebook("def f():\n    yield from range(9)\ndef g():\n    yield from f()\nx = g()")["x"]
        ],
        lambda x: next(x[0]),
    ),
    **{
        type(make()).__name__: (lambda make=make: [make()], lambda x: next(x[0]))  # type: ignore[misc]  # mypy: the default
        for make in ITERATORS
    },
    "random numbers": (lambda: [random.Random(1)], lambda x: x[0].random()),
    "random numbers of an array": (lambda: [np.random.default_rng(1)], lambda x: x[0].random()),
    "random numbers of the older kind": (lambda: [np.random.RandomState(1)], lambda x: x[0].randn()),
    "generator that others came from": (lambda: [np.random.default_rng(1)], lambda x: x[0].spawn(1)),
    "row of an array": (
        lambda: np.zeros(2, dtype=[("x", int)])[0],
        lambda x: x.__setitem__("x", 1),
    ),
    "array of pandas": (lambda: pd.array([1, 2], dtype="Int64"), lambda x: x.__setitem__(0, 5)),
    "categories": (lambda: pd.Categorical(["a", "b"]), lambda x: x.__setitem__(0, "b")),
    "groups of a frame": (
        lambda: pd.DataFrame({"a": [1], "b": [2]}).groupby("a"),
        lambda x: x.obj.insert(0, "c", 3),
    ),
    "indexer of a frame": (lambda: pd.DataFrame({"a": [1]}).loc, lambda x: x.__setitem__((0, "a"), 2)),
    "axes in a dict": (lambda: {"a": Figure().add_subplot()}, lambda x: x["a"].plot([1])),
    "title in a list": (lambda: [Figure().add_subplot()], lambda x: x[0].set_title("t")),
    "figure in a list": (lambda: [Figure()], lambda x: x[0].add_subplot()),
    "polars frame": (lambda: pl.DataFrame({"a": [1]}), lambda x: x.insert_column(1, pl.Series("b", [2]))),
}


@pytest.mark.parametrize(("make", "mutate"), MUTATIONS.values(), ids=MUTATIONS)
def test_a_mutation_shows_and_nothing_else_does(
    make: Callable[[], Any], mutate: Callable[[Any], object]
) -> None:
    value = make()
    before = state(value)
    assert state(value) == before
    mutate(value)
    assert state(value) != before


def test_an_iterator_with_holes_is_not_looked_into() -> None:
    used = itertools.zip_longest("ab", "c")
    next(used), next(used)  # now one of its iterators is gone
    assert state([used]) == state([used])
    assert reached([used]) is not None


def test_what_looks_at_one_array_or_frame_shares_it() -> None:
    rows, frame = np.zeros(2, dtype=[("x", int)]), pd.DataFrame({"a": [1], "b": [[1]]})
    source = np.random.PCG64(1)
    for one, other in (
        (rows, rows[0]),
        (frame, frame.groupby("a")),
        (frame, frame.loc),
        (frame, [frame["b"][0]]),
        (np.random.Generator(source), np.random.Generator(source)),
    ):
        assert share(one, other)


def test_a_frame_shares_its_memory_and_its_labels_with_who_can_change_them() -> None:
    array = np.zeros((2, 2))
    frame = pd.DataFrame(array, copy=False)
    part = frame[[0]]
    assert share(frame, array)
    assert share(array[1:], frame)
    assert not share(frame, part)  # it copies before it writes
    assert not share(frame, frame.index)
    assert (reached([frame]) or Reached(set())).has({id(frame.index)})


@pytest.mark.parametrize("make", STEPPING)
def test_an_iterator_whose_position_nothing_shows_is_not_watched(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_graph, "_SHOW_POSITIONS", False)  # as from Python 3.14 on
    assert fingerprint([make()]) is None
    assert reached([make()]) is not None


def test_a_cached_property_is_no_mutation() -> None:
    value = in_notebook(
        "import functools\nclass C:\n    @functools.cached_property\n    def a(self): return [1]\nx = C()"
    )["x"]
    before = state(value)
    assert value.a == [1]
    assert state(value) == before


def test_what_is_not_a_number_is_the_same_each_time() -> None:
    assert state([float("nan")]) == state([float("nan")])


def test_objects_that_hold_each_other_are_walked_once() -> None:
    first: list[object] = []
    second = {"first": first}
    first.append(second)
    assert reached(first) == Reached({id(first), id(second)})


def test_what_is_too_large_is_not_watched() -> None:
    assert fingerprint(list(range(MOST_OBJECTS + 1))) is None
    assert fingerprint([[] for _ in range(MOST_OBJECTS)]) is None
    assert fingerprint(np.zeros(2_000_000)) is None
    assert fingerprint(pd.DataFrame(np.zeros((1_000_000, 2)))) is None
    assert reached(np.zeros(2_000_000)) is not None


def test_what_raises_when_it_is_looked_at_is_not_watched() -> None:
    value = in_notebook(
        "class Odd:\n    def __getattribute__(self, name): raise RuntimeError(name)\n"
        "    def __eq__(self, other): raise RuntimeError\n    __hash__ = None\nx = Odd()"
    )["x"]
    assert reached([value]) is not None  # no code of the class runs


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2020, 1, 1),
        decimal.Decimal("1.5"),
        pathlib.Path("a"),
        re.compile("a"),
        np.float64(1.5),
        pd.Timestamp("2020-01-01"),
        pd.CategoricalDtype(["a"]),
    ],
)
def test_what_is_constant_is_not_shared(value: object) -> None:
    holder, other = [value], {"a": value}
    assert (reached(holder), reached(other)) == (Reached({id(holder)}), Reached({id(other)}))
    assert state(holder) == state([value]) != state([None])


def test_views_of_an_array_reach_its_memory() -> None:
    array = np.zeros(4)
    views = (array[1:], array.reshape(2, 2), array[1:][1:])
    assert all(share(view, array) for view in views)


def test_what_a_value_can_call_is_known() -> None:
    names = in_notebook(f"{OBJECT}\n    def m(self): return other\nx = [C()]")
    seen = fingerprint(names["x"])
    assert seen is not None
    assert {code.co_name for code in seen.codes} == {"__init__", "m"}


@pytest.mark.parametrize("value", [1, "a", None, np, (x for x in "a"), io.TextIOWrapper(io.BytesIO())])
def test_what_cannot_change_or_is_tied_to_something_outside_is_not_watched(value: object) -> None:
    assert not is_watched(value)


def test_what_a_module_has_a_name_for_is_held_outside() -> None:
    shown = [1]
    namespace: dict[str, Any] = {
        "places": csv._dialects if hasattr(csv, "_dialects") else io.__all__,
        "own": [1],
    }
    namespace |= {"shown": shown, "_": shown, "Out": {1: shown}}
    assert is_held_outside(namespace["places"], namespace)
    assert not is_held_outside(namespace["own"], namespace)


@pytest.mark.parametrize("value", [pd.DataFrame({"a": [1]}), pd.Series([1]), [pd.Series([1])]])
def test_an_axis_lives_as_long_as_a_fingerprint_so_that_its_id_is_not_used_again(value: Any) -> None:
    frame = value[0] if isinstance(value, list) else value
    axis = weakref.ref(frame._mgr.axes[-1])
    before = fingerprint(value)
    frame.index = [5]
    assert before is not None
    assert axis() is not None
    assert state(value) != before.state
    del before
    assert axis() is None
