"""Batches of edits as tool arguments: one flat shape for the four kinds of `protocol.changes`.

Owns text replacement inside a cell, too: it becomes a change of the whole text that was read, with its version, so that it
never changes a text that nobody has looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.safety.marks import mark_refused
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.near_texts import nearest
from marimo_kernel_bridge.protocol.redaction import MARK, has_mark, marks_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.inspection import OwnMarks


class Edit(BaseModel):
    """add: code, type, after. change: cell_id, version, code; or cell_id, old, new. delete: cell_id, version. move: cell_id, version, after."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Annotated[Literal["add", "change", "delete", "move"], Field(description="What to do.")]
    cell_id: Annotated[str | None, Field(description="From list_cells.")] = None
    version: Annotated[int | None, Field(description="As last read.")] = None
    code: Annotated[str | None, Field(description="The whole text.")] = None
    old: Annotated[str | None, Field(description="A text that the cell has once.")] = None
    new: Annotated[str | None, Field(description="In place of old.")] = None
    type: Annotated[Literal["code", "markdown", "raw"] | None, Field(description="By default code.")] = None
    after: Annotated[
        str | None,
        Field(
            description='A cell; "" is the top; new1 the first one added here. Else add at the end, move to the top.'
        ),
    ] = None


WholeEditsArg = Annotated[list[Edit], Field(description="All are made, or none.", max_length=100)]
EditsArg = Annotated[
    list[Edit],
    Field(
        description="As edit_cells takes them: {action, cell_id, version, code}, ...",
        max_length=100,
    ),
]

_SHOWN: Final = 2000
"""Characters of a cell that is shown as a whole in a refusal."""
_LINES: Final = 2000
_LINE: Final = 200
"""Lines of a longer one that are compared, and characters of each."""

_KINDS: Final[dict[str, type[Change]]] = {
    "add": AddCell,
    "change": ChangeCell,
    "delete": DeleteCell,
    "move": MoveCell,
}


def texts_of(edits: Sequence[Edit]) -> list[str]:
    """Return the code that edits bring in."""
    return [text for edit in edits for text in (edit.code, edit.new) if text is not None]


async def changes_of(attached: Attached, edits: Sequence[Edit]) -> tuple[Change, ...]:
    """Convert edits to changes. Raises `BridgeError`: bad_request, which names the edit and the field; redaction_mark."""
    replaces = any(edit.old is not None or edit.new is not None for edit in edits)
    checked = [_checked(number, edit) for number, edit in enumerate(edits, 1)]
    texts = await _texts(attached) if replaces else {}
    whole = [_replaced(number, edit, texts) for number, edit in enumerate(checked, 1)]
    changes = tuple(_change(number, edit) for number, edit in enumerate(whole, 1))
    marked = [at for at, edit in enumerate(whole) if has_mark(edit.code)]
    if marked:
        own = await attached.client.reads.own_marks()
        texts = texts or await _texts(attached)
        for at in marked:
            if not await _has_own_marks_only(attached, whole[at], own, texts):
                raise mark_refused() if edits[at].old is None else _overwrites(whole[at].cell_id)
    return changes


async def _has_own_marks_only(
    attached: Attached, edit: Edit, own: OwnMarks, texts: Mapping[str, tuple[str, int]]
) -> bool:
    """Whether what looks like a mark in the code of an edit is a text of people's: of this cell, or of another that hides nothing so."""
    there, hiding = own.own.get(edit.cell_id or "", ()), set(own.hiding)
    if (
        edit.cell_id is not None and edit.cell_id in texts
    ):  # secrets of this server, of which the kernel does not know
        text, _ = texts[edit.cell_id]
        hiding |= (hidden := marks_in(text, await attached.redacted(text))[1])
        there = tuple(one for one in there if one not in hidden)
    elsewhere = {one for marks in own.own.values() for one in marks} - hiding
    return set(MARK.findall(edit.code or "")) <= elsewhere.union(there)


def _overwrites(cell_id: str | None) -> BridgeError:
    return BridgeError(
        "redaction_mark",
        f"Cell {cell_id} has a secret, which is hidden here and would be overwritten; nothing was changed.",
        "Leave that cell to the person.",
    )


