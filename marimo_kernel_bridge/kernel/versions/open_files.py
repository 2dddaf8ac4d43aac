"""Files that cells write through what another cell has opened: a file, a writer of CSV on it, a logger, an archive, a memory map.

Python tells of a file when it is opened, and of no later write. What is written may wait in a buffer, so the text of the
cell tells whether it writes. Nothing here flushes, opens or closes a file.
"""

from __future__ import annotations

import functools
import gc
import io
import re
import types
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import class_name
from marimo_kernel_bridge.kernel.versions.value_copies import own_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WRITES: Final = re.compile(
    r"write|\bprint\(.{0,300}\bfile\s*=|dump|\bsav(?:e|e\w+)\(|\bto_\w+\(|truncate|export|\badd\w*\(|put|"
    r"\.(?:log|debug|info|warning|error|critical|exception|flush)\(",
    re.IGNORECASE,
)
"""Occurs in code that writes to a file which it is given or has the name of."""
_NAMES_OF_WRITERS: Final = re.compile(
    r"write|dump|\bsave|\bto_|truncate|export|\badd|put|\b(?:log|debug|info|warning|error|critical|exception|flush)\b",
    re.IGNORECASE,
)
_NOTEBOOK: Final = "__main__"
_MOST_BEHIND: Final = 200  # objects that are looked through for one cell
_STREAMS: Final = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO)
_ARCHIVES: Final = {"zipfile": "filename", "tarfile": "name", "gzip": "name", "bz2": "name", "lzma": "name"}


def may_write(code: str, values: Iterable[object]) -> bool:
    """Return whether a cell may write to files that are open, judged by its text, and by the functions among `values`."""
    values = list(values)
    return (
        _WRITES.search(code) is not None
        or any(map(_names_writers, _codes_of(values)))
        or any(type(value) is functools.partial and value.func is print for value in values)
    )


def _codes_of(values: Iterable[object]) -> Iterator[types.CodeType]:
    """Yield the code of the notebook's functions among values, and of the methods of its classes."""
    for value in values:
        functions = [value]
        if class_name(type(value)).rpartition(".")[0] == "":
            functions += vars(type(value)).values()
        for function in functions:
            if type(function) is types.FunctionType and function.__module__ == _NOTEBOOK:
                yield function.__code__


def _names_writers(code: types.CodeType) -> bool:
    prints = "print" in code.co_names and "file" in str(code.co_consts)
    return prints or any(map(_NAMES_OF_WRITERS.search, code.co_names))


def behind(values: Iterable[object]) -> list[object]:
    """Return values with what they hold: items, attributes of the notebook's objects, what functions have from where they were made."""
    found: list[object] = []
    seen: set[int] = set()
    waiting = list(values)
    while waiting and len(found) < _MOST_BEHIND:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            found.append(value)
            waiting += _held(value)[:_MOST_BEHIND]
    return found


def _held(value: Any) -> list[object]:
    kind = type(value)
    held: Iterable[object] = ()
    if kind in {list, tuple, set}:
        held = value
    elif kind is dict:
        held = value.values()
    elif kind is types.FunctionType and value.__module__ == _NOTEBOOK:
        held = (part for cell in value.__closure__ or () for part in gc.get_referents(cell))
    elif kind is types.MethodType:
        held = value.__self__, value.__func__
    elif kind is functools.partial:
        held = value.func, *value.args, *value.keywords.values()
    elif vars(kind).get("__module__") == _NOTEBOOK:
        held = (own_attributes(value) or {}).values()
    return list(held)


def written_through(values: Iterable[object]) -> Iterator[str]:
    """Yield the paths of files that are open for writing behind values."""
    for value in values:
        for stream in _streams(value):
            if (path := _path(stream)) is not None:
                yield path


def stream_of(value: Any) -> Any:
    """Return the file behind a writer of CSV, any other value as it is."""
    if _module(value) in {"_csv", "csv"}:
        return next((each for each in _streams(value) if isinstance(each, io.IOBase)), value)
    return value


def _module(value: object) -> str:
    """Return the module of a value's class; classes may say of themselves what they like."""
    return class_name(type(value)).rpartition(".")[0]


def _streams(value: Any) -> list[object]:
    module = _module(value)
    if isinstance(value, io.IOBase) or module in _ARCHIVES:
        return [value]
    if module == "_csv":
        return [getattr(each, "__self__", None) for each in gc.get_referents(value)]
    if module == "csv":  # a DictWriter
        return _streams(getattr(value, "writer", None))
    if module == "logging":
        handlers = [*getattr(value, "handlers", ()), value]
        return [getattr(each, "stream", None) for each in handlers]
    return []


def _path(stream: Any) -> str | None:
    """Return the path of an open file; None if it cannot be written."""
    try:
        if type(stream) in _STREAMS:
            name = stream.name if stream.writable() and not stream.closed else None
        elif (archive := _ARCHIVES.get(_module(stream))) is not None:
            name = getattr(stream, archive, None)
            name = None if str(getattr(stream, "mode", "r")) in {"r", "rb", "1"} else name
        else:
            name = None
    except Exception:  # noqa: BLE001  # a stream that is detached or half made: nobody writes through it
        return None
    return name if isinstance(name, str) else None
