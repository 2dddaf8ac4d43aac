"""Tables of live values and of files. `open_value` and `open_file` find what holds a value or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.viewing.tables.live_values import is_read_through_a_connection, no_table, table_of
from marimo_kernel_bridge.viewing.tables.without_code import open_without_code

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

__all__ = ["is_read_through_a_connection", "open_file", "open_value", "open_without_code"]


def open_value(value: Any) -> Table:
    """Return a live value as a table. Nothing of it is changed. Raises `BridgeError`: not_a_table, not_installed."""
    table = table_of(value)
    if table is None:
        raise no_table(type(value))
    return table


def open_file(path: Path, table: str = "") -> Table:
    """Return a file as a table. `table` names a sheet or a table in it.

    Raises `BridgeError`: not_a_table, bad_data, data_locked, data_gone, not_installed.
    """
    from marimo_kernel_bridge.viewing.tables import files  # noqa: PLC0415  # a kernel shows live values

    return files.table_of(path, table)
