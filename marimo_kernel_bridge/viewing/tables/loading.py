"""A table that shows its first rows while the whole of it is loaded into a form that can be sorted and filtered.

Loading takes all processors. So it begins when a page has the first rows, or somebody wants others, or nobody comes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import (
    Cancellation,
    CancelledError,
    ExportFormat,
    Page,
    Progress,
    Query,
    Table,
)
from marimo_kernel_bridge.viewing.tables.failures import panics_as_errors, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import Column, Detail, Statistics

_POLL: Final = 0.05
_ALL: Final = Query()
_NOBODY_COMES: Final = 1.5
"""Seconds after opening: a page would have asked for its rows."""
_ENDS: Final = 1.0
"""Seconds in which loading ends when it is cancelled, mostly."""
_SHOWN: Final = 0.25
"""Seconds after the first rows were read: the page shows them."""


class LoadingTable:
    """`head` has the first rows, `load` returns the table, in a thread. A failure is told to whoever asks for more."""

    def __init__(
        self, head: Table, what: str, load: Callable[[Cancellation], Table], abandoned: Callable[[], object]
    ) -> None:
        """`abandoned` releases what `load` left if it was cancelled or failed."""
        self._table = head
        self._what = what
        self._load = load
        self._abandoned = abandoned
        self._done = threading.Event()
        self._failure: BridgeError | None = None
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._watching: list[Callable[[], object]] = []
        self._first_read, self._wanted = threading.Event(), threading.Event()
        threading.Thread(target=self._work, name="loading of a view", daemon=True).start()

    @property
    def kind(self) -> str:
        return self._table.kind

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._table.columns

    @property
    def rows(self) -> int | None:
        return self._table.rows if self._loaded else None

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            (*self._table.notes, f"Loading failed: {self._failure}") if self._failure else self._table.notes
        )

    @property
    def progress(self) -> Progress | None:
        if self._loaded:
            return None
        return Progress(None, "failed" if self._failure else self._what)

    def watch(self, changed: Callable[[], object]) -> None:
        with self._lock:
            self._watching.append(changed)
        if self._done.is_set():
            changed()

    def wait(self, timeout: float) -> bool:
        """Wait until it is loaded, or that failed."""
        self._begin()
        return self._done.wait(timeout)

    def check(self, query: Query) -> None:
        self._table.check(query)

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        table = self._table
        if not self._done.is_set() and query == _ALL and start + count <= (table.rows or 0):
            found = table.page(query, start, count, columns, cancellation)
            self._first_read.set()
            return Page(found.rows, found.ids, None)
        return self._whole(cancellation).page(query, start, count, columns, cancellation)

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics:
        return self._whole(cancellation).statistics(query, column, cancellation)

    def detail(self, row: int, column: int) -> Detail:
        if not self._done.is_set() and 0 <= row < (self._table.rows or 0):
            return self._table.detail(row, column)
        return self._whole(self._cancellation).detail(row, column)

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        self._whole(cancellation).export(query, columns, format, target, cancellation)

    def altered(self) -> Literal["", "changed", "gone"]:
        return self._table.altered()

    def close(self) -> None:
        """End the loading too, and wait a while for its end: it removes its temporary files itself."""
        with self._lock:
            self._cancellation.cancel()
            table = self._table
        self._begin()
        table.close()
        self._done.wait(_ENDS)

    @property
    def _loaded(self) -> bool:
        return self._done.is_set() and self._failure is None

    def _whole(self, cancellation: Cancellation) -> Table:
        """Return the loaded table, when it is."""
        self._begin()
        while not self._done.wait(_POLL):
            cancellation.check()
            self._cancellation.check()
        if self._failure is not None:
            raise self._failure
        self._cancellation.check()
        return self._table

    def _begin(self) -> None:
        """Have the loading begin, if it has not."""
        self._wanted.set()
        self._first_read.set()

    def _work(self) -> None:
        if self._first_read.wait(_NOBODY_COMES):
            self._wanted.wait(_SHOWN)
        try:
            self._cancellation.check()
            with panics_as_errors():
                loaded = self._load(self._cancellation)
            with self._lock:  # `close` closes the one table or the other
                closed = self._cancellation.cancelled
                if not closed:
                    self._table = loaded
            if closed:
                loaded.close()
        except CancelledError:
            self._abandoned()
        except BridgeError as failure:
            self._failure = failure
            self._abandoned()
        except Exception as error:  # noqa: BLE001  # of a library: whoever asks for the rows is told
            self._failure = BridgeError("bad_data", f"The data cannot be read: {reason(error)}.")
            self._abandoned()
        with self._lock:
            self._done.set()
            watching = list(self._watching)
        for changed in watching:
            changed()
