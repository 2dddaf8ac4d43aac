"""The scheduler of stale cells: they run within a request, after it, or once a front end is quiet.

Owns the timer and the parent request of the runs. The notebook session knows which cells are stale; the kernel sends
the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.kernel.messaging.requests import Cause

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Loop(Protocol):
    """The timers of an event loop, as tornado's `IOLoop` has them."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...

    def remove_timeout(self, timeout: Any) -> None: ...

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call a function in the loop's thread; any thread."""
        ...


class Notebook(Protocol):
    """The parts of the notebook session that the scheduler uses."""

    @property
    def unsettled(self) -> bool: ...

    async def run_stale_cells(self) -> None: ...

    def close_request(self) -> bool:
        """End the request and its run. Return whether cells are left to run."""
        ...

    def follow_up(self) -> bool:
        """Begin a run between requests. Return whether any cell could be stale."""
        ...

    def quiet_in(self) -> float:
        """Return the seconds until the front end counts as quiet."""
        ...


class Queue(Protocol):
    """The queue of requests on the shell channel."""

    def any_wait(self) -> bool: ...

    async def soon(self, *, hurried: bool = False) -> Any: ...


class Host(Protocol):
    """The parts of the kernel that the scheduler uses."""

    @property
    def io_loop(self) -> Loop: ...

    @property
    def notebook(self) -> Notebook: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def one_at_a_time(self) -> asyncio.Lock:
        """The lock that the main thread's requests wait for."""
        ...

    def input_from_front_end(self, *, allowed: bool) -> AbstractContextManager[None]: ...

    def handling(self, cause: Cause) -> AbstractContextManager[None]:
        """Act on behalf of a request between requests, framed by busy and idle."""
        ...


class StaleScheduler:
    """The scheduler of stale cells: the timer and the parent request of the runs. Main thread only, except `wake`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._timer: object = None
        self._running = False
        self._cause = Cause(b"", {})

    @property
    def running(self) -> bool:
        """Whether stale cells are running."""
        return self._running

    @property
    def due(self) -> bool:
        """Whether stale cells are running or scheduled, or outputs are held back."""
        return self._running or self._timer is not None

    def caused_by(self, cause: Cause) -> None:
        """Set the parent request of subsequent runs."""
        self._cause = cause

    async def run_now(self) -> None:
        """Run the stale cells. If another request interrupts the run, it continues after the reply."""
        host, cause = self._host, self._cause
        notebook = host.notebook
        if cause.sends_bursts and not host.queue.any_wait() and notebook.unsettled:
            # JupyterLab sends the requests of a Run All some milliseconds apart.
            await host.queue.soon(hurried=True)
        outer, self._running = self._running, True
        try:
            with host.input_from_front_end(allowed=cause.allow_stdin):
                await notebook.run_stale_cells()
        finally:
            self._running = outer
        if notebook.close_request():
            self.run_later(notebook.quiet_in())

    def run_later(self, delay: float) -> None:
        """Run the stale cells in `delay` seconds, after requests that are queued by then."""
        self.stop()
        self._timer = self._host.io_loop.call_later(delay, self._between_requests)

    def stop(self) -> None:
        """Cancel a scheduled run."""
        if self._timer is not None:
            self._host.io_loop.remove_timeout(self._timer)
            self._timer = None

    def wake(self) -> None:
        """Schedule cells that became stale outside of a run; any thread."""
        host = self._host
        host.io_loop.add_callback(lambda: self.run_later(host.notebook.quiet_in()))

    async def _between_requests(self) -> None:
        self._timer = None
        host = self._host
        wait = host.notebook.quiet_in()
        if wait > 0:
            self.run_later(wait)
            return
        async with host.one_at_a_time:
            if host.queue.any_wait():
                self.run_later(0.0)
                return
            if not host.notebook.follow_up():
                return  # no cell could be stale yet
            with host.handling(self._cause):
                await self.run_now()
