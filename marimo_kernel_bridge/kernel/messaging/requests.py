"""Parsed requests: whether a message can be handled, whose code it runs, and which front end sent it.

Parsed once, when a message is received; nothing else reads the message of an `execute_request`. Values and their parsing
only: knows neither sockets nor the effects of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.front_ends import dialect_of
from marimo_kernel_bridge.protocol.names import FOR_AGENT, METADATA_KEY, READ_REQUEST, REQUEST, agent_name
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.front_ends import Header

_REQUIRED: Final[dict[str, dict[str, type]]] = {
    "execute_request": {"code": str},
    "complete_request": {"code": str, "cursor_pos": int},
    "inspect_request": {"code": str, "cursor_pos": int},
    "is_complete_request": {"code": str},
    "shutdown_request": {"restart": bool},
    "delete_subshell_request": {"subshell_id": str},
}
"""Fields of a request's content without which it cannot be handled. The handlers of other requests check their own."""

_LONGEST_ID: Final = 1_000
_OPTIONAL: Final[dict[str, dict[str, type]]] = {"execute_request": {"user_expressions": dict}}


@dataclass(frozen=True, kw_only=True)
class ExecuteRequest:
    """A request to run code. One that is not a `CellRequest` is hidden: front ends send these for their own use."""

    header: Header
    code: str
    client: str | None = None
    """The name that an agent's client gives itself."""
    allow_stdin: bool = False
    stop_on_error: bool = True
    wants_outcome: bool = False
    """Whether the kernel sends the outcome of the request unsolicited."""

    @property
    def msg_id(self) -> str:
        """The id of the request."""
        return str(self.header["msg_id"])


@dataclass(frozen=True, kw_only=True)
class CellRequest(ExecuteRequest):
    """A request to run a cell of the notebook. Only these touch the graph."""

    notebook_cell_id: str | None
    address: Address
    deleted: tuple[str, ...] | None = None
    """The cells that the front end reports as deleted, by its ids; None from a front end that reports none."""
    ordered_by: str | None = None
    """The agent because of whose order a front end runs the cell."""
    operation: str | None = None
    """The id of that order."""

    @property
    def author(self) -> str:
        """Who runs the cell."""
        return self.client or self.ordered_by or NOTEBOOK

    @property
    def sends_bursts(self) -> bool:
        """Whether the front end sends the requests of a Run All without waiting for replies."""
        return self.deleted is not None


@dataclass(frozen=True, kw_only=True)
class LabRequest(CellRequest):
    """A request of JupyterLab or Notebook 7, which lookahead may read before its turn."""

    notebook_cell_id: str


@dataclass(frozen=True)
class Cause:
    """The request that causes the present or later runs. `ident` and `message` are only for the reply to it."""

    ident: Any
    message: dict[str, Any]
    allow_stdin: bool = False
    sends_bursts: bool = False


class ReceivedMessage(dict[str, Any]):
    """A message as `Session.deserialize` returns it, with the parsed request."""

    refusal: str | None
    """Why the message cannot be handled."""
    request: ExecuteRequest | None
    names_subshell: bool
    comm_subshell: object
    """The subshell that a comm's message names."""

    def __init__(self, message: dict[str, Any]) -> None:
        super().__init__(message)
        header = message["header"]
        self.names_subshell = "subshell_id" in header
        if header["msg_type"].startswith("comm_"):
            self.comm_subshell = header.pop(
                "subshell_id", None
            )  # ipykernel would refuse what the main thread takes of those
        self.refusal = refusal(message)
        is_code = header["msg_type"] == "execute_request" and self.refusal is None
        self.request = execute_request(header, message["metadata"], message["content"]) if is_code else None
        if self.request is not None:
            for_agent = self.request.client is not None
        else:
            for_agent = header["msg_type"] in {REQUEST, READ_REQUEST} and _is_redacted(message["content"])
        if for_agent:
            header[FOR_AGENT] = True


