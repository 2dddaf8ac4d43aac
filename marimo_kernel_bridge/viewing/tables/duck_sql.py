"""SQL for a table: types, conditions, keys of an order. All values are bound; names are quoted."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.viewing.tables.asked_values import (
    TEXT_OPERATORS,
    asked_values,
    at_zone,
    has_no_letters,
)
from marimo_kernel_bridge.viewing.tables.cells import TEXT_MAX

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.views import Column, ColumnKind, Filter
    from marimo_kernel_bridge.viewing.table import Query

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "number"),
    **dict.fromkeys(("VARCHAR", "UUID", "BIT"), "text"),
    "BOOLEAN": "boolean",
    "DATE": "date",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"), "datetime"),
    "TIMESTAMP WITH TIME ZONE": "datetime",
    **dict.fromkeys(("TIME", "TIME_NS", "TIME WITH TIME ZONE"), "time"),
    "INTERVAL": "duration",
    "BLOB": "bytes",
    "JSON": "nested",
    '"NULL"': "null",
}
_BY_TEXT: Final = frozenset({"date", "datetime", "time", "duration"})
"""Kinds that are fetched as DuckDB's text: Python's dates have neither nanoseconds nor all years nor infinity."""
_COMPARED_AS_TEXT: Final = frozenset({"category", "nested", "other", "null"})
_ITEMS_MAX: Final = 200
_LARGE: Final = 2**127
OPERATORS: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Sql:
    """A part of a statement and the values that it binds."""

    text: str
    values: tuple[Any, ...] = ()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a literal, for where nothing can be bound: settings, and the file of a view."""
    return "'" + text.replace("'", "''") + "'"


def kind_of(dtype: str) -> ColumnKind:
    """Return the kind of a type as DuckDB names it."""
    if dtype in _KINDS:
        return _KINDS[dtype]
    if dtype.endswith("]") or dtype.startswith(("STRUCT", "MAP", "UNION")):
        return "nested"
    if dtype.startswith("DECIMAL"):
        return "decimal"
    return "category" if dtype.startswith("ENUM") else "other"


def fetched(column: Column, name: str) -> str:
    """Return the expression by which a cell is read: exact, and no longer than a page shows."""
    if column.kind in _BY_TEXT or column.dtype in {"UUID", "BIT"} or column.kind == "other":
        return f"CAST({name} AS VARCHAR)"
    if column.dtype in {"VARCHAR", "JSON"}:
        return f"left(CAST({name} AS VARCHAR), {TEXT_MAX + 1})"
    if column.dtype.endswith("[]"):
        return f"{name}[1:{_ITEMS_MAX}]"
    return name


def whole(column: Column, name: str) -> str:
    """Return the expression by which a cell is read in full."""
    return f"CAST({name} AS VARCHAR)" if fetched(column, name).startswith("CAST") else name


def where(columns: tuple[Column, ...], names: tuple[str, ...], query: Query) -> Sql:
    """Return the condition of a query, with its WHERE; nothing if it has none. Raises `BridgeError`: bad_request."""
    parts = [_condition(columns[one.column], names[one.column], one) for one in query.filters]
    if query.search:
        needle = query.search.lower()
        sought = [
            _in_small_letters(_shown(column, name), needle)
            for column, name in zip(columns, names, strict=True)
            if column.kind != "null"
        ]
        parts.append(
            Sql("(" + " OR ".join(f"contains({text}, ?)" for text in sought) + ")", (needle,) * len(sought))
            if sought
            else Sql("false")
        )
    if not parts:
        return Sql("")
    return Sql(
        " WHERE " + " AND ".join(part.text for part in parts),
        tuple(value for part in parts for value in part.values),
    )


def order(columns: tuple[Column, ...], names: tuple[str, ...], query: Query, row: str) -> str:
    """Return the ORDER BY of a query: nulls and NaN last, equal rows in the order of the source."""
    keys = []
    for key in query.sort:
        name = names[key.column]
        if columns[key.column].kind == "number":
            name = f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END"
        keys.append(f"{name} {'DESC' if key.descending else 'ASC'} NULLS LAST")
    return " ORDER BY " + ", ".join([*keys, row])


