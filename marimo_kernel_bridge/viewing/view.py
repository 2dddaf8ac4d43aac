"""One view: a table, the state that its pages and its agent share, and what is new in it.

For the thread of one event loop, except what a docstring allows. Reads of the table are in other threads (`readers`).
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, SortKey, StateChange, ViewDescription, ViewState
from marimo_kernel_bridge.viewing.made_statistics import MadeStatistics
from marimo_kernel_bridge.viewing.table import Cancellation, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marimo_kernel_bridge.protocol.views import Column
    from marimo_kernel_bridge.viewing.table import Progress, Table

_EVENTS_KEPT: Final = 200

Event = dict[str, Any]
"""What a page is told without a request: `event` says what, `n` is its number, and the rest is of that kind."""


class Page(Protocol):
    """A page that shows the view."""

    def tell(self, event: Event) -> None: ...

    def dismiss(self, why: str) -> None:
        """Close the connection: the view is closed."""
        ...


@dataclass(frozen=True)
class Data:
    """What a view shows. `key` names it among those of its process, `title` is what the person reads."""

    key: str
    title: str
    source: Literal["variable", "file"]


class View:
    """A view of a table."""

    def __init__(self, view_id: str, data: Data, session: str, table: Table) -> None:
        """`session` is whose it is: an agent's, or the person's."""
        self.id = view_id
        self.data = data
        self.session = session
        self.state = ViewState()
        self.version = 1
        self.ended = ""
        self.table: Table | None = table
        self.pages: set[Page] = set()
        self._notes: tuple[str, ...] = ()
        self._matching: tuple[str, int] | None = None  # how many rows a query has
        self._events: deque[Event] = deque()
        self.told = 0
        """The number of the newest event."""
        self._forgotten = 0
        self.statistics = MadeStatistics()
        self._loads = table.progress is not None  # what its pages know
        self._rows: dict[Cancellation, str] = {}  # reads of rows, and the query of each
        self._last = self._description(table)

    # -- what it is -----------------------------------------------------------------------------------------------

    def describe(self) -> ViewDescription:
        """Describe the view, without any row. After its end, as it was last."""
        if self.table is not None:
            self._last = self._description(self.table)
        return msgspec.structs.replace(self._last, state=self.state, matching=self.matching, ended=self.ended)

    def _description(self, table: Table) -> ViewDescription:
        return ViewDescription(
            view=self.id,
            title=self.data.title,
            source=self.data.source,
            kind=table.kind,
            rows=table.rows,
            columns=table.columns,
            version=self.version,
            state=self.state,
            notes=(*self._notes, *table.notes),
        )

    @property
    def query(self) -> Query:
        """Which rows are shown, in which order."""
        return Query.of(self.state)

    @property
    def matching(self) -> int | None:
        """How many rows are shown; None while that is not known."""
        if self._matching is not None and self._matching[0] == self.query.narrowing:
            return self._matching[1]
        return None if self.query.narrowed or self.table is None else self.table.rows

    def counted(self, query: Query, version: int, matching: int | None) -> None:
        """Note how many rows a query has."""
        if matching is not None and version == self.version:
            self._matching = (query.narrowing, matching)

    def require(self, version: int) -> Table:
        """Return the table, if a request is about this version. Raises `BridgeError`: data_gone, data_changed."""
        if self.table is None:
            raise BridgeError("data_gone", f"{self.data.title} is not there any more: {self.ended}.")
        if version != self.version:
            raise BridgeError(
                "data_changed", f"{self.data.title} is newer by now: this is version {self.version}."
            )
        return self.table

    # -- the state ------------------------------------------------------------------------------------------------

    def change(
        self, change: StateChange, by: Literal["person", "agent"] = "person", page: Page | None = None
    ) -> ViewState:
        """Set fields of the state, and tell it to all pages but one. Raises `BridgeError`: bad_request, data_gone."""
        table = self.require(self.version)
        before = self.query.key
        given: dict[str, Any] = {
            name: value
            for name in change.__struct_fields__
            if (value := getattr(change, name)) is not msgspec.UNSET
        }
        new = msgspec.structs.replace(self.state, **given)
        if Query.of(new).key != before:
            new = msgspec.structs.replace(new, by=by, **(_NOTHING_SELECTED | given))
        if "selected" in given:
            count = max(given.get("selected_count", 0), len(new.selected))
            new = msgspec.structs.replace(new, selected_count=count)
        self._check(new, table)
        narrowed_anew = Query.of(new).narrowing != self.query.narrowing
        self.state = new
        self.cancel_rows()
        if narrowed_anew:
            self.statistics.cancel()
        self._tell({"event": "state", "state": new}, but=page)
        return new

    def _check(self, state: ViewState, table: Table) -> None:
        columns = len(table.columns)
        named = (*state.hidden, *state.pinned, *state.widths)
        if state.selected_column is not None:
            named = (*named, state.selected_column)
        if any(column >= columns for column in named):
            raise BridgeError("bad_request", f"There are {columns} columns, from 0 on.")
        table.check(Query.of(state))

    @contextmanager
    def reading(self, query: Query) -> Iterator[Cancellation]:
        """Read rows of a query. What it gives ends the read when the rows shown are those of another."""
        cancellation = Cancellation()
        self._rows[cancellation] = query.key
        try:
            yield cancellation
        finally:
            self._rows.pop(cancellation, None)

    def cancel_rows(self, *, all_of_them: bool = False) -> None:
        """Cancel the reads of rows that are not shown any more."""
        shown = "" if all_of_them else self.query.key
        for cancellation, key in list(self._rows.items()):
            if key != shown:
                cancellation.cancel()
                del self._rows[cancellation]

    # -- new data -------------------------------------------------------------------------------------------------

    def replace(self, table: Table, note: str = "") -> Table | None:
        """Show newer data, with the sort, filters and widths of the columns that are still there. Returns the older table."""
        older, before = self.table, self._last.columns
        self.cancel_rows(all_of_them=True)
        self.statistics.cancel()
        self.statistics.forget()
        self.table, self.ended, self.version = table, "", self.version + 1
        self._matching = None
        self.state = _carried_over(self.state, before, table)
        self._notes = (note,) if note else ()
        self._tell({"event": "changed", "view": self.describe()})
        self._tell_progress()
        return older

    def end(self, why: str) -> Table | None:
        """Say that the data is no longer there. Returns its table."""
        if self.table is None and self.ended == why:
            return None
        older, self.table = self.table, None
        self.cancel_rows(all_of_them=True)
        self.statistics.cancel()
        self.ended = why
        self._tell({"event": "ended", "ended": why})
        return older

    def show(self) -> None:
        """Tell the pages that somebody wants the person to look at them: no program can put a tab of a browser in front."""
        self._tell({"event": "shown"})

    def loaded_more(self) -> None:
        """Tell the pages what a table that loads has by now."""
        if self.table is None:
            return
        self._tell({"event": "changed", "view": self.describe()})
        self._tell_progress()

    @property
    def progress(self) -> Progress | None:
        """What the table still loads; None if nothing."""
        return None if self.table is None else self.table.progress

    def _tell_progress(self) -> None:
        progress = self.progress
        if progress is not None:
            self._tell({"event": "progress", "done": progress.done, "what": progress.what})
        elif self._loads:
            self._tell({"event": "progress", "done": 1.0, "what": ""})
        self._loads = progress is not None

    # -- pages ----------------------------------------------------------------------------------------------------

    def news(self, since: int) -> dict[str, Any]:
        """Return the events after one, for who asks from time to time. `missed`: some are forgotten; describe the view again."""
        events = [event for event in self._events if event["n"] > since]
        return {"events": events, "n": self.told, "missed": since < self._forgotten}

    def close(self, why: str) -> Table | None:
        """Close the pages. Returns the table."""
        for page in list(self.pages):
            page.dismiss(why)
        self.pages.clear()
        return self.end(why)

    def _tell(self, event: Event, but: Page | None = None) -> None:
        self.told += 1
        event["n"] = self.told
        if self._events and self._events[-1]["event"] == event["event"]:
            self._events.pop()  # the newer one says it all
        elif len(self._events) == _EVENTS_KEPT:
            self._forgotten = self._events.popleft()["n"]
        self._events.append(event)
        for page in list(self.pages):
            if page is not but:
                page.tell(event)


_NOTHING_SELECTED: Final[dict[str, Any]] = {"selected": (), "selected_column": None, "selected_count": 0}
"""A selection is of rows by position in one version of the data, as one order shows them: it goes with both."""


def _carried_over(state: ViewState, before: tuple[Column, ...], table: Table) -> ViewState:
    """Return a state for the columns of newer data: those of the same names, in their order among columns of one name."""
    places = _places(table.columns)
    now = {old: places[name] for name, old in _places(before).items() if name in places}
    kinds = {column.index: column.kind for column in before}
    new = msgspec.structs.replace(
        state,
        sort=tuple(SortKey(now[key.column], key.descending) for key in state.sort if key.column in now),
        filters=tuple(
            Filter(now[one.column], one.op, one.value)
            for one in state.filters
            if one.column in now and kinds[one.column] == table.columns[now[one.column]].kind
        ),
        hidden=tuple(now[column] for column in state.hidden if column in now),
        pinned=tuple(now[column] for column in state.pinned if column in now),
        widths={now[column]: width for column, width in state.widths.items() if column in now},
        first_row=state.first_row,
        **_NOTHING_SELECTED,
    )
    try:
        table.check(Query.of(new))
    except BridgeError:  # a value that the new type does not take
        return msgspec.structs.replace(new, sort=(), filters=())
    return new


def _places(columns: tuple[Column, ...]) -> Mapping[tuple[str, int], int]:
    counted: dict[str, int] = {}
    places = {}
    for column in columns:
        number = counted[column.name] = counted.get(column.name, -1) + 1
        places[column.name, number] = column.index
    return places