class ReceivedFrames(list[Any]):
    """The frames of a message that was received, and the message that they hold: it is read once."""

    idents: list[bytes]
    message: ReceivedMessage | None
    """None for one that is malformed, or not signed with our key."""
    error: ValueError | None
    """Why there is no message."""

    def __init__(self, frames: list[Any], idents: list[bytes], read: ReceivedMessage | ValueError) -> None:
        super().__init__(frames)
        self.idents = idents
        self.message, self.error = (None, read) if isinstance(read, ValueError) else (read, None)

    @property
    def msg_id(self) -> str | None:
        """The id of the message."""
        return None if self.message is None else self.message["header"]["msg_id"]

    @property
    def is_execute_request(self) -> bool:
        """Whether it asks for a run."""
        return self.message is not None and self.message["header"].get("msg_type") == "execute_request"

    @property
    def sets_value(self) -> bool:
        """Whether it sets an element or a widget on a page, which while a person drags a slider many do."""
        if self.message is None or self.message["header"].get("msg_type") != "comm_msg":
            return False
        content = self.message["content"]
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, dict):
            return False
        message = data.get("content", data)  # of a widget, or of a comm that a page has opened
        return data.get("method") == "update" or (isinstance(message, dict) and message.get("type") == "set")

    @property
    def session(self) -> str | None:
        """The front end's id."""
        return None if self.message is None else self.message["header"].get("session")

    @property
    def cell_request(self) -> CellRequest | None:
        """The request, if it is one for a cell."""
        request = None if self.message is None else self.message.request
        return request if isinstance(request, CellRequest) else None


def execute_request(
    header: Header, metadata: dict[str, Any], content: dict[str, Any]
) -> CellRequest | ExecuteRequest:
    """Parse an execute_request for which `refusal` returns None."""
    ours = metadata.get(METADATA_KEY)
    ours = ours if isinstance(ours, dict) else {}
    client = _agent_in(ours, "client")
    said: dict[str, Any] = {
        "header": header,
        "code": content["code"],
        "client": client,
        "allow_stdin": bool(content.get("allow_stdin")),
        "stop_on_error": bool(content.get("stop_on_error", True)),
        "wants_outcome": ours.get("outcome") is True,
    }
    if content.get("silent", False) or not content.get("store_history", True):
        return ExecuteRequest(**said)
    dialect = dialect_of(metadata, allow_stdin=content.get("allow_stdin", True), client=client)
    cell_id: Any = metadata.get("cellId")
    return (LabRequest if dialect == "lab" else CellRequest)(
        **said,
        notebook_cell_id=cell_id,
        address=Address(dialect, header, header.get("session", "")),
        deleted=tuple(metadata["deletedCells"] or ()) if "deletedCells" in metadata else None,
        ordered_by=_agent_in(ours, "author"),
        operation=ours["op"][:_LONGEST_ID] if isinstance(ours.get("op"), str) and ours["op"] else None,
    )


def _agent_in(ours: dict[str, Any], field: str) -> str | None:
    name = ours.get(field)
    return agent_name(name) if isinstance(name, str) and name and name != NOTEBOOK else None


def refusal(message: dict[str, Any]) -> str | None:
    """Return why a message cannot be handled, None if it can."""
    content, metadata = message["content"], message["metadata"]
    if not isinstance(content, dict):
        return "its content is not an object"
    if not isinstance(metadata, dict):
        return "its metadata is not an object"
    msg_type = message["header"].get("msg_type")
    for name, kind in _REQUIRED.get(msg_type, {}).items():
        if not isinstance(content.get(name), kind):
            return f"`{name}` is missing or not a {kind.__name__}"
    for name, kind in _OPTIONAL.get(msg_type, {}).items():
        if not isinstance(content.get(name) or kind(), kind):
            return f"`{name}` is not a {kind.__name__}"
    return _metadata_refusal(metadata) if msg_type == "execute_request" else None


def _is_redacted(content: object) -> bool:
    """Return whether the reply to a bridge request is for an agent, not for a command of the person."""
    return not isinstance(content, dict) or content.get("redacted") is not False


def _metadata_refusal(metadata: dict[str, Any]) -> str | None:
    if not isinstance(metadata.get("cellId"), str | None):
        return "`cellId` is not a string"
    deleted = metadata.get("deletedCells") or []
    if not isinstance(deleted, list) or not all(isinstance(cell_id, str) for cell_id in deleted):
        return "`deletedCells` is not a list of strings"
    return None
