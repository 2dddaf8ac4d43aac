"""Messages between this process and a worker: JSON behind its length, and long texts as they are behind it. Pure.

msgspec writes and reads ten times as fast as Python's json, which holds the loop up for as long as it works; only json
knows halves of surrogate pairs, which a kernel's text may have. Either takes a twentieth of a second for megabytes that have
to be escaped, such as line breaks, and no thread goes on meanwhile.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

LENGTH: Final = 8
"""Bytes."""

_LONG: Final = 10_000
"""Characters of a text that is not escaped."""

_DEPTH: Final = 3
"""Objects that a long text may be within: a message, its arguments or result, and a part of that."""


def written(message: dict[str, Any]) -> bytes:  # JSON
    """Return a message with its length."""
    apart: list[tuple[list[str], str]] = []
    message = _without_long_texts(message, [], apart)
    texts = [text.encode("utf-8", "surrogatepass") for _, text in apart]
    places = [(path, len(text)) for (path, _), text in zip(apart, texts, strict=True)]
    head = encoded([message, places])
    whole = (len(head).to_bytes(LENGTH, "big"), head, *texts)
    return b"".join((sum(map(len, whole)).to_bytes(LENGTH, "big"), *whole))


def encoded(value: Any) -> bytes:  # JSON
    """Return the text of any JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode("ascii")


def length_of(head: bytes) -> int:
    """Return the length of the message behind a head."""
    return int.from_bytes(head, "big")


def read(data: bytes) -> dict[str, Any]:  # JSON
    """Return a message."""
    whole = memoryview(data)
    at = LENGTH + length_of(data[:LENGTH])
    message: dict[str, Any]
    message, places = _decoded(bytes(whole[LENGTH:at]))
    for (*path, name), length in places:
        there = message
        for step in path:
            there = there[step]
        there[name] = str(whole[at : at + length], "utf-8", "surrogatepass")
        at += length
    return message


def _without_long_texts(
    value: dict[str, Any], path: list[str], apart: list[tuple[list[str], str]]
) -> dict[str, Any]:
    """Return an object without its long texts, which are added to `apart` with their places."""
    kept: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, str) and len(one) > _LONG:
            apart.append(([*path, name], one))
        elif isinstance(one, dict) and len(path) + 1 < _DEPTH:
            kept[name] = _without_long_texts(one, [*path, name], apart)
        else:
            kept[name] = one
    return kept


def _decoded(text: bytes) -> Any:  # JSON
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)
