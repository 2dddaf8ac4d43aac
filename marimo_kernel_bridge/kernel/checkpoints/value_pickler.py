"""The pickler of a checkpoint's values: cloudpickle's, with what it parts kept together.

What differs from cloudpickle: functions of the notebook keep no copy of their globals, closures share their cells, views of
arrays look into their base, parts of pandas frames stay private to each frame, dates have buffers, and some kinds are
refused (`refusals`). It notes what grouping needs: the objects that values can share, arrays, functions, classes and bytecode
that it meets.
"""

from __future__ import annotations

import copyreg
import functools
import sys
import types
from typing import TYPE_CHECKING, Any, Final

import cloudpickle

from marimo_kernel_bridge.kernel.checkpoints import loaders
from marimo_kernel_bridge.kernel.checkpoints.arrays import (
    is_contiguous,
    is_plain,
    is_view_of,
    offset_in,
    root_of,
)
from marimo_kernel_bridge.kernel.checkpoints.frames import Frames, GivenUpError, GiveUp, Reached
from marimo_kernel_bridge.kernel.checkpoints.refusals import RefusedError, reason_against
from marimo_kernel_bridge.kernel.checkpoints.untracked import untrack
from marimo_kernel_bridge.startup.gc_pauses import deferred

if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.kernel.checkpoints.arrays import Array

OUT_OF_BAND: Final = 64 * 1024
"""Buffers of at least this many bytes stand beside the stream."""
_BYTES_PER_OBJECT: Final = 100
"""A stream with fewer bytes per `MEMOIZE` is of small objects; in others those are mostly of the data."""
_CACHED: Final = type(functools.lru_cache(len))
_DISPATCHING: Final = functools.singledispatch(len).__code__  # type: ignore[attr-defined]  # it is a function
_ASKED_EACH: Final = 1_000
"""Objects between two questions whether to give up."""

_Reduced = tuple[Any, ...]  # as `object.__reduce_ex__` returns it


class _Apart:
    """An object that is pickled by itself, so that nothing in it is shared with what is outside."""

    def __init__(self, value: object) -> None:
        self.value = value


