"""Keeping tool answers below what MCP clients take over HTTP.

The tools have budgets of their own, which make answers of reasonable size. This is the last line: a client that gets
an event of more than 1 MiB drops the connection, and its user learns nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

MAX_ANSWER_BYTES: Final = 1_000_000
"""Of JSON. The rest up to 1 MiB is for what the protocol puts around an answer."""

_TOO_LARGE: Final = "The answer is too large to send. Ask for less at once: a smaller max_chars or limit."


async def keep_answers_small(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Make the answers to tool calls fit. Server middleware."""
    answer = await call_next(ctx)
    if ctx.method != "tools/call" or not isinstance(answer, dict):
        return answer
    return fit(answer)


def fit(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's answer, in its JSON form, as it is; or else without images; or else a tool error."""
    if _size(answer) <= MAX_ANSWER_BYTES:
        return answer
    rest = [block for block in answer["content"] if block["type"] != "image"]
    left_out = len(answer["content"]) - len(rest)
    note = f"{left_out} image(s) left out: with them the answer is too large. A smaller max_chars makes room."
    if left_out:
        without_images = answer | {"content": [*rest, {"type": "text", "text": note}]}
        if _size(without_images) <= MAX_ANSWER_BYTES:
            return without_images
    error = answer | {"content": [{"type": "text", "text": _TOO_LARGE}], "isError": True}
    error.pop("structuredContent", None)
    return error


def _size(answer: dict[str, Any]) -> int:
    return len(json.dumps(answer, ensure_ascii=False).encode(errors="replace"))
