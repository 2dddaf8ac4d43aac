"""Views of tables: what a page, an agent and the process that holds the data say to one another. Values only.

A column is addressed by its index: two columns may have one name. A row is addressed by its id, which is its position in
the source, whatever the sort and the filters.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

ColumnKind = Literal[
    "integer",
    "number",
    "decimal",
    "text",
    "boolean",
    "date",
    "datetime",
    "time",
    "duration",
    "bytes",
    "nested",
    "category",
    "null",
    "other",
]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "starts", "one_of", "null", "not_null"]

CellKind = Literal[
    "nan", "inf", "big", "decimal", "date", "datetime", "time", "duration", "bytes", "nested", "other", "long"
]
"""How a cell that JSON cannot hold is shown. "long" is text that was cut: `detail` has the rest."""

ROWS_MAX = 500
COLUMNS_MAX = 200
"""Of one request for rows."""


_MOST_MARKED: Final = 10_000
_Index = Annotated[int, Meta(ge=0, le=2**53)]
_Width = Annotated[int, Meta(ge=1, le=10_000)]


class Column(msgspec.Struct, frozen=True):
    """A column. `dtype` is the type as its library names it."""

    index: int
    name: str
    kind: ColumnKind
    dtype: str


class SortKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of the order. Nulls and NaN come last in both directions."""

    column: int
    descending: bool = False


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on a column; the rows shown meet all of them. A null meets none but "null", and NaN is one.

    Numbers are JSON numbers, or text where those are not exact; dates and times are ISO text, bytes hexadecimal.
    "contains" and "starts" compare the text of the cell and ignore case. "one_of" takes a list.
    """

    column: int
    op: Operator
    value: str | int | float | bool | list[str | int | float | bool | None] | None = None


class ViewState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a view shows its table.

    `selected` are row ids, as many of the `selected_count` as the page knows. `by` is who changed the sort, the filters or the
    search last.
    """

    sort: tuple[SortKey, ...] = ()
    filters: tuple[Filter, ...] = ()
    search: str = ""
    hidden: tuple[int, ...] = ()
    pinned: tuple[int, ...] = ()
    widths: dict[int, int] = {}
    selected: tuple[int, ...] = ()
    selected_count: int = 0
    selected_column: int | None = None
    first_row: int = 0
    by: Literal["person", "agent"] = "person"


class StateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a `ViewState` that somebody sets; the others stay."""

    sort: tuple[SortKey, ...] | UnsetType = UNSET
    filters: tuple[Filter, ...] | UnsetType = UNSET
    search: str | UnsetType = UNSET
    hidden: Annotated[tuple[_Index, ...], Meta(max_length=_MOST_MARKED)] | UnsetType = UNSET
    pinned: Annotated[tuple[_Index, ...], Meta(max_length=_MOST_MARKED)] | UnsetType = UNSET
    widths: Annotated[dict[_Index, _Width], Meta(max_length=_MOST_MARKED)] | UnsetType = UNSET
    selected: Annotated[tuple[_Index, ...], Meta(max_length=_MOST_MARKED)] | UnsetType = UNSET
    selected_count: _Index | UnsetType = UNSET
    selected_column: _Index | UnsetType | None = UNSET
    first_row: _Index | UnsetType = UNSET


class ViewDescription(msgspec.Struct, frozen=True):
    """A view, without any row. `version` grows with new data. `ended` says why the data is no longer there."""

    view: str
    title: str
    source: Literal["variable", "file"]
    kind: str
    rows: int | None
    columns: tuple[Column, ...]
    version: int
    state: ViewState
    matching: int | None = None
    notes: tuple[str, ...] = ()
    ended: str = ""

    @property
    def shape(self) -> str:
        """What the data is and how large, in words."""
        rows = (
            "rows not counted yet"
            if self.rows is None
            else f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        )
        columns = len(self.columns)
        return f"{self.kind}, {rows} by {columns:,} column{'' if columns == 1 else 's'}"


class OpenedView(msgspec.Struct, frozen=True):
    """A view that was opened or found again. `url` opens it once, on the machine of its process, which listens on `port` there.

    `advice` says how to reach it from elsewhere, where the process is likely to be on another machine than the person.
    """

    description: ViewDescription
    url: str
    opened_in: Literal["new", "tab already open"]
    port: int = 0
    advice: str = ""


class ViewAnswer(msgspec.Struct, frozen=True):
    """The answer to a page's request, as the JSON text that the page reads."""

    answer: str


class Marked(msgspec.Struct, frozen=True):
    """A cell that JSON cannot hold: the text to show, and why it is not a plain value."""

    t: str
    k: CellKind


CellValue = str | int | float | bool | None | Marked


class Bin(msgspec.Struct, frozen=True):
    """A bar of a histogram, from `low` up to `high` without it; the last one includes `high`."""

    low: CellValue
    high: CellValue
    count: int


class Statistics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Statistics of a column under a view's filters.

    The counts of `bins` and `not_finite` (infinities), or of `top` and `other`, add up to `rows - nulls`.
    """

    column: int
    rows: int
    nulls: int
    distinct: int | None
    distinct_exact: bool
    min: CellValue = None
    max: CellValue = None
    mean: CellValue = None
    sd: CellValue = None
    median: CellValue = None
    bins: tuple[Bin, ...] = ()
    not_finite: int = 0
    top: tuple[tuple[CellValue, int], ...] = ()
    other: int = 0


Scalar = str | int | float | bool | None

How = Literal["count", "sum", "mean", "median", "min", "max"]
"""How the values of a group become one."""


class TablePart(msgspec.Struct, frozen=True):
    """Rows of a table as numbers and texts, or its groups: what holds it, and a sentence on how these rows came of `total`."""

    kind: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    total: int
    note: str = ""


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cell in full, up to a bound. `json` is the value of a nested cell. `cut` says that there was more."""

    text: str
    kind: ColumnKind
    json: Any = None
    cut: bool = False
