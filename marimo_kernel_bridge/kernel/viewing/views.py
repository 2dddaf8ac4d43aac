"""The views of the kernel's variables: opened by agents on control and by the person's `%marimo view`, newer after each run.

Pages are served by a thread with an event loop, which the first view starts. Requests on control are passed to it, and answered
on control when it has the answer. After a run the main thread tells it what the viewed names hold: it compares, and
makes tables anew. Nothing is copied, and a value is kept no longer than it is shown.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.variables import find
from marimo_kernel_bridge.kernel.viewing.variables import GONE, Held, Variables
from marimo_kernel_bridge.protocol import view_requests as wire
from marimo_kernel_bridge.viewing.advice import advice
from marimo_kernel_bridge.viewing.readers import Pace
from marimo_kernel_bridge.viewing.server.serving import ViewServer
from marimo_kernel_bridge.viewing.server.thread import ViewThread
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.ipython.shell import ReactiveShell
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.views import OpenedView, ViewAnswer, ViewDescription
    from marimo_kernel_bridge.viewing.view import View

    Result = OpenedView | ViewAnswer | ViewDescription | list[ViewDescription] | None

_PERSON_WAITS: Final = 60.0  # seconds for a view to open: a list of a million dicts takes some
_NOTHING: Final = Held(GONE, ())
_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Host(Protocol):
    """The parts of the kernel that views use."""

    control_stream: Any

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
        self._turn = asyncio.Lock()
        self._renewing: set[asyncio.Task[None]] = set()

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
            return await self._open(request.data, request.session, server)
        return await server.control.answer(request, "agent")

    # -- the person -----------------------------------------------------------------------------------------------

    def open(self, name: str) -> OpenedView:
        """Open a view for the person. On the main thread. Raises `BridgeError`."""
        thread = self._started()
        return thread.submit(self._open(name, PERSON, thread.server)).result(_PERSON_WAITS)

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
                pace = Pace(lambda: notebook.running is not None)
                self._thread = ViewThread(
                    lambda: ViewServer(
                        pace, lambda view: variables.is_unsettled(view.data.key), on_use=self._host.used
                    )
                )
                notebook.settled.append(self._settled)
            return self._thread

    def stop(self) -> None:
        """Close all views: the kernel ends."""
        if self._thread is not None:
            self._thread.stop()

    async def _open(self, name: str, session: str, server: ViewServer) -> OpenedView:
        shell, held = self._host.shell, self._variables.get([name])[name]
        if held.value is GONE:
            find(shell.user_ns, name, shell.user_ns_hidden)  # which says what there is
        make = partial(open_value, held.value)
        async with self._turn:
            view = server.views.of_data(name, session)
            if view is not None and held.is_newer_than(self._held.get(view.id, _NOTHING)):
                await server.control.renew(view, make)
            opened = await server.control.open(
                Data(name, name, "variable"), session, make, advice(server.port)
            )
            self._held[opened.description.view] = held
        return opened

    # -- after runs -----------------------------------------------------------------------------------------------

    def _settled(self) -> None:
        """Tell the views what their names hold now. On the main thread, when a request and what it caused is over."""
        thread = self._thread
        names = frozenset() if thread is None else {view.data.key for view in thread.server.views}
        if thread is not None and names:
            thread.call(partial(self._compare, self._variables.get(names), thread.server))

    def _compare(self, newest: dict[str, Held], server: ViewServer) -> None:
        open_views = {view.id: view for view in server.views}
        for view_id in self._held.keys() - open_views.keys():
            del self._held[view_id]
        for view_id, view in open_views.items():
            now = newest.get(view.data.key)
            altered = view.table is not None and bool(view.table.altered())
            if now is not None and (altered or now.is_newer_than(self._held.get(view_id, _NOTHING))):
                self._held[view_id] = now
                task = asyncio.get_running_loop().create_task(self._renew(view, now, server))
                self._renewing.add(task)
                task.add_done_callback(self._renewing.discard)

    async def _renew(self, view: View, now: Held, server: ViewServer) -> None:
        async with self._turn:
            if self._held.get(view.id) is not now:  # there is a newer one already, or the view is closed
                return
            if now.value is GONE:
                server.views.discard(view.end("deleted"))
                return
            try:
                await server.control.renew(view, partial(open_value, now.value))
            except Exception as error:  # noqa: BLE001  # objects of the user may raise anything
                what = error.message if isinstance(error, BridgeError) else type(error).__name__
                server.views.discard(view.end(f"no table any more: {what}"))
                self._held[view.id] = Held(None, now.runs)  # what is not shown is not kept


async def _called(act: Callable[[], _T]) -> _T:
    return act()
