"""Code is completed and names are looked up in the live namespace, and nothing of a value runs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.inspecting.code_help import complete, explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.inspection import Documentation

SPY = '''
import functools
called = []
class Meta(type):
    def __hash__(cls): called.append("hash")
    def __instancecheck__(cls, other): called.append("instancecheck")
    def __getattribute__(cls, name):
        called.append(f"meta {name}")
        return type.__getattribute__(cls, name)
    def __call__(cls, *args): called.append("call"); return type.__call__(cls, *args)
    def __dir__(cls): called.append("dir"); return []
class Descriptor:
    def __get__(self, instance, owner): called.append("get"); return 1
class Spy(metaclass=Meta):
    """What it is for."""
    __slots__ = ("slot", "__dict__")
    described = Descriptor()
    @property
    def size(self) -> "Other":
        """How large."""
        called.append("property")
    @functools.cached_property
    def cached(self) -> int: called.append("cached")
    def method(self, first, *, second: int = 2) -> "Other":
        """What it does."""
        called.append("method")
    @classmethod
    def make(cls) -> "Spy": called.append("classmethod")
    @staticmethod
    def plain(): called.append("staticmethod")
    def __getattr__(self, name): called.append(f"getattr {name}"); return 1
    def __getattribute__(self, name):
        called.append(name)
        return object.__getattribute__(self, name)
    def __dir__(self): called.append("dir"); return ["secret"]
    def __repr__(self): called.append("repr"); return "repr"
    __str__ = __len__ = __eq__ = __iter__ = __bool__ = __format__ = __repr__
    __hash__ = None
    def __call__(self): called.append("instance call")
    @property
    def __doc__(self): called.append("doc")
    @property
    def __class__(self): called.append("class"); return int
    @property
    def __signature__(self): called.append("signature")
    @property
    def __wrapped__(self): called.append("wrapped")
class Other:
    """The other."""
    def deep(self): called.append("deep")
class Key(str):
    def __eq__(self, other): called.append("eq"); return True
    def __hash__(self): return hash("inside")
spy = Spy()
object.__setattr__(spy, "inside", 1)
object.__setattr__(spy, "slot", Other())
held = {"spy": spy, Key("strange"): 1}
def function(value=spy): return value
'''


def ran(code: str) -> dict[str, Any]:
    """Run code as a notebook's would be, and return its names."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(code, namespace)  # the tests' own
    return namespace


def names(code: str, **values: object) -> list[str]:
    return [match.name for match in complete(values, code, 50).matches]


def help_on(code: str, **values: object) -> Documentation:
    return explain(values, {}, code)


def _all_kinds(a: Any, /, b: Any, *c: Any, d: Any = 1, **e: Any) -> None: ...


EVERYTHING = [
    "spy.", "spy.s", "spy.size.", "spy.cached.", "spy.method", "spy.method().", "Spy.", "Spy().", "Spy.make().", "spy.slot.",
    "spy.described.", "spy.missing.", "spy().", "held[", "held['", "function(", "function().", "spy.method(", "spy.__", "s",
    "x = spy.method(1)\nx.", "x = Spy()\nx.size.de", "for x in spy:\n    x.", "spy.__class__.", "spy.__doc__", "spy.__wrapped__",
    "spy[0].", "(spy).", "spy == spy", "len(spy).", "f'{spy}'.", "Spy.described.", "Meta.",
]  # fmt: skip


@pytest.mark.parametrize("code", EVERYTHING)
def test_no_code_of_a_value_runs(code: str) -> None:
    namespace = ran(SPY)
    called = namespace["called"]
    called.clear()
    complete(namespace, code, 100)
    explain(namespace, {}, code)
    assert called == []


def test_attributes_are_those_of_instance_slots_class_and_its_bases() -> None:
    namespace = ran(SPY)
    found = [match.name for match in complete(namespace, "spy.", 100).matches]
    assert {"inside", "slot", "size", "method", "make", "described"} <= set(found)
    assert "secret" not in found
    assert not [name for name in found if name.startswith("_")]
    assert complete(namespace, "spy.__in", 10).matches


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("spy.method().", ["deep"]),
        ("spy.size.", ["deep"]),
        ("spy.slot.", ["deep"]),
        ("x = spy.method(1)\nx.", ["deep"]),
        ("x: Other = Other()\nx.", ["deep"]),
        ("spy.make().size.", ["deep"]),
        ("spy.cached.bit_l", ["bit_length"]),
        ('"a".upp', ["upper"]),
        ("[1, 2].app", ["append"]),
        ("len(x).bit_l", []),
        ("spy.described.", []),
        ("return spy.slot.", ["deep"]),
        ("print(spy.slot.", ["deep"]),
        ("a = [spy.slot.", ["deep"]),
        ('f("(", spy.slot.', ["deep"]),
        ("spy.\n  slot.", ["deep"]),
    ],
)
def test_what_a_call_or_a_property_gives_is_known_by_its_annotation(code: str, expected: list[str]) -> None:
    found = [match.name for match in complete(ran(SPY), code, 50).matches]
    assert found[: len(expected)] == expected if expected else found == []


def test_names_are_those_of_the_code_above_the_notebook_and_python() -> None:
    assert names("pri", prices=1, print_it=2) == ["prices", "print_it", "print"]
    assert names("total = 1\nto") == ["total"]
    assert names("import json as js\njs.du") == ["dumps", "dump"] or set(
        names("import json as js\njs.du")
    ) == {"dump", "dumps"}
    assert "while" in names("whi")
    assert names("HIG", high=1) == ["high"]
    assert complete({"hidden": 1}, "hid", 5, {"hidden"}).matches == ()


