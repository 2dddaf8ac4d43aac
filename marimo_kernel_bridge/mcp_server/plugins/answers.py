"""What a plugin's function returns, as the answer of a tool: bounded, and conforming to the schema that was promised."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from mcp.types import CallToolResult, ImageContent, TextContent

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED, cut_middle
from marimo_kernel_bridge.mcp_server.arguments import LIST_BUDGET
from marimo_kernel_bridge.mcp_server.tools.call_result import answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.mcp_server.media.output_text import Image
    from marimo_kernel_bridge.protocol.redaction import Redactor

BUDGET: Final = LIST_BUDGET
"""Characters of an answer."""


@dataclass(frozen=True)
class PluginText:
    """The text that a plugin's tool returned."""

    answer: str = field(default="", metadata=PAGED)

    def text(self) -> str:
        return self.answer


def result_of(
    name: str, value: object, kind: type[Any], redactor: Redactor, images: Sequence[Image]
) -> CallToolResult:
    """Return the result of a call. Raises `BridgeError`: plugin_failed, too_large."""
    if kind is PluginText and isinstance(value, str):
        return answer(PluginText(_cut(value, redactor)), redactor, tuple(images))
    if not isinstance(value, kind):
        wanted = "str" if kind is PluginText else kind.__name__
        raise BridgeError(
            "plugin_failed", f"{name} returned a {type(value).__name__}, and should return a {wanted}.", ""
        )
    data, note = bounded_data(msgspec.to_builtins(value), BUDGET)
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise too_large(name) if note else BridgeError("plugin_failed", f"{name}: {error}") from error
    if "__str__" in vars(type(value)):
        text = _cut(str(value), redactor)
    else:
        text = json.dumps(data, ensure_ascii=False)
    if len(json.dumps(data, ensure_ascii=False)) > BUDGET:
        raise too_large(name)
    return CallToolResult(
        content=[
            TextContent(type="text", text=f"{note}\n{text}" if note else text),
            *(ImageContent(type="image", data=image.data, mime_type=image.mime_type) for image in images),
        ],
        structured_content=data,
    )


def _cut(text: str, redactor: Redactor) -> str:
    if len(text) <= BUDGET:
        return text
    return cut_middle(
        redactor.text(text), BUDGET, lambda left_out, _: f"[… {left_out} characters left out …]"
    )


def too_large(name: str) -> BridgeError:
    return BridgeError(
        "too_large", f"The answer of {name} has more than {BUDGET:,} characters.", "Ask for a part of it."
    )


def bounded_data(data: Any, budget: int) -> tuple[Any, str]:  # JSON
    """Return JSON with its longest lists shortened until it has about so many characters, and a sentence that says so."""
    left_out = 0
    while len(json.dumps(data, ensure_ascii=False)) > budget:
        lists = [items for items in _lists(data) if len(items) > 1]
        if not lists:
            break
        longest = max(lists, key=lambda items: len(json.dumps(items, ensure_ascii=False)))
        kept = len(longest) // 2
        left_out += len(longest) - kept
        del longest[kept:]
    return data, f"{left_out} entries of long lists are left out." if left_out else ""


def _lists(data: Any) -> Iterator[list[Any]]:
    waiting = [data]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            yield part
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