def _checked(number: int, edit: Edit) -> Edit:
    """Raise unless the fields fit the action, as far as that can be said before anything is read."""
    if (edit.old is None) != (edit.new is None) or (edit.old is not None and edit.action != "change"):
        raise _refused(number, edit, "needs both old and new, or neither", "Only change takes them.")
    if edit.old is None:
        _change(number, edit)
    elif edit.code is not None:
        raise _refused(
            number, edit, "takes no code with old and new", "Give the whole text or the replacement."
        )
    elif not edit.old:
        raise _refused(
            number,
            edit,
            "has an empty old",
            "To add lines, give one of the cell's as old, and the same line with them as new. code is for a whole new text.",
        )
    elif edit.cell_id is None:
        raise _refused(number, edit, "needs cell_id", "It takes cell_id, old, new and may have version.")
    return edit


async def _texts(attached: Attached) -> Mapping[str, tuple[str, int]]:
    """Return the present texts with their versions, by each id of their cells."""
    content = await attached.client.document.read()
    known = {
        name: (cell.code, cell.version)
        for cell in await attached.list_cells()
        for name in (cell.cell_id, cell.notebook_cell_id)
        if name is not None
    }
    for cell in content.cells if content is not None else ():
        known |= {name: (cell.code, cell.version) for name in (cell.key, cell.cell_id) if name is not None}
    return known


def _replaced(number: int, edit: Edit, texts: Mapping[str, tuple[str, int]]) -> Edit:
    """Return an edit with the whole new text in place of a replacement."""
    if edit.old is None or edit.new is None:
        return edit
    if edit.cell_id is None or edit.cell_id not in texts:
        raise BridgeError("no_such_cell", f"There is no cell {edit.cell_id!r}.", "list_cells shows the ids.")
    text, version = texts[edit.cell_id]
    count = text.count(edit.old)
    if count == 0:
        raise _refused(
            number,
            edit,
            f"replaces a text that cell {edit.cell_id} does not have",
            _nearest(edit.old, text, version),
        )
    if count > 1:
        raise _refused(
            number,
            edit,
            f"replaces a text that cell {edit.cell_id} has {count} times",
            "old must be in the cell exactly once. Give more of the lines around it.",
        )
    code = text.replace(edit.old, edit.new)
    version = version if edit.version is None else edit.version
    return edit.model_copy(update={"code": code, "version": version, "old": None, "new": None})


def _nearest(old: str, text: str, version: int) -> str:
    """Return what a cell has in place of a text that it lacks: its own text, or, of a long one, the lines most like it."""
    if len(text) <= _SHOWN:
        spaces = "It differs in spaces or line breaks. " if _words(old) in _words(text) else ""
        return f"{spaces}Its text now, version {version}:\n{text}"
    lines = [line[:_LINE] for line in split_lines(text)[:_LINES] if line.strip()]
    wanted = next((line for line in split_lines(old[:_SHOWN]) if line.strip()), "")
    like = nearest(wanted, lines, 3)
    if not like:
        return "Read the cell again: old must be in it as it is, with its spaces."
    return "\n".join(["old must be in it as it is, with its spaces. The lines most like it:", *like])


def _words(text: str) -> str:
    return " ".join(text.split())


def _change(number: int, edit: Edit) -> Change:
    kind, given = _KINDS[edit.action], edit.model_dump(exclude={"action"}, exclude_none=True)
    if edit.action == "add" and edit.after == "":
        given = {**given, "first": True}
        del given["after"]
    elif edit.action == "move" and edit.after == "":
        del given["after"]
    fields = msgspec.structs.fields(kind)
    required = {field.name for field in fields if field.required}
    optional = {field.name for field in fields if not field.required}
    missing, unknown = required - given.keys(), given.keys() - required - optional
    if missing or unknown:
        verb, names = ("needs", missing) if missing else ("takes no", unknown)
        optional -= {"first"}
        raise _refused(
            number,
            edit,
            f"{verb} {', '.join(sorted(names))}",
            f"It takes {', '.join(sorted(required))}"
            + (f" and may have {', '.join(sorted(optional))}." if optional else "."),
        )
    return kind(**given)


def _refused(number: int, edit: Edit, why: str, hint: str) -> BridgeError:
    return BridgeError("bad_request", f"Edit {number} ({edit.action}) {why}; nothing was changed.", hint)
