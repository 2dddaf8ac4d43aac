"""What the body of a request over HTTP may be: anything else is refused with a code, and at once."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from marimo_kernel_bridge.mcp_server.transport import bodies
from marimo_kernel_bridge.mcp_server.transport.bodies import LARGEST_BODY, OneMessage

pytestmark = pytest.mark.anyio

PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def posted(body: bytes, piece: int = 65_536) -> tuple[int, Mapping[str, Any] | bytes]:
    """Return the status and the refusal of a request that came in pieces, or 200 and what the server read of it."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""]
    read: list[bytes] = []
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        read.append((await receive())["body"])

    await OneMessage(app)({"type": "http", "method": "POST"}, receive, send)
    if read:
        return 200, read[0]
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    "message",
    [
        PING,
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"a": "x" * 50_000}},
        {
            **PING,
            "method": "tools/call",
            "params": {"name": "import_notebook", "arguments": {"content": "x" * 3_000_000}},
        },
        {"jsonrpc": "2.0", "id": "a", "result": {"a": "x" * 50_000}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x" * 50_000}},
    ],
)
async def test_one_message_is_passed_on_as_it_is(message: object) -> None:
    body = json.dumps(message).encode()
    assert await posted(body) == (200, body)


BODIES: list[tuple[Callable[[], bytes], int, str]] = [
    (lambda: json.dumps([PING] * 2).encode(), 400, "[bad_request]"),
    (lambda: json.dumps([PING] * 8_000).encode(), 400, "[bad_request]"),
    (lambda: b"  \n[" + b"1.7976931348623157e308," * 170_000 + b"1]", 400, "[bad_request]"),
    (lambda: b"[" * 1_000_000, 400, "[bad_request]"),
    (lambda: b'{"a":' * 200_000, 400, "[bad_request]"),
    (lambda: b" " * (LARGEST_BODY + 1), 413, "[too_large]"),
    (lambda: json.dumps({**PING, "params": [1.5] * 9_000}).encode(), 400, "[bad_request]"),
    (lambda: json.dumps({**PING, "params": [1.5] * 300_000}).encode(), 413, "[too_large]"),
    (
        lambda: json.dumps({**PING, "params": {f"k{number}": 1 for number in range(200_000)}}).encode(),
        413,
        "[too_large]",
    ),
    (lambda: json.dumps({**PING, "method": "x" * 3_000_000}).encode(), 400, "[bad_request]"),
    (lambda: json.dumps({**PING, "id": {"a": "x" * 50_000}}).encode(), 400, "[bad_request]"),
    (lambda: json.dumps({"jsonrpc": "2.0", "id": 1, "error": "x" * 50_000}).encode(), 400, "[bad_request]"),
    (lambda: json.dumps("x" * 50_000).encode(), 400, "[bad_request]"),
    (lambda: b'{"a": ' + b"9" * 50_000 + b"}", 400, "[bad_request]"),
    (lambda: b"\xff" * 50_000, 400, "[bad_request]"),
]


@pytest.mark.parametrize(("body", "status", "code"), BODIES)
async def test_another_body_is_refused_with_a_code_and_at_once(
    body: Callable[[], bytes], status: int, code: str
) -> None:
    sent = body()
    before = time.process_time()
    answered, refusal = await posted(sent)
    assert (
        time.process_time() - before < 1.0
    )  # two for a list of numbers, in the SDK; a twentieth on an idle machine
    assert isinstance(refusal, dict)
    assert (answered, refusal["id"]) == (status, None)
    assert refusal["error"]["message"].startswith(code)
    assert len(json.dumps(refusal)) < 500


async def test_a_small_body_is_for_the_sdk_to_refuse() -> None:
    for body in (b"", b"x", b"null", b'{"jsonrpc": 3}'):
        assert await posted(body) == (200, body)
    assert bodies._refused(b"{}") is None
