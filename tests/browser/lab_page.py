"""One notebook open in JupyterLab, as the person in front of it sees and uses it.

Owns the selectors and gestures of JupyterLab 4; knows nothing of kernels. What is on the page is given as
Playwright locators, so that tests wait for what they expect: `expect(lab.outputs(2)).to_have_text(["20"])`.
Cells are counted from 0.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import nbformat
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab_server import LabServer
    from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, Response

STARTUP_MS = 240_000  # the first load of Lab's JavaScript, or a kernel's start, on a busy machine
TIMEOUT_MS = 60_000  # what is slow is a cold matplotlib, and other work on the machine
expect.set_options(timeout=TIMEOUT_MS)

# The toolbar's indicator says "idle" even before a kernel is connected, so ask the notebook's session itself.
KERNEL_HAS_STATUS = """
status => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === "connected" && kernel.status === status;
}
"""
KERNEL_STATUS = """
() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  const context = widget?.sessionContext;
  const kernel = context?.session?.kernel;
  return {
    title: widget?.title.label, ready: context?.isReady, shown: context?.kernelDisplayStatus,
    connection: kernel?.connectionStatus, status: kernel?.status, kernel: kernel?.id,
  };
}
"""
OPEN = "async path => { await window.jupyterapp.commands.execute('docmanager:open', { path }); }"
# Promises that the closed kernels reject are reported in the task after: not to the next notebook.
CLOSE_ALL = """async () => {
  for (const widget of [...window.jupyterapp.shell.widgets('main')]) widget.dispose();
  await new Promise(resolve => setTimeout(resolve));
}"""
SHOW = "index => void window.jupyterapp.shell.currentWidget.content.scrollToItem(index)"
WINDOWING = "() => window.jupyterapp?.shell.currentWidget?.content?.notebookConfig?.windowingMode"

SLOW = re.compile(r"^Plugin .* (took [\d.]+ms|is taking too long) to activate\.$")
"""What Lab warns of on a machine that computes something else."""


def _accept(dialog: Dialog) -> None:
    """Leave without saving, on reload."""
    dialog.accept()


class LabPage:
    """`path` is the notebook file below the server's root."""

    def __init__(self, page: Page, server: LabServer, path: Path, app: str = "lab") -> None:
        """`app` is "lab", or "notebook" for Jupyter Notebook 7."""
        self.app = app
        self.page = page
        self.server = server
        self.path = path
        self.page_errors: list[str] = []
        self.console: list[str] = []
        self.workspace = (
            path.parent.name
        )  # of its own, so that no other test's notebook is restored beside it
        page.on("pageerror", self._note)
        page.on("console", self._note_console)
        page.on("dialog", _accept)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(self.server.notebooks))

    @property
    def connection_file(self) -> Path:
        return self.server.connection_file(self.name)

    def open(self) -> None:
        """Open the notebook, in the Lab that is on the page, else in a new one."""
        if self.page.url != "about:blank":
            self.page.evaluate(OPEN, self.name)
            self.expect_status("idle", STARTUP_MS)
            return
        workspace = f"lab/workspaces/{self.workspace}/tree/{self.name}"
        if self.app == "notebook":
            workspace = f"notebooks/{self.name}"
        self.page.goto(f"{self.server.url}{workspace}?token={self.server.token}")
        self.expect_status("idle", STARTUP_MS)

    @contextmanager
    def another_window(self) -> Iterator[LabPage]:
        """Open the notebook in a second window as well; each has its own text."""
        other = LabPage(self.page.context.new_page(), self.server, self.path, self.app)
        other.workspace += "-2"
        other.open()
        try:
            yield other
        finally:
            other.page.close()

    def leave(self) -> None:
        """Close the notebook without saving it; Lab stays on the page, for the next one."""
        self.page.evaluate(CLOSE_ALL)
        with suppress(PlaywrightTimeoutError):
            # Lab shows its launcher in place of the last one, after a while, and would do so in front of the next.
            self.page.wait_for_function(
                "[...window.jupyterapp.shell.widgets('main')].length > 0", timeout=10_000
            )
        self.page.remove_listener("pageerror", self._note)
        self.page.remove_listener("console", self._note_console)
        self.page.remove_listener("dialog", _accept)

    def _note(self, error: Error) -> None:
        self.page_errors.append(error.stack or str(error))

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not SLOW.search(message.text):
            self.console.append(f"{message.type}: {message.text}")

    def reload(self) -> None:
        self.page.reload()
        self.expect_status("idle", STARTUP_MS)

    # Looking

    def cell(self, index: int) -> Locator:
        cells = ".jp-NotebookPanel .jp-Notebook-cell"
        # The default of JupyterLab 4.4: cells far out of sight are not in the page.
        if self.page.evaluate(WINDOWING) == "full":
            return self.page.locator(f"{cells}[data-windowed-list-index='{index}']")
        return self.page.locator(cells).nth(index)

    def show(self, index: int) -> None:
        """Scroll to a cell, again where outputs above it have grown. JupyterLab 4.4 draws no outputs of those that have not been in sight."""
        for _ in range(TIMEOUT_MS // 1000):
            self.page.evaluate(SHOW, index)
            with suppress(AssertionError):
                expect(self.cell(index)).to_be_in_viewport(timeout=1000)
                return
        raise AssertionError(f"cell {index} is not in sight")

    def editor(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-InputArea .cm-content")  # proposals have editors as well

    def prompt(self, index: int) -> Locator:
        """`[3]:`, or `[*]:` while Lab waits for a reply."""
        return self.cell(index).locator(".jp-InputPrompt")

    def outputs(self, index: int) -> Locator:
        """The outputs of a code cell, one element each, without their prompts."""
        return self.cell(index).locator(".jp-OutputArea-output:not(.jp-Stdin)")

    def images(self, index: int) -> Locator:
        return self.outputs(index).locator("img")

    def cards(self, index: int | None = None) -> Locator:
        """The proposals at a cell, or all of them."""
        where = self.page.locator(".jp-NotebookPanel") if index is None else self.cell(index)
        return where.locator(".mkb-Proposal")

    def bar(self) -> Locator:
        """The lines above the notebook, one for each proposal."""
        return self.page.locator(".mkb-Bar-line")

    def pill(self, index: int) -> Locator:
        """The name of the agent who wrote a cell."""
        return self.cell(index).locator(".mkb-Name")

    def marks(self, index: int) -> Locator:
        return self.cell(index).locator(".mkb-Mark")

    def chip(self) -> Locator:
        """Who is attached, which pauses them when it is clicked."""
        return self.page.locator(".mkb-Chip:visible")

    def sync(self) -> Locator:
        return self.page.locator(".mkb-Sync:visible")

    def stdin(self) -> Locator:
        """The field that asks for input; Lab leaves the answered ones in the page, hidden."""
        return self.page.locator(".jp-OutputArea-stdin-item:not(.jp-OutputArea-stdin-hiding) .jp-Stdin-input")

    def expect_status(self, status: str, timeout_ms: float = TIMEOUT_MS) -> None:
        """Wait until Lab is connected to a kernel and has heard from it that it is idle, busy, ..."""
        try:
            self.page.wait_for_function(KERNEL_HAS_STATUS, arg=status, timeout=timeout_ms)
        except PlaywrightTimeoutError as error:
            raise AssertionError(
                f"the kernel is not {status}: {self.page.evaluate(KERNEL_STATUS)}"
            ) from error

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=path)

    # Acting

    def answer(self, text: str) -> None:
        self.stdin().fill(text)
        self.stdin().press("Enter")

    def edit(self, index: int, source: str) -> None:
        self.editor(index).click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(source)  # as pasted: no auto-indent, no completer

    def run(self, index: int) -> None:
        self.editor(index).click()
        self.page.keyboard.press("Control+Enter")  # unlike Shift+Enter it adds no cell at the end

    def delete(self, index: int) -> None:
        cells = self.page.locator(".jp-NotebookPanel .jp-Notebook-cell")
        left = cells.count() - 1
        self.prompt(index).click()  # selects the cell in command mode
        self.page.keyboard.press("d")
        self.page.keyboard.press("d")
        expect(cells).to_have_count(left)

    def undo_agent(self, index: int) -> None:
        """Undo the change by which an agent wrote a cell."""
        self.cell(index).locator(".mkb-undo").click()

    def run_all(self) -> None:
        self.page.locator(".lm-MenuBar-item", has_text="Run").click()
        self.page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()

    def interrupt(self) -> None:
        self._toolbar("notebook:interrupt-kernel")

    def restart(self) -> None:
        with self.page.expect_response(lambda reply: "/restart" in reply.url):
            self._toolbar("notebook:restart-kernel")
            self._accept()
        self.expect_status("idle")

    def restart_and_run_all(self) -> None:
        with self.page.expect_response(lambda reply: "/restart" in reply.url):
            self._toolbar("notebook:restart-run-all")
            self._accept()

    def save(self) -> nbformat.NotebookNode:
        """Save, and return what is then on disk."""
        with self.page.expect_response(self._is_saved):
            self._toolbar("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def _is_saved(self, reply: Response) -> bool:
        return reply.request.method == "PUT" and f"/api/contents/{self.name}" in reply.url

    def _toolbar(self, command: str) -> None:
        self.page.locator(f".jp-NotebookPanel-toolbar [data-command='{command}']").click()

    def _accept(self) -> None:
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
