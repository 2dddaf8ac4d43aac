"""Replies to requests of ours as the content of Jupyter messages: a result, or a refusal in Jupyter's shape for errors."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import msgspec

from marimo_kernel_bridge.errors import CODES, BridgeError, ErrorCode
from marimo_kernel_bridge.protocol.bridge_request import PROTOCOL

Content: TypeAlias = dict[str, Any]
"""The content of a Jupyter message."""

_T = TypeVar("_T")


def encode_result(result: object) -> Content:
    """Return a result as the content of an ok reply."""
    return {"status": "ok", "protocol": PROTOCOL, "result": msgspec.to_builtins(result)}


def encode_error(error: BridgeError) -> Content:
    """Return a refusal as the content of an error reply, in Jupyter's shape for errors."""
    return {
        "status": "error",
        "protocol": PROTOCOL,
        "ename": "BridgeError",
        "evalue": error.message,
        "traceback": [],
        "code": error.code,
        "hint": error.hint,
    }


def decode_reply(content: Content, kind: type[_T]) -> _T:
    """Parse the content of a reply into `kind`. Raises the `BridgeError` that an error reply carries."""
    if content.get("status") != "ok":
        code = content.get("code")
        known: ErrorCode = code if isinstance(code, str) and code in CODES else "bad_request"  # type: ignore[assignment]  # narrowed by the test against CODES
        raise BridgeError(
            known, str(content.get("evalue", "The kernel refused the request.")), str(content.get("hint", ""))
        )
    try:
        return msgspec.convert(content.get("result"), kind, str_keys=True)
    except (ValueError, RecursionError) as error:
        raise BridgeError(
            "unsupported_version", f"The kernel's reply does not match this version: {error}."
        ) from error
