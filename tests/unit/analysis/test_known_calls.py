"""The tables of what calls share, held against numpy: what returns a view of its argument is not said to be new."""

import warnings
from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from marimo_kernel_bridge.analysis import known_calls

MODULES = [
    np,
    np.linalg,
    np.fft,
    np.ma,
    np.rec,
    np.char,
    np.strings,
    np.emath,
    np.lib.stride_tricks,
    np.polynomial.polynomial,
]
SHAPES = [(2, 2), (4,), (1, 4), (1, 1), (2, 2, 2)]
MORE: list[tuple[Any, ...]] = [
    (),
    (2,),
    (1, 0),
    (0, 1),
    ((2, 2),),
    ((4,),),
    ((1, 2, 2),),
    ([1],),
    (float,),
    (0.5,),
    ((8,), (8,)),
]
TOUCHING = {
    "save",
    "savez",
    "savez_compressed",
    "savetxt",
    "test",
    "memmap",
    "load",
    "fromfile",
    "seterrcall",
    "open_memmap",
}
"""Functions of files and settings."""
DERIVING = {"numpy.diff", "numpy.polyder", "numpy.polyint"}
"""They return their argument if they are asked to derive it not even once."""


def functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(module):
        function = getattr(module, name)
        is_error = isinstance(function, type) and issubclass(function, BaseException)
        if not name.startswith("_") and name not in TOUCHING and callable(function) and not is_error:
            yield name, function


def shares(value: object, array: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(shares(part, array) for part in value)
    return value is array or (isinstance(value, np.ndarray) and np.shares_memory(value, array))


def returns_a_view(function: Callable[..., Any]) -> bool:
    for kind, shape, more in product((float, int, complex, bool), SHAPES, MORE):
        array = np.ones(shape, kind)
        try:
            if shares(function(array, *more), array):
                return True
        except Exception:  # other arguments are tried
            continue
    return False


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_function_of_numpy_that_returns_a_view_is_said_to_make_new_arrays(module: ModuleType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        views = {
            f"{module.__name__}.{name}" for name, function in functions(module) if returns_a_view(function)
        }
    new = {
        name
        for name in views
        if known_calls.FUNCTIONS.get(name, "new") == "new" and not name.startswith(known_calls.SHARED_BELOW)
    }
    assert new <= DERIVING


def test_functions_that_return_views_are_found() -> None:
    assert returns_a_view(np.ravel)
    assert returns_a_view(np.lib.stride_tricks.as_strided)
    assert not returns_a_view(np.sort)
