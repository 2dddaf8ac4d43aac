"""Clients that join a running server of their user by its socket: what `mcp --connect` does, in memory."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.client import socket_owner
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.attachments import Attach, attach_client
from marimo_kernel_bridge.mcp_server.transport import joining, own_clients
from marimo_kernel_bridge.mcp_server.transport.own_clients import one_lifespan
from marimo_kernel_bridge.mcp_server.transport.run_files import RunFiles, run_files
from marimo_kernel_bridge.mcp_tools import build_server
from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
START = "the command that starts it"


@pytest.fixture
def files(homes_of_tests: Path) -> RunFiles:
    del homes_of_tests
    return run_files(4711)


@pytest.fixture
def homes_of_tests(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's folders, with paths that are short enough for sockets."""
    folder = tmp_path_factory.mktemp("j")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder))
    return folder


@asynccontextmanager
async def serving(files: RunFiles, attach: Attach = attach_client) -> AsyncIterator[None]:
    server = build_server(attach=attach)._lowlevel_server
    with files.listening() as listening:
        assert listening is not None
        async with one_lifespan(server), own_clients.own_clients(server, listening):
            yield


class Connection:
    """A connection to the server, as `mcp --connect` makes one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
        self._reader, self.writer, self._client = reader, writer, client

    @classmethod
    async def to(cls, files: RunFiles, client: str) -> "Connection":
        return cls(*await asyncio.open_unix_connection(files.socket_file), client)

    async def __call__(self, tool: str, **arguments: Any) -> str:
        meta = META | {"io.modelcontextprotocol/clientInfo": {"name": self._client, "version": "1"}}
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        self.writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await self._reader.readline())
        return str(answer["result"]["content"][0]["text"])


class Client:
    """The client's ends of the pipes of a joined process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reads, self.stdin = os.pipe()
        self.stdout, writes = os.pipe()
        self._theirs = reads, writes
        monkeypatch.setattr(joining, "_STDIN", reads)
        monkeypatch.setattr(joining, "_STDOUT", writes)

    async def ask(self, request: dict[str, Any]) -> Any:  # JSON
        os.write(self.stdin, json.dumps(request).encode() + b"\n")
        with open(self.stdout, closefd=False) as answers:  # noqa: ASYNC230  # in a thread
            return json.loads(await asyncio.to_thread(answers.readline))

    def close(self) -> None:
        for end in (self.stdout, *self._theirs):
            os.close(end)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    client = Client(monkeypatch)
    yield client
    client.close()


async def test_a_client_joins_the_running_server_without_a_token(files: RunFiles, client: Client) -> None:
    async with asyncio.timeout(30), serving(files):
        joined = asyncio.create_task(asyncio.to_thread(joining.join, files, START))
        tools = (await client.ask(TOOLS))["result"]["tools"]
        assert "connect_to_kernel" in {tool["name"] for tool in tools}
        os.close(client.stdin)
        await joined


