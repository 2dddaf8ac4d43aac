"""The pages that show marimo's own elements, and what they are told. `page_requests` answers what they ask.

A page stays known after it is closed, which nobody reports: what is sent to it is lost, and costs little.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from marimo_kernel_bridge.kernel.live import messages, page_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.live.carrier import Carrier
    from marimo_kernel_bridge.runtime.interface import Redrawn

_SHOWING: Final = frozenset({"lab", "vscode", "agent"})
"""The dialects of cells that pages show."""


class LivePages:
    """The pages of one kernel, on one or more carriers. Implements `LiveObserver` and `outputs.late_views.Pages`."""

    def __init__(self) -> None:
        self.key = secrets.token_hex(3)
        """Is before the ids of elements on pages, and in placeholders."""
        self._carriers: list[Carrier] = []
        self._sessions: dict[str, str] = {}  # by page: its front end's id in headers

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def reach_by(self, carrier: Carrier) -> None:
        """Send on this carrier, too."""
        self._carriers = [*self.open_carriers(), carrier]

    def open_carriers(self) -> list[Carrier]:
        """Return the carriers that are open."""
        return [carrier for carrier in self._carriers if not carrier.closed]

    def greet(self, page: str, session: str) -> None:
        """Note a page."""
        self._sessions[page] = session

    def send(self, message: messages.ToPage) -> None:
        """Send a message to all pages. Any thread."""
        if self._sessions:
            data = messages.encode(message)
            for carrier in self.open_carriers():
                carrier.send(data)

    # -- LiveObserver ---------------------------------------------------------------------------------------------

    def value_changed(self, object_id: str, value: object, source: str) -> None:
        if not self._sessions.keys() - {source}:
            return
        update = {"type": "marimo-ui-value-update", "value": value}
        self._notify(
            "send-ui-element-message",
            {"ui_element": self._on_page(object_id), "message": update, "buffers": None},
            but=source,
        )

    def elements_removed(self, cell_id: str) -> None:
        self._notify("remove-ui-elements", {"cell_id": self._on_page(cell_id)})

    def notified(self, op: str, data: bytes) -> None:
        if self._sessions:
            notification = msgspec.json.decode(page_ids.on_page(data.decode(), self.key))
            if "ui_element" in notification:
                notification["ui_element"] = self._on_page(notification["ui_element"])
            self._notify(op, notification)

    def _notify(self, op: str, data: dict[str, Any], but: str = "") -> None:
        if self._sessions:
            text = msgspec.json.encode({**data, "op": op}, enc_hook=str).decode()
            self.send(messages.Notification(but, op, text))

    def _on_page(self, name: str) -> str:
        return f"{self.key}~{name}"

    # -- what the router asks -------------------------------------------------------------------------------------

    def show_redrawn(self, entry: Entry, redrawn: Sequence[Redrawn]) -> bool:
        """Tell how outputs look in a saved notebook. Return whether that is all, because pages show the elements live.

        To send the outputs again would draw them again while somebody drags a slider or has a menu open.
        """
        if not self._sessions or entry.address.dialect not in _SHOWING:
            return False
        if not all(change.shown for change in redrawn):
            return False
        for change in redrawn:
            self.send(messages.Static(change.shown, change.after))
        return True

    def show_late(self, session: str) -> bool:
        """Return whether a page shows late outputs of cells that others have run."""
        return session in self._sessions.values()

    def late(self, entry: Entry) -> None:
        """Show a cell's outputs on the pages that have not run it, which drop late messages."""
        others = {page for page, session in self._sessions.items() if session != entry.address.session}
        if others and entry.cell.notebook_cell_id is not None:
            same = (page for page, session in self._sessions.items() if session == entry.address.session)
            outputs = list(entry.log.outputs())
            self.send(messages.LateOutputs(entry.cell.notebook_cell_id, outputs, next(same, "")))
