"""Answers about views of tables: what was shown to the person, and what they see and selected. Never a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from marimo_kernel_bridge.mcp_server.answers.view import one_line, quoted

Shown = Literal["in the host", "in the browser", "in an open tab", "declined", "not shown"]


@dataclass(frozen=True)
class ColumnLine:
    """A column: its kind, and its type as its library names it."""

    name: str
    kind: str
    dtype: str

    def text(self) -> str:
        return f"{one_line(self.name)} ({self.dtype or self.kind})"


@dataclass(frozen=True)
class ShownView:
    """A table that was shown to the person. `rows` is missing while they are counted; `sees` says how it is shown."""

    view: str
    title: str
    kind: str
    columns: tuple[ColumnLine, ...]
    state: Shown
    message: str
    sees: str
    rows: int | None = None
    column_count: int = 0
    notes: tuple[str, ...] = ()
    kernel: str = ""

    def text(self) -> str:
        size = "rows not counted yet" if self.rows is None else f"{self.rows:,} rows"
        names = "; ".join(column.text() for column in self.columns)
        more = self.column_count - len(self.columns)
        return "\n".join(
            [
                f"{self.message} View {self.view}: {self.title}, {self.kind}, {size}, {self.column_count:,} columns.",
                f"They see: {self.sees}.",
                f"Columns: {names}{f'; and {more:,} more' if more else ''}",
                *(f"- {note}" for note in self.notes),
            ]
        )


@dataclass(frozen=True)
class FilterLine:
    """A condition on a column, as view_data takes it."""

    column: str
    op: str
    value: Any = None  # JSON: a text, number or boolean, or a list of them


@dataclass(frozen=True)
class ViewRead:
    """What the person sees of a view.

    `selected` are positions in the source, the first of `selected_count`; `selected_code` and `code` are Python for the selected rows, and for those that are
    shown. `first_row` is the uppermost one on the screen, counted as shown.
    """

    view: str
    title: str
    kind: str
    sees: str
    rows: int | None = None
    matching: int | None = None
    sort: tuple[str, ...] = ()
    filter: tuple[FilterLine, ...] = ()
    search: str = ""
    selected: tuple[int, ...] = ()
    selected_count: int = 0
    selected_column: str = ""
    selected_code: str = ""
    code: str = ""
    first_row: int = 0
    hidden: tuple[str, ...] = ()
    set_by: str = ""
    ended: str = ""
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    kernel: str = ""

    def text(self) -> str:
        lines = [f"View {self.view}: {self.title}, {self.kind}: {self.sees}."]
        if self.ended:
            lines.append(f"Its data is gone: {self.ended}.")
        if self.set_by:
            lines.append(f"Last set by the {self.set_by}. The screen begins at row {self.first_row:,}.")
        if self.selected_count and not self.selected:
            lines.append(f"Selected: {self.selected_count:,} rows.")
        if self.selected:
            more = self.selected_count - len(self.selected)
            column = f" in {one_line(self.selected_column)}" if self.selected_column else ""
            positions = ", ".join(map(str, self.selected))
            lines.append(
                f"Selected{column}, by position in the source: {positions}{f' and {more:,} more' if more else ''}"
            )
        if self.selected_code:
            lines.append(f"As Python: {quoted(self.selected_code)}")
        if self.code:
            lines.append(f"The rows that are shown, as Python: {quoted(self.code)}")
        if self.hidden:
            lines.append(f"Hidden columns: {', '.join(map(one_line, self.hidden))}")
        lines += [f"- {note}" for note in self.notes]
        if self.others:
            lines.append(f"Other views: {', '.join(self.others)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class PageAnswer:
    """The answer to a view's page, which is in the text."""

    view: str

    def text(self) -> str:
        return self.view