def _condition(column: Column, name: str, condition: Filter) -> Sql:  # noqa: PLR0911  # one for each kind of operator
    values = [_comparable(column, value) for value in asked_values(column, condition)]
    null = f"({name} IS NULL OR isnan({name}))" if column.kind == "number" else f"{name} IS NULL"
    if condition.op == "null":
        return Sql(null)
    if condition.op == "not_null":
        return Sql(f"NOT {null}")
    text = _shown(column, name)
    if condition.op in TEXT_OPERATORS:
        function = "contains" if condition.op == "contains" else "starts_with"
        needle = values[0].lower()
        return Sql(f"{function}({_in_small_letters(text, needle)}, ?)", (needle,))
    if column.dtype.startswith("DECIMAL"):
        return _decimals(name, column.dtype, condition.op, values)
    left = text if column.kind in _COMPARED_AS_TEXT or column.dtype in {"UUID", "BIT"} else name
    if condition.op == "one_of":
        present = tuple(value for value in values if value is not None)
        parts = [f"{left} IN ({', '.join('?' * len(present))})"] if present else []
        parts += [null] if None in values else []
        return Sql(f"({' OR '.join(parts) or 'false'})", present)
    if column.kind == "category" and condition.op not in {"=", "!="}:  # by the order that the sort has
        asked = f"list_position(CAST(enum_range({name}) AS VARCHAR[]), ?)"
        return Sql(f"enum_code({name}) + 1 {OPERATORS[condition.op]} {asked}", (values[0],))
    compared = f"{left} {OPERATORS[condition.op]} ?"
    if column.kind == "number":
        compared = f"({compared} AND NOT isnan({name}))"
    return Sql(compared, (values[0],))


def _shown(column: Column, name: str) -> str:
    """Return the expression of the text that a cell shows; null for what counts as that."""
    if column.kind == "bytes":
        return f"hex({name})"
    if column.kind == "number":
        return f"CASE WHEN isnan({name}) THEN NULL ELSE CAST({name} AS VARCHAR) END"
    return name if column.dtype == "VARCHAR" else f"CAST({name} AS VARCHAR)"


def _in_small_letters(text: str, needle: str) -> str:
    """Return the expression of a text in which to look for another one in small letters."""
    return text if has_no_letters(needle) else f"lower({text})"


def _decimals(name: str, dtype: str, operator: str, values: list[Any]) -> Sql:
    """Compare decimals with values of their own type: DuckDB's common type of two may have no room for either."""
    width, scale = (int(one) for one in dtype.removeprefix("DECIMAL(").removesuffix(")").split(","))
    parts: list[Sql] = []
    if operator == "one_of":
        parts += [_decimal(name, width, scale, "=", value) for value in values if value is not None]
        parts += [Sql(f"{name} IS NULL")] if None in values else []
        text = " OR ".join(part.text for part in parts) or "false"
        return Sql(f"({text})", tuple(value for part in parts for value in part.values))
    return _decimal(name, width, scale, operator, values[0])


def _decimal(name: str, width: int, scale: int, operator: str, value: Decimal) -> Sql:
    most = Decimal(10) ** (width - scale)
    above, below = value >= most, value <= -most
    if above or below:  # beyond all that the type holds
        met = operator == "!=" or operator in (("<", "<=") if above else (">", ">="))
        return Sql(f"{name} IS NOT NULL" if met else "false")
    with localcontext(Context(prec=width + 2)):
        floor = value.quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR)
    if floor != value:  # between two neighbours
        if operator in {"=", "!="}:
            return Sql("false" if operator == "=" else f"{name} IS NOT NULL")
        operator = {">=": ">", "<": "<="}.get(operator, operator)
    return Sql(f"{name} {OPERATORS[operator]} CAST(? AS DECIMAL({width}, {scale}))", (str(floor),))


def _comparable(column: Column, value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return at_zone(value, aware=column.dtype == "TIMESTAMP WITH TIME ZONE")
    if isinstance(value, int) and abs(value) >= _LARGE:
        return float(value)
    return value
