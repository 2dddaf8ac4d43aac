"""The hard size limit of tool answers over HTTP.

The budgets of the tools keep answers reasonably small. This is the last safeguard: a client that receives an event of
more than 1 MiB drops the connection without telling its user why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

MAX_ANSWER_BYTES: Final = 1_000_000
"""Of JSON. The rest up to 1 MiB is for the protocol's envelope."""

_TOO_LARGE: Final = "The answer is too large to send. Request less: a smaller max_chars or limit."


async def keep_answers_small(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Limit the size of answers to tool calls. Server middleware."""
    answer = await call_next(ctx)
    if ctx.method != "tools/call" or not isinstance(answer, dict):
        return answer
    return fit(answer)


def fit(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's answer in JSON form: unchanged if it fits, else without images, else as a tool error."""
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
