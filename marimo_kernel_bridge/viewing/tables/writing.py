"""Rows of Python values as files: CSV and JSON with the standard library, Parquet with a library that is installed."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.tables.cells import DETAIL_MAX, bounded_text, json_value
from marimo_kernel_bridge.viewing.tables.plain_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import Column
    from marimo_kernel_bridge.viewing.table import Cancellation, ExportFormat


_PART: Final = 4096
"""Rows that are read at once."""


def rows_of(
    ids: Any,  # or a series of a frame
    columns: Sequence[int],
    values: Callable[[int, Any], Iterable[Any]],
    cancellation: Cancellation,
) -> Iterator[tuple[Any, ...]]:
    """Yield rows in an order of their ids; `values` returns those of a column in some rows. Raises `CancelledError`."""
    for start in range(0, len(ids), _PART):
        cancellation.check()
        part = ids[start : start + _PART]
        yield from zip(*(values(column, part) for column in columns), strict=True)


def write(
    rows: Iterable[Sequence[Any]],
    columns: Sequence[Column],
    format: ExportFormat,  # noqa: A002  # the word of the protocol
    target: Path,
) -> None:
    """Write rows of Python values to a new file. Raises `BridgeError`: not_installed."""
    match format:
        case "csv":
            with target.open("x", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow([column.name for column in columns])
                writer.writerows([csv_value(value) for value in row] for row in rows)
        case "json" | "jsonl":
            names = distinct_names(columns)
            with target.open("x", encoding="utf-8") as file:
                between = "\n" if format == "jsonl" else ",\n"
                file.write("[\n" if format == "json" else "")
                for number, row in enumerate(rows):
                    record = {name: exported(value) for name, value in zip(names, row, strict=True)}
                    file.write(
                        (between if number else "") + json.dumps(record, ensure_ascii=False, allow_nan=False)
                    )
                file.write("\n]\n" if format == "json" else "\n")
        case "parquet":
            _parquet(rows, columns, target)


def distinct_names(columns: Sequence[Column]) -> list[str]:
    """Return the names, those that others have too with a number: keys of JSON and columns of Parquet are distinct."""
    taken: set[str] = {column.name for column in columns}
    names: list[str] = []
    used: set[str] = set()
    for column in columns:
        name, number = column.name, 1
        while name in used or (number > 1 and name in taken):
            number += 1
            name = f"{column.name}_{number}"
        used.add(name)
        names.append(name)
    return names


def csv_value(value: Any) -> str | int | float | None:
    """Return what stands in a CSV for a value: its whole text."""
    value = plain(value)
    if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
        return value
    return bounded_text(value, DETAIL_MAX)


def exported(value: Any) -> Any:
    """Return a value as JSON, in full."""
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int | float | str) or value is None:
        return value
    nested = json_value(value)
    return bounded_text(value, DETAIL_MAX) if nested is None else nested


def _parquet(rows: Iterable[Sequence[Any]], columns: Sequence[Column], target: Path) -> None:
    try:
        import polars as pl  # noqa: PLC0415
    except ImportError:
        raise BridgeError(
            "not_installed",
            "Parquet files of this data are written with polars, which is not installed here.",
            "Export CSV or JSON lines instead.",
        ) from None
    names = distinct_names(columns)
    read = [[exported(value) for value in row] for row in rows]
    pl.DataFrame(read, schema=names, orient="row", infer_schema_length=None, strict=False).write_parquet(
        target
    )
