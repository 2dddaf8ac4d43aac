"""A server of views in a thread of its own, with an event loop: how a kernel has one beside its cells."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from marimo_kernel_bridge.viewing.server.serving import ViewServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

_STOP_BOUND: Final = 10.0  # seconds
_T = TypeVar("_T")


class ViewThread:
    """The thread. Any other thread may give it something to do."""

    def __init__(self, make: Callable[[], ViewServer] = ViewServer) -> None:
        """Start. `make` is called in the thread. Raises what it raises."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="views", daemon=True)
        self._thread.start()

        async def made() -> ViewServer:
            return make()

        try:
            self.server = asyncio.run_coroutine_threadsafe(made(), self._loop).result()
        except BaseException:
            self._end()
            raise

    def submit(self, work: Coroutine[object, object, _T]) -> Future[_T]:
        """Do something in the thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, act: Callable[[], object]) -> None:
        """Call a function in the thread, without waiting for it."""
        self._loop.call_soon_threadsafe(act)

    def stop(self) -> None:
        """Close all views, and end the thread."""
        if self._thread.is_alive():
            self.submit(self.server.close()).result(_STOP_BOUND)
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_BOUND)
        if not self._thread.is_alive():
            self._loop.close()
