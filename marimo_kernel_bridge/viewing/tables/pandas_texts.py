"""Columns of pandas that hold their texts as Python's: their order, and which of them have a part.

pandas takes several times as long for both, and no other thread runs while it sorts: a filter would wait for a sort that
nobody looks at any more. So numpy sorts texts of one width, and Python looks for parts.
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
    return getattr(getattr(key, "dtype", None), "storage", "") == "python"  # a column of pyarrow has none


def met(series: Any, operator: str, needle: str, *, as_written: bool) -> list[bool]:
    """Return for each text whether it contains another in small letters, or starts with it. A null does not. `as_written`: case is no matter."""
    texts = series.to_numpy(dtype=object).tolist()
    if operator == "starts":
        if as_written:
            return [isinstance(text, str) and text.startswith(needle) for text in texts]
        return [isinstance(text, str) and text.lower().startswith(needle) for text in texts]
    if as_written:
        return [isinstance(text, str) and needle in text for text in texts]
    return [isinstance(text, str) and needle in text.lower() for text in texts]


def order_of(key: Any, *, descending: bool) -> Any:
    """Return the positions of a Series of texts in their order, nulls last, equal ones as they are.

    None if it is too large, or has NULs, which numpy leaves out at the end of a text.
    """
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
        if "\0" in "".join(chunk):
            return None
        copies.append(chunk.astype("U"))
    texts = np.concatenate(copies)
    if descending:  # from the end, so that equal ones keep their order
        order = len(texts) - 1 - np.argsort(texts[::-1], kind="stable")[::-1]
    else:
        order = np.argsort(texts, kind="stable")
    return np.concatenate([present[order], np.flatnonzero(missing)])
