"""Lines that are longer than DuckDB takes them, unless it is told to: where a file has one, and where one is too long for anybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.viewing.table import Cancellation
    from marimo_kernel_bridge.viewing.tables.file_state import FileState

FOR_LONG_LINES: Final = ", max_line_size=20000000, buffer_size=40000000"
"""For lines of more than the 2 MB that DuckDB takes else."""
_LINE_MAX: Final = 16_000_000
"""Bytes of whole blocks without an end: lines that DuckDB would take no more are certainly as long."""
_BLOCK: Final = 1_000_000
"""Bytes without the end of a line, which are a long one: DuckDB's limit is twice as much."""
_LOOKED_AT: Final = 8_000_000
TOO_LONG: Final = "Maximum line size"
"""What DuckDB says of such a line."""


def has_long_lines(state: FileState, everywhere: Cancellation | None = None) -> bool:
    """Return whether a line near the begin, or anywhere until that is cancelled, is longer than DuckDB takes it. Raises `BridgeError`: too_large.

    DuckDB itself finds that in minutes.
    """
    if state.size < 2 * _BLOCK or state.head.startswith(b"\x1f\x8b"):
        return False
    is_long, read, without_end = False, 0, 0
    with state.path.open("rb") as file:
        while (everywhere or read < _LOOKED_AT or without_end) and (block := file.read(_BLOCK)):
            read += len(block)
            if everywhere is not None:
                everywhere.check()
            ends = b"\n" in block or b"\r" in block
            without_end = 0 if ends else without_end + len(block)
            is_long = is_long or without_end >= _BLOCK
            if without_end >= _LINE_MAX:
                raise too_long(state.path.name)
    return is_long


def ends_in_a_long_line(state: FileState) -> bool:
    """Return whether the last line may be longer than DuckDB takes it. It would leave that out, and not say so."""
    if state.size < 2 * _BLOCK or state.head.startswith(b"\x1f\x8b"):
        return False
    with state.path.open("rb") as file:
        file.seek(-_BLOCK, os.SEEK_END)
        end = file.read(_BLOCK).rstrip(b"\r\n\0")
    return b"\n" not in end and b"\r" not in end


def too_long(name: str) -> BridgeError:
    return BridgeError("too_large", f"{name} has a line of more than {_LINE_MAX // 1_000_000} MB.")
