"""Tables of values that are read through a connection of the person's, which does one thing at a time: relations of DuckDB.

They are read on the main thread while no cell runs, so no statement of the notebook finds its connection busy. Who asks
while a cell runs is refused.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.tables import open_value

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.viewing.table import Table

_POLL: Final = 0.02  # seconds between two looks at whether a cell runs
_T = TypeVar("_T")


class Host(Protocol):
    """The parts of the kernel that are used here."""

    @property
    def io_loop(self) -> Any: ...

    @property
    def notebook(self) -> NotebookSession: ...


class BetweenRuns:
    """Opens tables on the main thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._due: deque[tuple[Future[Table], object]] = deque()
        self._main_waits = False

    def open(self, value: object) -> Table:
        """Return a value's table. On another thread than the main one. Raises `BridgeError`: kernel_busy, and as `open_value`."""
        opened: Future[Table] = Future()
        if self._is_busy():
            raise _busy()
        self._due.append((opened, value))
        self._host.io_loop.add_callback(self._open_due)
        while not wait([opened], _POLL).done:
            if self._is_busy() and opened.cancel():
                raise _busy()
        return opened.result()

    def wait(self, answer: Future[_T], seconds: float) -> _T:
        """Wait for an answer that may need a table from here. On the main thread. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        self._main_waits = True
        try:
            while not wait([answer], _POLL).done and time.monotonic() < deadline:
                self._open_due()
        finally:
            self._main_waits = False
        return answer.result(0)

    def _is_busy(self) -> bool:
        return self._host.notebook.running is not None and not self._main_waits

    def _open_due(self) -> None:
        """Open what is asked for, unless a cell runs, which may be one that waits for something."""
        while self._due and not self._is_busy():
            opened, value = self._due.popleft()
            if not opened.set_running_or_notify_cancel():
                continue
            try:
                opened.set_result(open_value(value))
            except BaseException as error:  # noqa: BLE001  # whoever asks for the table is told
                opened.set_exception(error)


def _busy() -> BridgeError:
    return BridgeError(
        "kernel_busy",
        "The value is read through a connection that a running cell may use.",
        "Try it again when no cell runs.",
    )
