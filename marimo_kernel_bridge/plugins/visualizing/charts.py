"""Charts of tables: which columns make which axes, what the kernel is asked for, and the Vega-Lite specification. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.plugins import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.plugins import Column, How, Table
    from marimo_kernel_bridge.plugins.visualizing.options import Options

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_NUMBERS: Final = frozenset({"integer", "number", "decimal"})
_TIMES: Final = frozenset({"date", "datetime"})
_TEXTS: Final = frozenset({"text", "category", "boolean", "time", "duration"})
_CHARTABLE: Final = _NUMBERS | _TIMES | _TEXTS
_FROM_ZERO: Final = frozenset({"bar", "area"})
"""Marks whose length means something."""
_ROWS: Final = 1000
_GROUPS: Final = 40
_TIMES_OR_NUMBERS: Final = 1000
"""Groups along an axis that has an order."""


@dataclass(frozen=True)
class Plan:
    """A chart before its data: the column of each channel, and what is asked of the kernel. No `y`: it is the count."""

    mark: str
    x: Column
    y: Column | None = None
    color: Column | None = None
    by: tuple[str, ...] = ()
    how: How = "count"
    bins: bool = False
    rows: int = _ROWS
    columns: tuple[str, ...] = ()

    @property
    def mark_of_two(self) -> bool:
        """Whether it shows how often the values of two columns meet."""
        return len(self.by) > 1 and self.y is not None and self.how == "count"


def is_chartable(table: Table) -> bool:
    """Return whether a table has a column for an axis."""
    return any(column.kind in _CHARTABLE for column in table.columns)


def planned(table: Table, options: Options) -> Plan:
    """Return what is to be drawn of a table, of which only the columns are known. Raises `Refused`."""
    columns = [column for column in table.columns if column.kind in _CHARTABLE]
    if not columns:
        raise Refused("The table has no column of numbers, times or texts.", "type=table shows its cells.")
    x, y = _axes(table, columns, options)
    color = None if options.color is None else _named(table, options.color)
    if y is None:
        return _counted(x, color, options)
    if y.kind not in _NUMBERS and x.kind in _NUMBERS:
        x, y = y, x
    if y.kind not in _NUMBERS:
        return _of_two_texts(x, y, options)
    how = options.aggregate or ("mean" if x.kind in _TEXTS and options.mark in {None, "bar"} else "none")
    mark = options.mark or ("line" if x.kind in _TIMES else "bar" if x.kind in _TEXTS else "point")
    if how == "none":
        used = tuple(dict.fromkeys(one.name for one in (x, y, color) if one is not None))
        return Plan(mark, x, y, color, rows=options.rows or _ROWS, columns=used)
    by = tuple(dict.fromkeys(one.name for one in (x, color) if one is not None))
    most = options.rows or (_GROUPS if x.kind in _TEXTS else _TIMES_OR_NUMBERS)
    value = () if how == "count" else (y.name,)
    return Plan(mark, x, None if how == "count" else y, color, by, how, rows=most, columns=value)


def _axes(table: Table, columns: Sequence[Column], options: Options) -> tuple[Column, Column | None]:
    if options.x is not None and options.y is not None:
        return _named(table, options.x), _named(table, options.y)
    if options.x is not None:
        return _named(table, options.x), None
    number = _first(columns, _NUMBERS) if options.y is None else _named(table, options.y)
    others = [column for column in columns if column is not number and column.name != options.color]
    time, text = _first(others, _TIMES), _first(others, _TEXTS)
    if number is None:
        return text or time or columns[0], None
    along = time or text or _first(others, _NUMBERS)
    if along is None:
        return number, None
    if along.kind in _NUMBERS and options.y is None:
        return number, along
    return along, number


def _counted(x: Column, color: Column | None, options: Options) -> Plan:
    """Plan the counts of one column's values: of ranges, where it has an order."""
    if x.kind in _TEXTS or color is not None:
        by = tuple(dict.fromkeys(one.name for one in (x, color) if one is not None))
        return Plan(options.mark or "bar", x, None, color, by, rows=options.rows or _GROUPS)
    return Plan(options.mark or "bar", x, by=(x.name,), bins=True)


def _of_two_texts(x: Column, y: Column, options: Options) -> Plan:
    by = tuple(dict.fromkeys((x.name, y.name)))
    if len(by) == 1:
        return _counted(x, None, options)
    return Plan(options.mark or "rect", x, y, None, by, rows=options.rows or 400)


def _first(columns: Iterable[Column], kinds: frozenset[str]) -> Column | None:
    return next((column for column in columns if column.kind in kinds), None)


