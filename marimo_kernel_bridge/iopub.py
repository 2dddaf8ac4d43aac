"""What the iopub messages of one request add up to: a list of outputs, in the shape of nbformat 4.

Rule 1: this is what a notebook front end does with a cell's messages, and nothing more: streams are joined,
`clear_output` clears (now, or with `wait` when the next output comes), `update_display_data` replaces what was
shown under the same display id. Rule 2: it knows no sockets, and not whose request it was.

https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

MAX_STREAM_CHARACTERS: Final = 5_000_000
"""Of all streams of one request. An endless `print` must not fill our memory."""


@dataclass
class _Stream:
    name: str
    chunks: list[str] = field(default_factory=list)  # joined late: += would be quadratic


@dataclass
class _Bundle:
    """An output that is complete with one message."""

    output: dict[str, Any]  # nbformat's own shape, which is a JSON object
    display_id: str | None = None


class Outputs:
    """The outputs of one request, grown message by message."""

    def __init__(self) -> None:
        self._items: list[_Stream | _Bundle] = []
        self._clear_before_next = False
        self._stream_characters = 0
        self.dropped_characters = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, msg_type: str, content: dict[str, Any]) -> bool:
        """Take one iopub message. True if it was about outputs (they may look the same as before)."""
        match msg_type:
            case "stream":
                self._make_room()
                self._add_text(str(content.get("name", "stdout")), str(content.get("text", "")))
            case "display_data":
                self._make_room()
                self._items.append(_Bundle(_display_data(content), _display_id(content)))
            case "execute_result":
                self._make_room()
                output = _display_data(content) | {
                    "output_type": "execute_result",
                    "execution_count": content.get("execution_count"),
                }
                self._items.append(_Bundle(output, _display_id(content)))
            case "error":
                self._make_room()
                self._items.append(_Bundle(_error(content)))
            case "update_display_data":
                self.update_display(content)
            case "clear_output":
                if content.get("wait"):
                    self._clear_before_next = True
                else:
                    self._clear()
            case _:
                return False
        return True

    def update_display(self, content: dict[str, Any]) -> None:
        """Replace what was shown under the message's display id; any request may send such an update."""
        display_id = _display_id(content)
        if display_id is None:
            return
        for item in self._items:
            if isinstance(item, _Bundle) and item.display_id == display_id:
                item.output["data"] = dict(content.get("data") or {})
                item.output["metadata"] = dict(content.get("metadata") or {})

    def as_nbformat(self) -> list[dict[str, Any]]:
        """Give a copy of the outputs as they are now."""
        return [
            {"output_type": "stream", "name": item.name, "text": "".join(item.chunks)}
            if isinstance(item, _Stream)
            else dict(item.output)
            for item in self._items
        ]

    def _add_text(self, name: str, text: str) -> None:
        kept = text[: max(0, MAX_STREAM_CHARACTERS - self._stream_characters)]
        self.dropped_characters += len(text) - len(kept)
        self._stream_characters += len(kept)
        if not kept:
            return
        last = self._items[-1] if self._items else None
        if not (isinstance(last, _Stream) and last.name == name):
            last = _Stream(name)
            self._items.append(last)
        last.chunks.append(kept)

    def _make_room(self) -> None:
        if self._clear_before_next:
            self._clear()

    def _clear(self) -> None:
        self._items.clear()
        self._clear_before_next = False
        self._stream_characters = self.dropped_characters = 0


def _display_data(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "data": dict(content.get("data") or {}),
        "metadata": dict(content.get("metadata") or {}),
    }


def _error(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": str(content.get("ename", "")),
        "evalue": str(content.get("evalue", "")),
        "traceback": [str(line) for line in content.get("traceback") or []],
    }


def _display_id(content: dict[str, Any]) -> str | None:
    display_id = (content.get("transient") or {}).get("display_id")
    return display_id if isinstance(display_id, str) else None
