"""What the contents of Jupyter's messages must be for the client to rely on them. Fields that it does not use may be anything.

https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.protocol.notebook import Output


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


class _StreamOutput(_Content, frozen=True):
    name: str
    text: str


class _DisplayOutput(_Content, frozen=True):
    data: dict[str, Any]
    metadata: dict[str, Any] | None = None
    execution_count: int | None = None


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
_OUTPUTS: Final[dict[object, type[_Content]]] = {
    "stream": _StreamOutput,
    "display_data": _DisplayOutput,
    "execute_result": _DisplayOutput,
    "error": _Error,
}
"""In the shape of nbformat, as the kernel keeps them and sends them in replies."""


def check_content(msg_type: str, content: object) -> dict[str, Any]:
    """Return the content of a message of this type. Raises ValueError for another one."""
    kind = _KINDS.get(msg_type, _Reply if msg_type.endswith("_reply") else _Content)
    msgspec.convert(content, kind)
    checked: dict[str, Any] = msgspec.convert(content, dict[str, Any])
    return checked


def check_outputs(outputs: Iterable[Output]) -> None:
    """Raise ValueError unless a reply's outputs have the shape of nbformat."""
    for output in outputs:
        kind = output.get("output_type")
        if not isinstance(kind, str) or kind not in _OUTPUTS:
            raise ValueError(f"{str(kind)[:100]!r} is no type of output")
        msgspec.convert(output, _OUTPUTS[kind])
