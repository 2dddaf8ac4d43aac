"""What the contents of Jupyter's messages must be for the client to rely on them. Fields that it does not use may be anything.

https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class _Content(msgspec.Struct, frozen=True):
    """Any content: an object."""


class _Status(_Content, frozen=True):
    execution_state: str


class _Input(_Content, frozen=True):
    code: str = ""
    execution_count: int | None = None


class _Stream(_Content, frozen=True):
    name: str = "stdout"
    text: str = ""


class _Display(_Content, frozen=True):
    data: dict[str, Any] = {}
    metadata: dict[str, Any] | None = None
    transient: dict[str, Any] = {}
    execution_count: int | None = None


class _Error(_Content, frozen=True):
    ename: str | None = None
    evalue: str | None = None
    traceback: list[str] | None = None


class _Reply(_Content, frozen=True):
    status: str = ""
    execution_count: int | None = None
    language_info: dict[str, Any] | None = None


_KINDS: Final[dict[str, type[_Content]]] = {
    "status": _Status,
    "execute_input": _Input,
    "stream": _Stream,
    "display_data": _Display,
    "update_display_data": _Display,
    "execute_result": _Display,
    "error": _Error,
}


def check_content(msg_type: str, content: object) -> dict[str, Any]:
    """Return the content of a message of this type. Raises ValueError for another one."""
    kind = _KINDS.get(msg_type, _Reply if msg_type.endswith("_reply") else _Content)
    msgspec.convert(content, kind)
    checked: dict[str, Any] = msgspec.convert(content, dict[str, Any])
    return checked