class _Beside:
    """The buffers of a stream that are large enough to stand beside it."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget them."""
        self.taken: list[memoryview] = []
        self.offsets = False

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer. Returns whether it stays in the stream."""
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND:
            return True
        self.taken.append(raw)
        self.offsets |= type(raw.obj).__module__.partition(".")[0] != "numpy"
        return False


class ValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no annotations
    """A pickler for one stream. `dump` it once; then read `stream`, `buffers` and what it has noted.

    `last` is the object that it was at: if `dump` raised, the obstacle.
    """

    def __init__(
        self,
        namespace: Mapping[str, object],
        give_up: GiveUp,
        *,
        bases: frozenset[int] = frozenset(),
        apart: bool = False,
    ) -> None:
        """`bases`: ids of the arrays of which views are saved as views. `apart`: the stream is a part of another one."""
        self._reached = Reached()
        self._frames = Frames(give_up, self._reached)
        self._beside = _Beside()
        self.parts: list[pickle.PickleBuffer] = []  # the buffers of a stream that is a part
        super().__init__(
            self._frames, protocol=5, buffer_callback=self.parts.append if apart else self._beside
        )
        if not apart:
            self.persistent_id = self._reached.met.append  # its None says: pickle it
        self._namespace = namespace
        self._give_up = give_up
        self._bases = bases
        self._is_part = apart
        self._begin()

    def _begin(self) -> None:
        self.last: object = None
        self.code = False
        self.arrays: list[Array] = []
        self.functions: set[int] = set()  # ids of those that are saved, not named
        self.classes: dict[int, type] = {}  # by id, those that are saved
        self.kinds: frozenset[type] = frozenset()  # of all objects but the simplest
        self._private: dict[
            int, object
        ] = {}  # arrays that look into memory of others and are saved as if they did not
        self._by_kind: dict[type, Callable[[Any], Any] | None] = {}
        self._until_asked = _ASKED_EACH

    def clear(self) -> None:
        """Forget all that was pickled, as if nothing had been, but keep the room for it.

        The memo need not grow again: each time it does, all objects move, and nothing interrupts that.
        """
        self.clear_memo()
        self._frames.clear()
        self._reached.clear()
        self._beside.clear()
        self._begin()

    @property
    def stream(self) -> bytes:
        return b"".join(self._frames.parts)

    @property
    def buffers(self) -> list[memoryview]:
        return self._beside.taken

    @property
    def offsets(self) -> bool:
        """Whether buffers may hold offsets into others (Arrow's), which must be right for whoever reads them."""
        return self._beside.offsets

    @property
    def reached(self) -> list[list[object]]:
        """The objects that it has met and values can share, in parts, any of them once or more."""
        return self._reached.parts

    @property
    def objects(self) -> int:
        """The number of objects that the memo has, or less than a hundredth of the stream's bytes."""
        most = self._frames.memoized
        return most if most > len(self) // _BYTES_PER_OBJECT else 0

    def __len__(self) -> int:
        return sum(map(len, self._frames.parts))

    def run(self, values: object) -> None:
        """Pickle. Raises `GivenUpError`, and whatever classes of the user raise."""
        try:
            with deferred():  # many objects, and no garbage
                self.dump(values)
        finally:
            self.kinds = frozenset(self._by_kind)
            self._by_kind.clear()  # methods of this pickler: else only the collector would free what it has seen
            untrack(self)  # its memo has each object

    def reducer_override(self, obj: Any) -> Any:  # any object, and what `__reduce_ex__` returns
        self.last = obj
        self._until_asked -= 1
        if not self._until_asked:
            self._until_asked = _ASKED_EACH
            if self._give_up():
                raise GivenUpError
        kind = type(obj)
        try:
            reduce = self._by_kind[kind]
        except KeyError:
            reduce = self._by_kind[kind] = self._reducer_of(kind)
        return NotImplemented if reduce is None else reduce(obj)

    def _reducer_of(self, kind: type) -> Callable[[Any], Any] | None:
        """Return what reduces instances of a class, None for the usual way."""
        if (reason := reason_against(kind)) is not None:
            raise RefusedError(reason)
        if issubclass(kind, type):
            return self._class
        own: dict[type, Callable[[Any], Any]] = {
            types.FunctionType: self._function,
            types.CellType: self._cell,
            types.CodeType: self._bytecode,
            _CACHED: self._cache,
            functools.cached_property: _cached_property,
            _Apart: self._apart,
        }
        if kind in own:
            return own[kind]
        if issubclass(kind, BaseException) and _is_initialized_by_itself(kind):
            return _exception
        for module, name, reduce in (
            ("numpy", "ndarray", self._array),
            ("pandas", "Index", self._index),
            ("pandas._libs.internals", "Block", self._block),
        ):
            base = getattr(sys.modules.get(module), name, None)
            if base is not None and issubclass(kind, base):
                return reduce
        return None

    def _function(self, function: types.FunctionType) -> Any:
        if function.__code__ is _DISPATCHING and not _is_found_by_name(function):
            self.functions.add(id(function))
            return _dispatching(function)
        if function.__globals__ is not self._namespace:
            reduced = super().reducer_override(function)
            if reduced is not NotImplemented:
                self.functions.add(id(function))
            return reduced
        self.functions.add(id(function))
        state = {name: getattr(function, name) for name in loaders.FUNCTION_STATE if hasattr(function, name)}
        state |= loaders.annotations_of(function)
        return (
            loaders.make_function,
            (function.__code__, function.__closure__),
            (state, function.__dict__),
            None,
            None,
            loaders.set_function,
        )

    def _cell(self, cell: types.CellType) -> _Reduced:
        try:
            contents = (cell.cell_contents,)
        except ValueError:  # empty
            return loaders.empty_cell, ()
        return loaders.empty_cell, (), contents, None, None, loaders.fill_cell

    def _bytecode(self, code: types.CodeType) -> Any:
        self.code = True
        return super().reducer_override(code)

    def _class(self, kind: type) -> Any:
        # Pickling the first instance caches this in the class, whose stream would then differ from that before.
        copyreg._slotnames(kind)  # type: ignore[attr-defined]  # noqa: SLF001  # what `object.__reduce_ex__` calls
        reduced = super().reducer_override(kind)
        if reduced is not NotImplemented:
            self.classes[id(kind)] = kind
        return reduced

    def _cache(self, wrapper: Any) -> Any:  # of `functools.lru_cache`
        if _is_found_by_name(wrapper):
            return NotImplemented
        parameters = wrapper.cache_parameters()
        return loaders.cached, (wrapper.__wrapped__, parameters["maxsize"], parameters["typed"])

    def _array(self, array: Array) -> Any:
        if id(array) not in self._private:
            root = root_of(array)
            kind: type = type(root)
            if root is not array and (reason := reason_against(kind)) is not None:
                raise RefusedError(reason)
            self.arrays.append(array)
            if root is not array and id(root) in self._bases and is_view_of(root, array):
                shape, strides = array.shape, array.strides
                place = offset_in(root, array)
                return loaders.array_view, (root, array.dtype, shape, strides, place, array.flags.writeable)
        if not is_plain(array) or array.dtype.hasobject or array.nbytes < OUT_OF_BAND:
            return NotImplemented
        if not is_contiguous(array):
            array = self._private_array(array.copy(order="C"))
        if array.dtype.kind in "mM":
            return loaders.typed_array, (self._private_array(array.view("i8")), array.dtype)
        return array.__reduce_ex__(5)

    def _private_array(self, array: Array) -> Array:
        self._private[id(array)] = array
        return array

    def _block(self, block: Any) -> _Reduced:  # pandas._libs.internals.Block
        # Which frames may write into an array without a copy is counted by pandas and is not saved: frames that share
        # an array after a restore would see each other's writes.
        load, (values, *rest) = block.__reduce__()
        if is_plain(values):
            return load, (self._private_array(values.view()), *rest)
        return load, (_Apart(values), *rest)

    def _index(self, index: Any) -> Any:  # pandas.Index
        return NotImplemented if self._is_part else self._apart(_Apart(index))

    def _apart(self, apart: _Apart) -> _Reduced:
        part = ValuePickler(self._namespace, self._give_up, apart=True)
        part.run(apart.value)
        self.code |= part.code
        return loaders.load_apart, (part.stream, *part.parts)


def _cached_property(value: Any) -> _Reduced:
    # Before Python 3.12 it has a lock.
    state = {name: part for name, part in vars(value).items() if name != "lock"}
    return functools.cached_property, (value.func,), state


def _dispatching(function: Any) -> _Reduced:  # of functools.singledispatch, whose cache has weak references
    made = vars(functools.singledispatch(len))
    registered = dict(function.registry)
    own = {name: value for name, value in vars(function).items() if name not in made}
    return (
        loaders.single_dispatch,
        (registered.pop(object),),
        (registered, own),
        None,
        None,
        loaders.set_dispatch,
    )


def _exception(error: BaseException) -> _Reduced:
    reduced: Any = (
        error.__reduce__()
    )  # its class, `args` with what an OSError has beside them, and attributes
    return loaders.exception, tuple(reduced[:2]), *reduced[2:]


def _is_initialized_by_itself(kind: type[BaseException]) -> bool:
    """Return whether a class of exceptions has an `__init__` of its own, and leaves it to Python how it is pickled."""
    usual = (
        kind.__reduce__ in {BaseException.__reduce__, OSError.__reduce__}
        and kind.__reduce_ex__ is object.__reduce_ex__
    )
    return usual and isinstance(kind.__init__, types.FunctionType)


def _is_found_by_name(value: Any) -> bool:  # a function, or what wraps one
    """Return whether its module has it under its name."""
    try:
        found: object = sys.modules[value.__module__]
        for name in value.__qualname__.split("."):
            found = getattr(found, name)
    except (KeyError, AttributeError):
        return False
    return found is value and value.__module__ != "__main__"
