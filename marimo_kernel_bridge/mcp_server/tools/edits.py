"""A batch of edits as a model writes it: one flat shape for all four kinds, checked with words that tell what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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

_NEEDS = {
    "add": {"code"},
    "change": {"cell_id", "version", "code"},
    "delete": {"cell_id", "version"},
    "move": {"cell_id", "version"},
}
_MAY = {"add": {"after"}, "change": set[str](), "delete": set[str](), "move": {"after"}}


def changes_of(edits: Sequence[Edit]) -> tuple[Change, ...]:
    """Return the changes. Raises `BridgeError` bad_request, naming the edit and the field."""
    return tuple(_change(number, edit) for number, edit in enumerate(edits, 1))


def _change(number: int, edit: Edit) -> Change:
    given = {name for name, value in edit.model_dump(exclude={"action"}).items() if value is not None}
    needs = _NEEDS[edit.action]
    wrong = sorted(needs - given) or sorted(given - needs - _MAY[edit.action])
    if wrong:
        verb = "needs" if needs - given else "takes no"
        raise BridgeError(
            "bad_request",
            f"Edit {number} ({edit.action}) {verb} {', '.join(wrong)}; nothing was changed.",
            f"It takes {', '.join(sorted(needs))}"
            + (f" and may have {', '.join(_MAY[edit.action])}." if _MAY[edit.action] else "."),
        )
    cell_id, version, code = edit.cell_id or "", edit.version or 0, edit.code or ""
    match edit.action:
        case "add":
            return AddCell(code, edit.after)
        case "change":
            return ChangeCell(cell_id, version, code)
        case "delete":
            return DeleteCell(cell_id, version)
        case "move":
            return MoveCell(cell_id, version, edit.after)
