"""A person's front end without its page: runs the cells of a notebook as JupyterLab does and shows their outputs.

Owns the requests of one notebook and what its cells show, late messages included. `demo` and `doctor` look through
it at what a person would see. Starts no kernel and draws nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_core.paths import jupyter_runtime_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog, strip_ansi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

BOUND: Final = 60.0
"""Seconds to wait for a kernel or a cell; on a busy machine, importing pandas and marimo takes some."""
SHOW_BOUND: Final = 20.0
"""Seconds to wait for an output that is on its way."""


@dataclass
class ShownCell:
    """What a cell shows. `request_id` is the person's newest request of it; only messages for that are shown.

    `late` are the messages that came after the request was over, by type: the kernel ran the cell by itself.
    """

    request_id: str
    log: OutputLog = field(default_factory=OutputLog)
    over: bool = False
    late: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Streams, plain text of results and displays, `Name: value` of errors."""
        texts = []
        for output in self.log.outputs():
            match output["output_type"]:
                case "stream":
                    texts.append(output["text"])
                case "error":
                    texts.append(f"{output['ename']}: {output['evalue']}")
                case _:
                    texts.append(output["data"].get("text/plain", ""))
        return strip_ansi("\n".join(text.rstrip("\n") for text in texts))

    def mime(self, mime_type: str) -> str | None:
        """Return the first output of a mime type."""
        bundles = (output.get("data", {}) for output in self.log.outputs())
        return next((bundle[mime_type] for bundle in bundles if mime_type in bundle), None)


class FrontEnd:
    """One notebook, open on one kernel."""

    def __init__(self, client: AsyncKernelClient) -> None:
        self.cells: dict[str, ShownCell] = {}
        self._client = client
        self._cell_of_request: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """Show what arrives, until cancelled."""
        while True:
            message = await self._client.iopub_channel.get_msg(timeout=None)
            async with self._changed:
                self._show(message)
                self._changed.notify_all()

    def _show(self, message: dict[str, Any]) -> None:  # a Jupyter message
        request_id = message["parent_header"].get("msg_id")
        cell = self.cells.get(self._cell_of_request.get(request_id, ""))
        if cell is None or cell.request_id != request_id:
            return
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            cell.over = True
        elif kind in OUTPUT_TYPES:
            cell.log.apply(kind, content)
            if cell.over:
                cell.late.append(kind)

    async def run(self, cell_id: str, code: str, bound: float = BOUND) -> ShownCell:
        """Run a cell as JupyterLab does, until the reply and idle are here, at most for `bound` seconds.

        Raises `BridgeError`: kernel_silent.
        """
        message = self._client.session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": True,
                "stop_on_error": True,
            },
            metadata={"cellId": cell_id, "deletedCells": [], "recordTiming": False},
        )
        request_id = message["header"]["msg_id"]
        cell = self.cells[cell_id] = ShownCell(request_id)
        self._cell_of_request[request_id] = cell_id
        self._client.shell_channel.send(message)
        try:
            async with asyncio.timeout(bound):
                while (await self._client.shell_channel.get_msg(timeout=None))["parent_header"].get(
                    "msg_id"
                ) != request_id:
                    pass
        except TimeoutError:
            raise BridgeError("kernel_silent", f"Cell {cell_id} had no reply for {bound:g} s.") from None
        await self.until(lambda: cell.over, f"cell {cell_id} to be idle")
        return cell

    async def until(self, condition: Callable[[], bool], what: str, bound: float | None = None) -> None:
        """Wait until what the cells show meets a condition. Raises `BridgeError`: kernel_silent."""
        bound = SHOW_BOUND if bound is None else bound
        try:
            async with asyncio.timeout(bound), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise BridgeError("kernel_silent", f"Waited {bound:g} s in vain for {what}.") from None


@asynccontextmanager
async def started_kernel(name: str, folder: Path, log: int) -> AsyncIterator[AsyncKernelManager]:
    """Start the kernel of an installed kernelspec in a folder and shut it down in the end.

    `log` is a file descriptor that gets what its process prints.

    Raises `BridgeError`: kernel_dead, kernel_silent.
    """
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415  # 0.2 s that only those who start a kernel pay

    # Where and under which name a Jupyter server would put it, so that agents find it.
    connection_file = Path(jupyter_runtime_dir(), f"kernel-{uuid.uuid4()}.json")
    connection_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    manager = AsyncKernelManager(kernel_name=name, connection_file=str(connection_file))
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
        await client.wait_for_ready(timeout=BOUND)
    except RuntimeError as error:  # for both: a kernel that died and one that stays silent
        if await manager.is_alive():
            raise BridgeError(
                "kernel_silent", f"The kernel runs, but did not answer for {BOUND:g} s."
            ) from error
        raise BridgeError("kernel_dead", "The kernel ended while it was starting.") from error
