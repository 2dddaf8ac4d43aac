"""A table of any size that holds nothing: each cell says its row and column. For what a page does with much data."""

# ruff: noqa: ARG002  # what a table is asked does not matter here

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Column, Detail, Statistics
from marimo_kernel_bridge.viewing.table import Page, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Cancellation, ExportFormat, Query


class Synthetic:
    """Implements `Table`. `fault`: what is wrong with its rows."""

    kind = "synthetic"
    notes = ()
    progress: Progress | None = None
    tail = ""
    """What each text ends with."""

    def __init__(self, *, rows: int, columns: int, name: str = "") -> None:
        """`name`: of all columns, instead of their own."""
        self.rows: int | None = rows
        self.columns = tuple(Column(index, name or f"c{index}", "text", "str") for index in range(columns))
        self.fault = ""
        self.changed: Callable[[], object] = lambda: None

    def check(self, query: Query) -> None:
        pass

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        if self.fault:
            raise BridgeError("bad_data", self.fault)
        ids = range(start, min(self.rows or 0, start + count))
        return Page(
            [[f"{row}.{column}{self.tail}" for column in columns] for row in ids], list(ids), self.rows
        )

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics:
        return Statistics(column, self.rows or 0, 0, self.rows, distinct_exact=True)

    def detail(self, row: int, column: int) -> Detail:
        return Detail(f"{row}.{column}", "text")

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        raise NotImplementedError

    def altered(self) -> str:
        return ""

    def watch(self, changed: Callable[[], object]) -> None:
        self.changed = changed

    def close(self) -> None:
        pass


class Loading(Synthetic):
    """One of which the first rows alone are there, until `finish`."""

    def __init__(self, *, rows: int, columns: int) -> None:
        super().__init__(rows=rows, columns=columns)
        self.all, self.rows = rows, None
        self.progress = Progress(0.25, "Reading")

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        if self.rows is not None:
            return super().page(query, start, count, columns, cancellation)
        ids = range(start, min(150, start + count))
        return Page([[f"{row}.{column}" for column in columns] for row in ids], list(ids), None)

    def finish(self) -> None:
        self.rows, self.progress = self.all, Progress(1.0, "")
        self.changed()
