"""The kernel's side of the bridge protocol: one request in, one reply out, always.

`wire.py` says what there is to ask; `zmq_kernel.py` brings the messages.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge import __version__, wire
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebook import KernelDescription
from marimo_kernel_bridge.requests import agent_address

if TYPE_CHECKING:
    import logging

    from marimo_kernel_bridge.session import Session
    from marimo_kernel_bridge.shell import ReactiveShell


class Host(Protocol):
    """What is needed of the kernel."""

    notebook: Session
    shell: ReactiveShell
    log: logging.Logger

    def load_runtime(self) -> None: ...

    def notebook_path(self) -> str | None: ...

    async def settle(self) -> None:
        """Run the dependents."""
        ...

    def is_busy(self) -> bool: ...

    def is_settling(self) -> bool: ...

    def requests_waiting(self) -> int: ...


class BridgeRequests:
    """See the module."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._started_at = time.time()

    async def reply_to(self, parent: dict[str, Any], *, on_control: bool) -> dict[str, Any]:
        """Return the content of the reply to a request."""
        try:
            request = wire.decode_request(parent["content"])
            return wire.encode_result(await self._answer(request, parent, on_control=on_control))
        except BridgeError as refusal:
            return wire.encode_error(refusal)
        except Exception:
            self._host.log.exception("A bridge request failed")
            return wire.encode_error(
                BridgeError("bad_request", "The kernel failed to answer; its log says why.", "This is a bug.")
            )

    async def _answer(
        self, request: wire.Request, parent: dict[str, Any], *, on_control: bool
    ) -> wire.Result:
        notebook = self._host.notebook
        match request:
            case wire.Describe():
                return self._describe()
            case wire.ListCells():
                return notebook.snapshot()
            case wire.ReadCell(cell_id=cell_id):
                return notebook.read(cell_id)
            case wire.ReadRun(run_id=run_id):
                return notebook.runs.report(run_id)
            case _ if on_control:
                raise BridgeError("bad_request", "Requests that run code go on the shell channel.")
            case wire.EditCell() | wire.RunCells() | wire.SetUiValue():
                self._host.load_runtime()
                await self._run(request, parent)
                await self._host.settle()
                return notebook.runs.report(parent["header"]["msg_id"])

    async def _run(self, request: wire.ShellRequest, parent: dict[str, Any]) -> None:
        notebook, address = self._host.notebook, agent_address(parent)
        match request:
            case wire.EditCell(code=code, client=client):
                entry = None
                if request.cell_id is not None:
                    entry = notebook.cells.find(request.cell_id)
                    if request.version != entry.cell.version:
                        raise _stale_version(request, entry.cell.version, entry.cell.edited_by)
                prepare = partial(self._host.shell.prepare, code=code)
                await notebook.edit(entry, code, prepare, client, address, run=request.run)
            case wire.RunCells(cell_ids=cell_ids, client=client):
                await notebook.run_known(cell_ids, client, address)
            case wire.SetUiValue(ui_element=target, value=value, client=client):
                notebook.set_ui_value(target, value, client, address)

    def _describe(self) -> KernelDescription:
        host, notebook = self._host, self._host.notebook
        marimo = sys.modules.get("marimo")
        return KernelDescription(
            protocol=wire.PROTOCOL,
            bridge_version=__version__,
            marimo_version=getattr(marimo, "__version__", None),
            python_version=platform.python_version(),
            pid=os.getpid(),
            cwd=os.getcwd(),  # noqa: PTH109  # a string is wanted
            notebook=host.notebook_path(),
            mode=notebook.mode,
            started_at=self._started_at,
            busy=host.is_busy(),
            running_cell=notebook.running,
            running_since=notebook.running_since,
            queued=host.requests_waiting(),
            settling=host.is_settling(),
            cells=len(notebook.cells),
            stale=notebook.stale,
        )


def _stale_version(request: wire.EditCell, version: int, author: str) -> BridgeError:
    return BridgeError(
        "stale_version",
        f"The cell is at version {version}, the edit was made for version {request.version}; "
        f"{author} changed it in between.",
        "Read the cell again and make the edit anew.",
    )
