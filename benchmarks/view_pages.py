"""Our views in Chromium, as a person sees them: opened, sorted and filtered as an agent does it, of a file or of a variable.

What waits, waits for text on the page, which is known before: what the page shows counts, and not what the server answered.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psutil

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.launch.viewer.client import Viewer
from marimo_kernel_bridge.protocol.views import Filter, SortKey, StateChange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal
    from playwright.sync_api import Browser, Page

    from benchmarks.contenders import Kernel
    from marimo_kernel_bridge.protocol.views import OpenedView

BOUND: Final = 180_000  # milliseconds
_LOOK: Final = 0.3  # seconds
_LOOKS: Final = 100
_IDLE: Final = 0.02  # seconds of a processor
_RESTS: Final = 6
"""Looks without work, in a row: allocators give memory back after a second."""
SESSION: Final = "benchmarks"
SIZE: Final = {"width": 2600, "height": 900}
"""Of a page on which 15 columns fit."""

# In the page: its text, through the shadow roots of what it is made of.
TEXTS: Final = """() => {
  const found = [];
  const walk = (node) => {
    if (node.shadowRoot) walk(node.shadowRoot);
    for (const child of node.childNodes)
      if (child.nodeType === 3) { const text = child.textContent.trim(); if (text) found.push(text); }
      else if (!["SCRIPT", "STYLE"].includes(child.tagName)) walk(child);
  };
  walk(document.body);
  return found;
}"""
_SHOWN: Final = f"text => ({TEXTS})().some(found => found.replaceAll(',', '') === text)"


_DRAG: Final = """part => {
  const grid = document.querySelector("#grid");
  grid.scrollTop = part * (grid.scrollHeight - grid.clientHeight);
}"""
_THERE: Final = """([part, rows]) => {
  const number = text => Number((text ?? "").replaceAll(",", ""));
  const line = document.querySelector("#body [role=row]");
  const row = number(line?.querySelector("[role=rowheader]")?.textContent);
  const first = line?.querySelector("[role=gridcell]")?.textContent;
  return Math.abs(row / rows - part) < 0.01 && first && number(first) === row - 1;
}"""


def until_shown(page: Page, text: str) -> None:
    """Wait until a page shows a text, which no other part of it has."""
    page.wait_for_function(_SHOWN, arg=text, timeout=BOUND, polling=5)


@dataclass(frozen=True)
class Memory:
    """The bytes that a process and those that it started have, and those of them that are no pages of files."""

    all: int
    own: int


def memory(process: psutil.Process) -> Memory:
    """Return the memory that a process and those that it started have."""
    resident = own = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            info = one.memory_info()
        except psutil.NoSuchProcess:
            continue
        resident += int(info.rss)
        own += int(info.rss - info.shared)
    return Memory(resident, own)


def heap(page: Page) -> int:
    """Return the bytes that a page's script holds."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


def at_rest(process: psutil.Process) -> psutil.Process:
    """Return a process when it has nothing left to do for what was asked before."""
    before, rests = -1.0, 0
    for _ in range(_LOOKS):
        if not process.is_running():
            break
        now = sum(process.cpu_times()[:2])
        rests = rests + 1 if now - before < _IDLE else 0
        if rests == _RESTS:
            break
        before = now
        time.sleep(_LOOK)
    return process


def new_tab(browser: Browser, process: psutil.Process) -> Page:
    """Return an empty tab, when the process whose table it will show has nothing left to do for another one."""
    page = browser.new_page(viewport=SIZE)
    at_rest(process)
    return page


class Ours:
    """A view of ours: a file's, in the viewer's process, or a variable's, in a kernel."""

    def __init__(self, page: Page, columns: list[str]) -> None:
        self.page = page
        self._columns = columns

    def set(self, change: StateChange) -> None:
        raise NotImplementedError

    def show(self, opened: OpenedView, first: str) -> None:
        self.page.goto(opened.url)
        until_shown(self.page, first)

    def sort(self, column: str, first: str) -> None:
        self.set(StateChange(sort=(SortKey(self._columns.index(column)),), first_row=0))
        until_shown(self.page, first)
        self.set(StateChange(sort=()))

    def filter(self, column: str, operator: Any, value: str, rows: int) -> None:  # an `Operator`
        self.set(StateChange(filters=(Filter(self._columns.index(column), operator, value),), first_row=0))
        self.page.wait_for_function(
            "rows => document.querySelector('#count').textContent.includes(rows) && document.querySelector('#body [role=gridcell]')?.textContent",
            arg=f"{rows:,}",
            timeout=BOUND,
            polling=5,
        )
        self.set(StateChange(filters=()))

    def loaded(self, rows: int) -> None:
        """Wait until a file that is read behind its first rows is read."""
        self.page.wait_for_function(
            "rows => document.querySelector('#count').textContent.includes(rows)",
            arg=f"{rows:,}",
            timeout=BOUND,
            polling=5,
        )

    def statistics(self) -> None:
        """Wait until each column says its range or its most frequent values."""
        self.page.wait_for_function(
            "count => document.querySelectorAll('[role=columnheader][aria-description]').length >= count",
            arg=len(self._columns),
            timeout=BOUND,
            polling=5,
        )

    def go_to(self, part: float, rows: int) -> None:
        """Drag the scrollbar to a part of a table whose first column counts its rows, and wait for the rows there."""
        self.page.evaluate(_DRAG, part)
        self.page.wait_for_function(_THERE, arg=[part, rows], timeout=BOUND, polling=5)


class FileView(Ours):
    """A view of a file."""

    def __init__(self, page: Page, path: Path, first: str) -> None:
        self.viewer = Viewer.started()
        opened = self.viewer.open_view(path, SESSION)
        super().__init__(page, [one.name for one in opened.description.columns])
        self.view = opened.description.view
        self.show(opened, first)

    def set(self, change: StateChange) -> None:
        self.viewer.set_view(self.view, SESSION, change)

    def close(self) -> None:
        self.viewer.close_view(self.view, SESSION)
        self.page.close()


class VariableView(Ours):
    """A view of a variable of a kernel."""

    def __init__(
        self, page: Page, portal: BlockingPortal, client: KernelClient, name: str, first: str
    ) -> None:
        self._portal, self._client = portal, client
        opened = portal.call(client.views.open, name, SESSION)
        super().__init__(page, [one.name for one in opened.description.columns])
        self.view = opened.description.view
        self.show(opened, first)

    def set(self, change: StateChange) -> None:
        self._portal.call(self._client.views.set, self.view, SESSION, change)

    def close(self) -> None:
        self.page.close()


@contextmanager
def attached(portal: BlockingPortal, kernel: Kernel) -> Iterator[KernelClient]:
    """Attach a client of ours to a kernel."""
    connection = read_connection(str(kernel.manager.connection_file))
    client = portal.call(KernelClient.attach, connection, "benchmarks")
    try:
        yield client
    finally:
        portal.call(client.close)
