"""When the stale cells of a notebook run: in a request, after it, or once a front end has been quiet.

Owns the timer, and which request they run under. Which cells are due is `session.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marimo_kernel_bridge.zmq_kernel import MarimoKernel


class Settling:
    """See the module. For the main thread, but for `wake`."""

    def __init__(self, kernel: MarimoKernel) -> None:
        self._kernel = kernel
        self._timer: Any = None
        self._running = False
        self._request: tuple[Any, dict[str, Any]] = (b"", {"content": {}})

    @property
    def running(self) -> bool:
        """Whether stale cells run now."""
        return self._running

    @property
    def due(self) -> bool:
        """Whether stale cells run, or will, or outputs are held back."""
        return self._running or self._timer is not None

    def under(self, ident: Any, request: dict[str, Any]) -> None:
        """Let what runs from now on be caused by a request."""
        self._request = (ident, request)

    async def now(self) -> None:
        """Run the stale cells; what another request interrupts goes on when that is answered."""
        kernel, request = self._kernel, self._request[1]
        from_lab = "deletedCells" in (request.get("metadata") or {})
        if from_lab and not kernel.arrivals.any_wait() and kernel.notebook.unsettled:
            # JupyterLab sends the requests of a Run All some milliseconds apart.
            await kernel.arrivals.soon(hurried=True)
        outer, self._running = self._running, True
        try:
            with kernel.input_from_front_end(allowed=bool(request["content"].get("allow_stdin"))):
                await kernel.notebook.settle()
        finally:
            self._running = outer
        kernel.notebook.outlet.release_held()
        kernel.notebook.close_run()
        if kernel.notebook.unsettled or kernel.notebook.outlet.holds:
            self.later(kernel.notebook.outlet.quiet_in())

    def later(self, delay: float) -> None:
        """Run the stale cells in `delay` seconds, after the requests that wait by then."""
        self.stop()
        self._timer = self._kernel.io_loop.call_later(delay, self._between_requests)

    def stop(self) -> None:
        """Do not run what is due."""
        if self._timer is not None:
            self._kernel.io_loop.remove_timeout(self._timer)
            self._timer = None

    def wake(self) -> None:
        """React to cells that became stale outside of a run; any thread."""
        kernel = self._kernel
        kernel.io_loop.add_callback(lambda: self.later(kernel.notebook.outlet.quiet_in()))

    async def _between_requests(self) -> None:
        self._timer = None
        kernel = self._kernel
        wait = kernel.notebook.outlet.quiet_in()
        if wait > 0:
            self.later(wait)
            return
        async with kernel.one_at_a_time:
            if kernel.arrivals.any_wait():
                self.later(0.0)
                return
            if not kernel.notebook.runs.started:
                return  # no cell yet that could be stale
            kernel.notebook.runs.follow_up()
            with kernel.handling(*self._request):
                await self.now()
