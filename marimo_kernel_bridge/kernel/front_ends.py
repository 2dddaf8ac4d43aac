"""The kernel's types for front ends: their dialects, the messages to them, and the delivery of outputs.

Determines a front end's dialect from its requests, and defines the protocol of a delivery; `outputs` chooses and
implements deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.names import Dialect
    from marimo_kernel_bridge.protocol.notebook import Output


Header: TypeAlias = dict[str, Any]
"""The header of a Jupyter message."""


@dataclass(frozen=True)
class Message:
    """One iopub message to send."""

    msg_type: str
    content: Content
    parent: Header


def dialect_of(metadata: dict[str, Any], *, allow_stdin: bool, client: str | None) -> Dialect:
    """Return the front end that sends an execute_request with this metadata."""
    if client is not None:
        return "agent"
    cell_id = metadata.get("cellId")
    if cell_id is None:
        # nbclient and papermill never allow stdin, terminals always do.
        return "terminal" if allow_stdin else "batch"
    return "vscode" if str(cell_id).startswith("vscode-notebook-cell:") else "lab"


class Delivery(Protocol):
    """The delivery of the outputs of one run of a dependent."""

    @property
    def parent(self) -> Header:
        """The parent header under which the cell's body runs."""
        ...

    def begin(self, notice: Content | None) -> list[Message]:
        """Start the run. `notice` is the content of a display_data to show above the outputs."""
        ...

    def output(self, msg_type: str, content: Content) -> list[Message]:
        """Process an output of the run."""
        ...

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:
        """End the run. The arguments are the cell's outputs before and after it."""
        ...
