"""Views of tables in memory, without tables: what a kernel or the viewer of files answers to those who open and read views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.view_requests import (
    AskView,
    CloseView,
    ListViews,
    OpenView,
    ReadView,
    SetView,
)
from marimo_kernel_bridge.protocol.views import Column, OpenedView, ViewAnswer, ViewDescription, ViewState

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.view_requests import ViewRequest
    from marimo_kernel_bridge.protocol.views import ColumnKind, StateChange

URL = "http://127.0.0.1:1234/open?code=a-secret-code"
ROWS = 1_000_000


def table(title: str, kind: str = "pandas DataFrame", **columns: ColumnKind) -> ViewDescription:
    """Return a view of a million rows that nobody has looked at."""
    found = tuple(Column(number, name, what, what) for number, (name, what) in enumerate(columns.items()))
    return ViewDescription("", title, "variable", kind, ROWS, found, 1, ViewState(), ROWS)


class FakeViews:
    """The views of one process. `tables` are the variables that can be shown, `others` those that are no tables."""

    def __init__(self) -> None:
        self.tables: dict[str, ViewDescription] = {}
        self.others: dict[str, str] = {}
        self.views: dict[str, tuple[str, ViewDescription]] = {}
        """By id, the session and what it shows."""
        self.tabs: set[str] = set()
        """The views that a tab shows."""
        self.advice = ""
        self.url = URL
        self.asked: list[str] = []
        self.reply = '{"id":1,"rows":[]}'

    def sees(self, view: str, **changed: Any) -> None:
        """Let the person change what they see."""
        session, now = self.views[view]
        state = msgspec.structs.replace(now.state, by="person", **changed)
        self.views[view] = session, msgspec.structs.replace(now, state=state)

    def counts(self, view: str, **fields: Any) -> None:
        """Know something else of a view's data."""
        session, now = self.views[view]
        self.views[view] = session, msgspec.structs.replace(now, **fields)

    def answer(self, request: ViewRequest) -> Any:  # one of `wire.Result`
        match request:
            case OpenView(data=data, session=session):
                return self.open(data, session)
            case ReadView(view=view, session=session):
                return self._of(view, session)
            case ListViews(session=session):
                return [now for owner, now in self.views.values() if owner == session]
            case SetView(view=view, session=session, state=change):
                return self.set(view, session, change)
            case CloseView(view=view, session=session):
                self._of(view, session)
                del self.views[view]
                return None
            case AskView(view=view, session=session, request=text):
                return self.ask(view, session, text)

    def open(self, data: str, session: str) -> OpenedView:
        if data in self.others:
            raise BridgeError("not_a_table", f"{data!r} is {self.others[data]}, and no table.")
        if data not in self.tables:
            raise BridgeError("no_such_variable", f"There is no variable {data!r}.")
        for view, (owner, now) in self.views.items():
            if (owner, now.title) == (session, self.tables[data].title):
                where = "tab already open" if view in self.tabs else "new"
                return OpenedView(now, self.url, where, advice=self.advice)  # type: ignore[arg-type]  # one of two texts
        view = f"view{len(self.views)}"
        self.views[view] = session, msgspec.structs.replace(self.tables[data], view=view)
        return OpenedView(self.views[view][1], self.url, "new", advice=self.advice)

    def set(self, view: str, session: str, change: StateChange) -> ViewDescription:
        now = self._of(view, session)
        fields = {
            name: value
            for name in change.__struct_fields__
            if (value := getattr(change, name)) is not msgspec.UNSET
        }
        state = msgspec.structs.replace(now.state, by="agent", **fields)
        self.views[view] = session, msgspec.structs.replace(now, state=state)
        return self.views[view][1]

    def ask(self, view: str, session: str, request: str) -> ViewAnswer:
        self._of(view, session)
        self.asked.append(request)
        return ViewAnswer(self.reply)

    def _of(self, view: str, session: str) -> ViewDescription:
        owner, now = self.views.get(view, ("", None))
        if now is None or owner != session:
            raise BridgeError("no_such_view", f"There is no view {view!r}.")
        return now
