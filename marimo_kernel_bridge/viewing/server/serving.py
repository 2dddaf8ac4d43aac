"""A server of views on one event loop: composes the views, their readers and the site, and listens on the loopback."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.answers import PageRequests
from marimo_kernel_bridge.viewing.control import ViewControl
from marimo_kernel_bridge.viewing.downloads import Downloads
from marimo_kernel_bridge.viewing.page import page_html
from marimo_kernel_bridge.viewing.readers import Readers
from marimo_kernel_bridge.viewing.server.rules import ADDRESS, Rules
from marimo_kernel_bridge.viewing.server.site import Site, application
from marimo_kernel_bridge.viewing.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tornado.iostream import IOStream

    from marimo_kernel_bridge.viewing.readers import Pace
    from marimo_kernel_bridge.viewing.server.site import MoreAddress
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import View

IDLE: Final = 1800.0
"""Seconds after which a view that nobody looks at is closed."""

_MOST_CONNECTIONS: Final = 200
_HEAD_BOUND: Final = 10.0  # seconds for the head of a request
_LARGEST_HEAD: Final = 16 * 1024
_LARGEST_BODY: Final = 256 * 1024
_SWEEP: Final = 30.0  # seconds


class _Server(HTTPServer):
    """A server with a limit of connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._streams: WeakSet[IOStream] = WeakSet()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if sum(not other.closed() for other in self._streams) >= _MOST_CONNECTIONS:
            stream.close()
            return
        self._streams.add(stream)
        super().handle_stream(stream, address)


class ViewServer:
    """The views of a process and the server of their pages."""

    def __init__(
        self,
        pace: Pace | None = None,
        unsettled: Callable[[View], bool] = lambda _: False,
        idle: float = IDLE,
        more_addresses: Sequence[MoreAddress] = (),
        on_use: Callable[[], object] = lambda: None,
    ) -> None:
        """Listen. `pace` slows the reading of rows; `unsettled`: whether a running cell may change a view's data.

        `on_use` is called when somebody asks for something of a view.

        For the thread of the running event loop. Raises `BridgeError`: not_offered, if nothing can listen.
        """
        try:
            sockets = bind_sockets(0, ADDRESS)
        except OSError as error:
            raise BridgeError(
                "not_offered",
                f"No page can be served here: {ADDRESS} cannot be listened on ({error.strerror}).",
                "A sandbox without a network forbids that. Read the rows by code instead.",
            ) from error
        self.port: int = sockets[0].getsockname()[1]
        self.slower = Readers("view-statistics", 2, pace)
        self.rows = Readers("view-rows", 2, pace, before=self.slower, leaves_later_to=self.slower)
        self.opening = Readers("view-opening", 4, pace, hurried=True, before=self.slower)
        self._closing = Readers("view-closing", 1)
        self._idle = idle
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.views = Views(self._discard, on_use)
        self.downloads = Downloads()
        self.requests = PageRequests(self.rows, self.slower, self.downloads, unsettled)
        self.control = ViewControl(self.views, self.requests, self.opening, self._address, self.port)
        site = Site(
            Rules(self.port),
            self.views,
            self.requests,
            self.downloads,
            page_html,
            partial(_health, os.getpid()),
        )
        self._server = _Server(
            application(site, more_addresses),
            idle_connection_timeout=_HEAD_BOUND,
            body_timeout=_HEAD_BOUND,
            max_header_size=_LARGEST_HEAD,
            max_body_size=_LARGEST_BODY,
        )
        self._server.add_sockets(sockets)
        self._sweeping = self._loop.call_later(_SWEEP, self._sweep)

    def _address(self, code: str) -> str:
        return f"http://{ADDRESS}:{self.port}/open?code={code}"

    def _discard(self, table: Table) -> None:
        task = self._loop.create_task(self._closing.run(table.close))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(_SWEEP, self._sweep)
        self.close_unused()

    def close_unused(self) -> None:
        """Close the views that nobody has looked at for long, and remove the files that nobody has taken."""
        self.downloads.forget_old()
        for view in self.views:
            if self.views.unused_since(view) > self._idle:
                self.views.remove(view, "closed, because nobody looked at it")

    async def close(self) -> None:
        """Close all views, their pages and the server."""
        self._sweeping.cancel()
        for view in self.views:
            self.views.remove(view)
        self._server.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_HEAD_BOUND)
        await self._server.close_all_connections()
        for readers in (self.rows, self.slower, self.opening, self._closing):
            readers.stop()
        self.downloads.close()


def _health(pid: int) -> dict[str, Any]:
    return {"ok": True, "version": __version__, "pid": pid}
