"""Files that cells write through what another cell has opened: a file, a writer of CSV on it, a logger, an archive, a memory map.

Python tells of a file when it is opened, and of no later write. What is written may wait in a buffer, so the text of the
cell tells whether it writes. Nothing here flushes, opens or closes a file.
"""

from __future__ import annotations

import gc
import io
import re
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import class_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WRITES: Final = re.compile(
    r"write|\bprint\(.{0,300}\bfile\s*=|dump|\bsav(?:e|e\w+)\(|\bto_\w+\(|truncate|export|\badd\w*\(|put|"
    r"\.(?:log|debug|info|warning|error|critical|exception|flush)\(",
    re.IGNORECASE,
)
"""Occurs in code that writes to a file which it is given or has the name of."""
_STREAMS: Final = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO)
_ARCHIVES: Final = {"zipfile": "filename", "tarfile": "name", "gzip": "name", "bz2": "name", "lzma": "name"}


def may_write(code: str) -> bool:
    """Return whether a cell may write to files that are open, judged by its text."""
    return _WRITES.search(code) is not None


def written_through(values: Iterable[object]) -> Iterator[str]:
    """Yield the paths of files that are open for writing behind values."""
    for value in values:
        for stream in _streams(value):
            if (path := _path(stream)) is not None:
                yield path


def mapped(value: Any) -> str | None:
    """Return the path of the file that an array is a map of, None for any other value."""
    if _module(value).partition(".")[0] != "numpy":
        return None
    while value is not None:
        path = getattr(value, "filename", None)
        if path is not None:
            return str(path) if getattr(value, "mode", "r") != "r" else None
        value = getattr(value, "base", None)
    return None


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
