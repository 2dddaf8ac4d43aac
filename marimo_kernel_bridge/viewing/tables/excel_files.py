"""Sheets of Excel and OpenDocument files, read with python-calamine: DuckDB's reader would be fetched from the network.

It reads a sheet whole. A large one of Excel's own format shows its first rows meanwhile (`workbook_heads`).
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import Cancellation
from marimo_kernel_bridge.viewing.tables.failures import reason
from marimo_kernel_bridge.viewing.tables.file_state import FileState
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable
from marimo_kernel_bridge.viewing.tables.plain import PlainTable, Tuples
from marimo_kernel_bridge.viewing.tables.workbook_extent import require_room
from marimo_kernel_bridge.viewing.tables.workbook_heads import first_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

_OLE: Final = b"\xd0\xcf\x11\xe0"
"""The start of an .xls file, and of an encrypted .xlsx."""
_UNPACKED_MAX: Final = 2_000_000_000
_SMALL: Final = 4_000_000
"""Bytes of an unpacked workbook that is read at once."""
_HEAD: Final = 500
_WITH_HEADS: Final = (".xlsx", ".xlsm")


def open_excel(path: Path, table: str) -> Table:
    """Return a sheet of a workbook, the first one if none is named.

    Raises `BridgeError`: bad_data, data_locked, data_gone, not_installed, too_large.
    """
    state = FileState(path)
    try:
        from python_calamine import CalamineWorkbook  # noqa: PLC0415  # an extra
    except ImportError:
        raise BridgeError(
            "not_installed",
            "Workbooks are read with python-calamine, which is not installed here.",
            "Install `marimo-kernel-bridge[view]`.",
        ) from None
    suffix = path.suffix.lower()
    unpacked = 0 if suffix == ".xls" else _unpacked(path, state)

    def load(cancellation: Cancellation | None = None) -> Table:
        with _told(path):
            require_room(path, table, path.name, cancellation or Cancellation())
            workbook = CalamineWorkbook.from_path(str(path))
            if cancellation is not None:
                cancellation.check()
            loaded = _sheet(workbook, path, table, state)
        state.require_unchanged()
        return loaded

    head = _head(path, table, state) if unpacked > _SMALL and suffix in _WITH_HEADS else None
    return load() if head is None else LoadingTable(head, f"Loading {path.name}", load, lambda: None)


def _head(path: Path, table: str, state: FileState) -> Table | None:
    """Return the first rows of a sheet; None if they cannot be had alone. Raises `BridgeError`: bad_data, too_large."""
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415  # an extra

    try:
        small = first_rows(path, _HEAD)
        if small is None:
            return None
        require_room(small, table, path.name, Cancellation())
        head = _sheet(CalamineWorkbook.from_filelike(io.BytesIO(small)), path, table, state)
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None  # what is wrong with the workbook says who reads the whole
    return head if head.rows else None


def _sheet(workbook: Any, path: Path, table: str, state: FileState) -> Table:
    """Return a sheet as a table. Raises `BridgeError`: bad_data; and calamine's own errors."""
    names = list(workbook.sheet_names)
    if not names:
        raise BridgeError("bad_data", f"{path.name} has no sheet.")
    if table and table not in names:
        raise BridgeError(
            "bad_data", f"{path.name} has no sheet {table[:100]!r}.", f"It has {', '.join(names[:20])}."
        )
    shown = table or names[0]
    rows = workbook.get_sheet_by_name(shown).to_python(skip_empty_area=False)
    others = (
        (f"Shown is {shown}, of the sheets {', '.join(names[:20])}.",) if len(names) > 1 and not table else ()
    )
    columns, body = _header(rows)
    return PlainTable(Tuples(f"Excel sheet {shown}", columns, [""] * len(columns), body, state), others)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell calamine's errors as those of the file."""
    from python_calamine import CalamineError, PasswordError  # noqa: PLC0415  # an extra

    try:
        yield
    except PasswordError:
        raise BridgeError("data_locked", f"{path.name} needs a password.") from None
    except (CalamineError, OSError, ValueError) as error:
        raise BridgeError("bad_data", f"{path.name} cannot be read: {reason(error)}.") from None


def _unpacked(path: Path, state: FileState) -> int:
    """Return the bytes of a package when it is unpacked.

    Raises `BridgeError` for what is encrypted, broken, or grows beyond all measure.
    """
    if state.head.startswith(_OLE):
        raise BridgeError("data_locked", f"{path.name} needs a password.")
    try:
        with zipfile.ZipFile(path) as package:
            unpacked = sum(one.file_size for one in package.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BridgeError(
            "bad_data", f"{path.name} is no workbook, or only a part of one: {reason(error)}."
        ) from None
    if unpacked > _UNPACKED_MAX:
        raise BridgeError("too_large", f"{path.name} has {unpacked:,} bytes when it is unpacked.")
    return unpacked


def _header(rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns and the other rows. The first row has the names if all its cells are text.

    The first of them may be blank: pandas writes its index so.
    """
    cleared = [[None if value == "" else value for value in row] for row in rows]
    width = max((len(row) for row in cleared), default=0)
    cleared = [row + [None] * (width - len(row)) for row in cleared]
    if cleared:
        first, *others = cleared[0] or [None]
        named = all(isinstance(value, str) for value in others)
        if named and (isinstance(first, str) or (first is None and others)):
            return [_letters(0) if first is None else str(first), *map(str, others)], cleared[1:]
    return [_letters(number) for number in range(width)], cleared


def _letters(number: int) -> str:
    """Return the name that a spreadsheet gives a column: A, B, …, Z, AA."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
