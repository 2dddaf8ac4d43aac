"""Kernels in this process that run the cells of a notebook: ipykernel, and this package's as a person in JupyterLab has it.

Both can be forked between two cells, which is why they have no threads and no sockets.
"""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from IPython.core.profiledir import ProfileDir
from jupyter_client.session import Session
from traitlets import Any as AnyTrait
from traitlets.config import Application, Config

from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata
from marimo_kernel_bridge.protocol import messages as wire
from tests.unit.kernel import notebook_in_memory
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory, _ControlThread, _Socket

Outputs = list[dict[str, Any]]
_KEY = b"in memory"
_STRICT = "strict"
"""The cell that makes the kernel strict."""


class _Kernel(IPythonKernel):
    """ipykernel without sockets."""

    shell_stream = AnyTrait()  # the superclass wants a ZMQStream
    control_stream = AnyTrait()
    shell_channel_thread = AnyTrait()


class _Application(Application):
    """The application of a kernel in this process: `%matplotlib inline` looks for the kernel in it."""

    kernel = AnyTrait()


def without_threads(shell: Any) -> None:
    """Forget the thread in which script magics run: it did not survive a fork."""
    magics = shell.magics_manager.registry.get("ScriptMagics")
    if magics is not None:
        magics.event_loop = None


def as_in_a_kernel(kernel: Any) -> None:
    """Tell libraries that were imported before there was a kernel that there is one now."""
    _Application.instance().kernel = kernel
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        pandas.set_option("display.max_columns", 20)


class PlainKernel:
    """ipykernel, and the page of a front end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._context = copy_context()  # NumPy's and decimal's settings are in it, and stay from cell to cell
        self.page = Page()
        self._pid = os.getpid()
        self._session = Session(key=_KEY, check_pid=False)  # forks are what this is for
        iopub = _Socket(self._published)
        self._thread = IOPubThread(iopub)
        folder = Path(tempfile.mkdtemp())
        self._kernel = _Kernel(
            session=self._session,
            shell_stream=_Socket(lambda _: None),
            iopub_thread=self._thread,
            iopub_socket=iopub,
            profile_dir=ProfileDir.create_profile_dir(str(folder / "profile")),
            user_ns=None,  # as in a process: IPython makes the module
            log=logging.getLogger("kernel"),
            config=Config(
                {
                    "HistoryManager": {"hist_file": ":memory:"},
                    "ZMQInteractiveShell": {"ipython_dir": str(folder)},
                }
            ),
        )
        self._kernel.shell_channel_thread = SimpleNamespace(parent_thread=None)  # no loop to interrupt
        self._streams = [
            OutStream(self._session, self._thread, name, watchfd=False) for name in ("stdout", "stderr")
        ]
        as_in_a_kernel(self._kernel)

    def _published(self, frames: list[bytes]) -> None:
        _, parts = self._session.feed_identities(frames, copy=True)
        message = self._session.deserialize(parts, copy=True)
        self.page.show(message)
        if message["msg_type"] == "update_display_data":
            _update(self.page, message["content"])

    def run(self, cell: str, code: str) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            without_threads(self._kernel.shell)
        message = self._session.msg("execute_request", execute_content(code), metadata=execute_metadata(cell))
        message["content"]["stop_on_error"] = False
        message |= {"msg_id": message["header"]["msg_id"], "msg_type": "execute_request"}
        self.page.sent(cell, message["msg_id"])
        outer = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._streams
        try:
            task = self._loop.create_task(self._run(message), context=self._context)
            self._loop.run_until_complete(task)
            for stream in self._streams:
                stream.flush()
        finally:
            sys.stdout, sys.stderr = outer

    async def _run(self, message: dict[str, Any]) -> None:
        self._kernel.set_parent([b"front end"], message, channel="shell")
        await self._kernel.execute_request(self._kernel.shell_stream, [b"front end"], message)

    def outputs(self) -> dict[str, Outputs]:
        return {cell: _plain(shown.log.outputs()) for cell, shown in self.page.cells.items()}


class _Shown(FrontEnd):
    """A page that also shows updates of a display in whichever cell has it."""

    def take(self, frames: list[bytes]) -> None:
        before = len(self.seen)
        super().take(frames)
        for message in self.seen[before:]:
            if message["msg_type"] == "update_display_data":
                _update(self.page, message["content"])


class ReactiveKernel:
    """This package's kernel, and the page of a front end.

    `strict` has marimo's own rules: what an imported notebook meets in marimo.
    """

    def __init__(self, bound: float, *, strict: bool = False, dialect: Any = "lab") -> None:
        notebook_in_memory.BOUND = bound
        self._kernel = KernelInMemory(Path(tempfile.mkdtemp()))
        self.lab = _Shown(self._kernel, dialect)
        self._pid = os.getpid()
        for session in (self._kernel.kernel.session, self.lab.session):
            session.check_pid = False  # forks are what this is for
        self._kernel._front_ends[self.lab.ident] = self.lab
        if strict:
            self.lab.run(_STRICT, "%marimo strict")
        as_in_a_kernel(self._kernel.kernel)

    def _in_this_process(self) -> None:
        """Write to the page of this process also after a fork."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            without_threads(self._kernel.kernel.shell)
            self._kernel._iopub_thread._master_pid = self._pid
            for stream in self._kernel._streams:
                stream._master_pid = self._pid
            self._kernel._control = _ControlThread()  # the thread did not survive the fork either
            self._kernel._control.start()

    def run_all(self, codes: Mapping[str, str]) -> None:
        """Send all cells at once, as JupyterLab does."""
        self._in_this_process()
        sent = [
            self.lab.send(cell, code, stop_on_error=False) for cell, code in codes.items() if code.strip()
        ]
        for msg_id in sent:
            self.lab.finish(msg_id)
        self.lab.wait_quiet()

    def run(self, cell: str, code: str) -> None:
        """Run a cell, and wait until what depends on it has run."""
        self._in_this_process()
        self.lab.run(cell, code, stop_on_error=False)
        self.lab.wait_quiet()

    def outputs(self) -> dict[str, Outputs]:
        return {
            cell: _plain(shown.log.outputs())
            for cell, shown in self.lab.page.cells.items()
            if cell != _STRICT
        }

    def stale(self) -> set[str]:
        """The cells that are marked stale."""
        return {cell for cell, state in self.lab.cells().items() if state.stale}


def _plain(outputs: Sequence[Any]) -> Outputs:
    """Return outputs without the kernel's own notices."""
    return [dict(output) for output in outputs if wire.METADATA_KEY not in output.get("metadata", {})]


def _update(page: Page, content: Mapping[str, Any]) -> None:
    for shown in page.cells.values():
        shown.log.update_display(content)
