"""The JSON in messages of kernels and servers, which may be hostile: read in time that grows with its length alone.

pydantic's parser, and not msgspec's: that one takes a second for a megabyte of numbers like 1.7976931348623157e308. Some
kernels write what is no JSON; it is read as Python and front ends do: NaN as it is, half a surrogate pair as U+FFFD.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic_core import from_json

_PAIR: Final = re.compile(rb"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)")
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]..")
_SMALL: Final = 256 * 1024
"""Bytes that Python's parser, which is slower, may read: it takes deeper values than pydantic's."""


def read_json(data: bytes) -> Any:  # any JSON
    """Return a JSON value. Raises ValueError."""
    try:
        return from_json(data)
    except ValueError:
        data = _with_whole_characters(data)
    try:
        return from_json(data)
    except ValueError:
        if len(data) > _SMALL:
            raise
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _with_whole_characters(data: bytes) -> bytes:
    """Replace what is not UTF-8, and escapes of half a surrogate pair, by U+FFFD."""
    data = data.decode(errors="replace").encode().replace(b"\\\\", b"\0\0")  # JSON has no NUL
    pieces = _PAIR.split(data)
    pieces[::2] = _HALF.sub(rb"\\ufffd", b"\1".join(pieces[::2])).split(b"\1")  # nor this one
    return b"".join(pieces).replace(b"\0\0", b"\\\\")
