"""An agent on a kernel, as the MCP server's requests are, without the server: it reads and edits the open document."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, Change, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.document_edits import (
    Comparison,
    DocumentContent,
    DocumentEdit,
    NotebookCell,
    Proposal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

T = TypeVar("T")
BOUND = 30.0


class Agent:
    """Attached under a name until `close`."""

    def __init__(self, connection_file: Path, name: str = "claude") -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._threads = ThreadPoolExecutor()
        self.name = name
        self._client = self._do(KernelClient.attach(read_connection(connection_file), name))

    def close(self) -> None:
        self._do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def ask(self, request: wire.ControlRequest, kind: type[T]) -> T:
        asked = self._client._link.ask("control", wire.READ_REQUEST, wire.encode_request(request), BOUND)
        return wire.decode_reply(self._do(asked), kind)

    def read(self) -> DocumentContent:
        return self.ask(wire.ReadDocument(), DocumentContent)

    def cell(self, code: str) -> NotebookCell:
        return next(cell for cell in self.read().cells if cell.code == code)

    def edit(self, *changes: Change, **more: Any) -> DocumentEdit:
        return self.ask(wire.EditDocument(changes=list(changes), client=self.name, **more), DocumentEdit)

    def change(self, before: str, after: str) -> Change:
        cell = self.cell(before)
        return ChangeCell(cell_id=cell.key, version=cell.version, code=after)

    def delete(self, code: str) -> Change:
        cell = self.cell(code)
        return DeleteCell(cell_id=cell.key, version=cell.version)

    def move(self, code: str, after: str | None) -> Change:
        cell = self.cell(code)
        return MoveCell(
            cell_id=cell.key, version=cell.version, after=None if after is None else self.cell(after).key
        )

    def add(self, code: str, after: str | None, **more: Any) -> Change:
        key = None if after is None else self.cell(after).key
        return AddCell(code=code, after=key, first=after is None, **more)

    def proposal(self, op_id: str, wait: float = 20.0) -> Proposal:
        return self.ask(wire.ReadProposal(op_id=op_id, wait=wait), Proposal)

    def compare(self) -> Comparison:
        return self.ask(wire.CompareDocument(), Comparison)

    def later(self, work: Callable[[], T]) -> Future[T]:
        """Do this in a thread of its own, while the person does something."""
        return self._threads.submit(work)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * BOUND)
