"""The views of one process: whose they are, how a page gets to one, and which are forgotten.

For the thread of one event loop. A view belongs to a session, an agent's or the person's; no session sees another's, but the
person sees all.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import Data

PERSON: Final = "person"
"""The session of the person's own commands."""
MOST_VIEWS: Final = 40
"""Of one session."""

_CODE_LIVES: Final = 600.0  # seconds
_MOST_CODES: Final = 100
_MOST_COOKIES: Final = 20  # of one view


class Views:
    """The views of a kernel, or of the viewer's process."""

    def __init__(
        self,
        discard: Callable[[Table], object],
        on_use: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`discard` closes a table that is not shown any more, in some thread. `on_use` is called at each use of a view."""
        self._discard = discard
        self._on_use = on_use
        self._clock = clock
        self._views: dict[str, View] = {}
        self._codes: dict[str, tuple[str, float]] = {}  # the view of each, and when it ends
        self._cookies: dict[str, list[str]] = {}
        self._used: dict[str, float] = {}

    def __iter__(self) -> Iterator[View]:
        return iter(list(self._views.values()))

    # -- control --------------------------------------------------------------------------------------------------

    def find(self, view_id: str, session: str) -> View:
        """Return a view of a session. Raises `BridgeError`: no_such_view."""
        view = self._views.get(view_id)
        if view is None or session not in {view.session, PERSON}:
            raise BridgeError("no_such_view", f"There is no view {view_id[:40]!r}.", "Open it again.")
        self.use(view)
        return view

    def has(self, view: View) -> bool:
        """Return whether a view is open."""
        return self._views.get(view.id) is view

    def of(self, session: str) -> list[View]:
        """Return the views of a session, all for the person."""
        return [view for view in self if session in {view.session, PERSON}]

    def of_data(self, key: str, session: str) -> View | None:
        """Return the view of a session on some data."""
        return next((view for view in self if (view.data.key, view.session) == (key, session)), None)

    def add(self, data: Data, session: str, table: Table) -> View:
        """Add a view. Raises `BridgeError`: bad_request, if there are too many."""
        own = [view for view in self if view.session == session]
        if len(own) >= MOST_VIEWS:
            closed = [view for view in own if not view.pages]
            if not closed:
                raise BridgeError(
                    "bad_request", f"{len(own)} views are open.", "Close some of their tabs first."
                )
            self.remove(min(closed, key=lambda view: self._used[view.id]), "closed, because there were many")
        view = View(secrets.token_hex(6), data, session, table)
        self._views[view.id] = view
        self.use(view)
        return view

    def remove(self, view: View, why: str = "closed") -> None:
        """Close a view and its pages, and forget it."""
        self._views.pop(view.id, None)
        self._cookies.pop(view.id, None)
        self._used.pop(view.id, None)
        self.discard(view.close(why))

    def discard(self, table: Table | None) -> None:
        """Close a table that no view shows any more."""
        if table is not None:
            self._discard(table)

    # -- time -----------------------------------------------------------------------------------------------------

    def use(self, view: View) -> None:
        """Note that somebody uses a view."""
        self._used[view.id] = self._clock()
        self._on_use()

    def unused_since(self, view: View) -> float:
        """Return for how many seconds nobody has used a view; 0 while it has a page."""
        if view.pages:
            self._used[view.id] = self._clock()
        return self._clock() - self._used[view.id]

    # -- the way of a page ----------------------------------------------------------------------------------------

    def new_code(self, view: View) -> str:
        """Return a code that opens a page of a view, once and for ten minutes."""
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(24)
        self._codes[code] = view.id, self._clock() + _CODE_LIVES
        return code

    def exchange(self, code: str) -> tuple[View, str] | None:
        """Return the view of a code, which is good no more, and a new cookie for its page."""
        view_id, until = self._codes.pop(code, ("", 0.0))
        view = self._views.get(view_id)
        if view is None or until < self._clock():
            return None
        cookies = self._cookies.setdefault(view_id, [])
        cookie = secrets.token_urlsafe(32)
        cookies.append(cookie)
        del cookies[:-_MOST_COOKIES]
        self.use(view)
        return view, cookie

    def of_cookie(self, view_id: str, cookie: str | None) -> View | None:
        """Return a view, if a cookie is for its pages."""
        view = self._views.get(view_id)
        if view is None or not cookie or cookie not in self._cookies.get(view_id, ()):
            return None
        self.use(view)
        return view
