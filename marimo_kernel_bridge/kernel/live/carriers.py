"""The opening of what carries messages to pages: when a cell shows the first element, or when a page opens a comm.

Elements get placeholders if a page may show them live: anywidget is installed for the loader's widget, or the notebook is
open in a JupyterLab with this project's extension, which has the loader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.kernel.live import messages
from marimo_kernel_bridge.kernel.live.carrier import NO_WIDGETS, LoaderWidget, PageComm, has_widgets
from marimo_kernel_bridge.kernel.live.page_requests import Host as RequestsHost
from marimo_kernel_bridge.kernel.live.page_requests import PageRequests
from marimo_kernel_bridge.kernel.live.pages import LivePages
from marimo_kernel_bridge.kernel.messaging.sigint import on_main_thread
from marimo_kernel_bridge.runtime.interface import LiveFrontEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.live.carrier import Carrier
    from marimo_kernel_bridge.kernel.messaging.jupyter_session import Outputs
    from marimo_kernel_bridge.kernel.messaging.subshells import Subshells
    from marimo_kernel_bridge.kernel.outputs.router import OutputRouter
    from marimo_kernel_bridge.runtime.interface import LiveElements

_AGAIN: Final = 0.5  # seconds between looks whether VS Code is quiet
_PATIENCE: Final = 20.0  # seconds in which a VS Code that shows widgets has said hello


class Documents(Protocol):
    """What knows the documents that are open in front ends."""

    def in_jupyterlab(self) -> bool:
        """Return whether a JupyterLab with this project's extension has the notebook open."""
        ...


class Host(RequestsHost, Protocol):
    """The parts of the kernel that carriers use."""

    @property
    def outputs(self) -> Outputs: ...

    @property
    def subshells(self) -> Subshells: ...

    @property
    def document_messages(self) -> Documents: ...


class LiveCarriers:
    """The carriers of one kernel. Main thread only."""

    def __init__(self, host: Host, live: LiveElements, router: OutputRouter) -> None:
        self._host, self._live, self._router = host, live, router
        self.pages = LivePages()
        self._requests = PageRequests(host, live, self.pages, self._hide_view)
        self._widget: LoaderWidget | None = None
        self._views: dict[str, Entry] = {}  # by session of VS Code: the cell that shows the widget
        self._viewed: set[str] = set()  # sessions that need no view any more, or have one
        live.observers.append(self.pages)
        router.views.add_pages(self.pages)

    def front_end_of(self, entry: Entry) -> LiveFrontEnd | None:
        """Return the pages that may show a cell's elements live. On other threads, a widget is used but not opened."""
        dialect = entry.address.dialect
        if dialect not in {"lab", "vscode"} or self._live.fault():
            return None
        by_extension = dialect == "lab" and self._host.document_messages.in_jupyterlab()
        # With the extension no widget: where there is no widget manager, JupyterLab reports it as an error.
        sure = by_extension or self._widget_open()
        if dialect == "vscode":
            if not sure or not (on_main_thread() or entry.address.session in self._viewed):
                return None
            self._show_view(entry)
        # In JupyterLab a cell may run before the extension has told that the notebook is open: it finds the placeholders.
        return LiveFrontEnd(self.pages.key, attached=bool(self.pages), sure=sure)

    def opened(self, comm: Any, data: object) -> None:
        """Take over a comm that a page has opened. `data` is its first message, if there is one."""
        carrier = PageComm(comm, self._requests.receive, self._requests.closed)
        self._reach_by(carrier)
        if data:
            self._requests.receive(carrier, data)

    def _reach_by(self, carrier: Carrier) -> None:
        self._host.subshells.reads[carrier.comm_id] = messages.only_reads
        self.pages.reach_by(carrier)

    def _widget_open(self) -> bool:
        if self._widget is None or self._widget.closed:
            if not on_main_thread() or not has_widgets():
                return False
            try:
                self._widget = LoaderWidget(self._requests.receive)
            except ImportError as error:  # of something that anywidget needs
                self._host.log.warning("marimo's elements are shown in their static form: %s", error)
                return False
            self._reach_by(self._widget)
        return True

    # -- VS Code ----------------------------------------------------------------------------------------------------

    def _show_view(self, entry: Entry) -> None:
        """Show the widget, which has no height, in the cell that runs, until a page has said hello.

        VS Code mirrors every request to the page once a widget's comm is open, and waits for it; forever, if no output
        shows a widget and makes it load its widget manager.
        """
        session = entry.address.session
        if session in self._viewed or self._widget is None:
            return
        self._viewed.add(session)
        self._views[session] = entry
        self._host.outputs.show_notice(self._view(session, self._widget.view), _parent(entry))
        self._host.io_loop.call_later(_PATIENCE, self._give_up, session)

    def _hide_view(self, session: str) -> None:
        """Replace the view by nothing, so that no saved notebook has it."""
        self._viewed.add(session)
        if self._update_view(session, {"text/html": "", "text/plain": ""}, self._hide_view):
            del self._views[session]

    def _give_up(self, session: str) -> None:
        """Show why nothing is live in place of a view that no page has shown by now, perhaps as it is out of sight.

        The next cell with an element shows the view again, and a page that comes late says hello.
        """
        told = {"text/html": f"<small>{NO_WIDGETS}</small>", "text/plain": NO_WIDGETS}
        if self._update_view(session, told, self._give_up):
            self._viewed.discard(session)

    def _update_view(self, session: str, data: dict[str, Any], again: Callable[[str], None]) -> bool:
        """Show something in place of a view that still is there. If VS Code is not quiet, do it `again` later, and return False."""
        entry = self._views.get(session)
        if entry is None:
            return False
        if self._router.vscode_is_busy:
            self._host.io_loop.call_later(_AGAIN, again, session)
            return False
        self._host.outputs.update_display(self._view(session, data), _parent(entry))
        return True

    def _view(self, session: str, data: dict[str, Any]) -> dict[str, Any]:
        transient = {"display_id": f"mkb-live-{session}"}
        return {"data": data, "metadata": {}, "transient": transient}


def _parent(entry: Entry) -> Header:
    return entry.address.parent if entry.delivery is None else entry.delivery.parent
