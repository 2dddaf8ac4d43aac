"""numpy arrays that look into the same memory: which ones do, and how a view is saved beside its base."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    Array = np.ndarray[Any, Any]

_FLAT: Final = frozenset("biufcmMSUV")
"""Kinds of types whose elements are bytes in place."""


def root_of(array: Array) -> Array:
    """Return the array that owns, or borrows from elsewhere, the memory that an array looks into."""
    ndarray = sys.modules["numpy"].ndarray
    while isinstance(base := array.base, ndarray):
        array = base
    return array


def is_contiguous(array: Array) -> bool:
    """Return whether the elements of an array lie side by side, so that its buffer needs no copy."""
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


def is_plain(array: Array) -> bool:
    """Return whether an array is of numpy's own class, whose buffers stand beside the stream."""
    return type(array) is sys.modules["numpy"].ndarray


def is_view_of(root: Array, array: Array) -> bool:
    """Return whether an array can be saved as a place in the memory of `root`, whose layout comes back."""
    if not (is_plain(root) and is_plain(array) and is_contiguous(root)):
        return False
    return (root.dtype.kind in _FLAT and not root.dtype.hasobject) or root.dtype == array.dtype == "O"


def shared_roots(arrays: Iterable[Array]) -> frozenset[int]:
    """Return the ids of the arrays whose memory more than one of `arrays` looks into, at the same bytes.

    Arrays that cannot be saved as views are left out: they part.
    """
    spans: dict[int, dict[int, tuple[int, int]]] = {}  # of each array, by root
    for array in arrays:
        root = root_of(array)
        if array.nbytes and is_view_of(root, array):
            spans.setdefault(id(root), {})[id(array)] = _span(array)
    return frozenset(key for key, of_views in spans.items() if _overlap(of_views.values()))


def _span(array: Array) -> tuple[int, int]:
    """Return the first address of an array, and the one behind its last."""
    low = high = int(array.__array_interface__["data"][0])
    for length, stride in zip(array.shape, array.strides, strict=True):
        reach = (length - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + array.itemsize


def _overlap(spans: Iterable[tuple[int, int]]) -> bool:
    end = -1
    for low, high in sorted(spans):
        if low < end:
            return True
        end = max(end, high)
    return False


def offset_in(root: Array, array: Array) -> int:
    """Return how many bytes behind the first one of `root` a view of it begins."""
    return int(array.__array_interface__["data"][0]) - int(root.__array_interface__["data"][0])