async def test_another_user_at_the_other_end_is_sent_nothing(
    files: RunFiles, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(30), serving(files):
        with monkeypatch.context() as patched:
            patched.setattr(own_clients, "foreign_peer", lambda _: 4242)
            reader, writer = await asyncio.open_unix_connection(files.socket_file)
            assert await reader.read() == b""
            writer.close()
        monkeypatch.setattr(joining, "foreign_peer", lambda _: 4242)
        with pytest.raises(BridgeError, match=r"User id 4242 listens at .*; nothing was sent"):
            joining.join(files, START)
    os.close(client.stdin)


def test_linux_tells_whose_process_is_at_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert socket_owner.foreign_peer(one) is None
        monkeypatch.setattr(socket_owner, "_ours", frozenset)
        assert socket_owner.foreign_peer(one) == (os.getuid() if sys.platform == "linux" else None)


async def test_the_end_of_the_server_is_told(files: RunFiles, client: Client) -> None:
    async with asyncio.timeout(30):
        async with serving(files):
            joined = asyncio.create_task(asyncio.to_thread(joining.join, files, START))
            await client.ask(TOOLS)
        with pytest.raises(BridgeError, match=f"has ended.*{START}"):
            await joined
    os.close(client.stdin)


async def test_a_message_without_end_ends_its_own_connection(files: RunFiles, client: Client) -> None:
    async with asyncio.timeout(30), serving(files):
        _, endless = await asyncio.open_unix_connection(files.socket_file)
        joined = asyncio.create_task(asyncio.to_thread(joining.join, files, START))
        for _ in range(5):
            endless.write(b"x" * 2**20)
        with pytest.raises(ConnectionError):
            await written(endless)
        assert "result" in await client.ask(TOOLS)
        os.close(client.stdin)
        await joined


async def test_a_client_that_reads_nothing_does_not_delay_the_server_s_end(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = asyncio.Event()

    async def flush(file: own_clients._TextFile) -> None:
        if file._writer.transport.get_write_buffer_size():
            blocked.set()
        await file._writer.drain()

    monkeypatch.setattr(own_clients._TextFile, "flush", flush)
    async with asyncio.timeout(30):
        async with serving(files):
            reader, writer = await asyncio.open_unix_connection(files.socket_file, limit=1)
            writer.write((json.dumps(TOOLS).encode() + b"\n") * 50)
            await blocked.wait()
        with suppress(ConnectionResetError):
            assert (await reader.read()).count(b"\n") < 50, "what it did not read is dropped"
    writer.close()


async def test_a_fault_of_ours_in_a_session_is_logged_as_one(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[BaseException] = loop.create_future()
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.done() or told.set_result(context["exception"]))
    monkeypatch.setattr(own_clients, "stdio_server", lambda *_: int("ours"))
    async with asyncio.timeout(30), serving(files):
        _, writer = await asyncio.open_unix_connection(files.socket_file)
        await asyncio.sleep(0)
        assert "ours" in str((await told).args)
        writer.close()
    loop.set_exception_handler(previous)


def test_a_server_that_ends_with_messages_unread_has_ended(
    files: RunFiles, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(RunFiles, "connected", lambda _: ours)
    ours.sendall(b"unread")
    theirs.close()
    with pytest.raises(BridgeError, match=f"has ended, or refused a message.*{START}"):
        joining.join(files, START)
    os.close(client.stdin)


def test_a_client_that_ends_first_is_no_failure(
    files: RunFiles, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(RunFiles, "connected", lambda _: ours)
    with Path(os.devnull).open() as null:
        os.dup2(null.fileno(), client.stdout)  # nobody reads
    theirs.sendall(b"an answer")
    joining.join(files, START)
    theirs.close()
    os.close(client.stdin)


async def written(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0)


async def test_windows_of_one_client_are_attached_to_kernels_of_their_own(
    files: RunFiles, kernel: FakeKernel, connection_file: str
) -> None:
    async with asyncio.timeout(30), serving(files, kernel.attach):
        first, second = [await Connection.to(files, "ann") for _ in range(2)]
        assert "k1" in await first("connect_to_kernel", connection_file=connection_file)
        assert "k1" in await first("kernel_status")
        assert "[not_connected]" in await second("kernel_status", kernel="k1")
        assert "k2" in await second("connect_to_kernel", connection_file=connection_file)
        for connection in (first, second):
            connection.writer.close()


def test_without_a_server_nothing_is_sent_anywhere(files: RunFiles, client: Client) -> None:
    with pytest.raises(BridgeError, match=f"No MCP server of yours runs. .*{START}"):
        joining.join(files, START)
    os.close(client.stdin)


def test_a_folder_that_others_can_enter_is_not_used(files: RunFiles) -> None:
    assert files.socket_file.parent.stat().st_mode & 0o777 == 0o700
    files.socket_file.parent.chmod(0o711)
    with pytest.raises(BridgeError, match="accessible to other users"):
        run_files(4711)


def test_a_folder_that_cannot_be_made_is_refused(
    homes_of_tests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (homes_of_tests / "file").touch()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(homes_of_tests / "file"))
    with pytest.raises(BridgeError, match="cannot be used"):
        run_files(1)


async def test_one_server_serves_on_a_port_and_leaves_nothing(files: RunFiles) -> None:
    files.socket_file.write_text("left by a server that was killed")
    async with serving(files):
        with pytest.raises(BridgeError, match="already"), files.listening():
            pass
        assert files.socket_file.exists()
        files.token.write_text("a token")
    assert list(files.socket_file.parent.iterdir()) == []


def test_machines_that_share_a_home_have_files_of_their_own(
    homes_of_tests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del homes_of_tests
    monkeypatch.setattr("sys.platform", "linux")
    names = set()
    for machine in ("login1", "login2"):
        monkeypatch.setattr("socket.gethostname", lambda machine=machine: machine)
        names.add(run_files(1).socket_file.name)
    assert len(names) == 2


def test_connect_names_the_command_that_starts_the_server(homes_of_tests: Path) -> None:
    del homes_of_tests
    done = CliRunner().invoke(main, ["mcp", "--connect", "--port", "4711"])
    assert done.exit_code == 1
    assert "let it run: marimo-kernel-bridge mcp --http --port 4711" in done.stderr


def test_a_path_that_is_too_long_is_refused_where_a_socket_is_needed(
    homes_of_tests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(homes_of_tests / ("x" * 100)))
    files = run_files(1)
    with pytest.raises(BridgeError, match="too long for a Unix socket"), files.listening():
        pass
    monkeypatch.setattr("marimo_kernel_bridge.mcp_server.transport.run_files.HAVE_SOCKETS", False)
    with files.listening() as listening:
        assert listening is None
