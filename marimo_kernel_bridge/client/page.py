"""The model of a notebook in a front end: which cell shows which message. Pure.

Owns the requests of one notebook's cells and the outputs of the cells, including late ones. Sends and receives nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from marimo_kernel_bridge.protocol.names import METADATA_KEY, Dialect
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog
from marimo_kernel_bridge.protocol.output_text import shown_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.protocol.messages import Content


@dataclass
class ShownCell:
    """The outputs of a cell. `request_id` is its newest request; only messages with that parent are shown.

    `late` are the types of messages that arrived after the request was over: the kernel ran the cell by itself.
    """

    request_id: str
    log: OutputLog = field(default_factory=OutputLog)
    over: bool = False
    late: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of all outputs, joined."""
        return shown_text(self.log.outputs())

    def mime(self, mime_type: str) -> str | None:
        """Return the first output with a mime type."""
        bundles = (output.get("data", {}) for output in self.log.outputs())
        return next((bundle[mime_type] for bundle in bundles if mime_type in bundle), None)


class Page:
    """The cells of a notebook that is open in a front end, by their ids."""

    def __init__(self) -> None:
        self.cells: dict[str, ShownCell] = {}
        self._cell_of_request: dict[str, str] = {}

    def sent(self, cell_id: str, request_id: str) -> ShownCell:
        """Clear the outputs of a cell, which a new request runs."""
        self._cell_of_request[request_id] = cell_id
        cell = self.cells[cell_id] = ShownCell(request_id)
        return cell

    def adopt(self, cell_id: str, request_id: str) -> ShownCell:
        """Show what comes for a request that another page has sent, which is over."""
        cell = self.sent(cell_id, request_id)
        cell.over = True
        return cell

    def show(self, message: Mapping[str, Any]) -> None:  # a Jupyter message
        """Show an iopub message in its cell, unless the cell has been run again since."""
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


def execute_content(code: str, dialect: Dialect = "lab") -> Content:
    """Return the content of the execute_request with which a front end runs a cell."""
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": dialect != "batch",
        "stop_on_error": dialect != "vscode",
    }


def execute_metadata(cell_id: str | None, dialect: Dialect = "lab") -> Content:
    """Return the metadata of that request, which identifies the cell and the front end."""
    match dialect:
        case "lab":
            return {"cellId": cell_id, "deletedCells": [], "recordTiming": False} if cell_id else {}
        case "vscode":
            return {"cellId": f"vscode-notebook-cell:/n.ipynb#{cell_id}"} if cell_id else {}
        case "agent":
            return {METADATA_KEY: {"client": "agent"}}
        case "batch" | "terminal":
            return {}
        case _:
            assert_never(dialect)
