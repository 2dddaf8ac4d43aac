"""Which table a file is, by its name and its first bytes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import CancelledError
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.duck_sql import literal
from marimo_kernel_bridge.viewing.tables.duck_table import DuckTable, loaded_table
from marimo_kernel_bridge.viewing.tables.failures import panics_as_errors, reason
from marimo_kernel_bridge.viewing.tables.file_state import FileState
from marimo_kernel_bridge.viewing.tables.text_files import open_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

_ARROW: Final = b"ARROW1"
_PARQUET: Final = b"PAR1"
_PARQUET_ENCRYPTED: Final = b"PARE"
_ROW: Final = "file_row_number"


def table_of(path: Path, table: str) -> Table:
    """Return a file as a table. `table` names a sheet or a table in it.

    Raises `BridgeError`: not_a_table, bad_data, data_locked, data_gone, not_installed.
    """
    name = path.name.lower()
    for suffix, opened in _KINDS.items():
        if name.endswith(suffix):
            return _opened(opened, path, table, suffix)
    raise BridgeError(
        "not_a_table",
        f"{path.name} is no file of a table by its name.",
        f"Shown are files that end in {', '.join(_KINDS)}.",
    )


def _opened(opened: Callable[[Path, str, str], Table], path: Path, table: str, suffix: str) -> Table:
    try:
        with panics_as_errors():
            return opened(path, table, suffix)
    except (BridgeError, CancelledError):
        raise
    except Exception as error:  # noqa: BLE001  # libraries raise many classes for a broken file
        raise BridgeError("bad_data", f"{path.name} cannot be read: {reason(error)}.") from None


def _csv(path: Path, _table: str, suffix: str) -> Table:
    return open_text(path, "TSV file" if "tsv" in suffix else "CSV file", "read_csv", suffix)


def _json(path: Path, _table: str, suffix: str) -> Table:
    lines = "l" in suffix or "nd" in suffix
    return open_text(path, "JSON lines file" if lines else "JSON file", "read_json", suffix)


def _parquet(path: Path, _table: str, suffix: str) -> Table:
    state = FileState(path)
    if state.head.startswith(_PARQUET_ENCRYPTED):
        raise BridgeError("data_locked", f"{path.name} is encrypted.")
    if not state.head.startswith(_PARQUET):
        raise BridgeError("bad_data", f"{path.name} is no Parquet file, or only a part of one.")
    database = Database(path)
    try:
        file = literal(database.link(suffix))
        source = f"read_parquet({file}, {_ROW}=true, hive_partitioning=false)"
        try:
            if any(name.lower() == _ROW for name, _ in database.described(f"read_parquet({file})")):
                database.run(f"CREATE TABLE loaded AS SELECT * FROM read_parquet({file})")
                return loaded_table(database, "Parquet file", state)
            return DuckTable("Parquet file", database, source, _ROW, state, read_again=True)
        except database.error as error:
            if "ncrypt" in str(error):
                raise BridgeError("data_locked", f"{path.name} is encrypted.") from None
            raise BridgeError("bad_data", f"{path.name} cannot be read: {reason(error)}.") from None
    except BaseException:
        database.close()
        raise


def _arrow(path: Path, _table: str, _suffix: str) -> Table:
    """Read the file with a library of frames: DuckDB has no reader of Arrow's files of its own."""
    state = FileState(path)
    from marimo_kernel_bridge.viewing.tables.live_values import frame_table  # noqa: PLC0415  # narwhals is slow to import

    native: Any
    if importlib.util.find_spec("polars"):
        import polars as pl  # noqa: PLC0415  # only for such a file

        # Not mapped into memory: whoever shortens the file would end this process
        with path.open("rb") as file:
            native = pl.read_ipc(file) if state.head.startswith(_ARROW) else pl.read_ipc_stream(file)
        names, dtypes = native.columns, [str(dtype) for dtype in native.dtypes]
        native.columns = [str(number) for number in range(len(names))]
    elif importlib.util.find_spec("pyarrow"):
        import pyarrow as pa  # noqa: PLC0415  # only for such a file

        with path.open("rb") as file:
            native = (pa.ipc.open_file if state.head.startswith(_ARROW) else pa.ipc.open_stream)(
                file
            ).read_all()
        names, dtypes = list(native.column_names), [str(field.type) for field in native.schema]
        native = native.rename_columns([str(number) for number in range(len(names))])
    else:
        raise BridgeError(
            "not_installed",
            "Arrow files are read with polars or pyarrow, and neither is installed here.",
            "Install one of them.",
        )
    return frame_table("Arrow file", native, names, dtypes, altered=state.altered)


def _sqlite(path: Path, table: str, _suffix: str) -> Table:
    from marimo_kernel_bridge.viewing.tables.sqlite_files import open_sqlite  # noqa: PLC0415  # rarely needed

    return open_sqlite(path, table)


def _excel(path: Path, table: str, _suffix: str) -> Table:
    from marimo_kernel_bridge.viewing.tables.excel_files import open_excel  # noqa: PLC0415  # rarely needed

    return open_excel(path, table)


_KINDS: Final[dict[str, Callable[[Path, str, str], Table]]] = {
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".tsv.gz"), _csv),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz"), _json),
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _arrow),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".db3"), _sqlite),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), _excel),
}
