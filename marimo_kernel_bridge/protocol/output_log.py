"""The outputs of one cell, as a front end shows them after the same iopub messages.

`OutputLog.apply` converts Jupyter's output messages to nbformat 4 outputs. It sends no messages. Thread-safe: stream
messages come from ipykernel's iopub thread, reads from the control thread.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.names import METADATA_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Output

OUTPUT_TYPES: Final = frozenset(
    {"stream", "display_data", "execute_result", "error", "update_display_data", "clear_output"}
)

EDITED: Final = "edited"
"""Marks the notice that the notebook shows older code than the kernel ran."""

_NOT_KEPT: Final = re.compile(r"\[\.\.\. ([\d,]+) characters were not kept \.\.\.\]")
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def strip_ansi(text: str) -> str:
    """Remove terminal colors."""
    return _ANSI.sub("", text)


def without_edited(outputs: Iterable[Output]) -> list[Output]:
    """Return the outputs without the `EDITED` notice, which is addressed to the reader and not output by the cell."""
    return [
        output for output in outputs if (output.get("metadata") or {}).get(METADATA_KEY) != {"notice": EDITED}
    ]


def shortened(outputs: Iterable[Output], most: int) -> tuple[Output, ...]:
    """Shorten each text in outputs to about `most` characters, keeping its beginning and its end."""
    return tuple(
        {**output, "text": _middle_cut(output["text"], most)}
        if "text" in output
        else {**output, "data": {kind: _cut_data(kind, data, most) for kind, data in output["data"].items()}}
        if "data" in output
        else output
        for output in outputs
    )


def _cut_data(kind: str, data: Any, most: int) -> Any:
    return _middle_cut(data, most) if kind.startswith("text/") and isinstance(data, str) else data


def _middle_cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    lost = _NOT_KEPT.search(text, half, len(text) - half)
    more = "" if lost is None else f"; {lost[1]} more were not kept"
    notice = f"[… {len(text) - 2 * half:,} of {len(text):,} characters are in the kernel{more} …]"
    return f"{text[:half]}\n{notice}\n{text[len(text) - half :]}"


KEPT: Final = 50_000_000
"""Characters of one stream output that are kept: half from its beginning, half from its end. A run may print endlessly."""


def error_text(error: object) -> str:
    """Return the message of an exception, also if its `__str__` raises."""
    try:
        return str(error)
    except BaseException as failed:  # noqa: BLE001  # user code's `__str__` may raise anything
        return f"<its __str__ raised {type(failed).__name__}>"


_ENTRY: Final = 500
"""What an output takes besides its characters, as characters: for the bound of a log."""


def size_of(content: Any, most: float = math.inf) -> int:  # JSON
    """Return about how many characters a JSON value has; where they are more than `most`, any number beyond that."""
    total, left = 0, [content]
    while left and total <= most:
        match left.pop():
            case str() as text:
                total += len(text)
            case dict() as members:
                left += members
                left += members.values()
            case list() as items:
                left += items
            case _:
                total += 8
    return total


@dataclass
class _Entry:
    output: Output
    display_id: str | None = None
    chunks: list[str] | None = None  # a stream's text, joined on reading
    head: str = ""  # of a stream that is too long to be kept completely
    size: int = 0  # of chunks
    dropped: int = 0  # characters between head and chunks
    weight: int = 0  # of what is displayed

    def value(self) -> Output:
        if self.chunks is None:
            return dict(self.output)
        if len(self.chunks) > 1:
            self.chunks[:] = ["".join(self.chunks)]
        text = self.chunks[0]
        if self.dropped:
            tail = text[-KEPT // 2 :]
            dropped = self.dropped + len(text) - len(tail)
            text = f"{self.head}\n[... {dropped:,} characters were not kept ...]\n{tail}"
        return {**self.output, "text": text}

    def add(self, text: str) -> None:
        """Append to a stream."""
        assert self.chunks is not None
        self.chunks.append(text)
        self.size += len(text)
        if self.size > 2 * KEPT:  # rarely: joining takes time proportional to the text
            whole = "".join(self.chunks)
            if not self.head:
                self.head, whole = whole[: KEPT // 2], whole[KEPT // 2 :]
            tail = whole[-KEPT // 2 :]
            self.dropped += len(whole) - len(tail)
            self.chunks[:] = [tail]
            self.size = len(tail)


@dataclass
class OutputLog:
    """The outputs of one cell; any thread may apply messages and read.

    With `most`, outputs beyond about so many characters are not kept: `size` is that of those that are, `dropped` of the
    others.
    """

    most: int | None = None
    size: int = 0
    dropped: int = 0
    _entries: list[_Entry] = field(default_factory=list)
    _clear_next: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, msg_type: str, content: Content) -> None:
        """Apply one of the `OUTPUT_TYPES` addressed to this cell."""
        with self._lock:
            if msg_type == "clear_output":
                self._clear_next = bool(content.get("wait"))
                if not self._clear_next:
                    self._clear()
                return
            if msg_type == "update_display_data":
                self._update(content)
                return
            if self._clear_next:
                self._clear_next = False
                self._clear()
            self._append(msg_type, content)

    def update_display(self, content: Content) -> None:
        """Apply an `update_display_data` of any request: display ids are global to the kernel."""
        with self._lock:
            self._update(content)

    def _update(self, content: Content) -> None:
        display_id = content.get("transient", {}).get("display_id")
        for entry in self._entries:
            if display_id is not None and entry.display_id == display_id and self._fits(content, entry):
                entry.output = {
                    **entry.output,
                    "data": content.get("data", {}),
                    "metadata": content.get("metadata", {}),
                }

    def _fits(self, content: Content, entry: _Entry) -> bool:
        """Count what an entry is about to show, if there is room for it."""
        if self.most is None:
            return True
        weight = _ENTRY + size_of(content)
        if self.size - entry.weight + weight > self.most:
            self.dropped += weight
            return False
        self.size += weight - entry.weight
        entry.weight = weight
        return True

    def _append(self, msg_type: str, content: Content) -> None:
        match msg_type:
            case "stream":
                name, text = content.get("name", "stdout"), content.get("text", "")
                last = self._entries[-1] if self._entries else None
                if last is not None and last.chunks is not None and last.output["name"] == name:
                    last.add(text)
                    self.size += len(text)
                else:
                    entry = _Entry({"output_type": "stream", "name": name}, chunks=[])
                    if self._fits(content, entry):
                        entry.add(text)
                        self._entries.append(entry)
            case "display_data" | "execute_result":
                output = {
                    "output_type": msg_type,
                    "data": content.get("data", {}),
                    "metadata": content.get("metadata") or {},
                }
                if msg_type == "execute_result":
                    output["execution_count"] = content.get("execution_count")
                entry = _Entry(output, content.get("transient", {}).get("display_id"))
                if self._fits(content, entry):
                    self._entries.append(entry)
            case "error":
                output = {key: content.get(key) for key in ("ename", "evalue", "traceback")}
                entry = _Entry({"output_type": "error", **output})
                if self._fits(content, entry):
                    self._entries.append(entry)

    def _clear(self) -> None:
        self._entries.clear()
        self.size = 0

    def restart(self) -> None:
        """Clear the log: the cell is run again by its own request."""
        with self._lock:
            self._clear()
            self._clear_next = False

    def outputs(self) -> tuple[Output, ...]:
        """Return the outputs in the shape of nbformat 4."""
        with self._lock:
            return tuple(entry.value() for entry in self._entries)

    def messages(self) -> list[tuple[str, Content]]:
        """Return messages that produce these outputs, as (msg_type, content)."""
        with self._lock:
            messages = []
            for entry in self._entries:
                content = entry.value()
                msg_type = content.pop("output_type")
                if msg_type not in {"stream", "error"}:
                    content["transient"] = (
                        {} if entry.display_id is None else {"display_id": entry.display_id}
                    )
                messages.append((msg_type, content))
            return messages

    def display_ids(self) -> tuple[str | None, ...]:
        """Return the display id of each output, or None."""
        with self._lock:
            return tuple(entry.display_id for entry in self._entries)
