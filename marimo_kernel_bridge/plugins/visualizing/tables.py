"""Tables as pictures: cells of text in a grid. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.plugins import Refused
from marimo_kernel_bridge.plugins.visualizing.charts import SCHEMA

if TYPE_CHECKING:
    from marimo_kernel_bridge.plugins import Scalar, Table
    from marimo_kernel_bridge.plugins.visualizing.options import Options

ROWS: Final = 20
_COLUMNS: Final = 12
_WIDTH: Final = 24
"""Characters of a cell."""
_PLAIN: Final = " _-.…"


def drawn(table: Table, options: Options) -> tuple[dict[str, Any], str]:
    """Return the specification with its data, and a sentence that says what is shown. Raises `Refused` for no columns."""
    columns = table.columns[:_COLUMNS]
    if not columns or not table.rows:
        raise Refused("The table has no rows.", "")
    names = [f"{number}" for number in range(len(columns))]
    cells = [
        {"row": row, "column": name, "text": _text(value)}
        for row, values in enumerate(table.rows)
        for name, value in zip(names, values, strict=False)
    ]
    labels = " : ".join(
        f"datum.value == '{name}' ? '{_quoted(column.name)}'"
        for name, column in zip(names, columns, strict=True)
    )
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        **({"title": options.title} if options.title else {}),
        "width": {"step": 110},
        "height": {"step": 20},
        "data": {"values": cells},
        "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": -50},
        "encoding": {
            "x": {
                "field": "column",
                "type": "ordinal",
                "sort": names,
                "title": None,
                "axis": {"orient": "top", "labelAngle": 0, "labelExpr": f"{labels} : datum.value"},
            },
            "y": {"field": "row", "type": "ordinal", "title": None},
            "text": {"field": "text"},
        },
    }
    shown = f"{len(table.rows):,} of {table.total:,} rows"
    if len(columns) < len(table.columns):
        shown += f", the first {len(columns)} of {len(table.columns)} columns"
    return spec, f"table: {shown}. {table.note}".rstrip()


def _text(value: Scalar) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _quoted(name: str) -> str:
    """Return a name for a string in one of Vega's expressions."""
    text = _text(name)
    return "".join(
        letter
        if letter.isalnum() or letter in _PLAIN
        else f"\\u{ord(letter):04x}"
        if letter <= "\uffff"
        else "?"
        for letter in text
    )
