"""One request over HTTP/1.1 to a server on this machine, and its answer as it comes.

asyncio alone: Tornado's client keeps the connection of a stream that nobody reads any more, and logs when one ends. The
connection is for one request, takes no proxy, and follows no redirect.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_PIECE: Final = 64 * 1024
_HEAD: Final = 64 * 1024
_LINES: Final = 100


@dataclass(frozen=True)
class Answer:
    """The status of an answer, and its body in pieces, which can be read once."""

    status: int
    pieces: AsyncIterator[bytes]

    async def body(self) -> bytes:
        return b"".join([piece async for piece in self.pieces])


@asynccontextmanager
async def asked(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> AsyncIterator[Answer]:
    """Send a request; the connection is closed at the end. Raises OSError, and ValueError for what is not HTTP."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=_HEAD)
    try:
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if any("\n" in line or "\r" in line for line in lines):
            raise ValueError("a header has a line break")
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + (body or b""))
        await writer.drain()
        version, _, status = (await _line(reader)).partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            raise ValueError("not an answer of HTTP")
        fields = {}
        for _ in range(_LINES):
            if not (line := await _line(reader)):
                break
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        yield Answer(int(status[:3]), _pieces(reader, fields))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the connection has ended") from error
    finally:
        writer.close()


async def _pieces(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> AsyncIterator[bytes]:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await _line(reader)).partition(";")[0], 16):
            async for piece in _exactly(reader, size):
                yield piece
            await _line(reader)
    elif "content-length" in fields:
        async for piece in _exactly(reader, int(fields["content-length"])):
            yield piece
    else:
        while piece := await reader.read(_PIECE):
            yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size > 0:
        piece = await reader.read(min(size, _PIECE))
        if not piece:
            raise ConnectionResetError("the connection has ended")
        size -= len(piece)
        yield piece


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("latin-1")
    except asyncio.LimitOverrunError:
        raise ValueError("a header is too long") from None
