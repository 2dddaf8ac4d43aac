"""Nothing of another package is replaced before it was looked at."""

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.startup import patching
from marimo_kernel_bridge.startup.patching import Patch, apply, signature


def run(cell: str, lazy: bool = False) -> str:  # noqa: FBT002  # as other people write them
    return f"original {cell} {lazy}"


def replacement(cell: str, lazy: bool = False) -> str:  # noqa: FBT002  # as other people write them
    return f"replaced {cell} {lazy}"


def both_required(cell: str, lazy: bool) -> str:  # as other people write them
    return f"{cell} {lazy}"


def run_in_graph(self: object, cell: str, graph: object) -> str:
    return f"{self} {cell} {graph}"


class Base:
    @staticmethod
    def order(cells: list[str]) -> list[str]:
        return sorted(cells)

    def run(self, cell: str) -> str:
        return cell


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("a_library")
    module.run, module.Base = run, type("Base", (Base,), dict(vars(Base), __module__="a_library"))
    monkeypatch.setitem(sys.modules, "a_library", module)
    record = {
        "a_library:run": ("(cell, lazy=)",),
        "a_library:Base.order": ("(cells)", "(cells, graph)"),
        "a_library:Base.run": ("(self, cell)",),
    }
    monkeypatch.setattr(patching, "record", lambda: record)
    return module


def test_a_function_that_is_as_recorded_is_replaced(library: Any) -> None:
    apply([Patch("a_library:run", replacement, "Shows it.")])
    assert library.run("a") == "replaced a False"


def test_a_static_method_stays_one(library: Any) -> None:
    apply([Patch("a_library:Base.order", lambda cells: cells[::-1], "Turns it round.")])
    assert library.Base().order(["a", "b"]) == library.Base.order(["a", "b"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (lambda cell: cell, r"is \(cell\), not \(cell, lazy=\)"),
        (both_required, r"is \(cell, lazy\), not"),
        (None, "is missing, not"),
        (Base, "is class, not"),
    ],
)
def test_a_function_that_moved_is_refused_by_name_and_nothing_is_replaced(
    library: Any, installed: Callable[..., Any], found: str
) -> None:
    library.run = installed
    order = library.Base.order
    with pytest.raises(BridgeError, match=f"a_library:run of the installed a_library {found}") as refusal:
        apply(
            [Patch("a_library:Base.order", len, "Counts."), Patch("a_library:run", replacement, "Shows it.")]
        )
    assert refusal.value.code == "runtime_mismatch"
    assert library.Base.order is order


def test_a_target_that_is_not_in_the_record_is_refused(library: Any) -> None:
    library.other = run
    with pytest.raises(BridgeError, match=r"other of the installed a_library is .* not in the record"):
        apply([Patch("a_library:other", replacement, "Shows it.")])


def test_a_replacement_that_is_in_place_is_not_looked_at_again(library: Any) -> None:
    patches = [Patch("a_library:run", replacement, "Shows it.")]
    apply(patches)
    apply(patches)
    assert library.run is replacement


def test_a_method_that_moved_below_an_override_is_refused_by_name(library: Any) -> None:
    class Ours(library.Base):  # type: ignore[misc]  # made by the fixture
        def run(self, cell: str) -> str:
            return f"our {cell}"

    apply([], [Ours])
    library.Base.run = run_in_graph
    with pytest.raises(BridgeError, match=r"Base.run of the installed a_library is \(self, cell, graph\)"):
        apply([], [Ours])


def of_all_kinds(a: int, b: int = 1, /, c: int = 2, *d: int, e: int, f: int = 3, **g: int) -> None: ...
def keywords_only(*, a: int) -> None: ...


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (of_all_kinds, "(a, b=, /, c=, *d, e, f=, **g)"),
        (keywords_only, "(*, a)"),
        (lambda: None, "()"),
        (Base, "class"),
        (Base.run, "(self, cell)"),
        (Base.order, "(cells)"),
        (vars(Base)["order"], "(cells)"),
        (property(run), "attribute"),
        (3, "attribute"),
        (types, "module"),
    ],
)
def test_a_signature_is_names_and_kinds_of_parameters(value: object, text: str) -> None:
    assert signature(value) == text
