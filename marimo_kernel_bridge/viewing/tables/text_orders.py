"""The order of a pandas column of Python's texts, found by numpy in texts of one width.

pandas compares them as objects, which takes four times as long, and no other thread runs meanwhile: a filter would wait for
a sort that nobody looks at any more.
"""

from __future__ import annotations

from typing import Any, Final

_CHUNK: Final = 50_000
"""Texts that are copied in one step, in which no other thread runs."""
_LETTER: Final = 4  # bytes
_BYTES_MAX: Final = 200_000_000
"""Of the copies. Where a long text makes them larger, pandas sorts."""


def holds_texts(key: Any) -> bool:
    """Return whether a Series holds its texts as Python's."""
    return getattr(key.dtype, "storage", "") == "python"


def order_of(key: Any, *, descending: bool) -> Any:
    """Return the positions of a Series of texts in their order, nulls last, equal ones as they are; None if it is too large."""
    import numpy as np  # noqa: PLC0415  # pandas has it

    missing = key.isna().to_numpy()
    present = np.flatnonzero(~missing)
    values = key.to_numpy(dtype=object)[present]
    copies, widest = [np.array([], dtype="U1")], 0
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        widest = max(widest, _LETTER * max(map(len, chunk), default=0))
        if widest * len(values) > _BYTES_MAX:  # before a copy, in which each text is as wide as the longest
            return None
        copies.append(chunk.astype("U"))
    texts = np.concatenate(copies)
    if descending:  # from the end, so that equal ones keep their order
        order = len(texts) - 1 - np.argsort(texts[::-1], kind="stable")[::-1]
    else:
        order = np.argsort(texts, kind="stable")
    return np.concatenate([present[order], np.flatnonzero(missing)])
