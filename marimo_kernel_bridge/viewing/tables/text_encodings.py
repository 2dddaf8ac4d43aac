"""In which form a file of text is: its encoding and its compression, by its first bytes.

DuckDB reads UTF-8, UTF-16 of the usual byte order, and Latin-1. In other encodings it would see other texts, or none.
"""

from __future__ import annotations

import codecs
import gzip
from typing import IO, TYPE_CHECKING, Final, cast

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marimo_kernel_bridge.viewing.tables.file_state import FileState

_GZIP: Final = b"\x1f\x8b"
_OTHERS: Final = {
    b"PK\x03\x04": "a ZIP archive or a workbook",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3\x00": "a SQLite file",
    b"%PDF-": "a PDF file",
    b"\x89PNG": "a picture",
    b"\xd0\xcf\x11\xe0": "a file of an older Office",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd",
    b"\xfd7zXZ": "a file compressed by xz",
    b"BZh91AY": "a file compressed by bzip2",
}
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_SAMPLE: Final = 64
_LONG_SAMPLE: Final = 64 * 1024
_CHUNK: Final = 1 << 20
_CONTROLS: Final = [*range(9), *range(14, 26), *range(28, 32)]


def true_suffix(state: FileState, suffix: str) -> str:
    """Return what a file of text should end in: one that is compressed may not say so. Raises `BridgeError`: bad_data."""
    for start, what in _OTHERS.items():
        if state.head.startswith(start):
            raise BridgeError("bad_data", f"{state.path.name} is no text: it begins as {what}.")
    is_packed = state.head.startswith(_GZIP) and not suffix.endswith(".gz")
    return f"{suffix}.gz" if is_packed else suffix


def encoding_of(path: Path, suffix: str) -> str:
    """Return the encoding that the first bytes show; "" where they show none. Raises OSError and EOFError."""
    with unpacked(path, suffix) as file:
        start = file.read(_SAMPLE)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[::2].count(0), start[1::2].count(0)
    if odd > len(start) // 4 and not even:  # Latin letters, commas and digits
        return "utf-16-le"
    return "utf-16-be" if even > len(start) // 4 and not odd else ""


def is_text(path: Path, suffix: str) -> bool:
    """Return whether the first bytes are of a text in some encoding of one byte for each letter."""
    with unpacked(path, suffix) as file:
        start = file.read(_LONG_SAMPLE)
    return sum(start.count(byte) for byte in _CONTROLS) * 200 < len(start)


def is_no_text(path: Path, suffix: str) -> bool:
    """Return whether nearly all of the first bytes are NULs: a text may have some, in place of empty ones."""
    with unpacked(path, suffix) as file:
        start = file.read(_LONG_SAMPLE)
    return start.count(0) * 10 > len(start) * 9


def has_at_most(path: Path, suffix: str, size: int) -> bool:
    """Return whether a file, unpacked, has at most so many bytes. Raises OSError, EOFError and zlib.error."""
    if not suffix.endswith(".gz"):
        return path.stat().st_size <= size
    with unpacked(path, suffix) as file:
        while size >= 0 and (read := len(file.read(_LONG_SAMPLE))):
            size -= read
    return size >= 0


def is_cut_array(path: Path, suffix: str, end: bytes) -> bool:
    """Return whether a JSON array does not end as one. DuckDB takes one that is cut after a value for a whole one."""
    with unpacked(path, suffix) as file:
        start = file.read(_SAMPLE).removeprefix(codecs.BOM_UTF8).lstrip()
    one, _, more = start.partition(b"\n")
    if more and one.rstrip().endswith(b"]"):  # arrays in lines
        return False
    return start.startswith(b"[") and not end.rstrip().endswith(b"]")


def end_of(path: Path, suffix: str, check: Callable[[], object]) -> bytes:
    """Return the last bytes of a file. What is compressed is read through, and `check` called meanwhile.

    Raises OSError, EOFError and zlib.error for a broken package: DuckDB does not compare its check sum.
    """
    end = b""
    with unpacked(path, suffix) as file:
        if not suffix.endswith(".gz"):
            file.seek(max(0, path.stat().st_size - _LONG_SAMPLE))
        while chunk := file.read(_CHUNK):
            check()
            end = (end + chunk)[-_LONG_SAMPLE:]
    return end


def unpacked(path: Path, suffix: str) -> IO[bytes]:
    """Open a file that may be compressed."""
    return cast("IO[bytes]", gzip.open(path)) if suffix.endswith(".gz") else path.open("rb")
