"""The proxy of a list of hosts, in this process: what it passes on, what it refuses, and what it logs."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from marimo_kernel_bridge.sandbox.proxy import Proxy, RefusedError, destination


async def _server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what was asked."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
    writer.close()


def through(
    log: Path,
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[bytes]],
    *hosts: str,
) -> bytes:
    """Talk to a proxy for a list of hosts, in which `PORT` is that of a server on this machine."""

    async def run() -> bytes:
        server = await asyncio.start_server(_server, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        kernel, end = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as listener, kernel, end:
            address = listener.getsockname()
            proxy = Proxy([host.replace("PORT", str(port)) for host in hosts], log)
            serving = asyncio.create_task(proxy.serve(listener, end))
            reader, writer = await asyncio.open_connection(*address)
            answer = await talk(reader, writer, port)
            writer.close()
            kernel.close()
            await serving
            server.close()
            return answer

    return asyncio.run(asyncio.wait_for(run(), 60))


async def _asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bytes:
    writer.write(
        f"GET http://127.0.0.1:{port}/path?q=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nProxy-Authorization: x\r\n\r\n".encode()
    )
    return await reader.read()


async def _tunnels(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bytes:
    writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    begun = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET /inner HTTP/1.1\r\n\r\n")
    return begun + await reader.read()


def test_a_plain_request_is_passed_on_as_servers_expect_it(tmp_path: Path) -> None:
    answer = through(tmp_path / "log", _asks, "127.0.0.1:PORT")
    assert b"GET /path?q=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close" in answer
    assert b"Proxy-Authorization" not in answer


def test_a_tunnel_carries_bytes_both_ways(tmp_path: Path) -> None:
    answer = through(tmp_path / "log", _tunnels, "127.0.0.1:PORT")
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert answer.endswith(b"GET /inner HTTP/1.1\r\n\r\n")


def test_another_host_is_refused_and_each_wish_logged_without_its_path(tmp_path: Path) -> None:
    log = tmp_path / "log"
    answer = through(log, _asks, "example.org")
    assert answer.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"is not among the hosts" in answer
    (line,) = map(json.loads, log.read_text().splitlines())
    assert {**line, "at": 0, "port": 0} == {
        "at": 0,
        "method": "GET",
        "host": "127.0.0.1",
        "port": 0,
        "allowed": False,
    }
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_name_of_the_list_that_leads_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bytes:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        async def pointed_here(*_: object, **__: object) -> object:
            return found

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", pointed_here)
        writer.write(f"CONNECT rebound.example:{port} HTTP/1.1\r\n\r\n".encode())
        return await reader.read()

    assert b"leads to this machine" in through(tmp_path / "log", asks, "rebound.example:PORT")


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /path HTTP/1.1\r\n\r\n",
        b"GET ftp://host/ HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT host:99999 HTTP/1.1\r\n\r\n",
        b"GET http://h\xff/ HTTP/1.1\r\n\r\n",
        b"GET http://h/ HTTP/2.0\r\n\r\n",
    ],
)
def test_what_is_no_request_to_a_proxy_is_refused(head: bytes) -> None:
    with pytest.raises(RefusedError):
        destination(head)
