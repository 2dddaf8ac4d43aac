"""Values for UI elements in another form than the element takes, where only one thing can be meant: `"200"` for a slider."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached

_LONGEST: Final = 10_000
_NO_TEXT: Final = (
    "a number",
    "a whole number",
    "two of: a number",
    "two numbers",
    "a list of numbers",
    "true",
)
"""How descriptions of what an element takes begin, of those that take no text: nothing that is text for one is parsed."""


async def meant(attached: Attached, element: str, value: Any) -> Any:  # JSON
    """Return a value as the element takes it. Text is read as JSON for elements that take none."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return value
    elements = await attached.client.reads.list_ui_elements()
    if not any(one.element == element and one.takes.startswith(_NO_TEXT) for one in elements):
        return value
    with suppress(msgspec.DecodeError, RecursionError):
        return msgspec.json.decode(value.strip().casefold())
    return value
