"""What the process that opens views may ask of them: a kernel for its clients, or the viewer for those with its secret.

Only here is data named. For the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

from marimo_kernel_bridge.protocol import view_requests as wire
from marimo_kernel_bridge.protocol.views import OpenedView, ViewAnswer
from marimo_kernel_bridge.viewing.answers import LONGEST_FOR_APP, Asker
from marimo_kernel_bridge.viewing.tables.failures import panics_as_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.views import StateChange, ViewDescription
    from marimo_kernel_bridge.viewing.answers import PageRequests
    from marimo_kernel_bridge.viewing.readers import Readers
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import Data, View
    from marimo_kernel_bridge.viewing.views import Views

logger = logging.getLogger(__name__)


class ViewControl:
    """Opens and closes views, and reads and sets them."""

    def __init__(
        self, views: Views, requests: PageRequests, opening: Readers, address: Callable[[str], str], port: int
    ) -> None:
        """Have tables made by `opening`. `address` returns the address that opens a page by a code; `port` is that of the server."""
        self._views = views
        self._requests = requests
        self._making = opening
        self._address = address
        self._port = port
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def turn(self, key: str, session: str) -> asyncio.Lock:
        """Return the lock for what a session opens of some data. What opens slowly holds up nothing else."""
        return self._turns.setdefault((key, session), asyncio.Lock())

    async def open(self, data: Data, session: str, make: Callable[[], Table], advice: str = "") -> OpenedView:
        """Open a view of some data, or find the session's own. `make` makes its table, in another thread; it may refuse."""
        async with self.turn(data.key, session):
            return await self.open_in_turn(data, session, make, advice)

    async def open_in_turn(
        self,
        data: Data,
        session: str,
        make: Callable[[], Table],
        advice: str = "",
        *,
        is_newer: Callable[[View], bool] = lambda _: False,
    ) -> OpenedView:
        """Open a view, for who has its `turn`. `is_newer`: whether there is newer data than a view shows."""
        view = self._views.of_data(data.key, session)
        if view is None:
            view = self._views.add(data, session, await self.made(make))
            self.watch(view)
        elif is_newer(view) or await self.altered(view):
            await self.renew(view, make)
        else:
            view.show()
        self._views.use(view)
        return OpenedView(
            description=view.describe(),
            url=self._address(self._views.new_code(view)),
            opened_in="tab already open" if view.pages else "new",
            port=self._port,
            advice=advice,
        )

    async def renew(self, view: View, make: Callable[[], Table]) -> None:
        """Show newer data in a view. Raises what `make` raises; the view then shows what it showed."""
        table = await self.made(make)
        if not self._views.has(view):  # closed meanwhile
            self._views.discard(table)
            return
        self._views.discard(view.replace(table))
        self.watch(view)

    async def altered(self, view: View) -> bool:
        """Return whether a view's data is another than it shows; what cannot be compared is."""
        table = view.table
        if table is None:
            return True
        try:
            with panics_as_errors():
                return bool(await self._making.run(table.altered))
        except Exception as error:  # noqa: BLE001  # objects of the user may raise anything
            logger.debug("The data of a view cannot be compared: %s", type(error).__name__)
            return True

    async def made(self, make: Callable[[], Table]) -> Table:
        """Make a table in another thread."""
        return await self._making.run(make)

    def watch(self, view: View) -> None:
        """Tell a view's pages of what its table loads."""
        table, loop = view.table, asyncio.get_running_loop()
        if table is None:
            return
        due = False

        def tell() -> None:
            nonlocal due
            due = False
            if view.table is table:
                view.loaded_more()

        def changed() -> None:
            nonlocal due
            if not due:
                due = True
                loop.call_later(_TOLD_AFTER, tell)

        table.watch(lambda: loop.is_closed() or loop.call_soon_threadsafe(changed))

    def read(self, view_id: str, session: str) -> ViewDescription:
        """Describe a view. Raises `BridgeError`: no_such_view."""
        return self._views.find(view_id, session).describe()

    def all(self, session: str) -> list[ViewDescription]:
        """Describe the views of a session."""
        return [view.describe() for view in self._views.of(session)]

    def set(
        self, view_id: str, session: str, change: StateChange, by: Literal["person", "agent"]
    ) -> ViewDescription:
        """Set fields of a view's state. Raises `BridgeError`: no_such_view, bad_request, data_gone."""
        view = self._views.find(view_id, session)
        view.change(change, by)
        return view.describe()

    def close(self, view_id: str, session: str) -> None:
        """Close a view and its pages. Raises `BridgeError`: no_such_view."""
        self._views.remove(self._views.find(view_id, session))

    async def answer(
        self, request: wire.OfOpenView, by: Literal["person", "agent"]
    ) -> ViewDescription | list[ViewDescription] | ViewAnswer | None:
        """Answer a request about open views. Raises `BridgeError`: no_such_view and others."""
        session = request.session
        match request:
            case wire.ReadView(view=view):
                return self.read(view, session)
            case wire.ListViews():
                return self.all(session)
            case wire.SetView(view=view, state=state):
                return self.set(view, session, state, by)
            case wire.CloseView(view=view):
                self.close(view, session)
                return None
            case wire.AskView(view=view, request=asked):
                return await self.ask(view, session, asked)

    async def ask(self, view_id: str, session: str, request: str) -> ViewAnswer:
        """Answer a request of a page that has no socket. Raises `BridgeError`: no_such_view."""
        view = self._views.find(view_id, session)
        return ViewAnswer(await self._requests.answer(view, request, Asker(longest=LONGEST_FOR_APP)))


_TOLD_AFTER = 0.2  # seconds
