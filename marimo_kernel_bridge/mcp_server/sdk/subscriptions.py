"""Subscriptions to resources: the subscribed clients, and the detection of changed resources.

Clients of the newer protocol listen to a bus that the SDK serves (`subscriptions/listen`); those of the older one
subscribe to single resources, which this module implements. A kernel reports when a request begins, shows something, or ends; the
changes of cells are found by comparing them before and after. A notification says by its address what happened
(`marimo://k1/events/error`), as both protocols send nothing else with it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcp import MCPError
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp.types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.sdk.events import Events, Kind, kind_of_change
from marimo_kernel_bridge.notebooks.export_formats import LIVE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer
    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext

    from marimo_kernel_bridge.client.run_tracker import Happening, Observe
    from marimo_kernel_bridge.protocol.notebook import Cell

MOST_SUBSCRIPTIONS: Final = 1000
_LONGEST_URI: Final = 2000
_OUTPUT_PAUSE: Final = 0.2
"""Seconds between two notifications of output: a run may print endlessly."""


class Subscriptions:
    """The subscribed clients of both versions of the protocol."""

    def __init__(self) -> None:
        self.bus = _Bus(self._look_now)
        self._subscribers: dict[Connection, set[str]] = {}
        self._listing: dict[
            Connection, str
        ] = {}  # clients of the older protocol that know a list of resources
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
        for connection, uris in list(self._subscribers.items()):
            if uri in uris:
                await connection.send_resource_updated(uri)

    def note_listing(self, ctx: ServerRequestContext[Any, Any], client_name: str) -> None:
        """Remember that a client knows a list of resources."""
        connection = connection_of(ctx)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or connection in self._listing:
            return
        self._listing[connection] = client_name
        connection.exit_stack.callback(self._listing.pop, connection, None)

    async def publish_list_changed(self, client_name: str) -> None:
        """Tell a client that the list of its resources changed; in the newer protocol, all that listen for it."""
        await self.bus.publish(ResourcesListChanged())
        for connection, name in list(self._listing.items()):
            if name == client_name:
                await connection.send_resource_list_changed()

    async def _subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        connection = connection_of(ctx)
        if connection not in self._subscribers:
            self._subscribers[connection] = set()
            connection.exit_stack.callback(self._subscribers.pop, connection, None)
        uris = self._subscribers[connection]
        if len(uris) >= MOST_SUBSCRIPTIONS or len(params.uri) > _LONGEST_URI:
            raise MCPError(
                code=INVALID_PARAMS,
                message=f"A client subscribes to at most {MOST_SUBSCRIPTIONS:,} resources, with addresses of at most {_LONGEST_URI:,} characters.",
            )
        uris.add(str(params.uri))
        self._look_now()
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._subscribers.get(connection_of(ctx), set()).discard(str(params.uri))
        return EmptyResult()


def connection_of(ctx: ServerRequestContext[Any, Any]) -> Connection:
    """Return the connection of a request: `ctx.session` is another object for each request."""
    return ctx.session._connection  # noqa: SLF001  # the SDK has no other way to it


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

    @property
    def events(self) -> Events: ...

    async def list_cells(self) -> list[Cell]: ...

    def call_on_change(self, callback: Callable[[], None]) -> None:
        """Call back when a request of any client begins or ends, and when the kernel starts or ends."""

    def call_on_happening(self, observe: Observe) -> None:
        """Call back when a request of any client begins, shows something, or is over."""

    def has_run(self, request_id: str) -> bool:
        """Whether a request is a run of this client."""

    async def running_cell(self) -> str | None:
        """Return the id of the cell that runs. Raises `BridgeError`."""


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
        self._kinds: set[Kind] = set()  # of events that nobody was told of yet
        self._showing: set[str] = set()  # requests that have shown something since
        self._due = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())
        watched.call_on_change(self._note)
        watched.call_on_happening(self._note_happening)
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

    def _note_happening(self, happening: Happening, request_id: str, client: str) -> None:
        watched = self._watched
        ours = watched.has_run(request_id)
        watched.events.of_request(happening, request_id, client, time.time(), ours=ours)
        self._kinds.add(happening)
        if happening == "output":
            self._showing.add(request_id)
        self._due.set()

    async def _watch(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            happened, self._happened = self._happened, False
            if not self._subscriptions.has_listeners:
                self._known = None
                self._kinds.clear()
                self._showing.clear()
                continue
            showed = bool(self._showing)
            uris = await self._showing_now()
            if happened:
                uris += await self._changed()
            elif self._known is None and self._watched.reactive:
                cells = await self._cells()
                self._known = None if self._happened else cells
            kinds, self._kinds = self._kinds, set()
            if kinds:
                events = f"marimo://{self._watched.handle}/events"
                uris += [events, *(f"{events}/{kind}" for kind in sorted(kinds))]
            for uri in uris:
                await self._subscriptions.publish(uri)
            if showed:
                await asyncio.sleep(_OUTPUT_PAUSE)

    async def _showing_now(self) -> list[str]:
        """Return the addresses of runs of this client that have shown something, and of the cell that runs."""
        showing, self._showing = self._showing, set()
        handle = self._watched.handle
        uris = [
            f"marimo://{handle}/runs/{request}"
            for request in sorted(showing)
            if self._watched.has_run(request)
        ]
        if showing:
            with suppress(BridgeError):
                cell_id = await self._watched.running_cell()
                uris += [] if cell_id is None else [f"marimo://{handle}/cells/{cell_id}"]
        return uris

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
                kind = kind_of_change(old, new)
                by = (new.last_run_by or "") if new is not None else ""
                self._watched.events.of_cell(kind, cell_id, by, time.time())
                self._kinds.add(kind)
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
