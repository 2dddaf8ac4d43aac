"""What a message is on the wire, signed over ZMQ and framed on a websocket; nothing is at the other end."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import serialize_binary_message, serialize_msg_to_ws_v1

from marimo_kernel_bridge.client.channels import BadSignature, Message, NotConnected
from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.client.websocket_channels import _framed, _parsed, _parsed_json
from marimo_kernel_bridge.client.zmq_channels import ZmqChannels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

KEY = b"the-key"


@pytest.fixture
async def channels(tmp_path: Path) -> AsyncIterator[ZmqChannels]:
    connection = Connection(
        path=tmp_path / "kernel-1.json",
        transport="ipc",
        ip=str(tmp_path / "s"),
        ports={"shell": 1, "iopub": 2, "control": 3, "hb": 4},
        signature_scheme="hmac-sha256",
        kernel_name="marimo",
        key=KEY,
    )
    channels = ZmqChannels(connection, "agent")
    yield channels
    channels.close()


PARENT = {"msg_id": "r-1", "msg_type": "execute_request", "username": "ada"}


def frames(key: bytes = KEY, **changes: Any) -> list[bytes]:
    session = Session(key=key, signature_scheme="hmac-sha256")
    message = session.msg("stream", {"name": "stdout", "text": "hi"}, parent=PARENT)
    message["header"] |= changes
    return [b"topic", *session.serialize(message)]


async def test_a_signed_message_is_read(channels: ZmqChannels) -> None:
    message = channels._decode(frames(session="process-1"), "iopub")
    assert message == Message(
        "stream", {"name": "stdout", "text": "hi"}, "process-1", "r-1", "execute_request", "notebook"
    )


async def test_a_message_with_another_key_is_not_believed(channels: ZmqChannels) -> None:
    with pytest.raises(BadSignature):
        channels._decode(frames(b"another"), "iopub")


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        (1, lambda _: b""),
        (1, lambda signature: signature[:32]),
        (1, lambda signature: signature.upper()),
        (1, lambda signature: signature + b"0"),
        (5, lambda content: content.replace(b"hi", b"ho")),
        (2, lambda header: header.replace(b"stream", b"status")),
    ],
)
async def test_a_message_that_was_changed_is_not_believed(
    channels: ZmqChannels, part: int, changed: Callable[[bytes], bytes]
) -> None:
    message = frames()[1:]
    message[part] = changed(message[part])
    with pytest.raises(BadSignature):
        channels._decode(message, "iopub")


async def test_a_message_that_comes_again_is_refused(channels: ZmqChannels) -> None:
    message = frames()
    channels._decode(message, "iopub")
    with pytest.raises(ValueError, match="twice"):
        channels._decode(message, "iopub")


async def test_a_message_that_comes_again_after_many_others_is_refused(channels: ZmqChannels) -> None:
    first, last = frames(msg_id="s_1_7"), frames(msg_id=f"s_1_{7 + 65_536}")
    channels._decode(first, "iopub")
    channels._decode(frames(msg_id="s_1_9"), "shell")
    channels._decode(last, "iopub")
    channels._replays._signatures.clear()  # as after 65,536 other messages
    with pytest.raises(ValueError, match="much older"):
        channels._decode(first, "iopub")
    channels._decode(frames(msg_id="s_1_8"), "shell")  # a channel that is read later
    channels._decode(frames(msg_id="t_1_7"), "iopub")  # of a new session
    channels._decode(frames(msg_id="3e5c0e8a-no-number"), "iopub")


async def test_what_is_no_message_is_refused(channels: ZmqChannels) -> None:
    with pytest.raises(ValueError, match="too few parts"):
        channels._decode([b"<IDS|MSG>", b"signature", b"{}"], "iopub")


async def test_numbers_that_json_has_not_are_read_as_front_ends_read_them(channels: ZmqChannels) -> None:
    session = Session(key=KEY)
    parts = [b'{"msg_type": "stream", "msg_id": "m"}', b"{}", b"{}", b'{"value": NaN}']
    content = channels._decode([b"<IDS|MSG>", session.sign(parts), *parts], "iopub").content
    assert content["value"] != content["value"]  # only NaN does


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"\\ud83d\\ude00 \\\\ud800"', "\U0001f600 \\ud800"),
        (b'"a\\ud800\\ud83d\\ude00\\ude00b"', "a\ufffd\U0001f600\ufffdb"),
        (
            b'["\xff", Infinity, -1e999, 12345678901234567890]',
            ["\ufffd", math.inf, -math.inf, 12345678901234567890],
        ),
        (b"[" * 500 + b"]" * 500, json.loads("[" * 500 + "]" * 500)),
    ],
)
def test_json_that_only_some_programs_write_is_read(text: bytes, value: object) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b"9" * 5000, b"1 2", b"\x1f\x8b", b"[" * 400_000]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # whichever parser's
        read_json(text)


@pytest.mark.parametrize(
    "part",
    [
        "NaN,",
        "-Infinity,",
        "1.7976931348623157e308,",
        "2.2250738585072011e-308,",
        '"\\udc00\\ud800",',
        '"\\ud800",NaN,',
    ],
)
def test_a_megabyte_of_json_is_read_in_a_moment(part: str) -> None:
    data = f"[{part * (1_000_000 // len(part))}1]".encode()
    before = time.process_time()
    read_json(data)
    assert (
        time.process_time() - before < 0.3
    )  # 0.05 on an idle machine; msgspec's parser took 1.1, Python's 0.1


async def test_requests_have_short_ids_of_their_own(channels: ZmqChannels) -> None:
    first, second = (channels.request("kernel_info_request", {}, {"key": 1}) for _ in range(2))
    assert first.msg_id != second.msg_id
    assert len(first.msg_id) < 12
    assert first.message["header"]["msg_id"] == first.msg_id
    assert first.message["header"]["username"] == "agent"
    assert first.message["metadata"] == {"key": 1}


async def test_nothing_is_sent_where_no_connection_is(channels: ZmqChannels) -> None:
    with pytest.raises(NotConnected):
        await channels.send_now("shell", channels.request("execute_request", {}))
    assert not await channels.beat(0.01)
    assert not await channels.is_there()


# Websocket


def test_a_framed_message_is_parsed_again() -> None:
    session = Session()
    message = session.msg("stream", {"text": "ä"}, parent=PARENT)
    channel, parsed = _parsed(_framed("iopub", message, session))
    assert (channel, parsed.msg_type, parsed.content, parsed.parent_id) == (
        "iopub",
        "stream",
        {"text": "ä"},
        "r-1",
    )


OLDER = {"channel": "shell", "header": {"msg_type": "x"}, "parent_header": {}, "metadata": {}, "content": {}}


def test_the_older_protocol_of_websockets_is_json() -> None:
    assert _parsed_json(json.dumps(OLDER)) == ("shell", Message("x", {}))


@pytest.mark.parametrize("buffers", [[], [b"{}"], [b"picture", b"", b"\xff"]])
def test_the_older_protocol_of_websockets_has_buffers_behind_json(buffers: list[bytes]) -> None:
    data: bytes = serialize_binary_message(OLDER | {"buffers": buffers})
    assert _parsed_json(data) == ("shell", Message("x", {}))


def test_buffers_behind_a_framed_message_are_not_read() -> None:
    parts = [b'{"msg_type": "comm_msg"}', b"{}", b"{}", b'{"data": {}}', b"picture", b"\xff"]
    framed = serialize_msg_to_ws_v1(parts, "iopub")
    assert _parsed(framed) == ("iopub", Message("comm_msg", {"data": {}}))


@pytest.mark.parametrize("data", [json.dumps(OLDER), b"", b"nonsense", b"\xff" * 64])
def test_what_is_no_framed_message_is_refused_at_once(data: str | bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        _parsed(data)


@pytest.mark.parametrize("data", ["nonsense", b"", b"nonsense", b"\xff" * 64])
def test_what_is_no_message_of_the_older_protocol_is_refused_at_once(data: str | bytes) -> None:
    with pytest.raises(ValueError):  # json's, or ours
        _parsed_json(data)


def test_a_frame_of_too_few_pieces_is_refused() -> None:
    offsets = [3, 32, 37, 39]
    numbers = b"".join(number.to_bytes(8, "little") for number in offsets)
    with pytest.raises(ValueError, match="not a message"):
        _parsed(numbers + b"shell{}")


def test_a_frame_whose_pieces_overlap_is_refused_at_once() -> None:
    """Each of a million pairs of offsets is the whole frame."""
    numbers = [0, 2**23] * 500_000
    frame = b"".join(number.to_bytes(8, "little") for number in (len(numbers), *numbers))
    began = time.process_time()
    with pytest.raises(ValueError, match="not a message"):
        _parsed(frame)
    assert time.process_time() - began < 0.05
