"""How a walk through values treats objects of NumPy, pandas, PyTorch, polars, pyarrow and the standard library.

One function for the objects of each package. Does not import the packages: they are loaded if such an object exists.
"""

from __future__ import annotations

import _random
import sys
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES: Final = 8_000_000
"""Bytes of arrays that are read for the fingerprint of one value."""
_MOST_ARTISTS: Final = 1000
"""Artists of one axes that are compared."""


class TooLargeError(Exception):
    """A value reaches more than the budget allows."""


@dataclass
class Budget:
    """The number of bytes that may still be read."""

    left: int = MOST_BYTES

    def take(self, size: int) -> None:
        """Deduct bytes that are read. Raises `TooLargeError`."""
        self.left -= size
        if self.left < 0:
            raise TooLargeError


@dataclass(frozen=True)
class Seen:
    """The result of visiting an object: its state, and the objects to visit next.

    `mutable` are the ids of mutable objects that it consists of, in addition to itself, unless it is `constant`. `shown` are the
    ids of arrays that it only shows, as frames do, which copy before they write; `labels` those of its labels, whose names can be set.
    `parts` are immutable objects that it consists of: which they are is a part of its state.
    """

    state: tuple[object, ...] = ()
    parts: tuple[object, ...] = field(default=(), kw_only=True)
    mutable: frozenset[int] = frozenset()
    shown: frozenset[int] = field(default=frozenset(), kw_only=True)
    labels: frozenset[int] = field(default=frozenset(), kw_only=True)
    held: tuple[object, ...] = ()
    constant: bool = False


class Enter(Protocol):
    """A visitor of a package's objects; returns None for an object without special treatment."""

    def __call__(self, value: Any, budget: Budget, *, with_state: bool) -> Seen | None: ...


