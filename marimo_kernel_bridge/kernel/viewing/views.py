"""The views of the kernel's variables: opened by agents on control and by the person's `%marimo view`, newer after each run.

Pages are served by a thread with an event loop, which the first view starts. Requests on control are passed to it, and answered
on control when it has the answer. After a run the main thread tells it what the viewed names hold: it compares, and
makes tables again. A value is kept no longer than it is shown.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.variables import find
from marimo_kernel_bridge.kernel.limits.loopback import require_reached, unreached
from marimo_kernel_bridge.kernel.viewing.between_runs import BetweenRuns
from marimo_kernel_bridge.kernel.viewing.variables import GONE, Held, Variables
from marimo_kernel_bridge.protocol import view_requests as wire
from marimo_kernel_bridge.viewing.advice import advice
from marimo_kernel_bridge.viewing.readers import Pace
from marimo_kernel_bridge.viewing.server.serving import ViewServer
from marimo_kernel_bridge.viewing.server.thread import ViewThread
from marimo_kernel_bridge.viewing.tables import is_read_through_a_connection, open_value, open_without_code
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.ipython.shell import ReactiveShell
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.views import OpenedView, ViewAnswer, ViewDescription
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import View

    Result = OpenedView | ViewAnswer | ViewDescription | list[ViewDescription] | None

_PERSON_WAITS: Final = 60.0  # seconds for a view to open: a list of a million dicts takes some
_NOTHING: Final = Held(GONE, ())
_COMPARED_AFTER: Final = 0.2
"""Seconds after a run that replaced no value: what is shown is compared once with what many short runs have left."""
_BETWEEN_CELLS: Final = 0.1
"""Seconds after a run for which rows and statistics rest as while a cell runs."""
_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Host(Protocol):
    """The parts of the kernel that views use."""

    control_stream: Any
    bounds: Bounds | None

    @property
    def io_loop(self) -> Any: ...

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def shell(self) -> ReactiveShell: ...

    def used(self) -> None:
        """Note that somebody uses the kernel, which then does not end itself. Any thread."""
        ...


class KernelViews:
    """The views of one kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._starting = threading.Lock()
        self._thread: ViewThread | None = None
        self._variables = Variables(host.shell.user_ns, host.notebook)
        self._held: dict[str, Held] = {}  # what each view shows; for the thread of the views
        self._running: set[str] = set()  # those of who may run code
        self._newest: dict[str, Held] = {}  # what each view is to be compared with
        self._following: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}  # views whose values are soon compared
        self._settled_at = -math.inf
        self._between_runs = BetweenRuns(host)

    # -- requests -------------------------------------------------------------------------------------------------

    def handle(self, request: wire.ViewRequest, answer: Callable[[Result | BridgeError], None]) -> None:
        """Handle a request of an agent. `answer` is called on the control thread, later."""
        loop = self._host.control_stream.io_loop
        if request.session == PERSON:  # which sees all
            raise BridgeError("bad_request", f"The session {PERSON!r} is the person's.")
        if self._thread is None and not isinstance(request, wire.OpenView):
            if isinstance(request, wire.ListViews):
                loop.add_callback(answer, [])
                return
            raise BridgeError("no_such_view", "No view is open in this kernel.", "Open it again.")
        thread = self._started()
        done = thread.submit(self._answer(request, thread.server))

        def pass_on() -> None:
            error = done.exception()
            if error is None:
                answer(done.result())
            elif isinstance(error, BridgeError):
                answer(error)
            else:  # there is always a reply
                logger.error("A request about a view failed", exc_info=error)
                answer(BridgeError("bad_request", f"The data cannot be read: {type(error).__name__}."))

        done.add_done_callback(lambda _: loop.add_callback(pass_on))

    async def _answer(self, request: wire.ViewRequest, server: ViewServer) -> Result:
        if isinstance(request, wire.OpenView):
            runs_code = request.runs_code and not self._host.notebook.agents.paused
            return await self._open(request.data, request.session, server, runs_code=runs_code)
        return await server.control.answer(request, "agent")

    # -- the person -----------------------------------------------------------------------------------------------

    def open(self, name: str) -> OpenedView:
        """Open a view for the person. On the main thread. Raises `BridgeError`."""
        require_reached(self._host.bounds)
        thread = self._started()
        opening = thread.submit(self._open(name, PERSON, thread.server, runs_code=True))
        try:
            return self._between_runs.wait(opening, _PERSON_WAITS)
        except (TimeoutError, FutureTimeoutError):
            raise BridgeError(
                "kernel_busy",
                f"{name} is still being read, after {_PERSON_WAITS:.0f} s.",
                f"It goes on. Run `%marimo view {name}` again later.",
            ) from None

    def all(self) -> list[ViewDescription]:
        """Describe all views, also those of agents. On the main thread."""
        thread = self._thread
        return (
            []
            if thread is None
            else thread.submit(_called(lambda: thread.server.control.all(PERSON))).result()
        )

    def close(self, name: str) -> int:
        """Close all views of a variable, also those of agents; return how many. On the main thread."""
        thread = self._thread
        return (
            0
            if thread is None
            else thread.submit(_called(partial(self._close, name, thread.server))).result()
        )

    def _close(self, name: str, server: ViewServer) -> int:
        views = [view for view in server.views if view.data.key == name]
        for view in views:
            server.views.remove(view)
        return len(views)

    # -- the thread -----------------------------------------------------------------------------------------------

    def _started(self) -> ViewThread:
        """Return the thread of the views, started by the first one. Any thread."""
        with self._starting:
            if self._thread is None:
                notebook, variables = self._host.notebook, self._variables
                pace = Pace(lambda: notebook.running is not None, soon=self._runs_soon)
                self._thread = ViewThread(
                    lambda: ViewServer(
                        pace, lambda view: variables.is_unsettled(view.data.key), on_use=self._host.used
                    )
                )
                notebook.settled.append(self._settled)
            return self._thread

    def _runs_soon(self) -> bool:
        """Return whether a cell ran just now, so that the next one may be about to: each is short, and they are many."""
        return time.monotonic() - self._settled_at < _BETWEEN_CELLS

    def stop(self) -> None:
        """Close all views: the kernel ends."""
        if self._thread is not None:
            self._thread.stop()

    async def _open(self, name: str, session: str, server: ViewServer, *, runs_code: bool) -> OpenedView:
        """`runs_code`: whether code may run because of it; also later, when the view follows the notebook."""
        shell, held = self._host.shell, self._variables.get([name])[name]
        if held.value is GONE:
            find(shell.user_ns, name, shell.user_ns_hidden)  # which says what there is
        make = self._making(held.value, runs_code=runs_code)
        async with server.control.turn(name, session):
            opened = await server.control.open_in_turn(
                Data(name, name, "variable"),
                session,
                make,
                unreached(self._host.bounds) or advice(server.port),
                is_newer=lambda view: held.is_newer_than(self._held.get(view.id, _NOTHING)),
            )
            self._held[opened.description.view] = held
            (self._running.add if runs_code else self._running.discard)(opened.description.view)
        return opened

    def _making(self, value: object, *, runs_code: bool) -> Callable[[], Table]:
        """Return what makes the table of a value, in another thread than the main one."""
        if not runs_code:
            return partial(open_without_code, value)
        through = is_read_through_a_connection(value)
        return partial(self._between_runs.open if through else open_value, value)

    # -- after runs -----------------------------------------------------------------------------------------------

    def _settled(self) -> None:
        """Tell the views what their names hold now. On the main thread, when a request and what it caused is over."""
        self._settled_at = time.monotonic()
        thread = self._thread
        names = frozenset() if thread is None else {view.data.key for view in thread.server.views}
        if thread is not None and (names or self._held):  # what is held for closed views is let go
            thread.call(partial(self._compare, self._variables.get(names), thread.server))

    def _compare(self, newest: dict[str, Held], server: ViewServer) -> None:
        open_views = {view.id: view for view in server.views}
        for view_id in self._held.keys() - open_views.keys():
            del self._held[view_id]
            self._running.discard(view_id)
        for view_id, view in open_views.items():
            view.statistics.forget()
            now = newest.get(view.data.key)
            if now is None:
                continue
            if now.is_newer_than(self._held.get(view_id, _NOTHING)):
                self._bring(view, now, server)
            elif view_id not in self._due:
                look = partial(self._look, view, server)
                self._due[view_id] = asyncio.get_running_loop().call_later(_COMPARED_AFTER, look)

    def _look(self, view: View, server: ViewServer) -> None:
        """Compare what a view shows with what its value is now: a cell may have changed it in place."""
        del self._due[view.id]
        if server.views.has(view) and view.id in self._held and view.id not in self._newest:
            self._bring(view, self._held[view.id], server)

    def _bring(self, view: View, now: Held, server: ViewServer) -> None:
        self._newest[view.id] = now
        if view.id not in self._following:
            task = asyncio.get_running_loop().create_task(self._follow(view, server))
            self._following[view.id] = task
            task.add_done_callback(_followed)

    async def _follow(self, view: View, server: ViewServer) -> None:
        try:
            await self._bring_up(view, server)
        finally:  # at once, so that what is newer from here on has another task
            del self._following[view.id]

    async def _bring_up(self, view: View, server: ViewServer) -> None:
        """Show in a view what is newest, until that is shown. One view waits for no other."""
        while (now := self._newest.pop(view.id, None)) is not None:
            async with server.control.turn(view.data.key, view.session):
                if now.is_newer_than(self._held.get(view.id, _NOTHING)) or (
                    view.table is not None and await server.control.altered(view)
                ):
                    await self._renew(view, now, server)
            del now  # what is not shown is not kept

    async def _renew(self, view: View, now: Held, server: ViewServer) -> None:
        if not server.views.has(view):
            return
        before, self._held[view.id] = self._held.get(view.id, _NOTHING), now
        if now.value is GONE:
            server.views.discard(view.end("deleted"))
            return
        try:
            await server.control.renew(view, self._making(now.value, runs_code=view.id in self._running))
        except Exception as error:  # noqa: BLE001  # objects of the user may raise anything
            if isinstance(error, BridgeError) and error.code == "kernel_busy":
                self._held[view.id] = before  # its connection is in use: the next run is another occasion
                return
            what = error.message if isinstance(error, BridgeError) else type(error).__name__
            server.views.discard(view.end(f"no table any more: {what}"))
            self._held[view.id] = Held(None, now.runs)  # what is not shown is not kept


def _followed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A view cannot follow the notebook", exc_info=error)


async def _called(act: Callable[[], _T]) -> _T:
    return act()
