"""Standard input and output as files that the SDK's transport reads and writes without threads.

The SDK reads and writes its own in threads: a message passes through three of them, each of which waits up to 5 ms for the
interpreter while the server computes, so that the answers of many calls go out one after another. Here the event loop says when
there is something to read, and room to write.

Only pipes and sockets, which are what hosts start a server with; anything else, and Windows, is left to the SDK.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from mcp.server.stdio import stdio_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp.server.lowlevel import Server

_CHUNK: Final = 1 << 16


async def serve_standard_streams(server: Server[Any]) -> None:
    """Serve the client at standard input and output, until the input ends. Raises BrokenPipeError if nobody reads the output any more."""
    with ExitStack() as held:
        files = held.enter_context(_own_streams()) if _can_be_watched(0, 1) else ()
        async with stdio_server(*cast("Any", files)) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


def _can_be_watched(*descriptors: int) -> bool:
    """Return whether an event loop can watch them all."""
    if sys.platform == "win32":
        return False
    try:
        modes = [os.fstat(descriptor).st_mode for descriptor in descriptors]
    except OSError:  # it is closed
        return False
    return all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes)


@contextmanager
def _own_streams() -> Iterator[tuple[Lines, Texts]]:
    """Yield standard input and output. Meanwhile code that reads input finds it empty, and what it prints goes to standard error."""
    with _replaced(0, _nothing) as reading, _replaced(1, _errors) as writing:
        yield Lines(reading), Texts(writing)


@contextmanager
def _replaced(descriptor: int, other: Callable[[], int]) -> Iterator[int]:
    """Yield a copy of a descriptor that no child inherits; meanwhile the descriptor itself is another file."""
    import fcntl  # noqa: PLC0415  # not on Windows

    own = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    try:
        instead = other()
        os.dup2(instead, descriptor)
        os.close(instead)
        yield own
    finally:
        os.dup2(own, descriptor)
        os.close(own)


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _errors() -> int:
    with suppress(OSError):  # it is closed
        return os.dup(2)
    return os.open(os.devnull, os.O_WRONLY)


class Lines:
    """The lines of a pipe or a socket, as they come. The last one need not end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._whole: deque[bytes] = deque()
        self._begun = bytearray()
        self._ended = False

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        while not self._whole:
            if self._ended:
                raise StopAsyncIteration
            await anyio.wait_readable(self._descriptor)
            self._take(self._read())
        return self._whole.popleft().decode(errors="replace")

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except ConnectionResetError:  # a socket whose other end was killed
            return b""

    def _take(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._begun += first
        for begun in others:
            self._whole.append(bytes(self._begun))
            self._begun = bytearray(begun)
        if not data:
            self._ended = True
            if self._begun:
                self._whole.append(bytes(self._begun))


class Texts:
    """Texts into a pipe or a socket. Who does not read holds up only who writes there, not the event loop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._looking = select.poll()
        self._looking.register(descriptor, select.POLLOUT)

    async def write(self, text: str) -> None:
        """Write a text. Raises BrokenPipeError if nobody reads any more."""
        left = memoryview(text.encode())
        while left:
            if not self._looking.poll(0):
                await anyio.wait_writable(self._descriptor)
            # So many bytes never block what is said to be writable, and more may
            left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]

    async def flush(self) -> None:
        """Do nothing: all is written."""
