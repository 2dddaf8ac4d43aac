"""Channels through a Jupyter server's websocket; the server is in this process and has no kernel behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.client import websocket_channels
from marimo_kernel_bridge.client.channels import Message, NotConnected
from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.client.websocket_channels import PROTOCOL, WebsocketChannels
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.client.served_kernels import ServedKernels, Socket

pytestmark = pytest.mark.anyio

BOUND = 10.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_channels, "_AGAIN", 0.01)


@pytest.fixture
async def channels(served: ServedKernels) -> AsyncIterator[WebsocketChannels]:
    channels = WebsocketChannels(ServerKernel(served.server, "k-1"), "agent")
    yield channels
    channels.close()


async def accepted(served: ServedKernels) -> Socket:
    async with asyncio.timeout(BOUND):
        return await served.sockets.get()


@pytest.mark.parametrize("protocol", [PROTOCOL, None])
async def test_messages_pass_both_ways_framed_or_as_older_servers_have_them(
    served: ServedKernels, protocol: str | None
) -> None:
    served.protocol = protocol
    channels = WebsocketChannels(ServerKernel(served.server, "k-1"), "agent")
    try:
        request = channels.request("execute_request", {"code": "'ä'"}, {"key": 1})
        await channels.send("shell", request)
        kernel = await accepted(served)
        channel, message = await kernel.received.get()
        assert (channel, message["content"], message["metadata"]) == ("shell", {"code": "'ä'"}, {"key": 1})
        header = message["header"]
        assert (header["msg_id"], header["username"], header["session"]) == (
            request.msg_id,
            "agent",
            channels.session,
        )
        kernel.send("iopub", "stream", {"text": "ö"}, header)
        kernel.send("shell", "execute_reply", {"status": "ok"}, header)
        parent = (request.msg_id, "execute_request", "agent")
        assert await channels.receive("iopub") == Message("stream", {"text": "ö"}, "process-1", *parent)
        assert await channels.receive("shell") == Message(
            "execute_reply", {"status": "ok"}, "process-1", *parent
        )
    finally:
        channels.close()


async def test_each_request_has_a_short_id_of_its_own(channels: WebsocketChannels) -> None:
    ids = {channels.request("kernel_info_request", {}).msg_id for _ in range(3)}
    assert len(ids) == 3
    assert max(map(len, ids)) < 12


async def test_nothing_is_sent_before_there_is_a_connection(channels: WebsocketChannels) -> None:
    with pytest.raises(NotConnected):
        await channels.send_now("shell", channels.request("execute_request", {}))


async def test_a_connection_that_breaks_is_told_and_opened_again(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    connections = channels.connections()
    async with asyncio.timeout(BOUND):
        kernel = await accepted(served)
        assert await anext(connections)
        kernel.close()
        assert not await anext(connections)
        request = channels.request("execute_request", {})
        with pytest.raises(NotConnected):
            await channels.send_now("shell", request)
        await channels.send("shell", request)  # waits for the next connection
        assert await anext(connections)
        _, message = await (await accepted(served)).received.get()
    assert message["header"]["msg_id"] == request.msg_id


async def test_a_message_that_makes_no_sense_ends_the_connection_on_both_sides(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    kernel = await accepted(served)
    await kernel.write_message(b"nonsense", binary=True)
    await accepted(served)
    async with asyncio.timeout(BOUND):
        while kernel.ws_connection is not None and not kernel.ws_connection.is_closing():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)


async def test_a_kernel_that_answers_on_control_lives(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    kernel = await accepted(served)
    beat = asyncio.ensure_future(channels.beat(BOUND))
    channel, message = await kernel.received.get()
    assert (channel, message["header"]["msg_type"]) == ("control", "kernel_info_request")
    kernel.send("iopub", "status", {"execution_state": "busy"}, message["header"])
    kernel.send("control", "kernel_info_reply", {}, message["header"])
    assert await beat
    kernel.send("iopub", "stream", {"text": "after"})
    assert (await channels.receive("iopub")).content == {"text": "after"}  # nobody hears of beats


async def test_a_kernel_that_says_nothing_does_not_beat(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    await accepted(served)
    assert not await channels.beat(0.05)


async def test_messages_on_channels_that_nobody_reads_are_dropped(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    kernel = await accepted(served)
    kernel.send("stdin", "input_request", {"prompt": "?"})
    kernel.send("iopub", "stream", {"text": "after"})
    assert (await channels.receive("iopub")).content == {"text": "after"}


async def test_whether_there_is_a_kernel_is_asked_of_the_server(
    served: ServedKernels, channels: WebsocketChannels
) -> None:
    assert await channels.is_there()
    await channels.require_there(BOUND)
    assert await channels.why_unreachable() is None
    served.kernels.clear()
    assert not await channels.is_there()
    with pytest.raises(BridgeError, match="has no kernel k-1") as gone:
        await channels.require_there(BOUND)
    assert gone.value.code == "server_refused"
    assert await channels.why_unreachable() is None  # the server answers


async def test_a_server_that_does_not_answer_does_not_mean_a_dead_kernel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", websocket_channels.__name__):
        channels = WebsocketChannels(ServerKernel(JupyterServer("http://127.0.0.1:1", ""), "k-1"), "agent")
        try:
            assert await channels.is_there()
            problem = await channels.why_unreachable()
            async with asyncio.timeout(BOUND):
                while len(caplog.records) < 2:  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.01)
        finally:
            channels.close()
    assert problem is not None
    assert "does not answer" in problem.message
    assert "No connection to kernel k-1 at http://127.0.0.1:1" in caplog.text  # tried again and again


async def test_after_the_end_no_connection_is_made(served: ServedKernels) -> None:
    channels = WebsocketChannels(ServerKernel(served.server, "k-1"), "agent")
    kernel = await accepted(served)
    connections = channels.connections()
    async with asyncio.timeout(BOUND):
        assert await anext(connections)
        channels.close()
        assert not await anext(connections)
        while kernel.ws_connection is not None and not kernel.ws_connection.is_closing():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
    assert served.sockets.empty()
    assert served.asked == ["GET /api/kernels/k-1"]  # before the one connection


async def test_no_connection_is_opened_for_what_is_no_kernel_of_the_server(served: ServedKernels) -> None:
    channels = WebsocketChannels(ServerKernel(served.server, "k-2"), "agent")
    async with asyncio.timeout(BOUND):
        while served.asked.count("GET /api/kernels/k-2") < 3:  # noqa: ASYNC110  # a list tells of no reader
            await asyncio.sleep(0.01)
    channels.close()
    assert served.sockets.empty()


@pytest.mark.parametrize(
    "kernel_id", ["../../terminals?x=", "..", "a/b", "a?b", "a#b", "a%2eb", "", "a b", "x" * 201]
)
async def test_what_would_be_another_address_is_no_id(kernel_id: str) -> None:
    with pytest.raises(BridgeError) as refusal:
        ServerKernel(JupyterServer("http://127.0.0.1:1", ""), kernel_id)
    assert refusal.value.code == "bad_request"
