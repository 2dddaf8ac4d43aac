"""What needs the newest text of a document: front ends send what the person writes a little later, or when they are asked.

For the control thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.document import Who

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.documents.open_documents import Document, OpenDocuments
    from marimo_kernel_bridge.kernel.documents.order_queue import Limits, Timers
    from marimo_kernel_bridge.protocol.document import Order


class NewestText:
    """The acts that wait until a client has sent what it had not sent yet."""

    def __init__(
        self, documents: OpenDocuments, send: Callable[[Order], None], timers: Timers, limits: Limits
    ) -> None:
        self._open = documents
        self._send = send
        self._timers = timers
        self._limits = limits
        self._waiting: dict[str, list[Callable[[], None]]] = {}  # by client

    def then(self, document: Document, act: Callable[[], None]) -> None:
        """Act when a document has sent what it had not sent yet, or takes too long for that: then on what it said last."""
        waiting = self._waiting.setdefault(document.client, [])
        waiting.append(act)
        if len(waiting) == 1:
            asked_at = document.heard_at
            self._timers.call_later(self._limits.flush, lambda: self._act_without(document.client, waiting))
            self._timers.call_later(self._limits.answer, lambda: self._give_up(document, asked_at))
            self._send(Who(to=document.client))

    def release(self, client: str) -> None:
        """Act now: a client has sent its newest text, or it has gone."""
        for act in self._waiting.pop(client, ()):
            act()

    def _act_without(self, client: str, waiting: list[Callable[[], None]]) -> None:
        if self._waiting.get(client) is waiting:
            self.release(client)

    def _give_up(self, document: Document, asked_at: float) -> None:
        if document.heard_at == asked_at and self._open.get(document.client) is document:
            self._open.went_away(document)