def _named(table: Table, name: str) -> Column:
    found = next((column for column in table.columns if column.name == name), None)
    if found is None:
        known = [column.name[:60] for column in table.columns[:20]]
        raise Refused(f"There is no column {name[:100]!r}.", f"There are {', '.join(known)}.")
    if found.kind not in _CHARTABLE:
        raise Refused(f"The column {name[:100]!r} holds {found.kind} values, which have no axis.", "")
    return found


# -- the specification ---------------------------------------------------------------------------------------------------


def drawn(plan: Plan, table: Table, options: Options) -> tuple[dict[str, Any], str]:
    """Return the specification with its data, and a sentence that says what is shown. Raises `Refused` for no rows."""
    if not table.rows:
        raise Refused("The table has no rows.", "")
    fields = _fields(plan, table)
    values = [dict(zip(fields, row, strict=True)) for row in table.rows]
    about = [table.note] if table.note else [f"All {table.total:,} rows."]
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        **({"title": options.title} if options.title else {}),
        "width": 480,
        "height": 300,
        "data": {"values": values},
        "mark": {"type": plan.mark, **({} if plan.mark == "boxplot" else {"tooltip": True})},
        "encoding": _encoding(plan, fields),
    }
    return spec, f"{_described(plan)}. {' '.join(about)}"


def _fields(plan: Plan, table: Table) -> list[str]:
    """Return the names of the data's fields, which are no columns' names: those may have dots and brackets."""
    if plan.bins:
        return ["x", "x2", "count"] if len(table.columns) == 3 else ["x", "count"]  # noqa: PLR2004  # from, to, count
    if not plan.by:
        of = {plan.x.name: "x"}
        if plan.y is not None:
            of.setdefault(plan.y.name, "y")
        if plan.color is not None:
            of.setdefault(plan.color.name, "color")
        return [of[column.name] for column in table.columns]
    grouped = ["x"]
    if plan.color is not None and plan.color.name != plan.x.name:
        grouped.append("color")
    elif plan.mark_of_two:
        grouped.append("y")
    return [*grouped, "value"]


def _encoding(plan: Plan, fields: Sequence[str]) -> dict[str, Any]:
    x = {"field": "x", "type": _type(plan.x), "title": plan.x.name}
    if "x2" in fields:
        x |= {"bin": "binned"} if plan.x.kind in _NUMBERS else {}
        return {"x": x, "x2": {"field": "x2"}, "y": _count("count")}
    if "count" in fields:
        return {"x": x | {"type": "nominal", "sort": "-y"}, "y": _count("count")}
    if plan.mark_of_two:
        assert plan.y is not None, "the second text"
        y = {"field": "y", "type": _type(plan.y), "title": plan.y.name}
        return {"x": x, "y": y, "color": _count("value")}
    if plan.by:
        title = "count" if plan.y is None else f"{plan.how} of {plan.y.name}"
        y = {"field": "value", "type": "quantitative", "title": title}
        if x["type"] == "nominal" and "color" not in fields:
            x["sort"] = "-y"
    else:
        assert plan.y is not None, "a chart of rows has two axes"
        field = "x" if plan.y.name == plan.x.name else "y"
        y = {"field": field, "type": "quantitative", "title": plan.y.name}
    encoding: dict[str, dict[str, Any]] = {"x": x, "y": y}
    if plan.mark not in _FROM_ZERO:
        for axis in encoding.values():
            if axis["type"] == "quantitative":
                axis["scale"] = {"zero": False}
    if plan.color is not None:
        field = next(
            (
                name
                for name, one in (("x", plan.x), ("y", plan.y))
                if one is not None and one.name == plan.color.name
            ),
            "color",
        )
        encoding["color"] = {"field": field, "type": _type(plan.color), "title": plan.color.name}
    return encoding


def _count(field: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "title": "count"}


def _type(column: Column) -> str:
    if column.kind in _NUMBERS:
        return "quantitative"
    return "temporal" if column.kind in _TIMES else "nominal"


def _described(plan: Plan) -> str:
    if plan.mark_of_two:
        assert plan.y is not None, "the second text"
        return f"{plan.mark}: counts of {plan.x.name} and {plan.y.name}"
    if plan.bins or (plan.by and plan.y is None):
        what = f"counts of {plan.x.name}"
    elif plan.by:
        assert plan.y is not None, "what is aggregated"
        what = f"{plan.how} of {plan.y.name} by {plan.x.name}"
    else:
        assert plan.y is not None, "a chart of rows has two axes"
        what = f"{plan.y.name} over {plan.x.name}"
    return f"{plan.mark}: {what}" + (f", colored by {plan.color.name}" if plan.color is not None else "")