def test_modules_and_their_names_are_completed_after_import() -> None:
    assert "json" in names("import js")
    assert "path" in names("import os.pa")
    assert "dumps" in names("from json import dum")
    assert "dumps" in names("from json import load, dum")
    assert names("from nowhere_at_all import x") == []


def test_keys_columns_and_arguments_are_completed() -> None:
    table = pd.DataFrame({"price": [1], "place": ["a"], "with space": [2]})
    assert names('df["pr', df=table) == ["price"]
    assert names("df.pri", df=table) == ["price"]
    assert "with space" not in names("df.wi", df=table)
    assert names('d["', d={"one": 1, 2: 3}) == ["one"]
    assert names('p["pl', p=pl.DataFrame({"place": [1]})) == ["place"]

    def scale(value: int, factor: float = 2.0, *, clip: bool = False) -> None: ...

    assert names("scale(1, fa", scale=scale)[:1] == ["factor="]
    assert names("scale(x(1), cl", scale=scale)[:1] == ["clip="]


def test_the_frame_that_a_librarys_method_returns_is_known_by_its_annotation() -> None:
    table = pd.DataFrame({"a": [1]})
    assert "agg" in names('df.groupby("a").ag', df=table)
    assert "reshape" in names("x.resh", x=np.zeros(3))


def test_the_likeliest_come_first_and_the_rest_is_counted() -> None:
    found = complete({f"name_{number}": number for number in range(30)} | {"Name": 1}, "name", 5)
    assert (len(found.matches), found.total, found.part) == (5, 32, "name")  # and NameError
    assert [match.kind for match in complete({"f": len, "m": pd, "c": int}, "m", 1).matches] == ["module"]


def test_a_function_is_told_with_parameters_documentation_and_place() -> None:
    namespace = ran(SPY)
    told = explain(namespace, {"spy": "aaaa"}, "spy.method")
    assert (told.kind, told.signature) == ("function", "(first, *, second: int = 2) -> 'Other'")
    assert (told.doc, told.cell_id) == ("What it does.", "aaaa")
    assert told.place.startswith("<string>:")
    assert help_on("function", **namespace).signature == "(value=<Spy>)"


@pytest.mark.parametrize(
    ("make", "signature"),
    [
        (lambda: _all_kinds, "(a: Any, /, b: Any, *c: Any, d: Any = 1, **e: Any) -> None"),
        (
            lambda: functools.wraps(ran)(lambda *_: None),
            "(code: str) -> dict[str, Any]",
        ),
        (lambda: len, "($module, obj, /)"),
        (lambda: [].append, "($self, object, /)"),
        (lambda: 3, ""),
    ],
)
def test_signatures_are_read_and_not_computed(make: Callable[[], object], signature: str) -> None:
    assert help_on("f", f=make()).signature == signature


def test_classes_values_modules_and_results_are_told() -> None:
    namespace = ran(SPY)
    told = explain(namespace, {}, "Other")
    assert (told.kind, told.doc) == ("class", "The other.")
    told = explain(namespace, {}, "spy.size")
    assert (told.kind, told.type, told.doc) == ("instance", "Other", "The other.")
    assert help_on("x", x=3).summary == "3"
    assert help_on("pd", pd=pd).kind == "module"
    assert help_on("df.groupby('a'", df=pd.DataFrame()).expression == "df.groupby"
    assert "DataFrame" in help_on("df.groupby", df=pd.DataFrame()).doc


def test_what_wraps_a_function_is_told_as_the_function() -> None:
    told = help_on("np.sum", np=np)
    assert (told.kind, told.signature.startswith("(a, axis=None"), told.doc.startswith("Sum of array")) == (
        "function",
        True,
        True,
    )
    assert help_on("np.add", np=np).kind == "function"
    assert "Add arguments" in help_on("np.add", np=np).doc

    @functools.lru_cache
    def cached(size: int) -> int:
        """Compute."""
        return size

    assert (help_on("f", f=cached).signature, help_on("f", f=cached).doc) == (
        "(size: int) -> int",
        "Compute.",
    )


def test_of_a_value_the_type_is_told_and_not_the_documentation_of_its_class() -> None:
    assert (help_on("x", x=3).doc, help_on("df", df=pd.DataFrame()).doc) == ("", "")
    assert "\n\n" not in help_on("df.groupby('a')", df=pd.DataFrame()).doc


def test_a_name_that_does_not_exist_is_told_with_those_like_it() -> None:
    told = help_on("prcie.x", price=1, place=2)
    assert (told.known, told.missing, told.near[:1]) == (False, "prcie", ("price",))
    assert help_on("x = f()\nx.y", f=3).missing == ""


@pytest.mark.parametrize(
    "code", ["nothing", "1 + 1", "spy.described", "", "((", "x.y.z", "\x00", "a" * 30_000]
)
def test_what_cannot_be_known_is_said_to_be_unknown(code: str) -> None:
    assert not explain(ran(SPY), {}, code).known


@pytest.mark.parametrize(
    "part", ["(", "[", ")", "a.", "'", '"', "from x import ", "a\n", "#", "x(", "])", "f(a, "]
)
def test_long_code_is_looked_at_in_bounded_time(part: str) -> None:
    code = part * (100_000 // len(part))
    complete({"a": 1}, code, 5)
    explain({"a": 1}, {}, code)


def test_code_that_python_warns_of_shows_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert names('pattern = "\\d \\\\d \\n"\npattern.upp') == ["upper"]
    assert names(r"""r"\d".upp""") == ["upper"]
    assert not recwarn.list
