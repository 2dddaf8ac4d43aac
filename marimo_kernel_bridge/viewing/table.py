"""What a view needs of its data, whatever holds it.

A table answers in any thread, several at a time: rows never wait for statistics. It changes nothing of its source.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import (
        CellValue,
        Column,
        Detail,
        Filter,
        SortKey,
        Statistics,
        ViewState,
    )

ExportFormat = Literal["csv", "parquet", "json", "jsonl"]
_KEYS_MAX: Final = 16
_FILTERS_MAX: Final = 64
_CHOICES_MAX: Final = 1000
_TEXT_MAX: Final = 10_000


class CancelledError(Exception):
    """The work was cancelled: nobody waits for its result any more."""


class Cancellation:
    """Tells work in progress that nobody waits for it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._stops: list[Callable[[], object]] = []

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Cancel the work; what `stopped_by` registered is called now."""
        with self._lock:
            self._cancelled = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    def check(self) -> None:
        """Raise `CancelledError` if the work was cancelled."""
        if self._cancelled:
            raise CancelledError

    def stopped_by(self, stop: Callable[[], object]) -> None:
        """Call `stop` when the work is cancelled, now if it is already. It must be quick and may be called late."""
        with self._lock:
            if not self._cancelled:
                self._stops.append(stop)
                return
        stop()

    def finished(self, stop: Callable[[], object]) -> None:
        """Forget `stop`: what it would stop has ended."""
        with self._lock:
            if stop in self._stops:
                self._stops.remove(stop)


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows, in which order. `of` makes one from a view's state."""

    sort: tuple[SortKey, ...] = ()
    filters: tuple[Filter, ...] = ()
    search: str = ""

    @classmethod
    def of(cls, state: ViewState) -> Query:
        return cls(state.sort, state.filters, state.search.strip())

    @property
    def key(self) -> str:
        """Equal for equal queries; the values of filters need not be hashable."""
        return repr((self.sort, self.filters, self.search))

    @property
    def narrowing(self) -> str:
        """Equal for queries that leave the same rows, in whatever order."""
        return replace(self, sort=()).key

    @property
    def narrowed(self) -> bool:
        """Whether it may leave rows out."""
        return bool(self.filters or self.search)

    def check(self, columns: Sequence[Column]) -> None:
        """Raise `BridgeError` (bad_request) if it names a column that is not there, or is larger than anybody needs."""
        if len(self.sort) > _KEYS_MAX or len(self.filters) > _FILTERS_MAX or len(self.search) > _TEXT_MAX:
            raise BridgeError("bad_request", "Too many sort keys or filters, or too long a search.")
        for column in (*(key.column for key in self.sort), *(one.column for one in self.filters)):
            if not 0 <= column < len(columns):
                raise BridgeError("bad_request", f"There is no column {column}.")
        for condition in self.filters:
            value = condition.value
            if condition.op == "one_of":
                if not isinstance(value, list) or len(value) > _CHOICES_MAX:
                    raise BridgeError("bad_request", f"one_of takes a list of at most {_CHOICES_MAX} values.")
            elif condition.op not in {"null", "not_null"} and (value is None or isinstance(value, list)):
                raise BridgeError("bad_request", f"The filter {condition.op} takes one value.")
            if any(
                isinstance(one, str) and len(one) > _TEXT_MAX
                for one in (value if isinstance(value, list) else [value])
            ):
                raise BridgeError("bad_request", "The value of a filter is too long.")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the asked order, cells in the asked columns. `matching` is None until it is known."""

    rows: list[list[CellValue]]
    ids: list[int]
    matching: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the data is loaded: a fraction, None if unknown, and what is done in words. `done` 1 is loaded."""

    done: float | None
    what: str


class Table(Protocol):
    """A table. Every method may raise `BridgeError`, those with `cancellation` also `CancelledError`.

    `rows` is None while the data loads: then `page` has the first rows alone, and a query waits. `watch` gives a function
    that is called (from another thread) when `rows`, `columns`, `notes` or `progress` change.
    """

    @property
    def kind(self) -> str:
        """What it is, in words: "pandas DataFrame", "CSV file"."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of how the data is shown: rows left out, an index that is a column."""
        ...

    @property
    def progress(self) -> Progress | None:
        """None if nothing loads."""
        ...

    def watch(self, changed: Callable[[], object]) -> None: ...

    def check(self, query: Query) -> None:
        """Raise `BridgeError` (bad_request) if the query cannot be answered: a column or a value that makes no sense."""
        ...

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page: ...

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics: ...

    def detail(self, row: int, column: int) -> Detail: ...

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        """Write the rows of the query, in its order, to a new file."""
        ...

    def altered(self) -> Literal["", "changed", "gone"]:
        """Return whether the source is no longer what was opened: then open it again, or tell the person. Cheap."""
        ...

    def close(self) -> None:
        """Release memory and temporary files; work in progress ends with `CancelledError`."""
        ...
