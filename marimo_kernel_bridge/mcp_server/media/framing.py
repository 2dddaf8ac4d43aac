"""Messages between this process and a worker: JSON behind its length. Pure.

msgspec writes and reads ten times as fast as Python's json, which holds the loop up for as long as it works; only json
knows halves of surrogate pairs, which a kernel's text may have.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

LENGTH: Final = 8
"""Bytes."""


def written(message: Any) -> bytes:  # JSON
    """Return a message with its length."""
    try:
        text = msgspec.json.encode(message)
    except UnicodeEncodeError:
        text = json.dumps(message).encode("ascii")
    return len(text).to_bytes(LENGTH, "big") + text


def length_of(head: bytes) -> int:
    """Return the length of the message behind a head."""
    return int.from_bytes(head, "big")


def read(text: bytes) -> Any:  # JSON
    """Return a message."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)
