"""The lines of JSON between VS Code's extension and the relay process, which `document_relay` answers.

The extension's lines are tagged by `do`, the relay's by `say`. The content of `Ask`, `reply` and `order` is that of
`protocol.document`. The extension knows the file of a notebook by its absolute path. Moves lines, decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger(__name__)

LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes of one line: that of `attach` has all cells of a notebook."""

MOST_WAITING: Final = 1_000
"""Lines that wait for an extension that reads none. With more, the relay ends, and the extension starts another."""


class _Taken(msgspec.Struct, frozen=True, tag_field="do"):
    """A line of the extension."""


class Watch(_Taken, frozen=True, tag="watch"):
    """Find the kernel of a notebook, now and after it has ended."""

    notebook: str


class Unwatch(_Taken, frozen=True, tag="unwatch"):
    """A notebook is closed."""

    notebook: str


class Renamed(_Taken, frozen=True, tag="renamed"):
    """A notebook has another path; its kernel goes with it."""

    before: str
    after: str


class Ask(_Taken, frozen=True, tag="ask"):
    """Send a request of the document protocol to the kernel of a notebook. Answered by `ReplySaid`."""

    id: int
    notebook: str
    content: dict[str, Any]


Taken = Watch | Unwatch | Renamed | Ask


class _Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    """A line of the relay."""


class Hello(_Said, frozen=True, tag="hello"):
    """The first line: the versions of this package and of the document protocol."""

    version: str
    document: int


class KernelSaid(_Said, frozen=True, tag="kernel"):
    """A notebook's kernel is found, or has ended: then `kernel` is None, and `problem` says how."""

    notebook: str
    kernel: str | None
    problem: str | None = None


class OrderSaid(_Said, frozen=True, tag="order"):
    """An order of a notebook's kernel."""

    notebook: str
    order: dict[str, Any]


class ReplySaid(_Said, frozen=True, tag="reply"):
    """The reply to an `Ask`: the kernel's, or an error reply of the relay."""

    id: int
    reply: dict[str, Any]


Said = Hello | KernelSaid | OrderSaid | ReplySaid

_DECODER: Final = msgspec.json.Decoder(Taken)


def decoded(line: bytes) -> Taken | None:
    """Return a line of the extension, None for an unknown one."""
    try:
        taken: Taken = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        logger.warning("Dropped a line: %s", error)
        return None
    return taken


def encoded(said: Said) -> bytes:
    return msgspec.json.encode(said) + b"\n"


async def lines_of_stdin() -> AsyncIterator[Taken]:
    """Yield the extension's lines until it closes stdin."""
    while line := await asyncio.to_thread(sys.stdin.buffer.readline, LONGEST_LINE):
        if (taken := decoded(line)) is not None:
            yield taken


class Writer:
    """Writes lines one after the other, as fast as the extension reads them, in a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._write, daemon=True).start()

    def say(self, said: Said) -> None:
        """Queue a line. Ends the process if the extension has stopped reading."""
        try:
            self._waiting.put_nowait(encoded(said))
        except queue.Full:
            logger.error("The extension has not read %d lines: the relay ends.", MOST_WAITING)  # noqa: TRY400  # the traceback says nothing
            os._exit(1)

    def _write(self) -> None:
        with suppress(OSError):  # the extension has ended, and stdin with it
            while True:
                view = memoryview(self._waiting.get())
                while view:
                    view = view[os.write(self._descriptor, view) :]
