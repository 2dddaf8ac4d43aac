"""How a walk through values treats objects of NumPy, pandas, PyTorch, polars, pyarrow and the standard library.

One function for the objects of each package. Does not import the packages: they are loaded if such an object exists.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 8_000_000
"""Bytes of arrays that are read for the fingerprint of one value."""


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

    `mutable` are the ids of mutable objects that it consists of, in addition to itself, unless it is `constant`.
    `parts` are immutable objects that it consists of: which they are is a part of its state.
    """

    state: tuple[object, ...] = ()
    parts: tuple[object, ...] = field(default=(), kw_only=True)
    mutable: frozenset[int] = frozenset()
    held: tuple[object, ...] = ()
    constant: bool = False


class Enter(Protocol):
    """A visitor of a package's objects; returns None for an object without special treatment."""

    def __call__(self, value: Any, budget: Budget, *, with_state: bool) -> Seen | None: ...


def _numpy(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    if not hasattr(value, "__array_interface__"):
        return None
    if not hasattr(value, "__array_finalize__"):  # a scalar, not an array
        return _constant(value, budget, with_state=with_state)
    owner = value
    while (base := getattr(owner, "obj" if type(owner) is memoryview else "base", None)) is not None:
        owner = base
    mutable = frozenset({id(owner)})  # the array that a view refers to
    about: tuple[object, ...] = (value.shape, value.dtype.str)
    if value.dtype.hasobject:
        budget.take(value.nbytes)
        return Seen(about, mutable, tuple(value.ravel().tolist()))
    if with_state:
        budget.take(value.nbytes)
        about += (_checksum(value),)
    return Seen(about, mutable)


def _checksum(array: Any) -> int:
    data = array if array.flags.c_contiguous else array.copy()
    return zlib.crc32(memoryview(data.reshape(-1).view("uint8"))) if data.nbytes else 0


def _pandas(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:
    """Visit a frame or a series through its blocks; an index or a data type is constant."""
    manager = getattr(value, "_mgr", None)
    if manager is None:
        return Seen(parts=(value,), constant=True)
    state: list[object] = []
    parts: list[object] = [*getattr(manager, "axes", ())]
    held: list[object] = [getattr(value, "_attrs", None)]
    for block in getattr(manager, "blocks", ()) if with_state else ():
        values = getattr(block.values, "_ndarray", block.values)
        if hasattr(values, "__array_interface__"):
            seen = _numpy(values, budget, with_state=True)
            assert seen is not None
            state += seen.state
            held += seen.held
        else:  # pyarrow's arrays are immutable
            parts.append(getattr(values, "_pa_array", values))
    return Seen(tuple(state), held=tuple(held), parts=tuple(parts))


def _torch(value: Any, budget: Budget, *, with_state: bool) -> Seen | None:  # noqa: ARG001  # a tensor counts its mutations
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
    **dict.fromkeys(("datetime", "decimal", "fractions", "pathlib", "re", "uuid", "zoneinfo"), _constant),
}
