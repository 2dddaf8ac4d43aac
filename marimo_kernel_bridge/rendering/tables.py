"""Tables as HTML: the first rows and columns, with the total numbers."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.rendering.page import MUTED, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_ROWS: Final = 20
MOST_COLUMNS: Final = 50
_ROW_ID: Final = "_marimo_row_id"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], total_rows: int | str | None, *notes: str
) -> str:
    """Draw a table. `total_rows` is the number of all rows, or a phrase for it; `notes` are HTML.

    marimo's elements in cells stay as they are.
    """
    columns, given = list(columns), [list(row) for row in rows]
    shown_columns, shown = columns[:MOST_COLUMNS], given[:MOST_ROWS]
    head = "".join(f"<th>{escape(name)}</th>" for name in shown_columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row[:MOST_COLUMNS]) + "</tr>"
        for row in shown
    )
    total = len(given) if total_rows is None else total_rows
    counts = f"{_count(total, 'row')}, {_count(len(columns), 'column')}"
    if isinstance(total, int) and total > len(shown):
        counts += f", the first {len(shown)} shown"
    if len(columns) > len(shown_columns):
        counts += f", the first {len(shown_columns)} columns shown"
    caption = " · ".join([counts, *(note for note in notes if note)])
    return (
        '<div style="overflow-x:auto;max-width:100%"><table border="1" class="dataframe">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f'<p style="{MUTED};margin:.2em 0"><small>{caption}</small></p></div>'
    )


def _count(number: int | str, noun: str) -> str:
    if not isinstance(number, int):
        return "more rows than were counted" if number == "too_many" else f"{escape(number)} {noun}s"
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cell(value: object) -> str:
    if value is None:
        return f'<span style="{MUTED}">None</span>'
    if isinstance(value, dict) and {"mimetype", "data"} <= value.keys():  # an Html object in a cell
        return str(value["data"]) if value["mimetype"] == "text/html" else escape(value["data"])
    if isinstance(value, str | int | float):
        return escape(value)
    return escape(json.dumps(value, ensure_ascii=False, default=str))


def parse(data: object) -> tuple[list[str], list[list[Any]]] | None:
    """Return columns and rows of the data in the attributes of marimo's table.

    The data is a list of records, a list of values, a dict of columns, or a `data:` URL with CSV or JSON; as JSON text
    or already parsed. Returns None for anything else.
    """
    if isinstance(data, str) and data.startswith("data:"):
        return _from_url(data)
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return None
    if isinstance(data, dict):
        columns = [str(name) for name in data]
        return columns, [list(row) for row in zip(*data.values(), strict=False)]
    if not isinstance(data, list):
        return None
    if data and all(isinstance(record, dict) for record in data):
        names = list(dict.fromkeys(name for record in data for name in record if name != _ROW_ID))
        return [str(name) for name in names], [[record.get(name) for name in names] for record in data]
    return ["value"] if data else [], [[value] for value in data]


def _from_url(url: str) -> tuple[list[str], list[list[Any]]] | None:
    header, _, encoded = url.partition(",")
    try:
        text = base64.b64decode(encoded).decode() if header.endswith(";base64") else encoded
    except (binascii.Error, UnicodeDecodeError):
        return None
    if "json" in header:
        return parse(text)
    if "csv" not in header:
        return None
    columns, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    return columns, [list(row) for row in rows]
