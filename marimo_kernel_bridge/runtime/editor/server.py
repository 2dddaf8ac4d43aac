"""The server of marimo's editor and app view: a thread of the kernel with an event loop. Imports marimo's server when it is first used."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final

from marimo._messaging.types import KernelMessage

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.runtime.editor import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.changes import GraphProblem
    from marimo_kernel_bridge.protocol.notebook import EditorLink
    from marimo_kernel_bridge.runtime.editor.interface import EditorHost
    from marimo_kernel_bridge.runtime.editor.site import Site

_LONGEST_START: Final = 120.0  # seconds
_LOOK: Final = 0.2  # seconds between looks at a running cell


class EditorServer:
    """marimo's server on one kernel. Implements `interface.Pages`."""

    def __init__(self, host: EditorHost, title: str, running: Callable[[], bool]) -> None:
        """`title` is the notebook's name; `running` returns whether a cell runs."""
        self._host = host
        self._title = title
        self._running = running
        self._loop = asyncio.new_event_loop()
        self._sites: dict[bool, Site] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="marimo-editor", daemon=True)
        self._thread.start()

    def link(self, *, app: bool) -> EditorLink:
        opening = asyncio.run_coroutine_threadsafe(self._open(app=app), self._loop)
        return opening.result(_LONGEST_START)

    async def _open(self, *, app: bool) -> EditorLink:
        site = self._sites.get(app)
        if site is None:
            site = self._make_site(app=app)
            task = self._loop.create_task(site.serve())
            self._tasks.add(task)
            if not self._sites:
                self._loop.call_later(_LOOK, self._look)
            self._sites[app] = site
        return site.link()

    def _make_site(self, *, app: bool) -> Site:
        try:
            from marimo_kernel_bridge.runtime.editor.site import Site  # noqa: PLC0415  # marimo's server, when somebody opens it

            return Site(self._host, self._title, app=app)
        except (ImportError, AttributeError, TypeError) as error:  # its server is private API
            raise BridgeError(
                "runtime_mismatch",
                f"marimo's editor cannot be opened: the installed marimo is another one than this package knows ({error}).",
                "Install the version of marimo that this package names.",
            ) from error

    # -- what is new ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        if not self._due:
            self._due = True
            self._call(self._refresh)

    def _refresh(self) -> None:
        self._due = False
        for site in self._sites.values():
            if site.watched:
                site.refresh()

    def _look(self) -> None:
        """Tell what a cell shows while it runs."""
        self._loop.call_later(_LOOK, self._look)
        if self._running():
            self._refresh()

    def value_changed(self, object_id: str, value: Any) -> None:
        self._each(lambda site: site.set_value(object_id, value))

    def elements_removed(self, cell_id: str) -> None:
        message = answers.elements_removed(cell_id)
        self._each(lambda site: site.forget_elements(cell_id, message))

    def notified(self, message: bytes) -> None:
        self._each(lambda site: site.send_encoded(KernelMessage(message)))

    def variables(self, names: Sequence[str], values: Mapping[str, Any]) -> None:
        message = answers.variable_values(names, values)
        if message is not None:
            self._each(lambda site: site.send(message))

    # -- answers --------------------------------------------------------------------------------------------------

    def completed(self, request_id: str, prefix_length: int, names: Sequence[tuple[str, str]]) -> None:
        result = answers.completions(request_id, prefix_length, names)
        self._each(lambda site: site.send(result))

    def refused(self, cell_id: str, problems: Sequence[GraphProblem]) -> None:
        shown = answers.refusal(cell_id, problems)
        self._each(lambda site: site.show_instead(cell_id, shown))

    # -- the thread -----------------------------------------------------------------------------------------------

    def _each(self, act: Callable[[Site], None]) -> None:
        def act_on_each() -> None:
            for site in self._sites.values():
                act(site)

        self._call(act_on_each)

    def _call(self, act: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)
