"""Subscriptions to resources: the subscribed clients, and the detection of changed resources.

Clients of the newer protocol listen to a bus that the SDK serves (`subscriptions/listen`); those of the older one
subscribe to single resources, which this module implements. A kernel reports only that a request began or ended; the
changes are found by comparing the cells before and after.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.export_formats import LIVE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer
    from mcp.server.context import ServerRequestContext
    from mcp.server.session import ServerSession

    from marimo_kernel_bridge.protocol.notebook import Cell

logger = logging.getLogger(__name__)


class Subscriptions:
    """The subscribed clients of both versions of the protocol."""

    def __init__(self) -> None:
        self.bus = _Bus(self._look_now)
        self._subscribers: dict[ServerSession, set[str]] = {}
        self.watches: set[Watch] = set()

    @property
    def has_listeners(self) -> bool:
        """Whether any client is subscribed."""
        return self.bus.listeners > 0 or any(self._subscribers.values())

    def _look_now(self) -> None:
        for watch in self.watches:
            watch.look()

    def serve(self, server: MCPServer[Any]) -> None:
        """Serve subscriptions of clients of the older protocol."""
        lowlevel = server._lowlevel_server  # noqa: SLF001  # MCPServer has no public API for resources/subscribe
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    async def publish(self, uri: str) -> None:
        """Notify subscribers that a resource changed."""
        await self.bus.publish(ResourceUpdated(uri=uri))
        for session, uris in list(self._subscribers.items()):
            if uri in uris:
                try:
                    await session.send_resource_updated(uri)
                except Exception as problem:  # noqa: BLE001  # any error means that the client has gone, which ends its subscription
                    logger.info("A subscriber is gone: %s", problem)
                    self._subscribers.pop(session, None)

    async def _subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        self._subscribers.setdefault(ctx.session, set()).add(str(params.uri))
        self._look_now()
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._subscribers.get(ctx.session, set()).discard(str(params.uri))
        return EmptyResult()


class _Bus(InMemorySubscriptionBus):
    """The SDK's bus, with a count of its listeners and a callback for each new one."""

    def __init__(self, on_listener: Callable[[], None]) -> None:
        super().__init__()
        self._look_now = on_listener
        self.listeners = 0

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        end = super().subscribe(listener)
        self.listeners += 1
        self._look_now()
        left = False

        def unsubscribe() -> None:
            nonlocal left
            self.listeners -= not left
            left = True
            end()

        return unsubscribe


class Watched(Protocol):
    """A kernel that can be watched: its cells are compared before and after a request."""

    @property
    def handle(self) -> str: ...

    @property
    def reactive(self) -> bool: ...

    async def list_cells(self) -> list[Cell]: ...

    def call_on_change(self, callback: Callable[[], None]) -> None:
        """Call back when a request of any client begins or ends, and when the kernel starts or ends."""


class Watch:
    """A watcher that detects changes in one kernel and notifies the subscribers. End it with `close`.

    Reads the cells only while there are subscribers: a read costs as much as a small request, and more in a large
    notebook. Changes during the first read cannot be attributed: then all cells count as changed.
    """

    def __init__(self, watched: Watched, subscriptions: Subscriptions) -> None:
        self._watched = watched
        self._subscriptions = subscriptions
        self._known: dict[str, Cell] | None = None  # at the last read
        self._happened = False  # since the last read
        self._due = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())
        watched.call_on_change(self._note)
        subscriptions.watches.add(self)
        self.look()

    def close(self) -> None:
        self._subscriptions.watches.discard(self)
        self._watching.cancel()

    def look(self) -> None:
        """Schedule a comparison of the cells."""
        self._due.set()

    def _note(self) -> None:
        self._happened = True
        self._due.set()

    async def _watch(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            happened, self._happened = self._happened, False
            if not self._subscriptions.has_listeners:
                self._known = None
            elif happened:
                for uri in await self._changed():
                    await self._subscriptions.publish(uri)
            elif self._known is None and self._watched.reactive:
                cells = await self._cells()
                self._known = None if self._happened else cells

    async def _changed(self) -> list[str]:
        handle = self._watched.handle
        uris = [f"marimo://{handle}/notebook", f"marimo://{handle}/history"]
        uris += [f"marimo://{handle}/notebook.{name}" for name in LIVE_FORMATS]
        cells = await self._cells() if self._watched.reactive else None
        if cells is None:
            return [uris[0], f"marimo://{handle}/death"]
        before, self._known = self._known or {}, cells
        names: set[str] = set()
        for cell_id in before.keys() | cells.keys():
            old, new = before.get(cell_id), cells.get(cell_id)
            if old != new:
                versions = [cell for cell in (old, new) if cell is not None]
                called = {cell_id, *(cell.notebook_cell_id for cell in versions if cell.notebook_cell_id)}
                uris += [f"marimo://{handle}/cells/{name}" for name in sorted(called)]
                names.update(*(cell.defines for cell in versions))
        return uris + [f"marimo://{handle}/variables/{name}" for name in sorted(names)]

    async def _cells(self) -> dict[str, Cell] | None:
        try:
            return {cell.cell_id: cell for cell in await self._watched.list_cells()}
        except BridgeError:
            return None  # the kernel does not answer; the next event triggers another read
