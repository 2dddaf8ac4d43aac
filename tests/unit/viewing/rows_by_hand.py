"""A table of each kind of column, and what filters and sorts make of it by plain Python: what every engine must return."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.views import Filter, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query, Table

if TYPE_CHECKING:
    from collections.abc import Callable

_RANDOM: Final = random.Random(7)
COUNT: Final = 400
NAMES: Final = ("id", "price", "city", "flag", "day", "moment")


def _row(number: int) -> tuple[Any, ...]:
    pick = _RANDOM.random
    return (
        number * 7919 % 401,
        None if pick() < 0.1 else round(pick() * 100, 2) - 20,
        None if pick() < 0.1 else _RANDOM.choice(["Oslo", "oslo", "Bergen", "Ærø", "<b>Rome</b>", ""]),
        None if pick() < 0.1 else pick() < 0.5,
        dt.date(2024, 1, 1) + dt.timedelta(days=_RANDOM.randrange(60)),
        dt.datetime.fromisoformat("2024-03-30T12:00") + dt.timedelta(minutes=_RANDOM.randrange(10_000)),
    )


ROWS: Final = [_row(number) for number in range(COUNT)]


def column(name: str) -> list[Any]:
    return [row[NAMES.index(name)] for row in ROWS]


QUERIES: Final[dict[str, Query]] = {
    "all": Query(),
    "number up": Query(sort=(SortKey(1),)),
    "number down": Query(sort=(SortKey(1, descending=True),)),
    "text": Query(sort=(SortKey(2),)),
    "text down": Query(sort=(SortKey(2, descending=True),)),
    "flag, then day down, then id": Query(sort=(SortKey(3), SortKey(4, descending=True), SortKey(0))),
    "moment": Query(sort=(SortKey(5, descending=True),)),
    "equal": Query(filters=(Filter(0, "=", 40),)),
    "other": Query(filters=(Filter(2, "!=", "Oslo"),)),
    "below": Query(filters=(Filter(1, "<", 12.5),)),
    "between": Query(filters=(Filter(1, ">=", 0), Filter(1, "<=", 50))),
    "contains": Query(filters=(Filter(2, "contains", "OSL"),)),
    "starts": Query(filters=(Filter(2, "starts", "<B"),)),
    "quoted": Query(filters=(Filter(2, "=", "' OR 1=1 --"),)),
    "one of": Query(filters=(Filter(2, "one_of", ["Bergen", None]),)),
    "one of numbers": Query(filters=(Filter(0, "one_of", [3, 5, 4.5]),)),
    "true": Query(filters=(Filter(3, "=", value=True),)),
    "null": Query(filters=(Filter(1, "null"),)),
    "not null": Query(filters=(Filter(3, "not_null"),)),
    "day": Query(filters=(Filter(4, ">", "2024-02-01"),)),
    "moment from": Query(filters=(Filter(5, ">=", "2024-04-01T12:30"),)),
    "search": Query(search="ærø"),
    "search and sort": Query(search="er", filters=(Filter(0, "<", 300),), sort=(SortKey(1), SortKey(2))),
}


def expected(query: Query) -> list[int]:
    """Return the ids of the rows that the query asks for, in its order."""
    ids = [number for number in range(COUNT) if all(_meets(ROWS[number], one) for one in query.filters)]
    if query.search:
        needle = query.search.lower()
        ids = [n for n in ids if any(needle in str(v).lower() for v in ROWS[n] if v is not None)]
    for key in reversed(query.sort):
        present = [n for n in ids if ROWS[n][key.column] is not None]
        present.sort(key=lambda n: ROWS[n][key.column], reverse=key.descending)
        ids = present + [n for n in ids if ROWS[n][key.column] is None]
    return ids


def _meets(row: tuple[Any, ...], condition: Filter) -> bool:
    value = row[condition.column]
    asked: Any = condition.value
    if isinstance(value, dt.date) and isinstance(asked, str):
        asked = type(value).fromisoformat(asked)
    text, needle = str(value).lower(), str(asked).lower()
    if condition.op in {"null", "one_of"}:
        return value is None if condition.op == "null" else value in asked
    tests: dict[str, Callable[[], bool]] = {
        "not_null": lambda: True,
        "contains": lambda: needle in text,
        "starts": lambda: text.startswith(needle),
        "=": lambda: value == asked,
        "!=": lambda: value != asked,
        "<": lambda: value < asked,
        "<=": lambda: value <= asked,
        ">": lambda: value > asked,
        ">=": lambda: value >= asked,
    }
    return value is not None and tests[condition.op]()


def all_ids(table: Table, query: Query) -> list[int]:
    """Return all ids of a query, page by page, with the count checked."""
    ids: list[int] = []
    while True:
        page = table.page(query, len(ids), 150, [0], Cancellation())
        if not page.ids:
            assert page.matching == len(ids)
            return ids
        ids += page.ids


def shown(table: Table, query: Query = Query()) -> list[list[Any]]:  # noqa: B008  # it is frozen
    """Return the first cells of a query."""
    return table.page(query, 0, 100, range(len(table.columns)), Cancellation()).rows


ODD: Final[dict[str, list[Any]]] = {
    "big": [2**53 + 1, -(2**60), 3],
    "decimal": [Decimal("1.10"), None, Decimal("12345678901234567890.12")],
    "blob": [b"\x00\xff", None, b""],
    "time": [dt.time(1, 2, 3), None, dt.time(23, 59, 59, 5)],
    "span": [dt.timedelta(days=1, seconds=3), None, -dt.timedelta(seconds=1)],
    "zoned": [dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC), None, dt.datetime(2024, 7, 1, tzinfo=dt.UTC)],
    "float": [float("nan"), float("inf"), 0.1],
    "html": ["<img src=x onerror=alert(1)>", "x" * 1000, None],
}