def _numpy(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    if not hasattr(value, "__array_interface__"):
        return _numpy_generator(value, with_state=with_state)
    is_array = hasattr(value, "__array_finalize__")
    if not is_array and value.dtype.names is None:  # a scalar, and not a row of an array
        return _constant(value, budget, with_state=with_state)
    mutable = frozenset({id(_owner(value))})  # the array that a view refers to
    about: tuple[object, ...] = (value.shape, value.dtype.str)
    if value.dtype.hasobject:
        budget.take(value.nbytes)
        return Seen(about, mutable, tuple(_plain(value).ravel().tolist()))
    if with_state:
        budget.take(value.nbytes)
        about += (_checksum(value) if is_array else value.tobytes(),)
    mask = getattr(value, "__dict__", {}).get("_mask")  # of a masked array
    return Seen(about, mutable, () if mask is None else (mask,))


def _owner(array: Any) -> Any:
    """Return the object that has the memory of an array."""
    owner = array
    while (base := getattr(owner, "obj" if type(owner) is memoryview else "base", None)) is not None:
        owner = base
    return owner


def _numpy_generator(value: Any, *, with_state: bool) -> Seen | None:
    """Visit a random generator. Several may draw from one source of bits, which counts the sources that it has made."""
    if hasattr(value, "get_state"):  # of the older kind
        return Seen(tuple(_contents(value.get_state(legacy=False))) if with_state else ())
    source = getattr(value, "bit_generator", value)
    if not hasattr(source, "seed_seq"):
        return None
    if not with_state:
        return Seen((), frozenset({id(source)}))
    made = getattr(source.seed_seq, "n_children_spawned", 0)
    return Seen((*_contents(source.state), made), frozenset({id(source)}))


def _contents(state: Mapping[str, Any]) -> Iterator[object]:
    """Yield the numbers of the state of a generator."""
    for part in state.values():
        if isinstance(part, dict):
            yield from _contents(part)
        else:
            yield part.tobytes() if hasattr(part, "tobytes") else part


def _random_generator(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # it is small
    core = _random.Random
    if not issubclass(type(value), core):
        return None
    return Seen((core.getstate(value),) if with_state else (), held=tuple(vars(value).values()))


def _plain(array: Any) -> Any:
    """Return an array of a subclass, such as a masked one, as one without the methods of that class."""
    return sys.modules["numpy"].asarray(array)


def _checksum(array: Any) -> int:
    array = _plain(array)
    data = array if array.flags.c_contiguous else array.copy()
    return zlib.crc32(memoryview(data.reshape(-1).view("uint8"))) if data.nbytes else 0


def _pandas(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    """Visit a frame or a series through its blocks. A data type is constant."""
    manager = getattr(value, "_mgr", None)
    if manager is None:
        return _pandas_part(value)
    axes = getattr(manager, "axes", ())
    state: list[object] = [name for axis in axes for name in axis.names] if with_state else []
    parts: list[object] = [*axes]
    held: list[object] = [getattr(value, "_attrs", None)]
    shown: set[int] = set()
    for block in getattr(manager, "blocks", ()):
        values = getattr(block.values, "_ndarray", block.values)
        if hasattr(values, "__array_interface__"):
            shown.add(id(_owner(values)))
        if not with_state:
            if values is block.values and getattr(getattr(values, "dtype", None), "hasobject", False):
                seen = _numpy(values, budget, with_state=False)
                held += () if seen is None else seen.held
        elif hasattr(values, "__array_interface__"):
            seen = _numpy(values, budget, with_state=True)
            assert seen is not None
            state += seen.state
            held += seen.held
        else:  # pyarrow's arrays are immutable
            parts.append(getattr(values, "_pa_array", values))
            held += _buffers(values)
    return Seen(
        tuple(state),
        held=tuple(held),
        parts=tuple(parts),
        shown=frozenset(shown),
        labels=frozenset(map(id, axes)),
    )


def _pandas_part(value: Any) -> Seen:
    """Visit labels, whose names can be set, an array of pandas, or what looks at a frame: its groups, its windows, its style, an indexer of it."""
    if hasattr(value, "rename") and hasattr(value, "names"):
        return Seen(tuple(value.names), parts=(value,))
    if hasattr(value, "_from_sequence") and hasattr(value, "_concat_same_type"):
        parts = tuple(getattr(value, name) for name in ("_pa_array", "_dtype") if hasattr(value, name))
        return Seen(parts=parts, held=tuple(_buffers(value)))
    of = getattr(value, "obj", getattr(value, "data", None) if hasattr(value, "to_latex") else None)
    return Seen(parts=(value,), held=() if of is None else (of,), constant=True)


def _buffers(array: Any) -> list[object]:
    """Return the arrays of NumPy in which an array of pandas has its items."""
    found = (getattr(array, name, None) for name in ("_ndarray", "_data", "_mask"))
    return [each for each in found if hasattr(each, "__array_interface__")]


def _torch(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # a tensor counts its mutations
    if type(value).__name__ == "Generator" and hasattr(value, "get_state"):
        return Seen((value.get_state().numpy().tobytes(),) if with_state else ())
    if not hasattr(value, "_version") or not hasattr(value, "data_ptr"):
        return None
    memory = value.untyped_storage().data_ptr() if value.layout.__str__() == "torch.strided" else 0
    gradient = value.grad if value.is_leaf else None
    state = (value.data_ptr(), value._version, tuple(value.shape))  # noqa: SLF001  # there is no public counter
    return Seen(state, frozenset({memory} - {0}), () if gradient is None else (gradient,))


def _polars(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    rows = getattr(value, "hash_rows", getattr(value, "hash", None))
    if rows is None or not with_state or not hasattr(value, "estimated_size"):
        return Seen()  # a lazy frame, an expression, a data type
    budget.take(value.estimated_size())
    columns = tuple(value.columns) if hasattr(value, "columns") else value.name
    return Seen((columns, value.shape, rows().to_numpy().tobytes()))


def _pillow(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    """Visit an image that is loaded: to look at another one would read its file."""
    core = vars(value).get("_im") if hasattr(value, "__dict__") else None
    if core is None or not hasattr(value, "tobytes"):
        return None
    if with_state:
        budget.take(value.width * value.height * len(value.getbands()) * 4)
    return Seen(
        (value.mode, value.size, hash(value.tobytes())) if with_state else (),
        frozenset({id(core)}),
        (value.info,),
    )


def _matplotlib(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # it is small
    """Visit a figure by its axes, and axes by what is drawn on them."""
    names = {base.__name__ for base in type(value).__mro__}
    if "FigureBase" in names:
        return Seen(held=tuple(value.axes))
    if "_AxesBase" not in names:
        return Seen(constant=True)
    return Seen(
        (value.title.get_text(),) if with_state else (), parts=tuple(value.get_children()[:_MOST_ARTISTS])
    )


def _constant(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # immutable
    return Seen((repr(value),), constant=True)


def _pyarrow(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # immutable
    return Seen(parts=(value,), constant=True)


ENTER: Final[Mapping[str, Enter]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "torch": _torch,
    "polars": _polars,
    "PIL": _pillow,
    "pyarrow": _pyarrow,
    "matplotlib": _matplotlib,
    "random": _random_generator,
    **dict.fromkeys(("datetime", "decimal", "fractions", "pathlib", "re", "uuid", "zoneinfo"), _constant),
}
