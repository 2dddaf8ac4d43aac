"""The JSON in messages of kernels and servers, which may be hostile: read in time that grows with its length alone.

pydantic's parser, and not msgspec's: that one takes a second for a megabyte of numbers like 1.7976931348623157e308. It keeps no
texts for their repetition: where all differ, as the short keys of an object may, that doubles the time. Where
there are as many lists as text it takes a fifth of a second, and Python's takes a twentieth; of objects with short keys Python's takes twice as long as pydantic's. Some kernels write what is no JSON; it is read as Python and front ends do: NaN as it is, half a surrogate pair as U+FFFD.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic_core import from_json

from marimo_kernel_bridge.startup.gc_pauses import deferred

_PAIR: Final = re.compile(rb"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)")
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]..")
_SMALL: Final = 256 * 1024
"""Bytes that Python's parser, which is mostly slower, may read of any text: it takes deeper values than pydantic's."""
_BRACKETS: Final = 25
"""Python's parser is the faster one if more than one of so many bytes opens a list."""


def read_json(data: bytes) -> Any:  # any JSON
    """Return a JSON value. Raises ValueError."""
    if len(data) <= _SMALL:
        return _read(data, is_small=True)
    with deferred():  # a garbage collection for every 700 lists triples the time
        return _read(data, is_small=False)


def _read(data: bytes, *, is_small: bool) -> Any:  # any JSON
    parse = _parse if is_small or not _is_mostly_lists(data) else _parse_in_python
    try:
        return parse(data)
    except ValueError:
        data = _with_whole_characters(data)
    try:
        return parse(data)
    except ValueError:
        if not is_small:
            raise
    return _parse_in_python(data)


def _is_mostly_lists(data: bytes) -> bool:
    return data.count(b"[") * _BRACKETS > len(data)


def _parse(data: bytes) -> Any:  # any JSON
    return from_json(data, cache_strings="none")


def _parse_in_python(data: bytes) -> Any:  # any JSON
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
