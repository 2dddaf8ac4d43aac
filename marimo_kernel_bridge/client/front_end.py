"""A headless front end: runs the cells of a notebook as JupyterLab does and keeps their outputs.

A test double, for this package's checks (`demo`, `doctor`, `verify`) and for tests of programs that share a kernel
with a person. Owns the messages to and from the kernel; `page` assigns outputs to cells. Renders nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.connection import new_connection_file, transport_encryption
from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

    from marimo_kernel_bridge.client.page import ShownCell

BOUND: Final = 60.0
"""The time limit for a kernel or a cell in seconds; importing pandas and marimo is slow on a busy machine."""
SHOW_BOUND: Final = 20.0
"""The time limit for an output that has been sent, in seconds."""


class FrontEnd:
    """One notebook, open on one kernel. `open` and `opened` create it; `run` runs a cell as Shift-Enter does."""

    def __init__(self, client: AsyncKernelClient) -> None:
        self._client = client
        self._page = Page()
        self._idle: set[str] = set()
        self._changed = asyncio.Condition()

    @property
    def cells(self) -> dict[str, ShownCell]:
        """The outputs of each cell, by its id."""
        return self._page.cells

    async def listen(self) -> None:
        """Receive messages and show them, until cancelled."""
        while True:
            message = await self._client.iopub_channel.get_msg(timeout=None)
            async with self._changed:
                self._page.show(message)
                if message["content"].get("execution_state") == "idle":
                    self._idle.add(message["parent_header"].get("msg_id"))
                self._changed.notify_all()

    def send(self, cell_id: str, code: str) -> str:
        """Send the request that runs a cell, and return its id."""
        message = self._client.session.msg(
            "execute_request", execute_content(code), metadata=execute_metadata(cell_id)
        )
        request_id: str = message["header"]["msg_id"]
        self._page.sent(cell_id, request_id)
        self._client.shell_channel.send(message)
        return request_id

    async def run(self, cell_id: str, code: str, bound: float = BOUND) -> ShownCell:
        """Run a cell and wait for the reply and for idle, at most `bound` seconds.

        Raises `BridgeError`: kernel_silent.
        """
        request_id = self.send(cell_id, code)
        cell = self.cells[cell_id]
        try:
            async with asyncio.timeout(bound):
                while (await self._client.shell_channel.get_msg(timeout=None))["parent_header"].get(
                    "msg_id"
                ) != request_id:
                    pass
        except TimeoutError:
            raise BridgeError("kernel_silent", f"Cell {cell_id} had no reply for {bound:g} s.") from None
        await self.until_idle(request_id)
        return cell

    async def until_idle(self, request_id: str) -> None:
        """Wait until the kernel is idle after a request. Raises `BridgeError`: kernel_silent."""
        await self.until(lambda: request_id in self._idle, f"request {request_id} to be idle")

    async def until_shown(self, cell_id: str, text: str) -> None:
        """Wait until the text of a cell's outputs equals `text`. Raises `BridgeError`: kernel_silent."""
        try:
            await self.until(lambda: self.cells[cell_id].text == text, f"{text!r}")
        except BridgeError as error:
            shown = self.cells[cell_id].text
            raise BridgeError(error.code, f"{error.message} {cell_id} shows {shown!r}.") from None

    async def until(self, condition: Callable[[], bool], what: str, bound: float | None = None) -> None:
        """Wait until the cells' outputs meet a condition. Raises `BridgeError`: kernel_silent."""
        bound = SHOW_BOUND if bound is None else bound
        try:
            async with asyncio.timeout(bound), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise BridgeError("kernel_silent", f"Timed out after {bound:g} s waiting for {what}.") from None


@asynccontextmanager
async def started_kernel(name: str, folder: Path, log: int) -> AsyncIterator[AsyncKernelManager]:
    """Start the kernel of an installed kernelspec in a folder, and shut it down at the end.

    `log` is a file descriptor for the output of its process.

    Raises `BridgeError`: kernel_dead, kernel_silent.
    """
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415  # 0.2 s, only needed to start a kernel

    # In the directory where agents look for connection files.
    manager = AsyncKernelManager(
        kernel_name=name,
        connection_file=str(new_connection_file()),
        transport_encryption=transport_encryption(),
    )
    await manager.start_kernel(cwd=str(folder), stdout=log, stderr=log)
    try:
        yield manager
    finally:
        await manager.shutdown_kernel()


@asynccontextmanager
async def opened(manager: AsyncKernelManager) -> AsyncIterator[FrontEnd]:
    """Open a notebook on a kernel, once the kernel answers. Raises `BridgeError`: kernel_dead, kernel_silent."""
    client = manager.client()
    client.start_channels()
    try:
        await _answered(manager, client)
        front_end = FrontEnd(client)
        listening = asyncio.create_task(front_end.listen())
        try:
            yield front_end
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    finally:
        client.stop_channels()


async def _answered(manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
    try:
        async with asyncio.timeout(BOUND):  # not all that it waits for has a bound of its own
            await client.wait_for_ready()
    except (RuntimeError, TimeoutError) as error:
        if await manager.is_alive():
            raise BridgeError(
                "kernel_silent", f"The kernel is running, but did not answer within {BOUND:g} s."
            ) from error
        raise BridgeError("kernel_dead", "The kernel ended while it was starting.") from error
