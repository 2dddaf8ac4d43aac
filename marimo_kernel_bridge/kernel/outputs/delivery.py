"""Delivery strategies: how the new outputs of a cell that ran as a dependent reach the front end that shows it.

Jupyter has no message to replace the output of another cell. What works differs between front ends (measurements are
in docs/architecture.md), so each strategy is a small state machine: it receives the events of the run and its outputs,
and returns the messages to send. Pure: no sockets, no clock, no threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.front_ends import Message

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Output


@dataclass
class LateMessages:
    """Late messages with the cell's newest parent, sent immediately: JupyterLab and Notebook 7.

    These front ends accept output for a request after its reply, show it under its cell and save it.
    """

    parent: Header

    def begin(self, notice: Content | None) -> list[Message]:
        # wait=True: the old output stays until the first new one arrives, so that the page does not jump.
        messages = [Message("clear_output", {"wait": True}, self.parent)]
        if notice is not None:
            messages.append(Message("display_data", notice, self.parent))
        return messages

    def output(self, msg_type: str, content: Content) -> list[Message]:
        return [Message(msg_type, content, self.parent)]

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:  # noqa: ARG002  # live outputs need no comparison
        return [] if after else [Message("clear_output", {"wait": False}, self.parent)]


@dataclass
class LateAndBelow(LateMessages):
    """Late messages, and the changed outputs again under the cell that caused the run, with a heading.

    JupyterLab and VS Code silently drop late messages to cells that ran before the page was reloaded. The kernel cannot
    know whether the page was closed or is a second window.
    """

    current: Header = field(default_factory=dict)
    heading: str = ""

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:
        messages = super().end(before, after)
        return (
            messages
            if same_outputs(before, after)
            else messages + _shown_below(self.heading, list(after), self.current)
        )


@dataclass
class HeldMessages:
    """Late messages held until VS Code is quiet.

    A late message to a cell that is queued in a Run All ends that cell's execution before it starts: VS Code then loses
    its output and cancels the rest. A Run All may start at any time while a dependent runs. The router releases `kept`
    after the run, or drops it when the cell runs again.
    """

    way: LateMessages
    kept: list[Message] = field(default_factory=list)

    @property
    def parent(self) -> Header:
        return self.way.parent

    def begin(self, notice: Content | None) -> list[Message]:
        self.kept += self.way.begin(notice)
        return []

    def output(self, msg_type: str, content: Content) -> list[Message]:
        self.kept += self.way.output(msg_type, content)
        return []

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:
        self.kept += self.way.end(before, after)
        return []


@dataclass
class DisplayUpdates:
    """`update_display_data` within the request that caused the run: nbclient, papermill.

    They drop late messages, but update outputs by display id if the parent is the current request. Outputs without a
    display id (streams, errors) cannot be replaced: they are shown under the current cell, with a heading.
    """

    parent: Header
    current: Header
    heading: str
    display_ids: tuple[str | None, ...]

    def begin(self, notice: Content | None) -> list[Message]:  # noqa: ARG002  # batch runs have no reader for it
        return []

    def output(self, msg_type: str, content: Content) -> list[Message]:
        # Updates by user code, and messages that are not outputs, belong to the current request.
        return [Message(msg_type, content, self.current)] if msg_type == "update_display_data" else []

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:
        if same_outputs(before, after):
            return []
        messages: list[Message] = []
        free = [display_id for display_id in self.display_ids if display_id is not None]
        homeless: list[Output] = []
        for output in after:
            if "data" in output and free:
                content = {
                    "data": output["data"],
                    "metadata": output["metadata"],
                    "transient": {"display_id": free.pop(0)},
                }
                messages.append(Message("update_display_data", content, self.current))
            elif output not in before:
                homeless.append(output)
        for display_id in free:  # the run had fewer outputs than the one before
            content = {"data": {"text/plain": ""}, "metadata": {}, "transient": {"display_id": display_id}}
            messages.append(Message("update_display_data", content, self.current))
        return messages + _shown_below(self.heading, homeless, self.current)


@dataclass
class PrintedBelow:
    """Outputs printed under the current request, with a heading that names the cell: terminals, which are append-only."""

    parent: Header
    current: Header
    heading: str

    def begin(self, notice: Content | None) -> list[Message]:  # noqa: ARG002  # the terminal shows the code itself
        return []

    def output(self, msg_type: str, content: Content) -> list[Message]:
        return [Message(msg_type, content, self.current)] if msg_type == "update_display_data" else []

    def end(self, before: tuple[Output, ...], after: tuple[Output, ...]) -> list[Message]:
        if same_outputs(before, after):
            return []
        return _shown_below(self.heading, list(after), self.current)


def same_outputs(before: tuple[Output, ...], after: tuple[Output, ...]) -> bool:
    """Return whether outputs look the same: execution counts are ignored."""
    return [_content(output) for output in before] == [_content(output) for output in after]


def _content(output: Output) -> Content:
    return {key: value for key, value in output.items() if key not in {"execution_count", "output_type"}}


def _shown_below(heading: str, outputs: list[Output], current: Header) -> list[Message]:
    if not outputs:
        return []
    messages = [Message("stream", {"name": "stdout", "text": f"{heading}\n"}, current)]
    for output in outputs:
        content = {
            key: value for key, value in output.items() if key not in {"output_type", "execution_count"}
        }
        # A second execute_result would appear as the current cell's own result.
        kind = "display_data" if output["output_type"] == "execute_result" else output["output_type"]
        if kind == "display_data":
            content["transient"] = {}
        messages.append(Message(kind, content, current))
    return messages
