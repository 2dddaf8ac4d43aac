"""The requests about open documents, of front ends and of agents. Composes their handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.documents.agent_requests import AgentRequests
from marimo_kernel_bridge.kernel.documents.decisions import Decisions
from marimo_kernel_bridge.kernel.documents.document_changes import DocumentChanges
from marimo_kernel_bridge.kernel.documents.front_end_requests import FrontEndRequests
from marimo_kernel_bridge.kernel.documents.kept_edits import KeptEdits
from marimo_kernel_bridge.kernel.documents.other_editors import OtherEditors
from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
from marimo_kernel_bridge.kernel.documents.undoing import Undoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.documents.shared_documents import ControlTimers, Host
    from marimo_kernel_bridge.protocol.document import Order


class DocumentRequests:
    """Answers front ends and agents, and keeps what agents change without a document."""

    def __init__(self, host: Host, timers: ControlTimers, send: Callable[[Order], None]) -> None:
        """`timers` are the event loop of the control thread; `send` publishes an order."""
        self.shared = SharedDocuments(host, timers, send)
        changes = DocumentChanges(self.shared)
        undoing = Undoing(self.shared, changes)
        self.front_ends = FrontEndRequests(self.shared, undoing, Decisions(self.shared, changes))
        self.agents = AgentRequests(self.shared, changes, self.shared.plain_orders, undoing)
        self.kept = KeptEdits(self.shared)
        self.others = OtherEditors(self.shared, changes)
