"""The output router: keeps each cell's output log, and sends each message to the front end that shows the cell.

Chooses the `Delivery` for a run that the cell's own request did not cause. Does not decide which cells run. `route` may
be called on any thread (streams come from ipykernel's iopub thread), the rest on the main thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.front_ends import Message
from marimo_kernel_bridge.kernel.outputs.delivery import (
    DisplayUpdates,
    HeldMessages,
    LateAndBelow,
    LateMessages,
    PrintedBelow,
)
from marimo_kernel_bridge.kernel.outputs.late_views import LateViews
from marimo_kernel_bridge.kernel.outputs.vscode_queue import VSCodeQueue
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from marimo_kernel_bridge.kernel.cells import Address, CellTable, Entry
    from marimo_kernel_bridge.kernel.front_ends import Delivery, Header
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Output
    from marimo_kernel_bridge.runtime.interface import Redrawn


class OutputRouter:
    """Routes the outputs of a notebook's cells to the front ends that show them."""

    def __init__(
        self,
        cells: CellTable,
        send: Callable[[Message], None],
        requests_wait: Callable[[], bool],
        *,
        limit: int = 0,
    ) -> None:
        """`send` publishes a message on iopub; `requests_wait` returns whether any request is queued.

        `limit`: characters that one run of a cell may show; 0: unlimited.
        """
        self._cells = cells
        self._send = send
        self._requests_wait = requests_wait
        self._limit = limit
        self._kept: dict[str, HeldMessages] = {}
        self._marked: set[str] = set()  # cells whose outputs end in a notice that they are stale
        self._displays: dict[str, set[str]] = {}  # by display id: the cells that show it
        self._display_ids: dict[str, set[str]] = {}  # by cell
        self._vscode = VSCodeQueue()
        self.views = LateViews()
        """What shows late outputs by itself."""

    # -- the outputs of cells --------------------------------------------------------------------------------------

    def restart(self, entry: Entry) -> None:
        """Clear a cell's outputs at the start of a run."""
        cell_id = entry.cell.cell_id
        self._marked.discard(cell_id)
        for display_id in self._display_ids.pop(cell_id, ()):
            self._displays[display_id].discard(cell_id)
            if not self._displays[display_id]:
                del self._displays[display_id]
        entry.log.restart()
        entry.shown = 0

    def _log(self, entry: Entry, msg_type: str, content: Content) -> None:
        entry.log.apply(msg_type, content)
        display_id = content.get("transient", {}).get("display_id")
        if display_id is not None:
            self._displays.setdefault(display_id, set()).add(entry.cell.cell_id)
            self._display_ids.setdefault(entry.cell.cell_id, set()).add(display_id)

    def _update_displays(self, content: Content) -> None:
        """Apply an update to the cells that show the display id."""
        for cell_id in list(self._displays.get(content.get("transient", {}).get("display_id"), ())):
            entry = self._cells.get(cell_id)
            if entry is not None:
                entry.log.update_display(content)

    # -- requests of front ends --------------------------------------------------------------------------------------

    def request_begins(self, entry: Entry) -> None:
        """Record that a front end runs a cell, which makes messages held for it obsolete."""
        entry.shown_before = entry.log.outputs()
        self.restart(entry)
        self._kept.pop(entry.cell.cell_id, None)
        if entry.address.dialect == "vscode":
            self._vscode.request_begins()

    def request_ends(self, entry: Entry) -> None:
        """Record the reply to a front end's request."""
        if entry.address.dialect == "vscode":
            self._vscode.request_ends()

    @property
    def vscode_is_busy(self) -> bool:
        """Whether a Run All of VS Code may be in progress, during which late messages do harm."""
        return self._vscode.is_busy

    def quiet_in(self) -> float:
        """Return the seconds until VS Code counts as quiet, 0 if it already does."""
        return self._vscode.quiet_in()

    @property
    def holds(self) -> bool:
        """Whether any message is held for VS Code."""
        return bool(self._kept)

    def release_held(self) -> None:
        """Send the late messages held for VS Code, if it is quiet and no request has arrived since."""
        if self._kept and not self.vscode_is_busy and not self._requests_wait():
            kept, self._kept = self._kept, {}
            for held in kept.values():
                self.send_all(held.kept)

    # -- runs that the cell's own request did not cause --------------------------------------------------------------

    def begin(self, entry: Entry, trigger: Address) -> Delivery:
        """Start the delivery of a run of a cell that `trigger` caused."""
        delivery = self._delivery_for(entry, trigger)
        if isinstance(delivery, HeldMessages):
            self._kept[entry.cell.cell_id] = delivery
        self.restart(entry)
        edited = entry.shown_code is not None and entry.shown_code != entry.cell.code
        notice = (
            notices.edited(entry.cell)
            if edited and isinstance(delivery, LateMessages | HeldMessages)
            else None
        )
        if notice is not None:
            self._log(entry, "display_data", notice)
        self.send_all(delivery.begin(notice))
        entry.delivery = delivery
        return delivery

    def end(self, entry: Entry, before: tuple[Output, ...]) -> None:
        """End the delivery; `before` are the outputs of the previous run."""
        delivery, entry.delivery = entry.delivery, None
        if delivery is not None:
            self.send_all(delivery.end(before, entry.log.outputs()))
            self.release_held()
            if entry.address.dialect == "lab":
                self.views.late(entry)

    def _delivery_for(self, entry: Entry, trigger: Address) -> Delivery:
        parent, current, heading = entry.address.parent, trigger.parent, notices.heading(entry.cell)
        # A separate parent distinguishes the outputs of this run from those of the current request.
        inner = {**current, "msg_id": f"{current['msg_id']}/{entry.cell.cell_id}"}
        late = (
            LateAndBelow(parent, current, heading)
            if self._on_another_page(entry, trigger)
            else LateMessages(parent)
        )
        match entry.address.dialect:
            case "lab" | "agent":
                return late
            case "vscode":
                return HeldMessages(late)
            case "batch":
                return DisplayUpdates(inner, current, heading, entry.log.display_ids())
            case "terminal":
                return PrintedBelow(inner, current, heading)

    def _on_another_page(self, entry: Entry, trigger: Address) -> bool:
        """Return whether the page that ran a cell was reloaded or is another window, so that it may no longer listen."""
        dialect = entry.address.dialect
        return (
            dialect in {"lab", "vscode"}
            and trigger.dialect == dialect
            and trigger.session != entry.address.session
            and not (dialect == "lab" and self.views.show_late(entry, trigger.session))
        )

    def replace(self, entry: Entry, trigger: Address, message: Message) -> None:
        """Replace a cell's outputs with one message; the message's own parent is ignored."""
        before = entry.log.outputs()
        delivery = self.begin(entry, trigger)
        self._log(entry, message.msg_type, message.content)
        self.send_all(delivery.output(message.msg_type, message.content))
        self.end(entry, before)

    def redraw(self, entry: Entry, trigger: Address, redrawn: Sequence[Redrawn]) -> None:
        """Show a cell's outputs again after some of them changed without a run."""
        before, messages = entry.log.outputs(), entry.log.messages()
        for _, content in messages:
            for change in redrawn:
                if content.get("data") == change.before:
                    content["data"] = change.after
                    break
        if messages == entry.log.messages():
            return
        shown = self.views.show_redrawn(entry, redrawn)
        if shown or entry.address.dialect == "terminal":
            entry.log.restart()
            for msg_type, content in messages:
                self._log(entry, msg_type, content)
            return
        delivery = self.begin(entry, trigger)
        for msg_type, content in messages:
            self._log(entry, msg_type, content)
            self.send_all(delivery.output(msg_type, content))
        self.end(entry, before)

    def append(self, entry: Entry, msg_type: str, content: Content) -> None:
        """Add an output to the cell of the current request."""
        self._log(entry, msg_type, content)
        self._send(Message(msg_type, content, entry.address.parent))

    def append_late(self, entry: Entry, msg_type: str, content: Content) -> None:
        """Add an output to a cell other than that of the current request."""
        if entry.address.dialect != "vscode":
            self.append(entry, msg_type, content)
            return
        self._log(entry, msg_type, content)
        late = LateMessages(entry.address.parent)
        self._kept.setdefault(entry.cell.cell_id, HeldMessages(late)).kept += late.output(msg_type, content)

    def replay(self, entry: Entry) -> None:
        """Send a cell's outputs again, with the request that now shows it as parent."""
        for msg_type, content in entry.log.messages():
            self._send(Message(msg_type, content, entry.address.parent))

    def mark_stale(self, stale: Collection[str], trigger: Address) -> None:
        """Show a notice that they are stale after the outputs of exactly these cells.

        Only in front ends where the notice can be removed again. The notice is not in the cell's log.
        """
        unseen = []
        for cell_id in sorted(self._marked.symmetric_difference(stale)):
            entry, mark = self._cells.get(cell_id), cell_id in stale
            dialect = None if entry is None else entry.address.dialect
            if entry is None or dialect not in {"lab", "vscode"}:
                continue
            if dialect == "vscode" and (self.vscode_is_busy or self._requests_wait()):
                continue
            (self._marked.add if mark else self._marked.discard)(cell_id)
            content = notices.stale() if mark else notices.nothing()
            content["transient"] = {"display_id": f"{cell_id}-stale"}
            kind = "display_data" if mark else "update_display_data"
            self._send(Message(kind, content, entry.address.parent))
            if mark and self._on_another_page(entry, trigger):
                unseen.append(entry.cell)
        if unseen:
            unseen.sort(key=lambda cell: cell.execution_count or 0)
            self._send(Message("display_data", notices.stale_elsewhere(unseen), trigger.parent))

    def send_all(self, messages: list[Message]) -> None:
        """Send messages unchanged."""
        for message in messages:
            self._send(message)

    # -- outputs of user code ----------------------------------------------------------------------------------------

    def route(self, msg_type: str, content: Content, parent: Header) -> list[Message] | None:
        """Route an output of user code, on any thread. Return the messages to send in its place, None to send it unchanged."""
        msg_id = parent.get("msg_id", "")
        if msg_type == "update_display_data":
            self._update_displays(content)
        outer, _, inner = msg_id.partition("/")
        if inner:
            entry = self._cells.get(inner)
            if entry is None or entry.delivery is None:  # output of a thread after the end of its run
                return [Message(msg_type, content, {**parent, "msg_id": outer})]
        else:
            entry = self._cells.by_message(msg_id)
        if entry is None or msg_type not in OUTPUT_TYPES:
            return None
        if msg_type in {"display_data", "execute_result"} and entry.address.dialect == "batch":
            content = _with_display_id(entry, content)
        if msg_type != "update_display_data":
            self._log(entry, msg_type, content)
        return [
            message
            for kind, shown in self._within_limit(entry, msg_type, content)
            for message in (
                [Message(kind, shown, parent)]
                if entry.delivery is None
                else entry.delivery.output(kind, shown)
            )
        ]

    def _within_limit(self, entry: Entry, msg_type: str, content: Content) -> list[tuple[str, Content]]:
        """Drop output of a run beyond the limit, which would crash front ends. The log still has it."""
        if msg_type == "clear_output":
            entry.shown = 0  # a live plot does not accumulate
        if self._limit == 0 or msg_type in {"clear_output", "error", "update_display_data"}:
            return [(msg_type, content)]
        size, room = _size(content), self._limit - entry.shown
        entry.shown += size
        if size <= room:
            return [(msg_type, content)]
        if room < 0:
            return []
        cut = [(msg_type, {**content, "text": content["text"][:room]})] if msg_type == "stream" else []
        return [*cut, ("stream", {"name": "stderr", "text": notices.output_limit(self._limit)})]


def _size(content: Content) -> int:
    """Return the approximate number of characters of an output."""
    if "text" in content:
        return len(content["text"])
    return sum(len(value) for value in content.get("data", {}).values() if isinstance(value, str))


def _with_display_id(entry: Entry, content: Content) -> Content:
    """Add a display id to an output for a batch client, where it is the only way to replace the output later."""
    transient = content.get("transient") or {}
    if "display_id" in transient:
        return content
    display_id = f"{entry.cell.cell_id}-{len(entry.log.display_ids())}"
    return {**content, "transient": {**transient, "display_id": display_id}}
