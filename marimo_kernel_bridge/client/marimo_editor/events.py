"""Server-sent events: the lines of a stream as events. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = 256 * 1024 * 1024
"""Bytes of an event. marimo cuts a cell's output at 8 MB by default; this only keeps a broken server from filling the memory."""


class EventReader:
    """Makes events of what a stream brings, in whatever pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the data of each event that is complete. Raises ValueError for one that is too long."""
        self._size += len(piece)
        if self._size > LONGEST:
            raise ValueError("an event is too long")
        if b"\n" not in piece:
            self._pieces.append(piece)
            return
        *lines, rest = b"".join((*self._pieces, piece)).split(b"\n")
        self._pieces = [rest]
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))
        self._size = len(rest) + sum(map(len, self._data))

    def _line(self, line: bytes) -> Iterator[tuple[str, bytes]]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"data":
            self._data.append(value)
        elif not line:
            name, data = self._name, b"\n".join(self._data)
            self._name, self._data = "", []
            if name:
                yield name, data
