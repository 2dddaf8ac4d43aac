"""Batches of edits as tool arguments: one flat shape for the four kinds of `protocol.changes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.changes import Change


class Edit(BaseModel):
    """One change. add: code, after; change: cell_id, version, code; delete: cell_id, version; move: cell_id, version, after."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Literal["add", "change", "delete", "move"]
    cell_id: str | None = None
    version: Annotated[int | None, Field(description="The version you last read.")] = None
    code: Annotated[str | None, Field(description="The cell's whole new code.")] = None
    after: Annotated[
        str | None,
        Field(description="The cell behind which it comes. Without: add at the end, move to the top."),
    ] = None


EditsArg = Annotated[
    list[Edit], Field(description="Changes that hold all together or not at all.", max_length=100)
]

_KINDS: Final[dict[str, type[Change]]] = {
    "add": AddCell,
    "change": ChangeCell,
    "delete": DeleteCell,
    "move": MoveCell,
}


def changes_of(edits: Sequence[Edit]) -> tuple[Change, ...]:
    """Convert edits to changes. Raises `BridgeError` bad_request, which names the edit and the field."""
    return tuple(_change(number, edit) for number, edit in enumerate(edits, 1))


def _change(number: int, edit: Edit) -> Change:
    kind, given = _KINDS[edit.action], edit.model_dump(exclude={"action"}, exclude_none=True)
    fields = msgspec.structs.fields(kind)
    required = {field.name for field in fields if field.required}
    optional = {field.name for field in fields if not field.required}
    missing, unknown = required - given.keys(), given.keys() - required - optional
    if missing or unknown:
        verb, names = ("needs", missing) if missing else ("takes no", unknown)
        raise BridgeError(
            "bad_request",
            f"Edit {number} ({edit.action}) {verb} {', '.join(sorted(names))}; nothing was changed.",
            f"It takes {', '.join(sorted(required))}"
            + (f" and may have {', '.join(optional)}." if optional else "."),
        )
    return kind(**given)
