"""What pages ask and say, and the answers.

`hello`, `get` and `assets` may be handled beside a running cell, on a subshell's thread. `set` and `call` change the
notebook and wait for the main thread. A page repeats what it has got no answer to.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

import msgspec

from marimo_kernel_bridge.kernel.live import messages, page_ids
from marimo_kernel_bridge.kernel.live.parts import LOOK, Parts
from marimo_kernel_bridge.kernel.messaging.requests import Cause
from marimo_kernel_bridge.kernel.messaging.sigint import on_main_thread
from marimo_kernel_bridge.runtime.interface import FunctionResult

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.live.carrier import Carrier
    from marimo_kernel_bridge.kernel.live.pages import LivePages
    from marimo_kernel_bridge.kernel.stale_scheduler import StaleScheduler
    from marimo_kernel_bridge.runtime.interface import LiveElements

_TOGETHER: Final = 0.9
"""Seconds within which a request comes again only because both have waited: pages repeat after a second or more."""
_KEPT: Final = 64  # of the newest requests and calls
_LARGEST_KEPT: Final = 1_000_000  # bytes of a result


class Host(Protocol):
    """The parts of the kernel that requests of pages use."""

    @property
    def log(self) -> logging.Logger: ...

    @property
    def io_loop(self) -> Any: ...

    @property
    def scheduler(self) -> StaleScheduler: ...

    @property
    def one_at_a_time(self) -> asyncio.Lock:
        """The lock that the main thread's requests wait for."""
        ...

    def handling(self, cause: Cause) -> AbstractContextManager[None]:
        """Act on behalf of a message between requests, framed by busy and idle."""
        ...

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """Return the message that this thread handles."""
        ...


class _Newest(OrderedDict[str, Any]):
    """What is known of the newest requests, by their ids."""

    def keep(self, name: str, value: object) -> None:
        self[name] = value
        self.move_to_end(name)
        while len(self) > _KEPT:
            self.popitem(last=False)


class PageRequests:
    """Answers the pages of one kernel."""

    def __init__(
        self, host: Host, live: LiveElements, pages: LivePages, greeted: Callable[[str], None]
    ) -> None:
        """`greeted` is called with the session of a page that says hello, on the main thread."""
        self._host, self._live, self._pages = host, live, pages
        self._greeted = greeted
        self._parts = Parts(self._dropped)  # on the main thread, as all that changes something
        self._looks = False  # whether a look at them is due
        self._answered = _Newest()  # requests: when
        self._results = _Newest()  # calls: the result's notification; None while it runs
        self._tasks: set[asyncio.Future[None]] = set()
        self._complained: set[str] = set()

    def receive(self, carrier: Carrier, data: object) -> None:
        """Handle a message of a page. Called by a comm, on the main thread or on a subshell's."""
        try:
            message = messages.decode(data)
            if isinstance(message, messages.Part):
                text = self._parts.add(message, carrier)
                if text is None:
                    self._look_later()
                    return
                message = messages.decode_whole(text)
        except (msgspec.DecodeError, RecursionError) as error:
            self._complain("A page sent a malformed message: %s", error)
            return
        parent = self._host.get_parent("shell")
        match message:
            case messages.Hello():
                self._greet(carrier, message, parent)
            case messages.Get():
                self._pages.greet(message.page, parent["header"].get("session", ""))
                self._show(carrier, message)
            case messages.Assets():
                # On a thread: compressing takes half a second, in which cells may run.
                run = copy_context().run  # the parent of what is sent
                threading.Thread(target=run, args=(self._send_pack, carrier, message), daemon=True).start()
            case messages.Set() | messages.Call():
                if on_main_thread():
                    self._change(message, parent)
                else:
                    self._host.io_loop.add_callback(self._change, message, parent)
            case messages.Failed():
                self._complain("A page cannot show marimo's elements: %s", message.reason)
            case _:
                assert_never(message)

    def closed(self, carrier: Carrier) -> None:
        """Forget what has come on a carrier that its page has closed."""
        self._parts.drop_those_on(carrier)

    def _look_later(self) -> None:
        if self._parts and not self._looks:
            self._looks = True
            self._host.io_loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looks = False
        self._parts.look()
        self._look_later()

    def _dropped(self, why: str) -> None:
        self._complain("A page's message that came in parts is dropped: %s", why)

    def _complain(self, text: str, detail: object) -> None:
        if text not in self._complained:
            self._complained.add(text)
            self._host.log.warning(text, str(detail)[:500])

    def _repeats(self, request: str) -> bool:
        """Return whether a request was answered just now."""
        now, before = time.monotonic(), self._answered.get(request, 0.0)
        if now - before < _TOGETHER:
            return True
        self._answered.keep(request, now)
        return False

    # -- beside a running cell --------------------------------------------------------------------------------------

    def _greet(self, carrier: Carrier, message: messages.Hello, parent: dict[str, Any]) -> None:
        if message.loader != messages.LOADER:
            self._complain("A page has another version of the loader: %s", message.loader)
            return
        session = parent["header"].get("session", "")
        self._pages.greet(message.page, session)
        carrier.send(messages.encode(messages.Welcome(self._pages.key, self._live.version)))
        self._host.io_loop.add_callback(self._greeted, session)

    def _show(self, carrier: Carrier, message: messages.Get) -> None:
        if self._repeats(message.req):
            return
        key, html, values = self._pages.key, self._live.html(message.out), {}
        if html is not None:
            known = self._live.values(page_ids.object_ids(html))
            values = {f"{key}~{object_id}": value for object_id, value in known.items()}
            html = page_ids.on_page(html, key)
        carrier.send(messages.encode(messages.ShownHtml(message.req, html, values)))
        static = self._live.static(message.out)
        if static is not None:
            carrier.send(messages.encode(messages.Static(message.out, dict(static))))

    def _send_pack(self, carrier: Carrier, message: messages.Assets) -> None:
        if self._repeats(message.req):
            return
        try:
            pack = self._live.assets(message.names)
        except (OSError, LookupError) as error:
            self._complain("marimo's front end cannot be read: %s", error)
            return
        sizes = tuple(map(len, pack.data))
        answer = messages.Pack(
            message.req, pack.parts, sizes, pack.entry, pack.later, pack.css, dict(pack.mount), pack.ready
        )
        carrier.send(messages.encode(answer), list(pack.data))
        self._answered.keep(message.req, time.monotonic())

    # -- on the main thread -----------------------------------------------------------------------------------------

    def _change(self, message: messages.Set | messages.Call, parent: dict[str, Any]) -> None:
        if isinstance(message, messages.Set):
            self._live.set_values(message.values, message.page)
            self._host.scheduler.wake()
        elif message.call not in self._results:
            self._results.keep(message.call, None)
            task = asyncio.ensure_future(self._call(message, Cause(b"", parent)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self._results[message.call] is not None:
            self._pages.notified("function-call-result", self._results[message.call])

    async def _call(self, message: messages.Call, cause: Cause) -> None:
        result = FunctionResult(ok=False, message="The call was interrupted.")
        async with self._host.one_at_a_time:
            with self._host.handling(cause):
                result = await self._live.call(message.namespace, message.name, message.args)
        notification = self._live.result_notification(message.call, result)
        if len(notification) <= _LARGEST_KEPT:
            self._results.keep(message.call, notification)
        else:
            self._results.pop(message.call, None)  # a page that asks again lets it run again
        self._pages.notified("function-call-result", notification)
