"""What the body of a request over HTTP may be: one message, as a JSON object, within bounds.

The SDK would look at anything up to 4 MiB, and write what it refuses into its refusal: a megabyte of numbers, or of messages in a
list, held up the event loop for half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json
from starlette.responses import JSONResponse

from marimo_kernel_bridge.protocol.value_counts import MOST_VALUES, has_few_values

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 4 * 1024 * 1024
_SMALL: Final = 32 * 1024
"""Bytes of a body that the SDK may look at whatever it is."""
_LONGEST_METHOD: Final = 200
_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600  # of JSON-RPC


class OneMessage:
    """Passes on requests whose body is one message, and refuses the others with a code."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the client is gone
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST_BODY:
                refusal = _refusal(
                    413, _INVALID_REQUEST, f"[too_large] A message has at most {LARGEST_BODY:,} bytes."
                )
                await refusal(scope, receive, send)
                return
        if (refused := _refused(bytes(body))) is not None:
            await refused(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)


def _refused(body: bytes) -> JSONResponse | None:
    """Return why a body is no message; None for one, and for what is small enough for the SDK to say it."""
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        return _refusal(
            400, _INVALID_REQUEST, "[bad_request] Each request has one message, and no list of messages."
        )
    if len(body) <= _SMALL:
        return None
    try:
        message = from_json(body)
    except ValueError as error:
        return _refusal(400, _PARSE_ERROR, f"[bad_request] The message is no JSON: {str(error)[:200]}.")
    if not has_few_values(message):
        return _refusal(413, _INVALID_REQUEST, f"[too_large] A message has at most {MOST_VALUES:,} values.")
    if not _is_message(message):
        return _refusal(400, _INVALID_REQUEST, "[bad_request] The body is no message of JSON-RPC.")
    return None


def _is_message(message: Any) -> bool:  # JSON
    """Whether JSON has the shape of a request, a notification or an answer: what has not, the SDK writes out whole."""
    if not isinstance(message, dict):
        return False
    method, error = message.get("method"), message.get("error")
    return (
        isinstance(message.get("id"), int | str | None)
        and (method is None or (isinstance(method, str) and len(method) <= _LONGEST_METHOD))
        and all(isinstance(message.get(name), dict | None) for name in ("params", "result"))
        and (method is not None or "result" in message or "error" in message)
        and (error is None or (isinstance(error, dict) and isinstance(error.get("message"), str)))
    )


def _refusal(status: int, code: int, why: str) -> JSONResponse:
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": why}}, status)
