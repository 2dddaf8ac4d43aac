"""What a stream calls by name when it is loaded: functions on the live namespace, cells, views of arrays.

The names and parameters here are part of the format of checkpoints (`checkpoints.manifest.FORMAT`).
"""

from __future__ import annotations

import functools
import io
import pickle
import types
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

FUNCTION_STATE: Final = (
    "__name__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__defaults__",
    "__kwdefaults__",
    "__type_params__",  # since Python 3.12
)
"""The attributes of a function that are saved. Annotations are among them by `annotations_of`."""


class GroupUnpickler(pickle.Unpickler):
    """An unpickler that gives functions of the notebook a live namespace."""

    def __init__(
        self, file: io.BytesIO, namespace: dict[str, object], buffers: Iterable[Any]
    ) -> None:  # objects with the buffer protocol
        super().__init__(file, buffers=buffers)
        self._file = file
        self._bound: dict[tuple[str, str], Callable[..., object]] = {
            (__name__, "make_function"): functools.partial(_make_function, namespace),
            (__name__, "load_apart"): functools.partial(_load_apart, namespace),
        }

    def load_all(self) -> dict[str, object]:
        """Return the values of a group: those of the first pickle in the stream, and of those that continue it."""
        values: dict[str, object] = {}
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        while self._file.tell() < end:
            values |= self.load()
        return values

    def find_class(self, module: str, name: str) -> Any:
        return self._bound.get((module, name)) or super().find_class(module, name)


def make_function(*_: object) -> NoReturn:
    """Return a function of the notebook without its state, from its code and cells: `GroupUnpickler` does."""
    raise pickle.UnpicklingError("Only a GroupUnpickler loads functions of a notebook.")


def _make_function(
    namespace: dict[str, object], code: types.CodeType, cells: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    return types.FunctionType(code, namespace, None, None, cells)


def set_function(function: types.FunctionType, state: tuple[dict[str, object], dict[str, object]]) -> None:
    """Set the attributes of a function: those of every function, and its own."""
    given, own = state
    for name, value in given.items():
        setattr(function, name, value)
    function.__dict__.update(own)


def empty_cell() -> types.CellType:
    """Return a cell of a closure, without contents."""
    return types.CellType()


def fill_cell(cell: types.CellType, contents: tuple[object]) -> None:
    """Set the contents of a cell."""
    cell.cell_contents = contents[0]


def cached(function: Callable[..., object], maxsize: int | None, typed: bool) -> object:  # noqa: FBT001  # part of the format
    """Return a function with an empty `functools.lru_cache`."""
    return functools.lru_cache(maxsize, typed)(function)


def single_dispatch(function: Callable[..., object]) -> object:
    """Return a function of `functools.singledispatch` for what is registered for no other class."""
    return functools.singledispatch(function)


def set_dispatch(
    dispatching: Any, state: tuple[dict[type, Callable[..., object]], dict[str, object]]
) -> None:  # a function, with what functools puts there
    """Register the functions for other classes, and set the attributes that are its own."""
    registered, own = state
    for kind, function in registered.items():
        dispatching.register(kind, function)
    dispatching.__dict__.update(own)


def exception(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """Return an exception without a call of its class's `__init__`, which may take others than its `args`."""
    error = kind.__new__(kind, *args)
    initializers: list[Any] = [base.__init__ for base in kind.__mro__ if issubclass(base, BaseException)]
    of_python = next(each for each in initializers if isinstance(each, types.WrapperDescriptorType))
    of_python(error, *args)
    return error


def typed_array(numbers: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> object:
    """Return an array of a type that has no buffers (dates) with the bytes of one that has."""
    return numbers.view(dtype)


def array_view(  # noqa: PLR0917  # pickle passes arguments by position
    base: np.ndarray[Any, Any],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    writeable: bool,  # noqa: FBT001  # part of the format
) -> object:
    """Return a view of an array: `offset` bytes behind its first one."""
    import numpy as np  # noqa: PLC0415  # only for whoever has arrays

    flat = base.ravel("K")
    if dtype.hasobject:
        view = np.lib.stride_tricks.as_strided(flat[offset // flat.itemsize :], shape, strides)
    else:
        view = np.ndarray(shape, dtype, flat.view("u1"), offset, strides)
    if not writeable:
        view.flags.writeable = False
    return view


def load_apart(*_: object) -> NoReturn:
    """Return an object whose parts are shared with nothing outside of it, from its stream and buffers: `GroupUnpickler` does."""
    raise pickle.UnpicklingError("Only a GroupUnpickler loads parts of a stream.")


def _load_apart(namespace: dict[str, object], stream: bytes, *buffers: object) -> object:
    return GroupUnpickler(io.BytesIO(stream), namespace, buffers).load()


def annotations_of(function: types.FunctionType) -> dict[str, object]:
    """Return the annotations of a function as state: since Python 3.14 the function that makes them, unevaluated."""
    if hasattr(function, "__annotate__"):
        return {"__annotate__": function.__annotate__}
    return {"__annotations__": function.__annotations__}
