"""Standard input and output without threads: messages however they are cut, and clients that read nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.mcp_server.transport import standard_streams
from marimo_kernel_bridge.mcp_server.transport.standard_streams import Lines, Texts
from marimo_kernel_bridge.mcp_tools import build_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the SDK's threads serve there"),
]

BOUND = 20
LARGER_THAN_A_PIPE = 300_000
PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'


class Ends:
    """Two ends: what is written to one is read from the other."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self.reading, self.writing = os.pipe()
        else:
            self.reading, self.writing = (end.detach() for end in socket.socketpair())
        self._open = {self.reading, self.writing}

    def close(self, *ends: int) -> None:
        """Close ends, all if none is given; each once, for its number may be another file's afterwards."""
        for end in ends or (self.reading, self.writing):
            if end in self._open:
                self._open.remove(end)
                os.close(end)


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    made = Ends(request.param)
    yield made
    made.close()


async def test_messages_are_whole_however_they_are_cut(ends: Ends) -> None:
    lines, long = Lines(ends.reading), "é" * LARGER_THAN_A_PIPE
    sent = [
        b'{"a"',
        b': 1}\n{"b": 2}\n\n',
        *(f"{long}\r\n".encode()[at:][:4097] for at in range(0, 2 * len(long) + 2, 4097)),
        b"last",
    ]

    def write() -> None:
        for part in sent:
            while part:
                part = part[os.write(ends.writing, part) :]  # noqa: PLW2901  # what is left of it
        ends.close(ends.writing)

    writer = threading.Thread(target=write)
    writer.start()
    async with asyncio.timeout(BOUND):
        assert [line async for line in lines] == ['{"a": 1}', '{"b": 2}', "", f"{long}\r", "last"]
    writer.join()


async def test_what_is_no_text_is_read_as_well_as_it_can(ends: Ends) -> None:
    os.write(ends.writing, b"\xff\n")
    assert await anext(Lines(ends.reading)) == "\N{REPLACEMENT CHARACTER}"


async def test_a_client_that_does_not_read_holds_up_nothing_else(ends: Ends) -> None:
    text = "x" * LARGER_THAN_A_PIPE
    writing = asyncio.create_task(Texts(ends.writing).write(text))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not writing.done()
    read = b""
    async with asyncio.timeout(BOUND):
        while len(read) < len(text):
            read += await asyncio.to_thread(os.read, ends.reading, 1 << 16)
        await writing
    assert read.decode() == text


async def test_a_client_that_is_gone_is_told(ends: Ends) -> None:
    writing = asyncio.create_task(Texts(ends.writing).write("x" * LARGER_THAN_A_PIPE))
    await asyncio.sleep(0)
    ends.close(ends.reading)
    async with asyncio.timeout(BOUND):
        with pytest.raises(BrokenPipeError):
            await writing


@contextmanager
def standard() -> Iterator[tuple[Ends, Ends]]:
    """Two pairs of ends that stand for standard input and output. In a test's body: pytest has its own outside of it."""
    incoming, outgoing = Ends("pipe"), Ends("pipe")
    kept = [os.dup(0), os.dup(1)]
    os.dup2(incoming.reading, 0)
    os.dup2(outgoing.writing, 1)
    try:
        yield incoming, outgoing
    finally:
        for descriptor, own in enumerate(kept):
            os.dup2(own, descriptor)
            os.close(own)
        incoming.close()
        outgoing.close()


async def test_what_other_code_prints_is_no_message() -> None:
    server = build_server()._lowlevel_server
    with standard() as (incoming, outgoing):
        os.write(incoming.writing, PING)
        async with asyncio.timeout(BOUND):
            serving = asyncio.create_task(standard_streams.serve_standard_streams(server))
            answer = await asyncio.to_thread(os.read, outgoing.reading, 1 << 16)
            os.write(1, b"stray\n")
            found = os.read(0, 10)
            incoming.close(incoming.writing)
            await serving
        os.write(1, b"after\n")
        after = os.read(outgoing.reading, 100)
    assert answer == b'{"jsonrpc":"2.0","id":1,"result":{}}\n'
    assert found == b"", "nobody else reads what is for the server"
    assert after == b"after\n", "they are as they were"


async def test_a_file_is_read_by_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    asked.write_bytes(PING)
    with standard() as (_, outgoing):
        descriptor = os.open(asked, os.O_RDONLY)
        os.dup2(descriptor, 0)
        os.close(descriptor)
        monkeypatch.setattr(sys, "stdin", os.fdopen(0, closefd=False))  # pytest's is no file
        monkeypatch.setattr(sys, "stdout", os.fdopen(1, "w", closefd=False))
        async with asyncio.timeout(BOUND):
            await standard_streams.serve_standard_streams(build_server()._lowlevel_server)
        answer = os.read(outgoing.reading, 1000)
    assert b'"result":{}' in answer
